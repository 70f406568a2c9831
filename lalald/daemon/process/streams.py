"""The program's standard streams, even if they are closed, full, without a reader, or in a locale that lacks characters."""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Forgiving(io.FileIO):
    """Standard error: text that cannot be written is lost without an error."""

    def write(self, data: ReadableBuffer, /) -> int:
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def prepare() -> None:
    """Make the streams safe to use.

    Characters that the locale lacks are written as escapes. A closed stream is opened on /dev/null: its number would otherwise go to
    the next file that is opened, such as the database. Text for standard error that cannot be written is lost.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            os.set_inheritable(number, True)  # for children, too
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - for as long as the program lives
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(before := sys.stderr, io.TextIOWrapper):
        sys.stderr = io.TextIOWrapper(
            _Forgiving(before.fileno(), "w", closefd=False),  # unbuffered: no retry at the end
            encoding=before.encoding, errors="backslashreplace", line_buffering=True, write_through=True,
        )  # fmt: skip


def flush_answer() -> OSError | None:
    """Flush standard output. If that fails, return the error; the rest is not tried again at the end of the program."""
    try:
        sys.stdout.flush()
    except OSError as error:
        write_nowhere()
        return error
    return None


def write_nowhere() -> None:
    """Discard what is still to be written to standard output: Python would try it again at the end of the program."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_reader_gone() -> bool:
    """Whether the reader of standard output has left, as with `lalald jobs | head`."""
    try:
        asked = select.poll()
        asked.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))
    except (OSError, ValueError):
        return False
