"""Which rule a file belongs to: the first one whose patterns match. Pure: only names are looked at, never files.

Patterns are gitignore's, on the path within the inbox: the last one that matches the file, or a folder above it, decides. Upper and
lower case are the same, and so are the normal forms of Unicode (a Mac writes `é` as two characters). A leading `#` is no comment.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from lalald.config.model import Inbox, Rule

AUDIO = frozenset(
    """
    3ga aac ac3 aif aifc aiff alac amr ape au caf dff dsf dts eac3 flac m4a m4b m4p m4r mka mp1 mp2 mp3 mpc mpga oga ogg opus
    ra rf64 shn snd spx tak tta voc w64 wav wave weba wma wv
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
VIDEO = frozenset(
    """
    3g2 3gp asf avi divx dv f4v flv m2t m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf ogm ogv qt rm rmvb ts vob webm wmv
    """.split()  # noqa: SIM905
)
MEDIA = AUDIO | VIDEO

_GROUP_NAME = re.compile(r"\(\?P<\w+>")


def is_media(name: str) -> bool:
    """Whether a file's ending, whatever its case, is one of the known audio and video types."""
    stem, dot, ending = name.rpartition(".")
    return bool(dot) and bool(stem) and ending.lower() in MEDIA


def match(inbox: Inbox, relative_path: str) -> Rule | None:
    """The rule that decides about a file, or None: it is left alone. What the inbox ignores matches no rule.

    `relative_path` is the path within the inbox, '/' between its parts; a name that is not UTF-8 holds surrogates (os.fsdecode).
    """
    name = _folded(relative_path)
    if inbox.ignore and _decides(inbox.ignore, name):
        return None
    media = is_media(relative_path)
    return next((rule for rule in inbox.rules if (media or rule.types == "any") and _takes(rule, name)), None)


def ignored(inbox: Inbox, relative_path: str) -> str | None:
    """The pattern of `ignore` by which a file is never taken, or None.

    Of a folder (its path ends in '/'): the pattern by which everything within is never taken. Where a `!` might take something
    back, that is for each file to say.
    """
    if not inbox.ignore or (relative_path.endswith("/") and _any_of(inbox.ignore) is None):
        return None
    name = _folded(relative_path)
    if not _decides(inbox.ignore, name):
        return None
    return next(line.pattern for line in _lines(inbox.ignore) if line.expression.search(name))


def _takes(rule: Rule, name: str) -> bool:
    return not rule.match or _decides(rule.match, name)


def matches(patterns: tuple[str, ...], relative_path: str) -> bool:
    """Whether patterns take a path."""
    return _decides(patterns, _folded(relative_path))


def _decides(patterns: tuple[str, ...], name: str) -> bool:
    anything = _any_of(patterns)
    if anything is not None:
        return anything.search(name) is not None
    return next((line.takes for line in _lines(patterns) if line.expression.search(name)), False)


class Line(NamedTuple):
    """A pattern as an expression; `takes` is false where a `!` takes back."""

    takes: bool
    expression: re.Pattern[str]
    pattern: str


@lru_cache(maxsize=1024)
def _lines(patterns: tuple[str, ...]) -> tuple[Line, ...]:
    """The patterns that say something, the last one first."""
    return tuple(filter(None, map(_line, reversed(patterns))))


@lru_cache(maxsize=1024)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all patterns, several times as fast as one after the other; None where a `!` makes their order matter."""
    lines = _lines(patterns)
    if not lines or not all(line.takes for line in lines):
        return None
    return _expression("|".join(f"(?:{line.expression.pattern})" for line in lines))


def _line(pattern: str) -> Line | None:
    try:
        source, takes = GitIgnoreSpecPattern.pattern_to_regex(_folded(_without_comment(pattern)))
        if source is None or takes is None:
            return None
        return Line(takes, _expression(_GROUP_NAME.sub("(?:", source)), pattern)
    except (ValueError, re.error):
        return None


def _expression(source: str) -> re.Pattern[str]:
    with warnings.catch_warnings():  # Python's thoughts about [[ in an expression are none of the user's business
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(source)


def says_something(pattern: str) -> bool:
    """Whether a pattern is one, and can match anything at all."""
    return _line(pattern) is not None


def _without_comment(pattern: str) -> str:
    return "\\" + pattern if pattern.startswith("#") else pattern


def _folded(name: str) -> str:
    """What is compared. A line break, which a pattern's `*` would stop at, becomes what no name can hold."""
    folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
    return folded.replace("\n", "\0") if "\n" in folded else folded


def takes_everything(patterns: Sequence[str]) -> bool:
    """Whether patterns match every media file, as `*` does: tried on a name of each type, at the top and in a folder."""
    names = (f"{folder}{ending} 1.{ending}" for ending in MEDIA for folder in ("", "x y/z/"))
    return all(matches(tuple(patterns), name) for name in names)
