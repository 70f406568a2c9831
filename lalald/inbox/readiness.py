"""Tell when a file is finished: no program writes to it, and it has not changed for `settle`."""

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
from lalald.jobs.failures.unexpected_errors import is_exhaustion

UNRELIABLE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0
RECENT_SECONDS = 600.0
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


class Writers(StrEnum):
    """Whether a program has a file open for writing."""

    NONE = "none"
    SOME = "some"
    UNKNOWN = "unknown"


class FinishedFile(NamedTuple):
    """`path` is relative to the inbox."""

    path: str
    size: int
    mtime_ns: int
    inode: int


class Fault(NamedTuple):
    """The unexpected exception that a file has raised, or a folder (its path ends with a slash)."""

    path: str
    error: Exception


class UnreadableFile(NamedTuple):
    path: str
    error: OSError


@dataclass(slots=True)
class Readiness:
    """What became of the files that were inspected. Those in none of the lists wait within `Settling`, or for aria2."""

    ready: list[FinishedFile] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unreadable: list[UnreadableFile] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


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
    """The files that wait to be finished. The rules are the same at the start and later:

    - What is not a regular file, and a file that aria2 has not finished, are never ready. They are not waited for: an event, or the
      next scan, reports them again. An empty file is ready like any other, so that it can be reported as such.
    - Size and mtime must not have changed for `settle_seconds`, measured by the monotonic clock between inspections: the age of an
      mtime proves nothing, since copying programs set it. Any change starts the time again.
    - No program may have the file open for writing. The kernel refuses a read lease if one has, hard links and writable maps
      included. While the lease is held (for microseconds; a writer's open waits) the file is inspected once more, so that a file
      that is reported finished is finished.
    - If the kernel cannot tell (`leases_reliable` is false because another machine may write, or the file is another user's), the
      file must not have changed for `unreliable_seconds` at least; `is_unreliable` says that this has happened.
    - A file that a program keeps open is inspected with growing pauses, up to 30 s, or when an event reports that it was closed.

    At most `limit` files wait; `is_full` says that a further one did not, and the next scan finds it again.
    Not thread-safe: one call at a time. Every method may block and belongs in a worker thread, but `due_at` and `take_due`.
    """

    def __init__(
        self,
        root: str,
        settle_seconds: float,
        *,
        leases_reliable: bool = True,
        unreliable_seconds: float = UNRELIABLE_SECONDS,
        limit: int = 10_000,
    ) -> None:
        self.settle_seconds = settle_seconds
        self.leases_reliable = leases_reliable
        self.is_unreliable = not leases_reliable
        self.is_full = False
        self._root = root
        self.unreliable_seconds = unreliable_seconds
        self.limit = limit
        self._candidates: dict[str, _Candidate] = {}
        self._due: list[tuple[float, str]] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._candidates)

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, path: object) -> bool:
        return path in self._candidates

    def recent_count(self, now: float) -> int:
        """How many files wait that were found less than ten minutes ago; a program may hold a file open for ever."""
        return sum(candidate.first_at > now - RECENT_SECONDS for candidate in self._candidates.values())

    def due_at(self) -> float | None:
        """When the next file is to be inspected again, on the monotonic clock."""
        return self._due[0][0] if self._due else None

    def take_due(self, now: float, most: int) -> list[str]:
        """At most `most` files that are to be inspected now."""
        paths: list[str] = []
        while self._due and self._due[0][0] <= now and len(paths) < most:
            due_at, path = heapq.heappop(self._due)
            candidate = self._candidates.get(path)
            if candidate is None or candidate.scheduled_at != due_at:
                continue  # processed, gone, or inspected since
            candidate.scheduled_at = float("inf")
            if candidate.due_at <= now:
                paths.append(path)
            else:
                self._schedule(path, candidate)
        return paths

    def forget(self, path: str) -> None:
        self._candidates.pop(path, None)

    def clear(self) -> None:
        """Forget every file."""
        self._candidates.clear()
        self._due.clear()
        self.is_full = False

    def inspect(self, paths: Iterable[str], now: float) -> Readiness:
        """Inspect each file; `now` is on the monotonic clock. Raises errors that mean that memory or descriptors ran out."""
        result = Readiness()
        for path in paths:
            try:
                file = self._inspect(path, now)
            except (FileNotFoundError, NotADirectoryError):
                result.absent.append(path)
            except Exception as error:
                if is_exhaustion(error):
                    raise
                if isinstance(error, OSError):
                    result.unreadable.append(UnreadableFile(path, error))
                else:
                    result.faults.append(Fault(path, error))
            else:
                if file is None:
                    continue
                result.ready.append(file)
            self.forget(path)
        return result

    def _inspect(self, path: str, now: float) -> FinishedFile | None:
        full_path = os.path.join(self._root, path)
        facts = os.lstat(full_path)
        if not stat.S_ISREG(facts.st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is not a regular file", path)
        if partial_downloads.control_file(self._root, path):
            self.forget(path)
            return None
        candidate = self._candidate(path, facts, now)
        if candidate is None:
            return None
        if now - candidate.since < self.settle_seconds:
            self._wait(path, candidate, candidate.since + self.settle_seconds)
            return None
        writers, facts = writers_of(full_path) if self.leases_reliable else (Writers.UNKNOWN, facts)
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
            self.is_full = True
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
        identity = (facts.st_size, int64(facts.st_mtime_ns))
        if writers is Writers.UNKNOWN:
            self.is_unreliable = True
        needed = (
            max(self.settle_seconds, self.unreliable_seconds) if writers is Writers.UNKNOWN else self.settle_seconds
        )
        if identity != (candidate.size, candidate.mtime_ns):
            candidate.size, candidate.mtime_ns = identity
            candidate.since = now
        if now - candidate.since < needed:
            self._wait(path, candidate, candidate.since + max(needed, 1.0))
            return None
        return FinishedFile(path, *identity, int64(facts.st_ino))

    def _wait(self, path: str, candidate: _Candidate, due_at: float) -> None:
        candidate.due_at = due_at
        if due_at < candidate.scheduled_at:
            self._schedule(path, candidate)

    def _schedule(self, path: str, candidate: _Candidate) -> None:
        candidate.scheduled_at = candidate.due_at
        heapq.heappush(self._due, (candidate.due_at, path))


def writers_of(path: str) -> tuple[Writers, os.stat_result]:
    """Whether a program has a file open for writing, and its stat while none could. Raises OSError if it cannot be read."""
    try:
        descriptor = os.open(path, _OPEN)
    except BlockingIOError:  # another program holds a write lease, as Samba does
        return Writers.SOME, os.lstat(path)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            writers = Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
            return writers, os.fstat(descriptor)
        facts = os.fstat(descriptor)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return Writers.NONE, facts
    finally:
        os.close(descriptor)


def ignore_broken_leases() -> None:
    """Ignore SIGIO, by which the kernel reports a broken lease and which would end the process. Call it on the main thread."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)
