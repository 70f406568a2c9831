"""Draw lines on a terminal with rich: once, or repeatedly in one place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lalald.commands.output.lines import Line


def print_lines(lines: Iterable[Line]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(_text(line))


def watch(get_lines: Callable[[], Sequence[Line]], every_seconds: float) -> None:
    """Draw the lines on a screen of their own, again and again until ctrl-C; then print the last ones."""
    lines: Sequence[Line] = ()
    try:
        with Live(Group(), auto_refresh=False, screen=True, vertical_overflow="ellipsis") as live:
            while True:
                lines = get_lines()
                live.update(Group(*map(_text, lines)), refresh=True)
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        print_lines(lines)


@contextmanager
def redrawing() -> Iterator[Callable[[Iterable[Line]], None]]:
    """Give a function that draws lines in the place of those it drew before; the last ones stay."""
    with Live(Group(), auto_refresh=False) as live:
        yield lambda lines: live.update(Group(*map(_text, lines)), refresh=True)


def _text(line: Line) -> Text:
    return Text.assemble(*line, no_wrap=True)
