"""Validate plain data as a `file_schema.File`: unknown keys and wrong values become errors, and everything else is still read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.schema.file_schema import File, Section
from lalald.config.schema.value_types import EntriesError
from lalald.config.yaml.reader import UNREAD
from lalald.suggestions import did_you_mean, meant, quoted

_NEVER_SHOWN = frozenset(  # the value may be a secret
    {"license_key_file", "password_file", "read_token_file", "url", "url_file", "webhook", "secret_file"}
)


def validate(data: Mapping[str, Any], diagnostics: Diagnostics) -> File:
    """The file's sections. Invalid values are reported, left out, and replaced by their defaults.

    The value of a misspelled key is read as that of the key that was probably meant, so that its own errors are reported too.
    """
    copied = _copied(data)
    while True:
        try:
            return File.model_validate(copied)
        except ValidationError as error:
            details = error.errors(include_url=False)
        for detail in details:
            _report(detail, diagnostics)
        renamed = [found for detail in details if (found := _meant_key(detail, copied))]
        for where in sorted(_invalid_places(details), key=len):
            if where not in {place for place, _ in renamed}:
                _prune(copied, where)
        for where, name in renamed:
            _rename(copied, where, name, diagnostics)


def _report(detail: ErrorDetails, diagnostics: Diagnostics) -> None:
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, EntriesError):
        for step, words in error.found:
            diagnostics.add_error((*detail["loc"], step), words)
    else:
        diagnostics.add_error(detail["loc"], _plain_words(detail), blocks=detail["type"] != "extra_forbidden")


def _invalid_places(details: list[ErrorDetails]) -> set[Where]:
    found: set[Where] = set()
    for detail in details:
        error = detail.get("ctx", {}).get("error")
        steps = [step for step, _ in error.found] if isinstance(error, EntriesError) else None
        found |= {detail["loc"]} if steps is None else {(*detail["loc"], step) for step in steps}
    return found


def _meant_key(detail: ErrorDetails, data: Any) -> tuple[Where, str] | None:
    """The place of a misspelled key, and the key that was probably meant unless that is written as well.

    Never the key file or an address: the value may be the secret itself, which no message may show.
    """
    if detail["type"] != "extra_forbidden":
        return None
    where = detail["loc"]
    section, holder = section_at(where[:-1]), _at(data, where[:-1])
    names = set(section.model_fields) - _NEVER_SHOWN if section else ()
    words = meant(str(where[-1]), names, "key")
    return (where, words[0]) if words and isinstance(holder, dict) and holder.get(words[0]) is None else None


def _rename(data: Any, where: Where, name: str, diagnostics: Diagnostics) -> None:
    holder = _at(data, where[:-1])
    value = holder.pop(where[-1])
    if holder.get(name) is None:  # two misspelled keys may mean the same one
        holder[name] = value
        diagnostics.written_as[*where[:-1], name] = where[-1]


def _plain_words(detail: ErrorDetails) -> str:
    """The validation library's message in plain words. Messages about values come from `value_types`."""
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
    if name.isdigit():
        return "unknown key; if it is part of a number, write a decimal point, not a comma: 1.5"
    suggestion = did_you_mean(name, known, "key")
    homes = [title for title, other in SECTIONS.items() if name in other.model_fields and other is not section]
    if not suggestion and homes:
        return f"unknown key here; it belongs to {' or '.join(homes)}"
    return f"unknown key{suggestion}" if suggestion else f"unknown key (known: {', '.join(known)})"


def section_at(where: Where) -> type[Section] | None:
    """The class of the section at a place."""
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
    "`web`": ("web",),
    "`notify`": ("notify",),
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
    """Remove an invalid value. An entry of a list is replaced, so that the others keep their positions."""
    holder = _at(data, where[:-1])
    if isinstance(holder, dict):
        holder.pop(where[-1], None)
    elif isinstance(holder, list):
        holder[int(where[-1])] = {} if section_at(where) else UNREAD


def _at(data: Any, where: Where) -> Any:
    for step in where:
        data = _child(data, step)
    return data


def _child(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    return data[step] if isinstance(data, list) and isinstance(step, int) else None
