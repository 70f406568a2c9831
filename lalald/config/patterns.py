"""gitignore patterns on paths within an inbox: which paths they match, and by which pattern.

The last pattern that matches a file, or a folder above it, decides. Upper and lower case are the same, and so are the normal forms of
Unicode (a Mac writes `é` as two characters). A leading `#` is literal. Names that are not UTF-8 hold surrogates (os.fsdecode).
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import lru_cache
from typing import NamedTuple

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_GROUP_NAME = re.compile(r"\(\?P<\w+>")


class Line(NamedTuple):
    """A pattern as an expression; `takes` is false for a pattern with `!`, which takes back."""

    takes: bool
    expression: re.Pattern[str]
    pattern: str


def takes(patterns: tuple[str, ...], path: str) -> bool:
    """Whether patterns match a path; that of a folder ends in '/'."""
    name = _folded(path)
    anything = _any_of(patterns)
    if anything is not None:
        return anything.search(name) is not None
    return next((line.takes for line in _lines(patterns) if line.expression.search(name)), False)


def decisive(patterns: tuple[str, ...], path: str) -> str | None:
    """The pattern that decides that a path matches, or None if it does not."""
    if not takes(patterns, path):
        return None
    name = _folded(path)
    return next(line.pattern for line in _lines(patterns) if line.expression.search(name))


def take_back(patterns: tuple[str, ...]) -> bool:
    """Whether some pattern takes back an earlier match: then a folder's match does not hold for everything in it."""
    return not all(line.takes for line in _lines(patterns))


def is_pattern(pattern: str) -> bool:
    """Whether a text is a pattern that can match anything at all."""
    return _line(pattern) is not None


@lru_cache(maxsize=1024)
def _lines(patterns: tuple[str, ...]) -> tuple[Line, ...]:
    """The valid patterns, the last one first."""
    return tuple(filter(None, map(_line, reversed(patterns))))


@lru_cache(maxsize=1024)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all patterns, several times as fast as one after the other; None if a `!` makes their order matter."""
    lines = _lines(patterns)
    if not lines or not all(line.takes for line in lines):
        return None
    return _expression("|".join(f"(?:{line.expression.pattern})" for line in lines))


def _line(pattern: str) -> Line | None:
    try:
        source, included = GitIgnoreSpecPattern.pattern_to_regex(_folded(_without_comment(pattern)))
        if source is None or included is None:
            return None
        return Line(included, _expression(_GROUP_NAME.sub("(?:", source)), pattern)
    except (ValueError, re.error):
        return None


def _expression(source: str) -> re.Pattern[str]:
    with warnings.catch_warnings():  # Python warns about [[ in an expression, which users cannot act on
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(source)


def _without_comment(pattern: str) -> str:
    return "\\" + pattern if pattern.startswith("#") else pattern


def _folded(name: str) -> str:
    """The name as compared. A line break, at which a pattern's `*` would stop, becomes a character that no name has."""
    folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name).lower()
    return folded.replace("\n", "\0") if "\n" in folded else folded
