"""Wrap text at words to the terminal's width."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from typing import TextIO

_UNKNOWN_WIDTH = 80
_TERM = re.compile(r"(?P<indent> +)\S+(?: \S+)*  +(?=\S)")  # `  name      what it means`
_STEP = re.compile(r" *\d+\. ")  # `  1. what to do`
_COMMAND = re.compile(r"`[^`]*`")
_HARD_SPACE = "\ue000"  # for private use: `printable` escapes it in foreign text, and lines are not wrapped at it
_DEEPEST = 24  # columns; a description that begins further right continues below its name


def terminal_width(stream: TextIO | None = None) -> int:
    """Columns of the terminal behind a stream; 80 if it has none."""
    if (columns := os.environ.get("COLUMNS", "")).isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or _UNKNOWN_WIDTH
    except (OSError, ValueError):
        return _UNKNOWN_WIDTH


def wrapped(text: str, width: int) -> str:
    """Every line within the width, except for longer words; the rest of a line is indented below its text.

    A command between backticks stays on one line if it fits on one.
    """
    return "\n".join(_line(line, width) for line in text.split("\n"))


def command_line(text: str, width: int) -> str:
    """A command that can be copied: continued with backslashes."""
    indent = " " * (len(text) - len(text.lstrip()))
    lines = textwrap.wrap(
        text, width - 2, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False
    )
    return " \\\n".join(lines)


def _line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    start = _STEP.match(line) or _TERM.match(line)
    indent = len(line) - len(line.lstrip())
    hanging = start.end() if start and start.end() <= _DEEPEST else indent
    room = max(width, hanging + 20)
    whole = _COMMAND.sub(lambda found: _unbroken(found[0], room - hanging), line)
    lines = textwrap.wrap(
        whole, room, initial_indent="", subsequent_indent=" " * hanging,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip
    return "\n".join(lines).replace(_HARD_SPACE, " ")


def _unbroken(command: str, room: int) -> str:
    return command.replace(" ", _HARD_SPACE) if len(command) <= room else command
