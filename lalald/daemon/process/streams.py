"""The program's own streams, whatever they are: closed, full, without a reader, in a locale without our letters."""

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
    """A file for remarks: one that cannot be written is lost, and is no reason to fail."""

    def write(self, data: ReadableBuffer, /) -> int:
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def prepare() -> None:
    """What the locale does not have is written as an escape: no reason to fail. Nor is a stream that was closed: its number would
    go to the next file that is opened, such as the database. Nor are remarks on standard error that cannot be written."""
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            os.set_inheritable(number, True)  # a child without it would be in the same trouble
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - for as long as the program lives
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(before := sys.stderr, io.TextIOWrapper):
        sys.stderr = io.TextIOWrapper(
            _Forgiving(before.fileno(), "w", closefd=False),  # unbuffered: nothing is tried again at the end
            encoding=before.encoding, errors="backslashreplace", line_buffering=True, write_through=True,
        )  # fmt: skip


def flush_answer() -> OSError | None:
    """Writes what is left of standard output. Returns why that cannot be; then nothing of it is tried again at the end."""
    try:
        sys.stdout.flush()
    except OSError as error:
        write_nowhere()
        return error
    return None


def write_nowhere() -> None:
    """Else what is still to be written to standard output would be tried again as the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reader_is_gone() -> bool:
    """Whether nobody reads standard output any more, as with `lalald jobs | head`."""
    try:
        asked = select.poll()
        asked.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))
    except (OSError, ValueError):
        return False
