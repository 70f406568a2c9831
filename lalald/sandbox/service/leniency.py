"""What public clients send although the document does not allow it, and the live service accepts or is likely to accept.

It is accepted, and recorded in the journal as a doubt; `--strict` refuses it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Place = list[str | int]

AUTO_SPLITTER = "`splitter: auto` is the document's default, and not one of the values that it lists"
BARE_UUID = "an id without dashes"
NO_SLASH = "a path without its slash at the end"
OTHER_TYPE = "a body that is not sent as application/json"

_BARE = re.compile(r"[0-9a-fA-F]{32}")
_IDS = ("source_id", "idempotency_key")


@dataclass(slots=True)
class Doubt:
    """`at`: its location in the body."""

    words: str
    at: Place


@dataclass(slots=True)
class NormalizedBody:
    """A body in the form that the validation accepts, and what was changed in it."""

    body: bytes
    doubts: list[Doubt] = field(default_factory=list)


def normalize(body: bytes) -> NormalizedBody:
    """Leave out `splitter: auto`, add dashes to ids, and write 1.0 as 1, which JSON Schema allows for a whole number."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return NormalizedBody(body)
    reading = NormalizedBody(body)
    before = json.dumps(content)
    if isinstance(content, dict):
        items = content.get("items")
        places: list[tuple[Any, Place]] = [(content, [])]
        places += [(item, ["items", place]) for place, item in enumerate(items if isinstance(items, list) else [])]
        for request, at in places:
            if isinstance(request, dict):
                _normalize_request(request, at, reading.doubts)
    if (after := json.dumps(content)) != before:
        reading.body = after.encode()
    return reading


def _normalize_request(request: dict[str, Any], at: Place, doubts: list[Doubt]) -> None:
    for name in _IDS:
        request.update({name: _dashed(request[name], [*at, name], doubts)} if name in request else {})
    if isinstance(ids := request.get("task_ids"), list):
        request["task_ids"] = [_dashed(given, [*at, "task_ids", place], doubts) for place, given in enumerate(ids)]
    if not isinstance(presets := request.get("presets"), dict):
        return
    if presets.get("splitter") == "auto":
        del presets["splitter"]
        doubts.append(Doubt(AUTO_SPLITTER, [*at, "presets", "splitter"]))
    level = presets.get("noise_cancelling_level")
    if isinstance(level, float) and level.is_integer():
        presets["noise_cancelling_level"] = int(level)


def _dashed(given: Any, at: Place, doubts: list[Doubt]) -> Any:
    if not isinstance(given, str) or not _BARE.fullmatch(given):
        return given
    doubts.append(Doubt(BARE_UUID, at))
    return "-".join((given[:8], given[8:12], given[12:16], given[16:20], given[20:]))
