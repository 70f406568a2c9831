"""Parse the service's answers: extra fields are ignored, unknown values are kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from lalald.api import json_fields
from lalald.api.error_mapping import Reply, unusable, words
from lalald.api.json_fields import Fields, UnreadError

Status = Literal["progress", "success", "error", "cancelled", "server_error", "unknown"]
Value = TypeVar("Value")
_GONE = re.compile(r"been deleted|not been uploaded|upload it again", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A source as the service took it. `sha256` is of the bytes that were sent.

    `size` and `duration` are None where the service gives no number; `reported_duration` is what it says, to be shown.
    """

    source_id: str
    name: str
    size: int | None
    duration: float | None  # as the service says it: it may be 0, or less
    expires_at: float | None
    sha256: str
    reported_duration: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    task_id: str


@dataclass(frozen=True, slots=True)
class StartRefused:
    """A task of a batch that did not start. `unanswered`: the answer about it is unreadable, so it may have started."""

    code: str | None
    message: str
    unanswered: bool = False


_UNREAD = StartRefused(None, "the service's answer about this task cannot be read", unanswered=True)


@dataclass(frozen=True, slots=True)
class AnsweredTrack:
    """A track in an answer. `size` is in bytes, if stated. A missing label or link is empty."""

    type: str
    label: str
    url: str
    name: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What `/check/` says of one task. `unknown`: a status that lalald does not know, or an answer that it cannot read.

    `gone`: a server error whose words say that the file is not there any more.
    """

    status: Status
    progress: int | None = None
    error: str | None = None
    error_code: str | None = None
    error_id: str | None = None
    tracks: tuple[AnsweredTrack, ...] = ()
    duration: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class VoicePack:
    name: str
    pack_id: str
    created_at: float | None = None


def _read(said: Any, reply: Reply, read: Callable[[Fields], Value]) -> Value:
    """The parsed answer. Raises TransientError if a required field is missing."""
    try:
        return read(Fields(said))
    except UnreadError as error:
        raise unusable(reply, str(error)) from None


def _lenient(said: Any, read: Callable[[Fields], Value]) -> Value | None:
    try:
        return read(Fields(said))
    except UnreadError:
        return None


def uploaded(said: Any, reply: Reply, *, name: str, sha256: str) -> Uploaded:
    def read(answer: Fields) -> Uploaded:
        return Uploaded(
            source_id=answer.need("id", json_fields.identity),
            name=answer.may("name", json_fields.name) or name,
            size=answer.may("size", json_fields.count),
            duration=answer.may("duration", json_fields.number),
            expires_at=answer.may("expires", json_fields.moment),
            sha256=sha256,
            reported_duration=answer.quoted("duration"),
        )

    return _read(said, reply, read)


def _task_id(answer: Fields) -> str:
    return answer.need("task_id", json_fields.identity)


def task_id(said: Any, reply: Reply) -> str:
    return _read(said, reply, _task_id)


def minutes_left(said: Any, reply: Reply) -> float:
    return _read(said, reply, lambda answer: answer.need("minutes_left", json_fields.number))


def voice_packs(said: Any, reply: Reply) -> list[VoicePack]:
    """The readable items."""
    packs = _read(said, reply, lambda answer: answer.need("packs", json_fields.array))
    return [pack for item in packs if (pack := _lenient(item, _pack))]


def _pack(item: Fields) -> VoicePack:
    return VoicePack(
        item.need("name", json_fields.words),
        item.need("pack_id", json_fields.text),
        item.may("created", json_fields.moment),
    )


def _result(said: Any, reply: Reply) -> dict[str, Any]:
    return _read(said, reply, lambda answer: answer.need("result", json_fields.mapping))


def cancelled(said: Any, reply: Reply) -> dict[str, str | None]:
    """For each task, None if it is cancelled, else the service's message."""
    return {task: _cancelled(item) for task, item in _result(said, reply).items()}


def _cancelled(item: Any) -> str | None:
    if isinstance(item, dict) and item.get("status") == "success":
        return None
    message = words(item.get("error") or item.get("detail")) if isinstance(item, dict) else words(item)
    return message or "the service does not say why"


def checked(said: Any, reply: Reply, asked: Sequence[str]) -> dict[str, TaskAnswer]:
    """The answers about the requested tasks, parsed one by one, so that an unreadable one does not affect the others."""
    result = _result(said, reply)
    return {task: _checked(result[task]) for task in asked if task in result}


def _checked(item: Any) -> TaskAnswer:
    if not isinstance(item, dict):
        return TaskAnswer("unknown", error="the service's answer about this task cannot be read")
    status = item.get("status")
    match status.strip().lower() if isinstance(status, str) else status:
        case "progress":
            return TaskAnswer("progress", progress=_percent(item.get("progress")))
        case "success":
            return _succeeded(item)
        case "error":
            return _failed(item.get("error"))
        case "cancelled" | "canceled":
            return TaskAnswer("cancelled")
        case "server_error":
            message = words(item.get("error"))
            return TaskAnswer("server_error", error=message or None, gone=bool(_GONE.search(message)))
        case other:
            return TaskAnswer("unknown", error=f"the service gives the task an unknown state: {words(other)[:80]}")


def _percent(value: Any) -> int:
    try:
        return max(0, min(100, int(float(value))))
    except (TypeError, ValueError, OverflowError):
        return 0


def _succeeded(item: dict[str, Any]) -> TaskAnswer:
    """A successful task with the tracks that the answer names; the caller decides whether any is missing."""
    found, duration = _lenient(item.get("result"), _tracks) or ([], None)
    return TaskAnswer("success", progress=100, tracks=tuple(found), duration=duration)


def _tracks(result: Fields) -> tuple[list[AnsweredTrack], float | None]:
    said = result.need("tracks", json_fields.array)
    tracks = [track for item in said if (track := _lenient(item, _track))]
    return [track for track in tracks if track.label or track.url], result.may("duration", json_fields.seconds)


def _track(item: Fields) -> AnsweredTrack:
    return AnsweredTrack(
        type=item.may("type", json_fields.name) or "",
        label=item.may("label", json_fields.name) or "",
        url=item.may("url", json_fields.link) or "",
        name=item.may("name", json_fields.name),
        size=item.may("size", json_fields.count),
    )


def _failed(said: Any) -> TaskAnswer:
    if not isinstance(said, dict):
        return TaskAnswer("error", error=words(said) or "the service does not say why")
    message = words(said.get("detail")) or "the service does not say why"
    error = Fields(said)
    code, identity = error.may("code", json_fields.words), error.may("id", json_fields.words)
    return TaskAnswer("error", error=message, error_code=code, error_id=identity)


def started(said: Any, reply: Reply, sources: Sequence[str]) -> list[Started | StartRefused]:
    """The answer to each item of a batch, in the order requested.

    The answer's order counts only while length and sources agree with it; otherwise only what is beyond doubt is
    used, since a task mistaken for another would deliver the wrong results.
    """
    results = _read(said, reply, lambda answer: answer.need("results", json_fields.array))
    asked = [_plain(source) for source in sources]
    answered = [_plain(item.get("source_id")) if isinstance(item, dict) else "" for item in results]
    if len(answered) == len(asked) and all(
        answer in ("", source) for answer, source in zip(answered, asked, strict=True)
    ):
        return _each_its_own([_started(item) for item in results])
    times_asked, times_answered = Counter(asked), Counter(answered)
    named = zip(answered, results, strict=True)
    sure = {source: item for source, item in named if times_asked[source] == times_answered[source] == 1}
    return _each_its_own([_started(sure.get(source)) for source in asked])


def _each_its_own(found: list[Started | StartRefused]) -> list[Started | StartRefused]:
    """A task id that is given to two items is assigned to neither: whose results it has is unknown."""
    times = Counter(answer.task_id for answer in found if isinstance(answer, Started))
    return [_UNREAD if isinstance(answer, Started) and times[answer.task_id] > 1 else answer for answer in found]


def _plain(source: Any) -> str:
    """A source id in one spelling, since a UUID has several."""
    return source.replace("-", "").lower() if isinstance(source, str) else ""


def _started(item: Any) -> Started | StartRefused:
    if not isinstance(item, dict):
        return _UNREAD
    if item.get("status") == "error":
        code, message = item.get("code"), words(item.get("error") or item.get("detail"))
        if isinstance(code, str) and code:
            return StartRefused(code, message or "the service does not say why")
        return StartRefused(None, message) if message else _UNREAD
    task = _lenient(item, _task_id)
    return Started(task) if task else _UNREAD
