"""The same sections for a person at a terminal: colours, bars, and a picture that is drawn again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lalald.commands.output.lines import Line
from lalald.commands.output.tables import Bar, Cell, PathCell, Section
from lalald.commands.output.wrapping import terminal_width

_COLOURS = {
    "running": "cyan", "failed": "red", "held": "yellow", "done": "green", "cancelled": "dim", "waiting": "default",
    "unavailable": "red",
}  # fmt: skip


_SHORTEST_PATH = 20  # letters


def draw(sections: Iterable[Section]) -> None:
    Console(highlight=False).print(_picture(sections))


def print_lines(lines: Iterable[Line]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(_text(line))


def watch(look: Callable[[], Sequence[Line]], every_seconds: float) -> None:
    """Draws what `look` gives in one place, again and again until Ctrl-C; the last picture stays below the prompt."""
    lines: Sequence[Line] = ()
    try:
        with Live(Group(), auto_refresh=False, screen=True, vertical_overflow="ellipsis") as picture:
            while True:
                lines = look()
                picture.update(Group(*map(_text, lines)), refresh=True)
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        print_lines(lines)


def _text(line: Line) -> Text:
    return Text.assemble(*line, no_wrap=True)


@contextmanager
def live() -> Iterator[Callable[[Iterable[Section]], None]]:
    """A picture that is drawn again whenever the function it gives is called; the last one stays."""
    with Live(Group(), auto_refresh=False) as picture:
        yield lambda sections: picture.update(_picture(sections), refresh=True)


def _picture(sections: Iterable[Section]) -> Group:
    parts: list[RenderableType] = []
    for section in sections:
        if parts:
            parts.append(Text())
        if section.heading:
            parts.append(Text(section.heading, style="bold"))
        if section.rows:
            parts.append(_table(section))
    return Group(*parts)


def _table(section: Section) -> Table:
    width = terminal_width()
    columns = max(len(row) for row in (section.columns, *section.rows))
    table = Table(
        box=None, show_header=bool(section.columns), pad_edge=bool(section.heading), padding=(0, 1), header_style="bold"
    )
    for place in range(columns):
        name = section.columns[place] if place < len(section.columns) else ""
        longest = max((len(str(row[place])) for row in section.rows if place < len(row)), default=0)
        table.add_column(name, overflow="fold", no_wrap=place == 0 and longest <= width // 2)
    for row in section.rows:
        table.add_row(*(_drawn(cell, max(_SHORTEST_PATH, width // columns)) for cell in row))
    return table


def _drawn(cell: Cell, path_width: int) -> RenderableType:
    if isinstance(cell, PathCell):
        return Text(cell.shortened(path_width))
    if isinstance(cell, Bar):
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=100, completed=cell.percent, width=24), Text(f"{cell.percent:3.0f} %"))
        return bar
    return Text(cell, style=_COLOURS.get(cell.split(" ")[0], "default"))
