"""Files that a parser reads: each is named in the state folder meanwhile, so that a start knows in which of them the last process died.

A parser may crash the process, or be killed with it for want of memory; no exception tells. A file in which two processes in a row
died is not read again until a person asks for it. What is written stays in the page cache: nothing is synced, and an idle daemon
writes nothing.
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

MOST_DEATHS = 2
_SLOTS, _DEATHS = "inspected", "inspection-deaths.json"
_SLOT_BYTES = 8192  # a path is 4,096 at most
_MOST_REMEMBERED = 1000

_Key = tuple[str, int, int]  # absolute path, size, mtime


class CondemnedFileError(LalaldError):
    """Two processes in a row died while they read the file: it is not read again."""


class Inspections:
    """One for the daemon, used by many threads. Without a folder nothing is written, and nothing known after a crash."""

    def __init__(self, folder: Path | None = None, read: Callable[[str], Length] = measure) -> None:
        self._folder = folder
        self._read = read
        self._lock = threading.Lock()
        self._one_suspect = threading.Lock()  # read at once: the next death then has one culprit
        self._used: set[int] = set()
        self._deaths: dict[_Key, int] = {}
        self._descriptor: int | None = None
        if folder is not None:
            with suppress(OSError):  # a state folder that cannot be written is the store's to tell
                self._open(folder)

    def measure(self, path: str, size: int, mtime_ns: int) -> Length:
        """What the file says of its length. Raises CondemnedFileError."""
        with self.reading(path, size, mtime_ns):
            return self._read(path)

    @contextmanager
    def reading(self, path: str, size: int, mtime_ns: int) -> Iterator[None]:
        """Around whatever parses a file's content. Raises CondemnedFileError."""
        key = (path, size, mtime_ns)
        deaths = self._deaths.get(key, 0)
        if deaths >= MOST_DEATHS:
            message = f"lalald died {deaths} times in a row while it read this file, which is not read again"
            raise CondemnedFileError(
                message, hint="Is it damaged? `lalald rescan` or `lalald retry ID` reads it once more."
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
        """It was read, or a person asks for it: a file, or all of a folder."""
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
        """An orderly end, whatever some thread still waits for."""
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
            with suppress(OSError):  # a full disk stops no reading
                os.pwrite(self._descriptor, b"%4d%s" % (len(content), content), slot * _SLOT_BYTES)

    def _write_deaths(self) -> None:
        if self._folder is None:
            return
        listed = [[*key, deaths] for key, deaths in self._deaths.items()][-_MOST_REMEMBERED:]
        hidden = self._folder / f"{_DEATHS}.new"
        with suppress(OSError):
            hidden.write_text(json.dumps(listed), encoding="ascii")
            hidden.replace(self._folder / _DEATHS)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _named(descriptor: int) -> Iterator[_Key]:
    """What the last process was reading when it ended; a slot that is half written names nothing."""
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
