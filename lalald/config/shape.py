"""Plain data → `document.File`: every key that is unknown or of the wrong kind becomes a mistake, and the rest is read all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lalald.config.document import File, Section
from lalald.config.mistakes import Findings, Where
from lalald.suggestions import did_you_mean, quoted


def shaped(data: Mapping[str, Any], findings: Findings) -> File:
    """The file's sections; what was mistaken is noted, left out, and stands at its default."""
    try:
        return File.model_validate(data)
    except ValidationError as error:
        mistaken = error.errors(include_url=False)
    for detail in mistaken:
        findings.mistake(detail["loc"], _plain_words(detail))
    pruned = _copied(data)
    for detail in sorted(mistaken, key=lambda detail: len(detail["loc"])):
        _prune(pruned, detail["loc"])
    return File.model_validate(pruned)


def _plain_words(detail: ErrorDetails) -> str:
    """What the validation library found, as a person would say it. Values speak for themselves: their kinds word their mistakes."""
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"])
        case "extra_forbidden":
            return _unknown_key(detail["loc"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping of keys, got {quoted(detail['input'])}"
        case "list_type":
            return f"expected a list, each entry after a dash, got {quoted(detail['input'])}"
        case _:
            return f"not understood: {quoted(detail['input'])}"


def _unknown_key(where: Where) -> str:
    section, name = section_at(where[:-1]), str(where[-1])
    known = list(section.model_fields) if section else []
    meant = did_you_mean(name, known)
    homes = [title for title, other in SECTIONS.items() if name in other.model_fields and other is not section]
    if not meant and homes:
        return f"unknown key here; it belongs to {' or '.join(homes)}"
    return f"unknown key{meant}" if meant else f"unknown key (known: {', '.join(known)})"


def section_at(where: Where) -> type[Section] | None:
    """The section that stands at a place."""
    section: type[Section] | None = File
    for step in where:
        if isinstance(step, str) and section is not None:
            field = section.model_fields.get(step)
            section = _section_in(field.annotation) if field else None
    return section


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


_PLACES: dict[str, Where] = {
    "the top of the file": (),
    "`log`": ("log",),
    "`transfers`": ("transfers",),
    "`minutes`": ("minutes",),
    "an inbox": ("inboxes",),
    "a rule": ("inboxes", "rules"),
    "a task": ("inboxes", "rules", "tasks"),
}
SECTIONS = {title: section for title, where in _PLACES.items() if (section := section_at(where))}


def _copied(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
        case _:
            return value


def _prune(data: Any, where: Where) -> None:
    """Takes out what is mistaken. An entry of a list becomes an empty section, so that the others keep their places."""
    holder = data
    for step in where[:-1]:
        holder = _stepped(holder, step)
    if isinstance(holder, dict):
        holder.pop(where[-1], None)
    elif isinstance(holder, list):
        holder[int(where[-1])] = {}


def _stepped(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(step)
    return holder[step] if isinstance(holder, list) and isinstance(step, int) else None
