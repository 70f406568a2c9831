"""Lines of styled text: aligned columns and paragraphs that fit a width.

A width of None means no terminal: nothing is shortened or wrapped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

GAP = "  "
_ELLIPSIS = "…"
_SHORTEST = 12  # columns; text shortened further would be meaningless
_COMMAND = re.compile(r"`[^`]*`")
_HARD_SPACE = "\N{NO-BREAK SPACE}"


class Span(NamedTuple):
    """`style`: words that rich knows, such as `bold red`; empty for the terminal's own style."""

    text: str
    style: str = ""


Line = Sequence[Span]


class Cell(NamedTuple):
    """A text in a column, and what happens to it if the column is too narrow.

    `wrap` is for the last cell of a row: it has no influence on the width of its column.
    """

    text: str
    style: str = ""
    fit: Literal["never", "start", "middle", "end", "wrap"] = "never"
    align: Literal["left", "right"] = "left"


def plain(lines: Iterable[Line]) -> str:
    """The lines as text without styles."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def columns(rows: Sequence[Sequence[Cell]], width: int | None) -> list[Line]:
    """Rows of aligned cells. Columns that may be shortened share the room that the others leave."""
    widths = _column_widths(rows, width)
    return [line for row in rows for line in _row_lines(row, widths, width)]


def _row_lines(row: Sequence[Cell], widths: Sequence[int], width: int | None) -> Iterator[Line]:
    last = max((place for place, cell in enumerate(row) if cell.text), default=-1)
    if last < 0 or row[last].fit != "wrap":
        yield list(_spans(row[: last + 1], widths))
        return
    start = list(_spans([*row[:last], Cell(" ")], widths))[:-1]  # the last cell before it is padded
    indent = " " * sum(display_width(span.text) for span in start)
    for place, line in enumerate(
        paragraph(row[last].text, width, first=indent, then=indent, style=row[last].style, fold=True)
    ):
        yield line if place else [*start, *line[1:]]


def _spans(row: Sequence[Cell], widths: Sequence[int]) -> Iterator[Span]:
    for place, (cell, width) in enumerate(zip(row, widths, strict=False)):
        text = cell.text if cell.fit == "wrap" else shortened(cell.text, width, cell.fit)
        padding = Span(" " * (width - display_width(text)))
        if place:
            yield Span(GAP)
        if cell.align == "right":
            yield padding
        yield Span(text, cell.style)
        if cell.align == "left" and place < len(row) - 1:
            yield padding


def _column_widths(rows: Sequence[Sequence[Cell]], width: int | None) -> list[int]:
    number = max(map(len, rows), default=0)
    listed = [[row[place] for row in rows if place < len(row) and row[place].fit != "wrap"] for place in range(number)]
    natural = [max((display_width(cell.text) for cell in column), default=0) for column in listed]
    if width is None:
        return natural
    flexible = [place for place, column in enumerate(listed) if any(cell.fit != "never" for cell in column)]
    gaps = len(GAP) * max(0, sum(map(bool, natural)) - 1)
    room = width - gaps - sum(size for place, size in enumerate(natural) if place not in flexible)
    widths = list(natural)
    for left, place in zip(range(len(flexible), 0, -1), sorted(flexible, key=natural.__getitem__), strict=True):
        widths[place] = min(natural[place], max(room // left, _SHORTEST))
        room -= widths[place]
    return widths


def shortened(text: str, width: int, fit: str) -> str:
    """The text within a width: without its `start`, its `middle`, or its `end`, which begins at a word where one is near."""
    if display_width(text) <= width or fit == "never":
        return text
    room = max(0, width - 1)
    head = _head(text, {"start": 0, "middle": room // 2}.get(fit, room))
    if fit == "end" and text[len(head)] != " " and (words := head.rpartition(" ")[0]) and 2 * len(words) >= len(head):
        head = words
    tail = "" if fit == "end" else _tail(text, room - display_width(head))
    return f"{head.rstrip()}{_ELLIPSIS}{tail.lstrip()}"


def paragraph(
    text: str, width: int | None, *, first: str = "", then: str = "", style: str = "", fold: bool = False
) -> list[Line]:
    """A text that wraps at words, but not within a command between backticks.

    `first` and `then` begin its lines. A word that is longer than a line is shortened, or with `fold` continued on the next.
    """
    if width is None:
        return [[Span(first), Span(text, style)]]
    room = max(_SHORTEST, width - display_width(first))
    lines = _wrapped(_COMMAND.sub(lambda found: found[0].replace(" ", _HARD_SPACE), text), room, fold=fold)
    return [
        [Span(then if place else first), Span(line.replace(_HARD_SPACE, " "), style)]
        for place, line in enumerate(lines)
    ]


def _wrapped(text: str, room: int, *, fold: bool) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if display_width(longer) > room and line:
            lines.append(line)
            longer = word
        while fold and display_width(longer) > room:
            piece = _head(longer, room)
            lines.append(piece)
            longer = longer[len(piece) :]
        line = shortened(longer, room, "middle")
    return [*lines, line]


def display_width(text: str) -> int:
    """Columns of a terminal that a text needs: East Asian letters need two, combining accents none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _head(text: str, room: int) -> str:
    place = 0
    while place < len(text) and display_width(text[: place + 1]) <= room:
        place += 1
    return text[:place]


def _tail(text: str, room: int) -> str:
    place = len(text)
    while place and display_width(text[place - 1 :]) <= room:
        place -= 1
    return text[place:]
