"""Files whose inspection met an exception that nobody foresaw: passed over, and inspected again less and less often."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from lalald.clock import Clock
from lalald.jobs.job import describe_error
from lalald.jobs.unexpected_errors import describe_exception, signature
from lalald.media.inspections import CondemnedFileError
from lalald.store import Store
from lalald.store.set_aside_files import SetAsideFiles

Answer = TypeVar("Answer")

_FIRST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 3600.0
_SAME_WITH_TRACEBACK = 5  # a fault that meets every file is not printed for each


class RunsOnStore(Protocol):
    """Access to the store: its thread in the daemon."""

    async def run(self, function: Callable[[Store], Answer]) -> Answer: ...


@dataclass(slots=True)
class _Aside:
    failures: int
    until: float  # by the monotonic clock
    fault: str


class SetAside:
    """Those of one inbox, by path within it. The store has a row of each, for `status` and `explain`."""

    def __init__(self, inbox: str, store: RunsOnStore, clock: Clock, log: Any) -> None:
        self._inbox = inbox
        self._store = store
        self._clock = clock
        self._log = log
        self._files: dict[str, _Aside] = {}
        self._seen: dict[str, int] = {}  # by signature: how many files
        self._recorded: set[str] = set()
        self.old: set[str] = set()  # were there before the first scan: what is decided about those holds for them, too

    async def recall(self) -> None:
        """What earlier runs have set aside; it is inspected again."""
        rows = await self._store.run(lambda store: SetAsideFiles(store.connection).of(self._inbox))
        self._recorded = {row.path for row in rows}
        self.old.update(row.path for row in rows if row.is_old)

    async def add(self, faults: Iterable[tuple[str, Exception]], is_old: Callable[[str], bool]) -> None:
        """Says it once of each file and fault."""
        for path, error in faults:
            if is_old(path):
                self.old.add(path)
            if not self._is_news(path, error):
                self._log.debug("file.set_aside", inbox=self._inbox, path=path, reason=describe_exception(error))
                continue
            self._say(path, error)
            words = (
                describe_error(error)
                if isinstance(error, CondemnedFileError)
                else f"internal: {describe_exception(error)}"
            )
            await self._store.run(partial(_note, self._inbox, path, words, path in self.old, self._clock.now()))
            self._recorded.add(path)

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

    def hurry(self) -> None:
        """Each is inspected again at the next look."""
        for known in self._files.values():
            known.until = 0.0

    def due_at(self) -> float | None:
        """When the next is to be inspected again, on the monotonic clock."""
        files = (known.until for path, known in self._files.items() if not path.endswith("/"))
        return min(files, default=None)

    @property
    def folders(self) -> list[str]:
        """Those that end with a slash; each scan tries them again."""
        return [path for path in {*self._files, *self._recorded} if path.endswith("/")]

    def take_due(self) -> list[str]:
        """Those whose pause is over. Until something is known of one, its pause begins again."""
        now = self._clock.monotonic()
        due = [path for path, known in self._files.items() if known.until <= now and not path.endswith("/")]
        for path in due:
            self._files[path].until = now + _FIRST_PAUSE_SECONDS
        return due

    def _is_news(self, path: str, error: Exception) -> bool:
        known, fault = (
            self._files.get(path),
            type(error).__name__,
        )  # events and scans meet the same one in different places
        failures = known.failures + 1 if known is not None else 1
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 4.0 ** min(failures - 1, 10))
        self._files[path] = _Aside(failures, self._clock.monotonic() + pause, fault)
        return known is None or known.fault != fault

    def _say(self, path: str, error: Exception) -> None:
        fault = signature(error)
        self._seen[fault] = self._seen.get(fault, 0) + 1
        trace = (
            {"exc_info": error} if self._seen[fault] <= _SAME_WITH_TRACEBACK else {"error": describe_exception(error)}
        )
        hint = "It is inspected again later, at `lalald rescan`, and at the next start. Please report it."
        self._log.error("file.set_aside", inbox=self._inbox, path=path, **trace, hint=hint)


def _note(inbox: str, path: str, error: str, is_old: bool, now: float, store: Store) -> None:
    SetAsideFiles(store.connection).note(inbox, path, error, is_old=is_old, now=now)
