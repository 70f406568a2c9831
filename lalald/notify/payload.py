"""An event as JSON, for webhooks and for the standard input of commands: `type`, `timestamp` and `data`, as Standard Webhooks has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lalald.jobs.event_facts import Event
from lalald.notify.plain_text import utf8

# Without names only these leave the house: numbers and codes.
_WITHOUT_NAMES = frozenset(
    {
        "id",
        "rule",
        "stage",
        "minutes",
        "hold",
        "source_of_hold",
        "failure",
        "codes",
        "paid",
        "paid_again",
        "stalled",
        "kind",
        "expires_at",
        "left",
        "test",
    }
)
_NESTED = frozenset({"job", "jobs"})


def webhook_id(event: Event) -> str:
    """The same in every try to send the event."""
    return f"evt_{event.uid}"


def payload(event: Event, *, names: bool) -> dict[str, Any]:
    fact = event.fact
    data = fact.data if names else _without_names(fact.data)
    said = {"id": webhook_id(event), "count": fact.count, "problem": fact.is_problem, **data}
    return {"type": str(fact.kind), "timestamp": _iso(fact.at), "data": _as_utf8(said)}


def payload_bytes(event: Event, *, names: bool) -> bytes:
    return json.dumps(payload(event, names=names), separators=(",", ":"), ensure_ascii=False).encode()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_names(data: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in data.items():
        if key in _WITHOUT_NAMES:
            kept[key] = value
        elif key in _NESTED:
            kept[key] = [_without_names(one) for one in value] if isinstance(value, list) else _without_names(value)
    return kept


def _as_utf8(value: Any) -> Any:
    match value:
        case str():
            return utf8(value)
        case dict():
            return {key: _as_utf8(item) for key, item in value.items()}
        case list():
            return [_as_utf8(item) for item in value]
        case _:
            return value
