"""Faults: which requests go wrong, in which way, how often. What they do to a request is told in `misbehaviour`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Operation = Literal[
    "upload",
    "split",
    "batch",
    "change_voice",
    "check",
    "cancel",
    "cancel_all",
    "delete",
    "minutes",
    "voices",
    "download",
    "*",
]
TaskKind = Literal["task_error", "stuck"]
ItemKind = Literal["item_error", "server_error"]
TrackKind = Literal["http_link", "label", "size"]
RequestKind = Literal[
    "status", "html", "empty", "half", "huge", "missing", "null", "type", "unknown", "extra", "redirect",
    "reset_before", "reset_during", "reset_after", "hang", "delay", "slow", "cut", "long", "dead",
]  # fmt: skip
Kind = Literal[RequestKind, TaskKind, ItemKind, TrackKind]

REQUEST_KINDS: frozenset[str] = frozenset(get_args(RequestKind))
DAMAGES = ("half", "missing", "null", "type", "unknown", "extra")
TASK_KINDS: frozenset[str] = frozenset(get_args(TaskKind))
TRACK_KINDS: frozenset[str] = frozenset(get_args(TrackKind))
SPEC = re.compile(r"(?P<operation>[a-z_]+|\*):(?P<kind>\w+)(?:\*(?P<count>\d+))?(?:,(?P<values>.*))?", re.DOTALL)


class Fault(BaseModel):
    """One way to go wrong.

    It strikes `count` requests (0: all there are, as where `seconds` bounds it instead) that concern `operation` and
    name `match` in a file name or label, once the first `after` of them went well. `done` says whether the request is
    carried out before it goes wrong: for status, html, empty, huge, redirect, dead and hang it is not unless told, for
    delay it is unless told; a spoilt answer is always one to a request carried out.

    The rest are details of single kinds: `status`, `code`, `detail`, `retry_after` (answers that replace the proper
    one; task_error, item_error, server_error), `url` (redirect, http_link), `field` and `value` (missing, null, type,
    unknown), `at_byte` or `fraction` (half, cut, reset_during: where), `bytes_per_second` (slow), `wait_seconds`
    (delay), `extra_bytes` (long, size) and `declared` (long), `percent` (stuck), `only` and `track` (label: which label
    gets which fields).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Operation
    kind: Kind
    count: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    match: str | None = None
    after: Annotated[int, Field(ge=0)] = 0
    done: bool | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    code: str | None = None
    detail: Any = None
    retry_after: str | int | None = None
    url: str | None = None
    field: str | None = None
    value: Any = None
    at_byte: Annotated[int, Field(ge=0)] | None = None
    fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    bytes_per_second: Annotated[int, Field(ge=1)] = 1000
    wait_seconds: Annotated[float, Field(ge=0)] = 1.0
    extra_bytes: int = 1000
    declared: Literal["length", "none", "less"] = "length"
    percent: Annotated[int, Field(ge=0, le=99)] = 40
    only: str | None = None
    track: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_of_use_where_it_is(self) -> Self:
        if self.kind in TASK_KINDS and self.operation not in ("split", "batch", "change_voice", "*"):
            raise ValueError(f"{self.kind} concerns tasks as they start: split, batch, change_voice or *")
        if self.kind == "item_error" and self.operation not in ("batch", "*"):
            raise ValueError("item_error concerns batch")
        if self.kind == "server_error" and self.operation not in ("check", "cancel", "*"):
            raise ValueError("server_error concerns check and cancel")
        if self.kind in DAMAGES and self.operation == "download":
            raise ValueError(f"{self.kind} concerns answers of JSON")
        if self.kind in TRACK_KINDS and self.operation not in ("check", "*"):
            raise ValueError(f"{self.kind} concerns the tracks that check tells")
        if self.kind == "redirect" and not self.url:
            raise ValueError("redirect needs a url")
        return self

    def position(self, size: int) -> int:
        """Where in `size` bytes it strikes."""
        return min(size, self.at_byte if self.at_byte is not None else int(size * self.fraction))


class BadFaultError(Exception):
    """A fault that cannot be understood; the message says why."""


def fault(given: Fault | str | Mapping[str, Any]) -> Fault:
    """A fault from a mapping, or from `OPERATION:KIND[*COUNT][,NAME=VALUE…]`, where a number is the kind `status`.

    Raises:
        BadFaultError
    """
    if isinstance(given, Fault):
        return given
    try:
        return Fault.model_validate(_parsed(given) if isinstance(given, str) else given)
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, mistake['loc'])) or 'fault'}: {mistake['msg']}" for mistake in error.errors())
        raise BadFaultError(f"fault {given!r}: {'; '.join(mistakes)}") from None


def _parsed(spec: str) -> dict[str, Any]:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise BadFaultError(f"fault {spec!r}: expected OPERATION:KIND[*COUNT][,NAME=VALUE…], as upload:503*3")
    kind = match["kind"]
    said: dict[str, Any] = {"kind": "status", "status": int(kind)} if kind.isdigit() else {"kind": kind}
    values = dict(part.partition("=")[::2] for part in (match["values"] or "").split(",") if part)
    said |= {name.strip(): _value(text) for name, text in values.items()}
    return {"operation": match["operation"], "count": int(match["count"]) if match["count"] else None, **said}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


class Active:
    """A fault at work: how often it was met and used, and whether it was taken back."""

    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.met = 0
        self.used = 0
        self.ends_at = now + fault.seconds if fault.seconds is not None else None
        self.lifted = asyncio.Event()
        self._limit = (
            0 if fault.count is None and fault.seconds is not None else 1 if fault.count is None else fault.count
        )

    def takes(self, operation: str, subjects: Sequence[str], now: float) -> bool:
        """Whether it strikes this request, which then counts."""
        if not self.concerns(operation, subjects) or self.is_over(now):
            return False
        self.met += 1
        if self.met <= self.fault.after:
            return False
        self.used += 1
        return True

    def concerns(self, operation: str, subjects: Sequence[str]) -> bool:
        wanted = self.fault.match
        return self.fault.operation in ("*", operation) and (
            wanted is None or any(wanted in subject for subject in subjects)
        )

    def is_over(self, now: float) -> bool:
        return bool(self._limit and self.used >= self._limit) or (self.ends_at is not None and now >= self.ends_at)


class FaultBook:
    """The faults at work; the first that concerns a request strikes it."""

    def __init__(self, faults: Iterable[Fault] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: list[Active] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Only these from now on; requests that hang because of an earlier one are answered."""
        for active in self._active:
            active.lifted.set()
        self._active = [Active(fault, self._clock()) for fault in faults]

    def take(
        self, operation: str, subjects: Sequence[str] = (), kinds: frozenset[str] = REQUEST_KINDS
    ) -> Active | None:
        """The fault of these kinds that strikes a request about `subjects`: file names and labels."""
        if not self._active:
            return None
        now = self._clock()
        candidates = (active for active in self._active if active.fault.kind in kinds)
        return next((active for active in candidates if active.takes(operation, subjects, now)), None)

    def lines(self) -> list[dict[str, Any]]:
        """What is at work, for people and tests."""
        return [
            {**active.fault.model_dump(exclude_defaults=True), "met": active.met, "used": active.used}
            for active in self._active
        ]
