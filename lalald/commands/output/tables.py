"""Output as sections of aligned rows: plain text, or drawn with colours and bars where a person looks at a terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lalald.commands.output.wrapping import terminal_width, wrapped

_BAR_WIDTH = 20
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Bar:
    """How far something is, 0 to 100."""

    percent: float

    def __str__(self) -> str:
        filled = int(self.percent / 100 * _BAR_WIDTH)
        return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {self.percent:3.0f} %"


@dataclass(frozen=True, slots=True)
class PathCell:
    """A path: on a terminal a long one is shortened in its middle, so that both ends can be read."""

    path: str

    def __str__(self) -> str:
        return self.path

    def shortened(self, width: int) -> str:
        """At most so many letters."""
        if len(self.path) <= width:
            return self.path
        start = (width - 1) // 2
        return f"{self.path[:start]}…{self.path[start + 1 - width :]}"


Cell = str | Bar | PathCell


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under a heading, with the columns' names where they need any."""

    heading: str
    rows: Sequence[Sequence[Cell]] = ()
    columns: Sequence[str] = ()


def show(sections: Iterable[Section]) -> None:
    """To standard output: drawn on a terminal, as plain aligned text anywhere else."""
    if on_a_terminal():
        from lalald.commands.output import terminal

        terminal.draw(sections)
    else:
        sys.stdout.write(plain(sections))


def say(text: str) -> None:
    """A sentence on standard output; on a terminal it wraps at words."""
    print(wrapped(text, terminal_width()) if sys.stdout.isatty() else text)


def on_a_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def plain(sections: Iterable[Section]) -> str:
    return "\n".join("".join(f"{line}\n" for line in _lines(section)) for section in sections)


def _lines(section: Section) -> Iterable[str]:
    if section.heading:
        yield section.heading
    rows = [[str(cell) for cell in row] for row in (section.columns, *section.rows) if row]
    widths = [max(map(_width, column)) for column in zip(*_squared(rows), strict=True)]
    indent = _GAP if section.heading else ""
    for row in rows:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=False)]
        yield (indent + _GAP.join(padded)).rstrip()


def _squared(rows: list[list[str]]) -> list[list[str]]:
    """All rows of one length. The last cell of a row shapes no column, so that a long sentence may stand there."""
    longest = max(map(len, rows), default=0)
    return [[*row[:-1], *[""] * (longest - len(row) + 1)] for row in rows]


def _width(text: str) -> int:
    """Columns that a text takes: East Asian letters take two, accents that join none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
