"""Print lines and sentences on standard output: with colors on a terminal, as plain text anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from lalald.commands.output.lines import Line, plain
from lalald.commands.output.tables import Section, section_lines
from lalald.commands.output.wrapping import terminal_width, wrapped


def is_terminal() -> bool:
    """Whether standard output is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def output_width() -> int | None:
    """Columns of the terminal behind standard output; None if there is none."""
    return terminal_width() if sys.stdout.isatty() else None


def show(lines: Iterable[Line]) -> None:
    if is_terminal():
        from lalald.commands.output import terminal

        terminal.print_lines(lines)
    else:
        sys.stdout.write(plain(lines))


def show_sections(sections: Iterable[Section]) -> None:
    show(section_lines(sections, output_width()))


def say(text: str) -> None:
    """Print a sentence, wrapped at words on a terminal."""
    print(wrapped(text, terminal_width()) if sys.stdout.isatty() else text)
