"""Plain data → `document.File`: every key that is unknown or of the wrong kind becomes a mistake, and the rest is read all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lalald.config.diagnostics import Findings, Where
from lalald.config.schema.file_schema import File, Section
from lalald.config.schema.value_types import EntriesError
from lalald.config.yaml.reader import UNREAD
from lalald.suggestions import did_you_mean, meant, quoted

_NEVER_SHOWN = frozenset(
    {"license_key_file", "url", "url_file", "webhook", "secret_file"}
)  # what stands there may be a secret


def shaped(data: Mapping[str, Any], findings: Findings) -> File:
    """The file's sections; what was mistaken is noted, left out, and stands at its default.

    What stands at a misspelled key is read as that of the key that was probably meant: its own mistakes are noted too.
    """
    copied = _copied(data)
    while True:
        try:
            return File.model_validate(copied)
        except ValidationError as error:
            mistaken = error.errors(include_url=False)
        for detail in mistaken:
            _note(detail, findings)
        renamed = [found for detail in mistaken if (found := _meant_key(detail, copied))]
        for where in sorted(_mistaken_places(mistaken), key=len):
            if where not in {place for place, _ in renamed}:
                _prune(copied, where)
        for where, name in renamed:
            _rename(copied, where, name, findings)


def _note(detail: ErrorDetails, findings: Findings) -> None:
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, EntriesError):
        for step, words in error.found:
            findings.mistake((*detail["loc"], step), words)
    else:
        findings.mistake(detail["loc"], _plain_words(detail), blocks=detail["type"] != "extra_forbidden")


def _mistaken_places(mistaken: list[ErrorDetails]) -> set[Where]:
    found: set[Where] = set()
    for detail in mistaken:
        error = detail.get("ctx", {}).get("error")
        steps = [step for step, _ in error.found] if isinstance(error, EntriesError) else None
        found |= {detail["loc"]} if steps is None else {(*detail["loc"], step) for step in steps}
    return found


def _meant_key(detail: ErrorDetails, data: Any) -> tuple[Where, str] | None:
    """Where a misspelled key stands, and which one was meant, if that is not there as well.

    Never the key file, nor an address: what stands there may be the secret itself, which no message may show.
    """
    if detail["type"] != "extra_forbidden":
        return None
    where = detail["loc"]
    section, holder = section_at(where[:-1]), _at(data, where[:-1])
    names = set(section.model_fields) - _NEVER_SHOWN if section else ()
    words = meant(str(where[-1]), names, "key")
    return (where, words[0]) if words and isinstance(holder, dict) and holder.get(words[0]) is None else None


def _rename(data: Any, where: Where, name: str, findings: Findings) -> None:
    holder = _at(data, where[:-1])
    value = holder.pop(where[-1])
    if holder.get(name) is None:  # two misspelled keys may mean the same one
        holder[name] = value
        findings.written_as[*where[:-1], name] = where[-1]


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
    if name.isdigit():
        return "unknown key; if it belongs to a number, write a point in it, not a comma: 1.5"
    suggestion = did_you_mean(name, known, "key")
    homes = [title for title, other in SECTIONS.items() if name in other.model_fields and other is not section]
    if not suggestion and homes:
        return f"unknown key here; it belongs to {' or '.join(homes)}"
    return f"unknown key{suggestion}" if suggestion else f"unknown key (known: {', '.join(known)})"


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
    """Takes out what is mistaken. An entry of a list is replaced, so that the others keep their places."""
    holder = _at(data, where[:-1])
    if isinstance(holder, dict):
        holder.pop(where[-1], None)
    elif isinstance(holder, list):
        holder[int(where[-1])] = {} if section_at(where) else UNREAD


def _at(data: Any, where: Where) -> Any:
    for step in where:
        data = _stepped(data, step)
    return data


def _stepped(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    return data[step] if isinstance(data, list) and isinstance(step, int) else None
