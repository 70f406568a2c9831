"""Faults and their notation. `fault_effects` applies them to requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lalald.sandbox.service.wording import describe_errors

Operation = Literal[
    "upload", "split", "batch", "change_voice", "check", "cancel", "cancel_all", "delete", "minutes", "voices",
    "download", "*",
]  # fmt: skip
Kind = Literal[
    "status", "html", "empty", "huge", "redirect", "dead",  # another answer
    "half", "missing", "null", "type", "unknown", "extra",  # changes of the answer's JSON
    "hang", "delay", "slow",  # the answer, late
    "reset_before", "reset_during", "reset_after", "cut", "long",  # the connection
    "task_error", "stuck",  # a task that starts
    "item_error", "server_error",  # one item of several
    "http_link", "label", "size", "lost_track",  # the tracks in an answer of /check/
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
JSON_KINDS = frozenset({"half", "missing", "null", "type", "unknown", "extra"})
TASK_KINDS = frozenset({"task_error", "stuck"})
TRACK_KINDS = frozenset({"http_link", "label", "size", "lost_track"})
ALLOWED_FOR: dict[str, frozenset[str]] = {
    **dict.fromkeys(JSON_KINDS, frozenset(get_args(Operation)) - {"download"}),
    **dict.fromkeys(TASK_KINDS, STARTS),
    **dict.fromkeys(TRACK_KINDS, frozenset({"check"})),
    "item_error": frozenset({"batch"}),
    "server_error": frozenset({"check", "cancel"}),
}
REQUEST_KINDS = frozenset(get_args(Kind)) - TASK_KINDS - TRACK_KINDS - {"item_error", "server_error"}
SPEC = re.compile(r"(?P<operation>[a-z_]+|\*):(?P<kind>\w+)(?:\*(?P<count>\d+))?(?:,(?P<values>.*))?", re.DOTALL)
NEXT_VALUE = re.compile(r",(?=\w+=)")


class Fault(BaseModel):
    """One fault.

    It affects `count` requests (0: no limit, which is the default with `seconds`) of `operation` that have `match` in a file name or
    label, after the first `after` of them. `done`: whether the request is performed before it gets another answer, none, or a late
    one; by default only for `delay`. `DETAILS` lists the details of each kind:

    `status`, `code`, `detail`, `retry_after`: of the answer or error that replaces the correct one. `url`: the target of a redirect or
    of the links. `field`, `value`: the field that is missing, null, mistyped or unknown, at any depth, and its new value. `at_byte`, or
    `fraction` of the size: where the body ends. `extra_bytes`: how much too long it is; `declared`: what Content-Length includes of
    that. `only`: the label of the one track that is changed; `track`: its new fields.
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
    def _is_consistent(self) -> Self:
        allowed = ALLOWED_FOR.get(self.kind)
        if allowed is not None and self.operation not in allowed | {"*"}:
            raise ValueError(f"{self.kind} is for {', '.join(sorted(allowed - {'*'}))}, not {self.operation}")
        unknown = self.model_fields_set - ALL - DETAILS.get(self.kind, frozenset())
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is not an option of {self.kind}")
        if self.kind == "redirect" and not self.url:
            raise ValueError("redirect needs a url")
        return self

    def position(self, size: int) -> int:
        """The byte of `size` at which it takes effect."""
        return min(size, self.at_byte if self.at_byte is not None else int(size * self.fraction))


class BadFaultError(Exception):
    """An invalid fault."""


def fault(given: Fault | str | Mapping[str, Any]) -> Fault:
    """A fault from a mapping, or from `OPERATION:KIND[*COUNT][,NAME=VALUE…]`; a number as KIND means the kind `status`.

    Raises BadFaultError.
    """
    if isinstance(given, Fault):
        return given
    try:
        return Fault.model_validate(_parsed(given) if isinstance(given, str) else given)
    except ValidationError as error:
        raise BadFaultError(f"fault {given!r}: {describe_errors(error)}") from None


def _parsed(spec: str) -> dict[str, Any]:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise BadFaultError(f"fault {spec!r}: expected OPERATION:KIND[*COUNT][,NAME=VALUE…], such as upload:503*3")
    kind = match["kind"]
    fields: dict[str, Any] = {"kind": "status", "status": int(kind)} if kind.isdigit() else {"kind": kind}
    values = dict(part.partition("=")[::2] for part in NEXT_VALUE.split(match["values"] or "") if part)
    fields |= {name.strip(): _value(text) for name, text in values.items()}
    return {"operation": match["operation"], **({"count": int(match["count"])} if match["count"] else {}), **fields}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
