"""Files whose inspection raised an unexpected exception: skipped for a while, and inspected again less and less often."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from lalald.clock import Clock
from lalald.inbox.readiness import Fault
from lalald.jobs.failures.unexpected_errors import describe_exception, signature
from lalald.jobs.job import describe_error
from lalald.media.inspections import CondemnedFileError
from lalald.store import Store
from lalald.store.tables.set_aside_files import SetAsideFiles

Answer = TypeVar("Answer")

_FIRST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 3600.0
_MOST_TRACEBACKS = 5  # of one exception: it may concern every file


class RunsOnStore(Protocol):
    """Access to the store: its thread in the daemon."""

    async def run(self, function: Callable[[Store], Answer]) -> Answer: ...


@dataclass(slots=True)
class _Paused:
    failures: int
    until: float  # on the monotonic clock
    kind: str


class SetAside:
    """The files of one inbox that are set aside, by path. The store has a row of each, for `status` and `explain`.

    `old`: those that were there before the first scan; what is decided about such files is decided about them, too.
    """

    def __init__(
        self,
        inbox: str,
        store: RunsOnStore,
        clock: Clock,
        log: Any,
        is_old: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        self.old: set[str] = set()
        self._inbox = inbox
        self._store = store
        self._clock = clock
        self._log = log
        self._is_old = is_old
        self._files: dict[str, _Paused] = {}
        self._counts: dict[str, int] = {}  # of files, by the signature of the exception
        self._recorded: set[str] = set()
        self._deferred: list[Fault] = []  # from other threads
        self._batch: set[str] = set()
        self._deferred_since_scan: set[str] = set()

    async def recall(self) -> None:
        """Read what earlier runs have set aside; it is inspected again."""
        rows = await self._store.run(lambda store: SetAsideFiles(store.connection).of(self._inbox))
        self._recorded = {row.path for row in rows}
        self.old.update(row.path for row in rows if row.is_old)

    def defer(self, path: str, error: Exception) -> None:
        """Set this aside at the next `add`. May be called on any thread."""
        self._deferred.append(Fault(path, error))

    async def add(self, faults: Iterable[Fault] = ()) -> None:
        """Set these files aside, and the deferred ones. Each file and exception is logged once."""
        faults, deferred, self._deferred = list(faults), self._deferred, []
        self._batch.update(fault.path for fault in faults)
        self._deferred_since_scan.update(fault.path for fault in deferred)
        for path, error in [*faults, *deferred]:
            await self._add(path, error)

    async def _add(self, path: str, error: Exception) -> None:
        if self._is_old(path):
            self.old.add(path)
        if not self._pause(path, error):
            self._log.debug("file.set_aside", inbox=self._inbox, path=path, reason=describe_exception(error))
            return
        self._report(path, error)
        is_known = isinstance(error, CondemnedFileError)
        words = describe_error(error) if is_known else f"internal: {describe_exception(error)}"
        await self._store.run(partial(_save, self._inbox, path, words, path in self.old, self._clock.now()))
        self._recorded.add(path)

    def begin_batch(self) -> None:
        """Some files are about to be inspected."""
        self._batch = set()

    async def end_batch(self, paths: Iterable[str], waiting: Container[str]) -> None:
        """These files were inspected: those that raised nothing and do not wait are no longer set aside."""
        await self.forget([path for path in paths if path not in self._batch and path not in waiting])

    async def end_scan(self) -> None:
        """A full scan has ended: folders that raised nothing are no longer set aside."""
        await self.add()
        folders = {path for path in {*self._files, *self._recorded} if path.endswith("/")}
        await self.forget(folders - self._deferred_since_scan)
        self._deferred_since_scan = set()

    async def forget(self, paths: Collection[str]) -> None:
        """They were inspected, or are gone."""
        if not self._files and not self._recorded:
            return
        for path in paths:
            self._files.pop(path, None)
            self.old.discard(path)
        if recorded := self._recorded.intersection(paths):
            self._recorded -= recorded
            await self._store.run(lambda store: SetAsideFiles(store.connection).forget(self._inbox, recorded))

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def is_paused(self, path: str) -> bool:
        known = self._files.get(path)
        return known is not None and self._clock.monotonic() < known.until

    def end_pauses(self) -> None:
        """Inspect each of them again at the next turn."""
        for known in self._files.values():
            known.until = 0.0

    def due_at(self) -> float | None:
        """When the next file is to be inspected again, on the monotonic clock. Folders wait for the next scan."""
        files = (known.until for path, known in self._files.items() if not path.endswith("/"))
        return min(files, default=None)

    def take_due(self) -> list[str]:
        """The files whose pause is over. Until their inspection ends, the pause begins again."""
        now = self._clock.monotonic()
        due = [path for path, known in self._files.items() if known.until <= now and not path.endswith("/")]
        for path in due:
            self._files[path].until = now + _FIRST_PAUSE_SECONDS
        return due

    def _pause(self, path: str, error: Exception) -> bool:
        """Whether this is another kind of exception than this file raised before; events and scans raise it at different places."""
        known, kind = self._files.get(path), type(error).__name__
        failures = known.failures + 1 if known is not None else 1
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 4.0 ** min(failures - 1, 10))
        self._files[path] = _Paused(failures, self._clock.monotonic() + pause, kind)
        return known is None or known.kind != kind

    def _report(self, path: str, error: Exception) -> None:
        key = signature(error)
        self._counts[key] = self._counts.get(key, 0) + 1
        has_traceback = self._counts[key] <= _MOST_TRACEBACKS
        trace = {"exc_info": error} if has_traceback else {"error": describe_exception(error)}
        hint = "It is inspected again later, at `lalald rescan`, and at the next start. Please report it."
        self._log.error("file.set_aside", inbox=self._inbox, path=path, **trace, hint=hint)


def _save(inbox: str, path: str, error: str, is_old: bool, now: float, store: Store) -> None:
    SetAsideFiles(store.connection).note(inbox, path, error, is_old=is_old, now=now)
