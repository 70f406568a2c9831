"""Standard error of a daemon, whose log may fail: lines are then lost and counted, and no work waits for the reader.

A separate thread writes, so that a full pipe, a dead share or a stopped terminal blocks only that thread.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO, TypeGuard, cast

MOST_WAITING_BYTES = 1 << 20
ROOM_SECONDS = 0.05  # how long a line waits for room while the reader is slow
LAST_LINES_SECONDS = 0.5  # a stop takes less than 2 s, and the daemon's own work may take 1.5 s of it
_AT_ONCE_BYTES = 1 << 16
_READER_TOO_SLOW = "the log is not read fast enough"


@dataclass(slots=True)
class _Lost:
    """Lines for which there was no room, at their position among the waiting ones."""

    count: int
    reason: str


class LogStream(io.TextIOBase):
    """Writes text to a file descriptor, in order. `write` and `flush` raise nothing and never block for long.

    - At most `most_waiting_bytes` wait. If there is no room, a line waits `room_seconds` for it; after that the reader is stalled, and
      lines are lost until there is room again.
    - Lines that the system refuses (reader gone, disk full, terminal gone) are lost; each later line is tried again.
    - `describe_loss(count, reason)` makes the line that reports lost lines. It is written as soon as writing works again.

    Text without a newline waits for the rest of its line, separately for each thread, or for `flush`.
    """

    def __init__(
        self,
        fd: int,
        *,
        encoding: str = "utf-8",
        most_waiting_bytes: int = MOST_WAITING_BYTES,
        room_seconds: float = ROOM_SECONDS,
    ) -> None:
        self.describe_loss: Callable[[int, str], str] = "lalald: {} lines of the log were lost: {}\n".format
        self._fd = fd
        self._encoding = encoding
        self._most_waiting_bytes = most_waiting_bytes
        self._room_seconds = room_seconds
        self._unfinished = threading.local()
        self._changed = threading.Condition()  # its lock is re-entrant: the garbage collector may write during a write
        self._waiting: deque[bytes | _Lost] = deque()
        self._waiting_bytes = 0
        self._writing = False
        self._stalled = False  # lines are lost until there is room
        self._slow = False  # `write_now` has waited without success
        self._lost = _Lost(0, "")  # by failed writes, not yet reported; only for the writing thread
        self._torn = False  # the file ends within a line
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    # as a text stream

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has it writable in the base class
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override] # as above
        return "backslashreplace"

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        try:
            return os.isatty(self._fd)
        except OSError:
            return False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        whole, newline, rest = f"{getattr(self._unfinished, 'text', '')}{text}".rpartition("\n")
        self._unfinished.text = rest
        if newline:
            self._add(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Hand over an unfinished line. Does not wait: see `drain`."""
        if text := getattr(self._unfinished, "text", ""):
            self._unfinished.text = ""
            self._add(text)

    def close(self) -> None:
        """Does nothing: other threads may still write."""

    def write_now(self, text: str) -> None:
        """As `write`, and wait a moment until the line is written: it may be the last one before a crash.

        Does not wait while the reader is slow.
        """
        self.write(text)
        if not self._slow:
            self._slow = not self.drain(self._room_seconds)

    def drain(self, seconds: float = LAST_LINES_SECONDS) -> bool:
        """Wait until every line is written or lost, at most `seconds`. Return whether that is so."""
        self.flush()
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._writing:
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    return False
        return True

    # the waiting lines

    def _add(self, text: str) -> None:
        data = text.encode(self._encoding, "backslashreplace")
        with self._changed:
            if not self._has_room(data) and not self._stalled:
                self._stalled = not self._changed.wait_for(lambda: self._has_room(data), self._room_seconds)
            if self._has_room(data) and not self._stalled:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
            elif self._waiting and isinstance(last := self._waiting[-1], _Lost):
                last.count += 1
            else:
                self._waiting.append(_Lost(1, _READER_TOO_SLOW))
            self._changed.notify_all()

    def _has_room(self, data: bytes) -> bool:
        """There is always room for one line, however long."""
        return not self._waiting_bytes or self._waiting_bytes + len(data) <= self._most_waiting_bytes

    # the writing thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._waiting))
                lines, lost = self._next()
                self._writing = True
            if lost is not None:
                self._lost = _Lost(self._lost.count + lost.count, self._lost.reason or lost.reason)
            if self._lost.count and not self._report_loss():
                self._lost.count += len(lines)
            elif lines:
                self._write_lines(lines)
            with self._changed:
                self._waiting_bytes -= sum(map(len, lines))
                if not self._waiting:
                    self._stalled = self._slow = False

    def _next(self) -> tuple[list[bytes], _Lost | None]:
        """What to write next: lines up to the next loss, or the loss."""
        if isinstance(first := self._waiting[0], _Lost):
            self._waiting.popleft()
            return [], first
        lines: list[bytes] = []
        size_bytes = 0
        while self._waiting and _is_line(line := self._waiting[0]) and size_bytes < _AT_ONCE_BYTES:
            self._waiting.popleft()
            lines.append(line)
            size_bytes += len(line)
        return lines, None

    def _report_loss(self) -> bool:
        """Return whether the report could be written."""
        lost, self._lost = self._lost, _Lost(0, "")
        line = self.describe_loss(lost.count, lost.reason).encode(self._encoding, "backslashreplace")
        if not self._write_lines([line]):
            self._lost = lost
        return not self._lost.count

    def _write_lines(self, lines: list[bytes]) -> bool:
        """Return whether all lines were written; the others are counted as lost."""
        data = b"".join(lines)
        torn, self._torn = self._torn, False
        written, error = self._write(b"\n" + data if torn else data)
        if error is None:
            return True
        written -= torn
        self._torn = torn if written < 0 else written > 0 and not data[:written].endswith(b"\n")
        for count, line in enumerate(lines):
            if written < len(line):  # for a newline that was refused it is -1
                self._lost = _Lost(self._lost.count + len(lines) - count, error)
                break
            written -= len(line)
        return False

    def _write(self, data: bytes) -> tuple[int, str | None]:
        """Return how many bytes were written, and the error if not all."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # another process made the shared pipe non-blocking
                self._wait_for_reader()
            except OSError as error:
                return len(data) - len(left), error.strerror or str(error)
        return len(data), None

    def _wait_for_reader(self) -> None:
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        room.poll()


def _is_line(waiting: bytes | _Lost) -> TypeGuard[bytes]:
    return isinstance(waiting, bytes)


def take_over() -> LogStream:
    """Make standard error a LogStream for the rest of the program's life."""
    if isinstance(stream := cast("object", sys.stderr), LogStream):
        return stream
    before = sys.stderr
    with suppress(OSError):
        before.flush()
    stream = LogStream(before.fileno(), encoding=before.encoding or "utf-8")
    sys.stderr = cast("TextIO", stream)
    atexit.register(stream.drain)
    return stream
