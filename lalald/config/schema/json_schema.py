"""JSON Schema of the configuration: completion, descriptions and error marks in an editor."""

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
    """The schema: keys, kinds of value, presets of each mode. How folders fit together, only `check-config` can check."""
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
        "description": "Folders to watch, and what to do with the files in them.",
        "$defs": sections,
    }


def _improve(name: str, section: dict[str, Any]) -> None:
    """Add what the classes leave to later checks: required keys, lists that must not be empty, the modes."""
    keys: dict[str, dict[str, Any]] = section["properties"]
    for key, facts in keys.items():
        _format_default(facts)
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
    """The key of one kind of `notify` entry, without the keys of the other kinds."""
    foreign = [key for key, ways in BELONGS.items() if way not in ways]
    return {"required": [way], "not": {"anyOf": [{"required": [key]} for key in foreign]}}


def _on() -> dict[str, Any]:
    word = {"enum": list(ON_WORDS)}
    return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]}


def _format_default(facts: dict[str, Any]) -> None:
    """Write a default duration as people do."""
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
    return {**made, "allOf": _rules_of_prose()} if mode == "stem_separator" else made


def _rules_of_prose() -> list[dict[str, Any]]:
    """Rules that the service's document states only in prose."""
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
