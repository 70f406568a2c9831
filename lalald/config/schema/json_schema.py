"""JSON Schema of the configuration, for editors: completion, descriptions and red lines while it is written."""

from __future__ import annotations

from typing import Any

from lalald import presets
from lalald.config import quantities
from lalald.config.notify_entries import BELONGS, ON_WORDS, WAYS
from lalald.config.schema.file_schema import File

_REQUIRED = {"File": ("inboxes",), "Inbox": ("path", "outbox", "rules"), "Task": ("mode",), "Notify": ("name",)}
_NOT_EMPTY = {"File": ("inboxes",), "Inbox": ("rules",), "Rule": ("tasks",)}
_MODES = (
    "stem_separator: one stem, and everything without it. multistem: several stems, each charged, and the rest."
    " demuser: music apart from a voice. voice_clean: a voice apart from noise. change_voice: another voice."
)
_ONE_WAY = [{"required": ["mode"]}, {"required": ["tasks"], "not": {"required": ["presets"]}}]


def schema() -> dict[str, Any]:
    """What a configuration may hold: keys, kinds, presets of each mode. How folders fit together only `check-config` can tell."""
    made = File.model_json_schema()
    sections: dict[str, Any] = made.pop("$defs")
    for name, section in (("File", made), *sections.items()):
        _improve(name, section)
    for mode in presets.MODES:
        sections[f"presets_{mode}"] = _presets(mode)
    sections["checked"] = {"allOf": [_by_mode(mode) for mode in presets.MODES]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "lalald configuration",
        "description": "Folders that are watched, and what is done with what is dropped there.",
        "$defs": sections,
    }


def _improve(name: str, section: dict[str, Any]) -> None:
    """Says what the classes leave to later checks: which keys must be there, which lists must not be empty, how modes go."""
    keys: dict[str, dict[str, Any]] = section["properties"]
    for key, facts in keys.items():
        _tell_default(facts)
        if key in _REQUIRED.get(name, ()):
            _forbid_null(facts)
            del facts["default"]
        if key in _NOT_EMPTY.get(name, ()):
            _list_of(facts)["minItems"] = 1
    if name in _REQUIRED:
        section["required"] = list(_REQUIRED[name])
    if name in ("Rule", "Task"):
        keys["mode"] = {"enum": list(presets.MODES), "title": "Mode", "description": _MODES}
    if name == "Notify":
        section["oneOf"] = [_way(way) for way in WAYS]
        keys["on"] = {**_on(), "description": keys["on"]["description"], "default": "problems"}
    if name == "Rule":
        section["oneOf"] = _ONE_WAY
        section["if"] = {"properties": {"unchecked": {"const": False}}}
        checked = {"$ref": "#/$defs/checked"}
        section["then"] = {**checked, "properties": {"tasks": {"items": checked}}}


def _way(way: str) -> dict[str, Any]:
    """How an entry of `notify` is told, and which keys belong to another way."""
    foreign = [key for key, ways in BELONGS.items() if way not in ways]
    return {"required": [way], "not": {"anyOf": [{"required": [key]} for key in foreign]}}


def _on() -> dict[str, Any]:
    word = {"enum": list(ON_WORDS)}
    return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]}


def _tell_default(facts: dict[str, Any]) -> None:
    """Durations as people write them."""
    default = facts.get("default")
    patterns = [kind.get("pattern") for kind in facts.get("anyOf", ())]
    if isinstance(default, float) and quantities.DURATION_PATTERN in patterns:
        facts["default"] = quantities.format_duration(default)


def _forbid_null(facts: dict[str, Any]) -> None:
    (kind,) = (kind for kind in facts.pop("anyOf") if kind != {"type": "null"})
    facts.update(kind)


def _list_of(facts: dict[str, Any]) -> dict[str, Any]:
    return next((kind for kind in facts.get("anyOf", ()) if kind.get("type") == "array"), facts)


def _by_mode(mode: str) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {"presets": {"$ref": f"#/$defs/presets_{mode}"}}}
    if mode in presets.REQUIRED:
        then["required"] = ["presets"]
    return {"if": {"properties": {"mode": {"const": mode}}, "required": ["mode"]}, "then": then}


def _presets(mode: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "title": f"Presets of {mode}",
        "properties": {name: kind.schema() for name, kind in presets.ACCEPTED[mode].items()},
        "additionalProperties": False,
    }
    if mode in presets.REQUIRED:
        made["required"] = [presets.REQUIRED[mode]]
    return {**made, "allOf": _prose()} if mode == "stem_separator" else made


def _prose() -> list[dict[str, Any]]:
    """What the service's document says in words only."""
    return [
        {
            "if": {"properties": {"stem": {"enum": list(presets.PHOENIX_STEMS)}}, "required": ["stem"]},
            "then": {"properties": {"splitter": {"enum": [presets.AUTO, "phoenix"]}}},
        },
        {
            "if": {"properties": {"multivocal": {"const": "lead_back"}}, "required": ["multivocal"]},
            "then": {"properties": {"stem": {"const": "vocals"}}},
        },
    ]
