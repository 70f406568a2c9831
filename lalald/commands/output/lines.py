"""Lines for a person: aligned columns and paragraphs that fit a width, with styles where a terminal has colors.

A width of None fits everything: where no terminal looks, nothing is shortened or wrapped.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from lalald.commands.output.wrapping import terminal_width

GAP = "  "
_ELLIPSIS = "…"
_SHORTEST = 12  # columns; what is shortened further says nothing
_COMMAND = re.compile(r"`[^`]*`")
_HARD_SPACE = "\N{NO-BREAK SPACE}"


class Span(NamedTuple):
    """`style`: words of rich, such as `bold red`; nothing for the terminal's own."""

    text: str
    style: str = ""


Line = Sequence[Span]


class Cell(NamedTuple):
    """A text in a column, and how it is shortened where the column is too narrow."""

    text: str
    style: str = ""
    shorten: Literal["never", "start", "middle", "end"] = "never"
    align: Literal["left", "right"] = "left"


def width_of_output() -> int | None:
    """Columns of the terminal that shows standard output; None where none does."""
    return terminal_width() if sys.stdout.isatty() else None


def show(lines: Iterable[Line]) -> None:
    """To standard output, with colors on a terminal that has them."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from lalald.commands.output import terminal

        terminal.print_lines(lines)
    else:
        sys.stdout.write(plain(lines))


def plain(lines: Iterable[Line]) -> str:
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def columns(rows: Sequence[Sequence[Cell]], width: int | None) -> list[Line]:
    """Rows of aligned cells. Columns that may be shortened share the room that the others leave."""
    count = max(map(len, rows), default=0)
    squared = [[*row, *[Cell("")] * (count - len(row))] for row in rows]
    widths = _widths([list(column) for column in zip(*squared, strict=True)], width)
    return [list(_row(row, widths)) for row in squared]


def _row(row: Sequence[Cell], widths: Sequence[int]) -> Iterator[Span]:
    last = max((place for place, cell in enumerate(row) if cell.text), default=-1)
    for place, (cell, width) in enumerate(zip(row[: last + 1], widths, strict=False)):
        text = shortened(cell.text, width, cell.shorten)
        room = " " * (width - cells(text))
        if place:
            yield Span(GAP)
        if cell.align == "right":
            yield Span(room)
        yield Span(text, cell.style)
        if cell.align == "left" and place < last:
            yield Span(room)


def _widths(listed: Sequence[Sequence[Cell]], width: int | None) -> list[int]:
    natural = [max(cells(cell.text) for cell in column) for column in listed]
    if width is None:
        return natural
    flexible = [place for place, column in enumerate(listed) if any(cell.shorten != "never" for cell in column)]
    gaps = len(GAP) * max(0, sum(map(bool, natural)) - 1)
    room = width - gaps - sum(size for place, size in enumerate(natural) if place not in flexible)
    found = list(natural)
    for left, place in zip(range(len(flexible), 0, -1), sorted(flexible, key=natural.__getitem__), strict=True):
        found[place] = min(natural[place], max(room // left, _SHORTEST))
        room -= found[place]
    return found


def shortened(text: str, width: int, how: str) -> str:
    """The text within a width: without its start, its middle, or its end."""
    if cells(text) <= width or how == "never":
        return text
    room = max(0, width - 1)
    head = _first(text, {"start": 0, "middle": room // 2}.get(how, room))
    tail = "" if how == "end" else _last(text, room - cells(head))
    return f"{head.rstrip()}{_ELLIPSIS}{tail.lstrip()}"


def paragraph(text: str, width: int | None, *, first: str = "", then: str = "", style: str = "") -> list[Line]:
    """A text that wraps at words, and in no command between backticks. `first` and `then` begin its lines."""
    if width is None:
        return [[Span(first), Span(text, style)]]
    lines, line = [], ""
    room = max(_SHORTEST, width - cells(first))
    for word in _COMMAND.sub(lambda found: found[0].replace(" ", _HARD_SPACE), text).split(" "):
        longer = f"{line} {word}" if line else word
        if cells(longer) > room and line:
            lines.append(line)
            longer = word
        line = shortened(longer, room, "middle")
    lines.append(line)
    return [
        [Span(then if place else first), Span(line.replace(_HARD_SPACE, " "), style)]
        for place, line in enumerate(lines)
    ]


def cells(text: str) -> int:
    """Columns that a text takes: East Asian letters take two, accents that join none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _first(text: str, room: int) -> str:
    place = 0
    while place < len(text) and cells(text[: place + 1]) <= room:
        place += 1
    return text[:place]


def _last(text: str, room: int) -> str:
    place = len(text)
    while place and cells(text[place - 1 :]) <= room:
        place -= 1
    return text[place:]
