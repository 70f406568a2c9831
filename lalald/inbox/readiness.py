"""Is this file finished?"""

from __future__ import annotations

import errno
import fcntl
import heapq
import os
import signal
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from lalald.filesystem.file_numbers import int64
from lalald.inbox.selection import partial_downloads
from lalald.jobs.unexpected_errors import is_exhaustion

UNTOLD_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0
FRESH_SECONDS = 600.0
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


class Writers(StrEnum):
    """Whether a file is open for writing anywhere."""

    NONE = "none"
    SOME = "some"
    UNTOLD = "untold"


class FinishedFile(NamedTuple):
    """A finished file; its path is within the inbox."""

    path: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(slots=True)
class Look:
    """What became of the files that were looked at. Those in none of the lists wait within `Settling`, or are empty."""

    ready: list[FinishedFile] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    troubled: list[tuple[str, OSError]] = field(default_factory=list)
    faulted: list[tuple[str, Exception]] = field(default_factory=list)  # by what nobody foresaw


@dataclass(slots=True)
class _Candidate:
    size: int
    mtime_ns: int
    first_at: float
    since: float
    due_at: float
    scheduled_at: float = float("inf")
    pause_seconds: float = 0.0


class Settling:
    """Tells when a file is finished. The rules, the same at start and later:

    - A file that is empty, or is no regular file, never is; nor is one that aria2 has not finished. Such a file is not
      waited for: an event, or the next scan, brings it back.
    - Its size and mtime must have stood still for `settle_seconds`, by the monotonic clock and our own looks: the age of an
      mtime proves nothing, since copying programs set it. Any change starts the time anew.
    - Nobody may have it open for writing. The kernel tells by refusing a read lease, hard links and writable maps included. While we
      hold the lease (for microseconds; a writer's open waits) the file is looked at once more, so what is called finished is finished.
    - Where the kernel cannot tell (`lease_tells` is false: another machine may write; or the file is another user's), the file must
      have stood still for at least `untold_seconds`; `cannot_tell` says from then on that this has happened.
    - A file that somebody keeps open is looked at with growing pauses, up to 30 s, or when an event says that it was closed.

    At most `limit` files are kept waiting; `full` says that a further one was not, and the next scan finds it again.
    Not thread-safe: one look at a time. Everything here blocks and belongs in a worker thread, but `due_at` and `take_due`.
    """

    def __init__(
        self,
        root: str,
        settle_seconds: float,
        *,
        lease_tells: bool = True,
        untold_seconds: float = UNTOLD_SECONDS,
        limit: int = 10_000,
    ) -> None:
        self.settle_seconds = settle_seconds
        self.lease_tells = lease_tells
        self.cannot_tell = not lease_tells
        self.full = False
        self._root = root
        self.untold_seconds = untold_seconds
        self.limit = limit
        self._candidates: dict[str, _Candidate] = {}
        self._due: list[tuple[float, str]] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._candidates)

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, path: object) -> bool:
        return path in self._candidates

    def fresh(self, now: float) -> int:
        """How many files wait that were first seen less than ten minutes ago; a file may be held open for ever."""
        return sum(candidate.first_at > now - FRESH_SECONDS for candidate in self._candidates.values())

    def due_at(self) -> float | None:
        """When the next file is to be looked at again, on the monotonic clock."""
        return self._due[0][0] if self._due else None

    def take_due(self, now: float, most: int) -> list[str]:
        """Files whose time to be looked at has come."""
        paths: list[str] = []
        while self._due and self._due[0][0] <= now and len(paths) < most:
            due_at, path = heapq.heappop(self._due)
            candidate = self._candidates.get(path)
            if candidate is None or candidate.scheduled_at != due_at:
                continue  # taken, gone, or looked at since
            candidate.scheduled_at = float("inf")
            if candidate.due_at <= now:
                paths.append(path)
            else:
                self._schedule(path, candidate)
        return paths

    def forget(self, path: str) -> None:
        self._candidates.pop(path, None)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._candidates.clear()
        self._due.clear()
        self.full = False

    def look(self, paths: Iterable[str], now: float) -> Look:
        """Looks at each file; `now` is on the monotonic clock. Raises what tells that memory or descriptors ran out."""
        found = Look()
        for path in paths:
            try:
                sight = self._look(path, now)
            except (FileNotFoundError, NotADirectoryError):
                self.forget(path)
                found.absent.append(path)
            except Exception as error:
                if is_exhaustion(error):
                    raise
                self.forget(path)
                if isinstance(error, OSError):
                    found.troubled.append((path, error))
                else:
                    found.faulted.append((path, error))
            else:
                if sight is not None:
                    self.forget(path)
                    found.ready.append(sight)
        return found

    def _look(self, path: str, now: float) -> FinishedFile | None:
        full_path = os.path.join(self._root, path)
        facts = os.lstat(full_path)
        if not stat.S_ISREG(facts.st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is not a regular file", path)
        if facts.st_size == 0 or partial_downloads.control_file(self._root, path):
            self.forget(path)
            return None
        candidate = self._candidate(path, facts, now)
        if candidate is None:
            return None
        stood_seconds = now - candidate.since
        if stood_seconds < self.settle_seconds:
            self._wait(path, candidate, candidate.since + self.settle_seconds)
            return None
        writers, facts = writers_of(full_path) if self.lease_tells else (Writers.UNTOLD, facts)
        return self._judge(path, candidate, writers, facts, now)

    def _candidate(self, path: str, facts: os.stat_result, now: float) -> _Candidate | None:
        known = self._candidates.get(path)
        identity = (facts.st_size, int64(facts.st_mtime_ns))
        if known is not None:
            if identity != (known.size, known.mtime_ns):
                known.size, known.mtime_ns = identity
                known.since, known.pause_seconds = now, 0.0
            return known
        if len(self._candidates) >= self.limit:
            self.full = True
            return None
        return self._candidates.setdefault(path, _Candidate(*identity, first_at=now, since=now, due_at=now))

    def _judge(
        self, path: str, candidate: _Candidate, writers: Writers, facts: os.stat_result, now: float
    ) -> FinishedFile | None:
        if writers is Writers.SOME:
            longest = max(1.0, self.settle_seconds, candidate.pause_seconds * 2)
            candidate.pause_seconds = min(LONGEST_PAUSE_SECONDS, longest)
            self._wait(path, candidate, now + candidate.pause_seconds)
            return None
        seen = (facts.st_size, int64(facts.st_mtime_ns))
        if writers is Writers.UNTOLD:
            self.cannot_tell = True
        needed = max(self.settle_seconds, self.untold_seconds) if writers is Writers.UNTOLD else self.settle_seconds
        if seen != (candidate.size, candidate.mtime_ns):
            candidate.size, candidate.mtime_ns = seen
            candidate.since = now
        if now - candidate.since < needed or facts.st_size == 0:
            self._wait(path, candidate, candidate.since + max(needed, 1.0))
            return None
        return FinishedFile(path, *seen, int64(facts.st_ino))

    def _wait(self, path: str, candidate: _Candidate, due_at: float) -> None:
        candidate.due_at = due_at
        if due_at < candidate.scheduled_at:
            self._schedule(path, candidate)

    def _schedule(self, path: str, candidate: _Candidate) -> None:
        candidate.scheduled_at = candidate.due_at
        heapq.heappush(self._due, (candidate.due_at, path))


def writers_of(path: str) -> tuple[Writers, os.stat_result]:
    """Whether anybody has a file open for writing, and its facts while nobody could. Raises OSError where it cannot be read."""
    try:
        descriptor = os.open(path, _OPEN)
    except BlockingIOError:  # somebody else holds a lease for writing, as Samba does
        return Writers.SOME, os.lstat(path)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            told = Writers.SOME if error.errno == errno.EAGAIN else Writers.UNTOLD
            return told, os.fstat(descriptor)
        facts = os.fstat(descriptor)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return Writers.NONE, facts
    finally:
        os.close(descriptor)


def ignore_broken_leases() -> None:
    """The kernel announces a broken lease by SIGIO, which ends a process that does not ignore it. For the main thread, at start."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)
