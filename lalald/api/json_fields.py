"""Read typed values within bounds from the service's JSON.

By hand, and not by models: nothing else in the daemon needs a library for it, which would take 7 MiB for as long as it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")

_MAX_ID = 200  # characters; the API document's ids have 36
_MAX_NAME = 400  # characters; more than any file name has
_LONGEST_LINK = 8192
_LARGEST_COUNT = 2**62
_MOST_SECONDS = 1e8  # three years of music
_LAST_MOMENT = 1e11  # the year 5138: later times overflow clocks and databases


class UnreadError(ValueError):
    """A value has the wrong type or is out of bounds; the message names its field."""


class Fields:
    """The fields of one object; those that are not read are ignored."""

    def __init__(self, said: Any) -> None:
        """Raises UnreadError if the value is not an object."""
        if not isinstance(said, dict):
            raise UnreadError("it is not an object")
        self._said = said

    def need(self, name: str, kind: Callable[[Any], Value]) -> Value:
        """Raises UnreadError if the field is missing or of another type."""
        if name not in self._said:
            raise UnreadError(f"it has no {name}")
        try:
            return kind(self._said[name])
        except UnreadError as error:
            raise UnreadError(f"its {name} is {error}") from None

    def may(self, name: str, kind: Callable[[Any], Value]) -> Value | None:
        """The field; None if it is missing or of another type."""
        try:
            return self.need(name, kind)
        except UnreadError:
            return None

    def quoted(self, name: str) -> str:
        """The field's content for people, truncated."""
        return repr(self._said.get(name))[:80] if name in self._said else "nothing"


def words(value: Any) -> str:
    """Any text, an empty one too."""
    if not isinstance(value, str):
        raise UnreadError("no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnreadError("no text that can be written down") from None  # half of a surrogate pair
    return value


def text(value: Any, most: int | None = None) -> str:
    """A text that is not empty."""
    said = words(value)
    if not said or (most is not None and len(said) > most):
        raise UnreadError("empty" if not said else f"longer than {most:,} characters")
    return said


def identity(value: Any) -> str:
    return text(value, _MAX_ID)


def link(value: Any) -> str:
    return text(value, _LONGEST_LINK)


def name(value: Any) -> str:
    """A text of any length, truncated."""
    return text(value)[:_MAX_NAME]


def number(value: Any, most: float = math.inf, least: float = -math.inf) -> float:
    """A finite number, possibly in quotes; not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnreadError("no number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise UnreadError("no number") from None
    if not math.isfinite(found) or not least <= found <= most:
        raise UnreadError("no number that can be")
    return found


def seconds(value: Any) -> float:
    return number(value, _MOST_SECONDS, 0.0)


def moment(value: Any) -> float:
    """In seconds since 1970."""
    return number(value, _LAST_MOMENT, 0.0)


def count(value: Any) -> int:
    found = number(value, _LARGEST_COUNT, 0)
    if not found.is_integer():
        raise UnreadError("no whole number")
    return value if isinstance(value, int) else int(found)


def array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadError("no list")
    return value


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadError("no object")
    return value
