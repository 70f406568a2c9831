"""Sections: a heading with rows of aligned cells below it, laid out as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lalald.commands.output.lines import GAP, Cell, Line, Span, columns

STATE_STYLES = {"running": "cyan", "failed": "red", "held": "yellow", "done": "green", "cancelled": "dim"}
_BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Section:
    """Rows below a heading, with names of the columns if they need any. A text that ends a row may be as long as it likes."""

    heading: str
    rows: Sequence[Sequence[str | Cell]] = ()
    columns: Sequence[str] = ()


def path_cell(path: str) -> Cell:
    """On a terminal a long path is shortened in its middle, so that both ends can be read."""
    return Cell(path, "", "middle")


def number_cell(text: str) -> Cell:
    return Cell(text, "", "never", "right")


def bar(percent: float, width: int = _BAR_WIDTH) -> str:
    """A progress bar; `percent` is 0 to 100."""
    return ("━" * round(percent / 100 * width)).ljust(width, "─")


def bar_cell(percent: float, width: int = _BAR_WIDTH) -> Cell:
    return Cell(f"{bar(percent, width)} {percent:3.0f} %", "cyan")


def section_lines(sections: Iterable[Section], width: int | None) -> Iterator[Line]:
    """The sections below each other, an empty line between them. `width`: columns of the terminal; None for no limit."""
    for place, section in enumerate(sections):
        if place:
            yield ()
        if section.heading:
            yield from columns([[Cell(section.heading, "bold", "wrap")]], width)
        indent = GAP if section.heading else ""
        rows = [_cells(row) for row in section.rows]
        if section.columns:
            rows.insert(0, _column_names(section.columns, rows))
        for line in columns(rows, None if width is None else width - len(indent)):
            yield [Span(indent), *line]


def _column_names(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[Cell]:
    """Aligned like the cells below them."""
    below = rows[0] if rows else [Cell("")] * len(names)
    return [Cell(name, "bold", "never", cell.align) for name, cell in zip(names, below, strict=True)]


def _cells(row: Sequence[str | Cell]) -> list[Cell]:
    last = len(row) - 1
    return [
        cell if isinstance(cell, Cell) else Cell(cell, "", "wrap" if place == last else "never")
        for place, cell in enumerate(row)
    ]
