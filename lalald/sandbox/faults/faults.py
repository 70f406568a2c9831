"""Faults: what is to go wrong, and how it is written down. What they do to a request is told in `misbehaviour`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lalald.sandbox.service.wording import told

Operation = Literal[
    "upload", "split", "batch", "change_voice", "check", "cancel", "cancel_all", "delete", "minutes", "voices",
    "download", "*",
]  # fmt: skip
Kind = Literal[
    "status", "html", "empty", "huge", "redirect", "dead",  # another answer
    "half", "missing", "null", "type", "unknown", "extra",  # the answer's JSON, damaged
    "hang", "delay", "slow",  # the answer, late
    "reset_before", "reset_during", "reset_after", "cut", "long",  # the connection
    "task_error", "stuck",  # a task that starts
    "item_error", "server_error",  # one of many
    "http_link", "label", "size", "lost_track",  # the tracks that are told
]  # fmt: skip

PLACE = frozenset({"at_byte", "fraction"})
WORDS = frozenset({"status", "code", "detail", "retry_after", "done"})
DETAILS: dict[str, frozenset[str]] = {
    "status": WORDS,
    "dead": WORDS,
    "html": frozenset({"status", "retry_after", "done"}),
    "empty": frozenset({"status", "retry_after", "done"}),
    "redirect": frozenset({"status", "url", "done"}),
    "huge": frozenset({"done"}),
    "half": PLACE,
    "missing": frozenset({"field"}),
    "null": frozenset({"field"}),
    "type": frozenset({"field", "value"}),
    "unknown": frozenset({"field", "value"}),
    "hang": frozenset({"done"}),
    "delay": frozenset({"wait_seconds", "done"}),
    "slow": frozenset({"bytes_per_second"}),
    "reset_during": PLACE,
    "cut": PLACE,
    "long": frozenset({"extra_bytes", "declared"}),
    "task_error": frozenset({"code", "detail"}),
    "stuck": frozenset({"percent"}),
    "item_error": frozenset({"code", "detail"}),
    "server_error": frozenset({"detail"}),
    "http_link": frozenset({"url", "only"}),
    "label": frozenset({"track", "only"}),
    "size": frozenset({"extra_bytes", "only"}),
    "lost_track": frozenset({"only"}),
}
ALL = frozenset({"operation", "kind", "count", "seconds", "match", "after"})
STARTS = frozenset({"split", "batch", "change_voice"})
DAMAGES = frozenset({"half", "missing", "null", "type", "unknown", "extra"})
TASK_KINDS = frozenset({"task_error", "stuck"})
TRACK_KINDS = frozenset({"http_link", "label", "size", "lost_track"})
CONCERNS: dict[str, frozenset[str]] = {
    **dict.fromkeys(DAMAGES, frozenset(get_args(Operation)) - {"download"}),
    **dict.fromkeys(TASK_KINDS, STARTS),
    **dict.fromkeys(TRACK_KINDS, frozenset({"check"})),
    "item_error": frozenset({"batch"}),
    "server_error": frozenset({"check", "cancel"}),
}
REQUEST_KINDS = frozenset(get_args(Kind)) - TASK_KINDS - TRACK_KINDS - {"item_error", "server_error"}
SPEC = re.compile(r"(?P<operation>[a-z_]+|\*):(?P<kind>\w+)(?:\*(?P<count>\d+))?(?:,(?P<values>.*))?", re.DOTALL)
NEXT_VALUE = re.compile(r",(?=\w+=)")


class Fault(BaseModel):
    """One way to go wrong.

    It strikes `count` requests (0: all there are, as where `seconds` bounds it instead) that concern `operation` and
    name `match` in a file name or label, once the first `after` of them went well. `done` says whether the request is
    carried out before another answer is given, or none, or a late one: by default only for `delay`. Which details
    belong to which kind is told in `DETAILS`:

    `status`, `code`, `detail`, `retry_after`: of the answer, or the error, that comes instead. `url`: where a redirect
    or the links lead. `field`, `value`: what is missing, null, mistyped or unknown, at any depth, and what stands there.
    `at_byte`, or `fraction` of the whole: where it breaks off. `extra_bytes`: too long by that, and what Content-Length
    says of it: the whole `length`, `none`, or `less`. `only`: the one label that is meant; `track`: its other fields.
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
    def _is_of_use(self) -> Self:
        concerned = CONCERNS.get(self.kind)
        if concerned is not None and self.operation not in concerned | {"*"}:
            raise ValueError(f"{self.kind} concerns {', '.join(sorted(concerned - {'*'}))}, not {self.operation}")
        strangers = self.model_fields_set - ALL - DETAILS.get(self.kind, frozenset())
        if strangers:
            raise ValueError(f"{', '.join(sorted(strangers))} means nothing to {self.kind}")
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
        raise BadFaultError(f"fault {given!r}: {told(error)}") from None


def _parsed(spec: str) -> dict[str, Any]:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise BadFaultError(f"fault {spec!r}: expected OPERATION:KIND[*COUNT][,NAME=VALUE…], as upload:503*3")
    kind = match["kind"]
    said: dict[str, Any] = {"kind": "status", "status": int(kind)} if kind.isdigit() else {"kind": kind}
    values = dict(part.partition("=")[::2] for part in NEXT_VALUE.split(match["values"] or "") if part)
    said |= {name.strip(): _value(text) for name, text in values.items()}
    return {"operation": match["operation"], **({"count": int(match["count"])} if match["count"] else {}), **said}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
