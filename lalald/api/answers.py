"""What the service's answers say, read for what is needed: extra fields are passed over, unknown values survive."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from lalald.api.translate import Reply, unreadable, words

Status = Literal["progress", "success", "error", "cancelled", "server_error", "unknown"]
Model = TypeVar("Model", bound=BaseModel)
_GONE = re.compile(r"been deleted|not been uploaded|upload it again", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A source as the service took it. `sha256` is of the bytes that were sent."""

    source_id: str
    name: str
    size: int
    duration: float
    expires_at: float | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Started:
    task_id: str


@dataclass(frozen=True, slots=True)
class StartRefused:
    """A task of a batch that did not start. `unanswered`: nothing readable was said of it, so it may have started."""

    code: str | None
    message: str
    unanswered: bool = False


_UNREAD = StartRefused(None, "the service's answer about this task cannot be read", unanswered=True)


@dataclass(frozen=True, slots=True)
class AnsweredTrack:
    """`size` is in bytes, where the service tells it."""

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


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    return value


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


Number = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(min_length=1, max_length=200)]  # the document's have 36
Name = Annotated[Text, AfterValidator(lambda text: text[:400])]  # more than any file's name may hold
Count = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=0, le=2**62)]
Seconds = Annotated[Number, Field(ge=0, le=1e8)]  # three years of music
Moment = Annotated[Number, Field(ge=0, le=1e11)]  # the year 5138: beyond it clocks and databases give up
OrNone = WrapValidator(_or_none)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Upload(_Answer):
    id: Id
    size: Count
    duration: Seconds
    name: Annotated[Name | None, OrNone] = None
    expires: Annotated[Moment | None, OrNone] = None


class _Task(_Answer):
    task_id: Id


class _Limits(_Answer):
    minutes_left: Number


class _Packs(_Answer):
    packs: list[Any]


class _Pack(_Answer):
    name: str
    pack_id: Text
    created: Annotated[Moment | None, OrNone] = None


class _Results(_Answer):
    results: list[Any]


class _Result(_Answer):
    result: dict[str, Any]


class _TaskError(_Answer):
    detail: Any = None
    code: Annotated[str | None, OrNone] = None
    id: Annotated[str | None, OrNone] = None


class _Track(_Answer):
    label: Name
    url: Annotated[Text, Field(max_length=8192)]
    type: Annotated[Name | None, OrNone] = None
    name: Annotated[Name | None, OrNone] = None
    size: Annotated[Count | None, OrNone] = None


class _Tracks(_Answer):
    tracks: list[Any]
    duration: Annotated[Seconds | None, OrNone] = None


def _read(model: type[Model], said: Any, reply: Reply) -> Model:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise unreadable(reply, f"{place}: {first['msg']}") from None


def uploaded(said: Any, reply: Reply, *, name: str, sha256: str) -> Uploaded:
    answer = _read(_Upload, said, reply)
    return Uploaded(answer.id, answer.name or name, answer.size, answer.duration, answer.expires, sha256)


def task_id(said: Any, reply: Reply) -> str:
    return _read(_Task, said, reply).task_id


def minutes_left(said: Any, reply: Reply) -> float:
    return _read(_Limits, said, reply).minutes_left


def voice_packs(said: Any, reply: Reply) -> list[VoicePack]:
    """Those that can be read."""
    packs = [_lenient(_Pack, item) for item in _read(_Packs, said, reply).packs]
    return [VoicePack(pack.name, pack.pack_id, pack.created) for pack in packs if pack]


def cancelled(said: Any, reply: Reply) -> dict[str, str | None]:
    """Of each task None where it is cancelled, else the service's words."""
    return {task: _cancelled(item) for task, item in _read(_Result, said, reply).result.items()}


def _cancelled(item: Any) -> str | None:
    if isinstance(item, dict) and item.get("status") == "success":
        return None
    told = words(item.get("error") or item.get("detail")) if isinstance(item, dict) else words(item)
    return told or "the service does not say why"


def checked(said: Any, reply: Reply, asked: Sequence[str]) -> dict[str, TaskAnswer]:
    """What was said of the tasks asked for, each read by itself: one that cannot be read spoils no other."""
    result = _read(_Result, said, reply).result
    return {task: _checked(result[task]) for task in asked if task in result}


def _checked(item: Any) -> TaskAnswer:
    if not isinstance(item, dict):
        return TaskAnswer("unknown", error="the service's answer about this task cannot be read")
    match item.get("status"):
        case "progress":
            return TaskAnswer("progress", progress=_percent(item.get("progress")))
        case "success":
            return _succeeded(item)
        case "error":
            return _failed(item.get("error"))
        case "cancelled":
            return TaskAnswer("cancelled")
        case "server_error":
            told = words(item.get("error"))
            return TaskAnswer("server_error", error=told or None, gone=bool(_GONE.search(told)))
        case other:
            return TaskAnswer("unknown", error=f"the service gives the task an unknown state: {words(other)[:80]}")


def _percent(value: Any) -> int:
    try:
        return max(0, min(100, int(float(value))))
    except (TypeError, ValueError, OverflowError):
        return 0


def _succeeded(item: dict[str, Any]) -> TaskAnswer:
    """A track without label or link is one that the service left out; with none at all the answer is not believed."""
    answer = _lenient(_Tracks, item.get("result"))
    found = [track for track in map(_track, answer.tracks if answer else ()) if track]
    if not found:
        return TaskAnswer("unknown", error="the task has succeeded, but the service names no track")
    return TaskAnswer("success", progress=100, tracks=tuple(found), duration=answer.duration if answer else None)


def _track(item: Any) -> AnsweredTrack | None:
    track = _lenient(_Track, item)
    return AnsweredTrack(track.type or "", track.label, track.url, track.name, track.size) if track else None


def _failed(said: Any) -> TaskAnswer:
    error = _lenient(_TaskError, said)
    told = words(error.detail if error else said) or "the service does not say why"
    if error is None:
        return TaskAnswer("error", error=told)
    return TaskAnswer("error", error=told, error_code=error.code, error_id=error.id)


def _lenient(model: type[Model], said: Any) -> Model | None:
    try:
        return model.model_validate(said)
    except ValidationError:
        return None


def started(said: Any, reply: Reply, sources: Sequence[str]) -> list[Started | StartRefused]:
    """What became of each item of a batch, in the order asked.

    The answer's order counts only while length and sources agree with it; otherwise only what is beyond doubt is
    used, since a task taken for another's would deliver the wrong results.
    """
    results = _read(_Results, said, reply).results
    asked = [_plain(source) for source in sources]
    told = [_plain(item.get("source_id")) if isinstance(item, dict) else "" for item in results]
    if len(told) == len(asked) and all(answer in ("", source) for answer, source in zip(told, asked, strict=True)):
        return _each_its_own([_started(item) for item in results])
    times_asked, times_told = Counter(asked), Counter(told)
    named = zip(told, results, strict=True)
    sure = {source: item for source, item in named if times_asked[source] == times_told[source] == 1}
    return _each_its_own([_started(sure.get(source)) for source in asked])


def _each_its_own(found: list[Started | StartRefused]) -> list[Started | StartRefused]:
    """A task that is given to two of them is nobody's: whose results would it have?"""
    times = Counter(answer.task_id for answer in found if isinstance(answer, Started))
    return [_UNREAD if isinstance(answer, Started) and times[answer.task_id] > 1 else answer for answer in found]


def _plain(source: Any) -> str:
    """A source's id as it compares: one uuid has several spellings."""
    return source.replace("-", "").lower() if isinstance(source, str) else ""


def _started(item: Any) -> Started | StartRefused:
    if not isinstance(item, dict):
        return _UNREAD
    if item.get("status") == "error":
        code, told = item.get("code"), words(item.get("error") or item.get("detail"))
        if isinstance(code, str) and code:
            return StartRefused(code, told or "the service does not say why")
        return StartRefused(None, told) if told else _UNREAD
    task = _lenient(_Task, item)
    return Started(task.task_id) if task else _UNREAD
