"""Record which files are being parsed, so that a start knows in which of them the last process died.

A parser may crash the process or run it out of memory, without an exception. A file in which two processes in a row died is not read
again until a person requests it. Records stay in the page cache: nothing is synced, and an idle daemon writes nothing.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lalald.errors import LalaldError
from lalald.media.durations import measure
from lalald.media.length import Length

MAX_DEATHS = 2
_SLOTS, _DEATHS = "inspected", "inspection-deaths.json"
_SLOT_BYTES = 8192  # a path has at most 4,096
_MAX_REMEMBERED = 1000

_Key = tuple[str, int, int]  # absolute path, size, mtime


class CondemnedFileError(LalaldError):
    """Two processes in a row died while they read the file, so it is not read again."""


class Inspections:
    """One per daemon, safe for many threads. Without a folder nothing is recorded."""

    def __init__(self, folder: Path | None = None, read: Callable[[str], Length] = measure) -> None:
        self._folder = folder
        self._read = read
        self._lock = threading.Lock()
        self._one_suspect = threading.Lock()  # suspects are read one at a time, so that the next death has one cause
        self._used: set[int] = set()
        self._deaths: dict[_Key, int] = {}
        self._descriptor: int | None = None
        if folder is not None:
            with suppress(OSError):  # the store reports a state folder that is not writable
                self._open(folder)

    def measure(self, path: str, size: int, mtime_ns: int) -> Length:
        """The length that the file states. Raises CondemnedFileError."""
        with self.reading(path, size, mtime_ns):
            return self._read(path)

    @contextmanager
    def reading(self, path: str, size: int, mtime_ns: int) -> Iterator[None]:
        """Record that a file's content is being parsed. Raises CondemnedFileError."""
        key = (path, size, mtime_ns)
        deaths = self._deaths.get(key, 0)
        if deaths >= MAX_DEATHS:
            message = f"lalald crashed {deaths} times in a row while it read this file, so it is not read again"
            raise CondemnedFileError(
                message, hint="Is it damaged? Run `lalald rescan` or `lalald retry ID` to read it once more."
            )
        with self._one_suspect if deaths else _nothing():
            slot = self._enter(key)
            try:
                yield
            finally:
                self._leave(slot)
                if deaths:
                    self.pardon(path)

    def pardon(self, path: str) -> None:
        """Forget the deaths in a file, or in all files of a folder: it was read, or a person requests it."""
        with self._lock:
            kept = {
                key: deaths
                for key, deaths in self._deaths.items()
                if key[0] != path and not key[0].startswith(f"{path.rstrip('/')}/")
            }
            if len(kept) != len(self._deaths):
                self._deaths = kept
                self._write_deaths()

    def close(self) -> None:
        """Remove the records at an orderly end, even if a thread is still reading."""
        with self._lock:
            if self._descriptor is not None:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self, folder: Path) -> None:
        self._descriptor = os.open(folder / _SLOTS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._deaths = _read_deaths(folder / _DEATHS)
        named = list(_named(self._descriptor))
        for key in named:
            self._deaths[key] = self._deaths.get(key, 0) + 1
        os.ftruncate(self._descriptor, 0)
        if named:
            self._write_deaths()

    def _enter(self, key: _Key) -> int:
        with self._lock:
            slot = next(number for number in range(len(self._used) + 1) if number not in self._used)
            self._used.add(slot)
            self._put(slot, json.dumps(key).encode())
        return slot

    def _leave(self, slot: int) -> None:
        with self._lock:
            self._used.discard(slot)
            self._put(slot, b"")

    def _put(self, slot: int, content: bytes) -> None:
        if self._descriptor is not None and len(content) + 4 <= _SLOT_BYTES:
            with suppress(OSError):  # a full disk must not prevent reading
                os.pwrite(self._descriptor, b"%4d%s" % (len(content), content), slot * _SLOT_BYTES)

    def _write_deaths(self) -> None:
        if self._folder is None:
            return
        listed = [[*key, deaths] for key, deaths in self._deaths.items()][-_MAX_REMEMBERED:]
        hidden = self._folder / f"{_DEATHS}.new"
        with suppress(OSError):
            hidden.write_text(json.dumps(listed), encoding="ascii")
            hidden.replace(self._folder / _DEATHS)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _named(descriptor: int) -> Iterator[_Key]:
    """The files that the last process was reading when it ended; a slot that is half written is ignored."""
    for offset in range(0, os.fstat(descriptor).st_size, _SLOT_BYTES):
        slot = os.pread(descriptor, _SLOT_BYTES, offset)
        with suppress(ValueError, TypeError):
            path, size, mtime_ns = json.loads(slot[4 : 4 + int(slot[:4])])
            yield str(path), int(size), int(mtime_ns)


def _read_deaths(path: Path) -> dict[_Key, int]:
    with suppress(OSError, ValueError, TypeError):
        listed = json.loads(path.read_text(encoding="ascii"))
        return {(str(name), int(size), int(mtime_ns)): int(deaths) for name, size, mtime_ns, deaths in listed}
    return {}
