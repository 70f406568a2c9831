"""What public clients send beyond the document's letter, and the live service is known or likely to take.

It is taken and noted as a doubt in the journal; `--strict` refuses it.
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
    """`at` is where it stands in the body."""

    words: str
    at: Place


@dataclass(slots=True)
class Reading:
    """A body as the validation wants it, and what had to be put right in it."""

    body: bytes
    doubts: list[Doubt] = field(default_factory=list)


def tolerated(body: bytes) -> Reading:
    """The body with `splitter: auto` left out, ids with dashes, and 1.0 for a whole number as 1, which JSON Schema allows."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Reading(body)
    reading = Reading(body)
    before = json.dumps(said)
    if isinstance(said, dict):
        items = said.get("items")
        places: list[tuple[Any, Place]] = [(said, [])]
        places += [(item, ["items", place]) for place, item in enumerate(items if isinstance(items, list) else [])]
        for request, at in places:
            if isinstance(request, dict):
                _tolerate(request, at, reading.doubts)
    if (after := json.dumps(said)) != before:
        reading.body = after.encode()
    return reading


def _tolerate(request: dict[str, Any], at: Place, doubts: list[Doubt]) -> None:
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
