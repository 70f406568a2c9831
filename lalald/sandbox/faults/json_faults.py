"""Faults in JSON answers: cut off, with fields that are missing, null, mistyped or unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from lalald.sandbox.faults.faults import Fault

FIELDS = {
    "upload": "id",
    "split": "task_id",
    "change_voice": "task_id",
    "batch": "results",
    "check": "result",
    "cancel": "result",
    "cancel_all": "result",
    "minutes": "minutes_left",
    "voices": "packs",
}
EXTRA = {"new_in_this_version": {"id": 7, "parts": ["a", None]}}
REMOVED = object()


def change_json(fault: Fault, operation: str, answer: Response) -> Response:
    """The answer with the fault; only a 200 with JSON is changed."""
    if answer.status_code != 200 or answer.media_type != "application/json":
        return answer
    body = bytes(answer.body)
    if fault.kind == "half":
        return Response(body[: fault.position(len(body))], media_type="application/json")
    payload = json.loads(body)
    if fault.kind in ("extra", "unknown"):
        payload = _with_extras(payload)
    if fault.kind != "extra":
        payload = _replaced(payload, fault.field or _default_field(fault, operation), _replacement(fault))
    return Response(json.dumps(payload), media_type="application/json")


def _default_field(fault: Fault, operation: str) -> str:
    if fault.kind == "unknown":
        return "status" if operation in ("check", "batch", "cancel", "cancel_all") else ""
    return FIELDS.get(operation, "")


def _replacement(fault: Fault) -> Callable[[Any], Any]:
    if fault.kind == "missing":
        return lambda _: REMOVED
    if fault.kind == "null":
        return lambda _: None
    if fault.value is not None:
        return lambda _: fault.value
    return _mistyped if fault.kind == "type" else lambda _: "something_new"


def _mistyped(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return list(value.values())
    return {"items": value} if isinstance(value, list) else f"about {value}"


def _replaced(payload: Any, field: str, replacement: Callable[[Any], Any]) -> Any:
    """Replace every value with the name `field`, at any depth."""
    if isinstance(payload, list):
        return [_replaced(item, field, replacement) for item in payload]
    if not isinstance(payload, dict):
        return payload
    pairs = {
        name: replacement(value) if name == field else _replaced(value, field, replacement)
        for name, value in payload.items()
    }
    return {name: value for name, value in pairs.items() if value is not REMOVED}


def _with_extras(payload: Any) -> Any:
    """Add a field that the document does not have to every object, except to mappings by task id."""
    if isinstance(payload, list):
        return [_with_extras(item) for item in payload]
    if not isinstance(payload, dict):
        return payload
    inner = {name: _with_extras(value) for name, value in payload.items()}
    return (
        inner
        if payload and all(isinstance(value, dict) and "status" in value for value in payload.values())
        else {**inner, **EXTRA}
    )
