"""The kinds of value that a key can have: a function that reads it, its error message, and its JSON Schema.

Each `read_…` raises ValueError with a sentence for the person who wrote the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, get_args

from pydantic import PlainValidator, WithJsonSchema

from lalald.config import quantities
from lalald.config.yaml.reader import UNREAD, Plain, boolean, number, understood
from lalald.suggestions import quoted, unknown

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _kind(read: Callable[[Any], Any], schema: dict[str, Any]) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(read), WithJsonSchema(schema)


def read_flag(value: Any) -> bool:
    said = boolean(value) if isinstance(value, Plain) else None
    if said is None:
        raise ValueError(f"expected true or false, got {quoted(value)}{_in_quotes(value)}")
    return said


class EntriesError(ValueError):
    """Some entries of a value are invalid; `found` has the position or key of each, and a message."""

    def __init__(self, found: list[tuple[int | str, str]]) -> None:
        super().__init__("; ".join(words for _, words in found))
        self.found = found


def _each(entries: Iterable[tuple[int | str, Any]], read: Callable[[Any], str]) -> Iterator[str]:
    """Read each entry. Raises EntriesError at the end, with every error."""
    found: list[tuple[int | str, str]] = []
    for place, entry in entries:
        try:
            yield read(entry)
        except ValueError as error:
            found.append((place, str(error)))
    if found:
        raise EntriesError(found)


def read_text(value: Any) -> str:
    if not isinstance(value, str) or not (value.strip() or value is UNREAD):
        raise ValueError(f"expected a text, got {quoted(value)}")
    if _CONTROL.search(value):
        raise ValueError(f"expected a text on one line, got {quoted(value)}")
    return str(value)


def read_unshown_text(value: Any) -> str:
    """Like `read_text`, for a value that may be a secret: no message repeats it."""
    try:
        return read_text(value)
    except ValueError:
        raise ValueError("expected a text on one line") from None


def read_texts(value: Any) -> tuple[str, ...]:
    """A list of texts; a single one needs no brackets."""
    if isinstance(value, str):
        return (read_text(value),)
    if not isinstance(value, list):
        raise ValueError(f'expected a list such as ["*.wav", "podcasts/"], got {quoted(value)}')
    return tuple(_each(enumerate(value), _entry))


def _entry(value: Any) -> str:
    if value is None:
        raise ValueError('this entry is empty; a value that begins with # needs quotes, such as "#recycle"')
    return read_text(value)


def read_words(value: Any) -> dict[str, str]:
    """A mapping from text to text."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping such as {{no_vocals: Instrumental}}, got {quoted(value)}")
    return dict(zip(value, _each(value.items(), read_text), strict=True))


def read_free(value: Any) -> dict[str, Any]:
    """A mapping whose contents are checked elsewhere."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping such as {{stem: vocals}}, got {quoted(value)}")
    found = understood(value)
    assert isinstance(found, dict)  # noqa: S101 - narrows the type
    return found


def read_number(least: float = 0.0, *, above: bool = False) -> Callable[[Any], float]:
    wanted = f"a number above {least:g}" if above else f"a number of {least:g} or more"

    def read(value: Any) -> float:
        found = number(value) if isinstance(value, Plain) else None
        if found is None or found < least or (above and found == least) or found > 1e15:
            raise ValueError(f"expected {wanted}, got {quoted(value)}{_in_quotes(value)}")
        return float(found)

    return read


def read_whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        found = number(value) if isinstance(value, Plain) else None
        if not isinstance(found, int) or not least <= found <= most:
            raise ValueError(f"expected a whole number from {least} to {most}, got {quoted(value)}{_in_quotes(value)}")
        return found

    return read


def _in_quotes(value: Any) -> str:
    """A hint for a value that would be valid without its quotes."""
    if not isinstance(value, str) or isinstance(value, Plain):
        return ""
    return " (remove the quotes)" if boolean(value) is not None or number(value) is not None else ""


def read_duration(least: float = 0.0) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if not isinstance(value, str):
            raise ValueError(f"expected a duration such as 5s, 10m, 24h or 90d, got {quoted(value)}")
        seconds = quantities.parse_duration(value)
        if seconds < least:
            raise ValueError(f"expected at least {quantities.format_duration(least)}, got {quoted(value)}")
        return seconds

    return read


def read_rate(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"expected a rate such as 500KB or 2MB (bytes per second), got {quoted(value)}")
    return quantities.parse_rate(value)


def one_of(words: Any, noun: str) -> tuple[PlainValidator, WithJsonSchema]:
    """One of the words of a Literal."""
    known = get_args(words)

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected one of {', '.join(known)}, got {quoted(value)}")
        if value not in known:
            raise ValueError(unknown(noun, value, known))
        return str(value)

    return _kind(read, {"enum": list(known)})


def _duration(least: float = 0.0) -> tuple[PlainValidator, WithJsonSchema]:
    schema = {
        "anyOf": [{"type": "number", "minimum": least}, {"type": "string", "pattern": quantities.DURATION_PATTERN}]
    }
    return _kind(read_duration(least), schema)


_ONE_TEXT = {"type": "string", "minLength": 1}
_RATE_SCHEMA = [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": quantities.RATE_PATTERN}]

Flag = Annotated[bool, *_kind(read_flag, {"type": "boolean"})]
Text = Annotated[str, *_kind(read_text, _ONE_TEXT)]
Unshown = Annotated[str, *_kind(read_unshown_text, _ONE_TEXT)]
Texts = Annotated[tuple[str, ...], *_kind(read_texts, {"anyOf": [_ONE_TEXT, {"type": "array", "items": _ONE_TEXT}]})]
Words = Annotated[dict[str, str], *_kind(read_words, {"type": "object", "additionalProperties": _ONE_TEXT})]
Free = Annotated[dict[str, Any], *_kind(read_free, {"type": "object"})]
Duration = Annotated[float, *_duration()]
Interval = Annotated[float, *_duration(0.05)]
Rate = Annotated[int, *_kind(read_rate, {"anyOf": _RATE_SCHEMA})]
Amount = Annotated[float, *_kind(read_number(), {"type": "number", "minimum": 0})]
Limit = Annotated[float, *_kind(read_number(above=True), {"type": "number", "exclusiveMinimum": 0})]


def whole(least: int, most: int) -> tuple[PlainValidator, WithJsonSchema]:
    return _kind(read_whole(least, most), {"type": "integer", "minimum": least, "maximum": most})
