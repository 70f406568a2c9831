"""`prune: true`: remove folders that arrived in the inbox once their files were archived and they stay empty.

A folder is removed only if it arrived after the first scan, no rule's pattern names it or a folder in it, a source from it was
archived, and it has been empty and unchanged for ten minutes by lalald's own clock. It is removed by rmdir(2), which fails for a
folder with anything in it, hidden files included. A folder that cannot be removed stays, without a message, and is tried again after
a later full scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from lalald.clock import Clock
from lalald.config import Inbox
from lalald.inbox.explanation import own_folders
from lalald.inbox.inbox_folder import InboxFolder
from lalald.inbox.scanning.native_watch import Hint
from lalald.inbox.scanning.scan import ScanReport, missing
from lalald.inbox.selection import rules
from lalald.inbox.set_aside import RunsOnStore
from lalald.store.tables.arrived_folders import ArrivedFolders

Answer = TypeVar("Answer")

EMPTY_SECONDS = 600.0
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK


class Facts(NamedTuple):
    """Of an empty folder."""

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class _Empty:
    facts: Facts
    since: float


class EmptyFolders:
    """The empty folders of one inbox. `note_scan` after each scan, `note_hints` at hints, `turn` at the end of each turn of the intake.

    Nothing wakes up except when a folder's time has come (`due_at`). After a restart the next full scan finds the folders again.
    `inbox` returns the current settings, `is_first_scan` whether the first scan has not ended.
    """

    def __init__(
        self,
        folder: InboxFolder,
        store: RunsOnStore,
        clock: Clock,
        log: Any,
        *,
        inbox: Callable[[], Inbox],
        is_first_scan: Callable[[], bool],
        empty_seconds: float = EMPTY_SECONDS,
    ) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._log = log
        self._inbox = inbox
        self._is_first_scan = is_first_scan
        self._empty_seconds = empty_seconds
        self._to_inspect: set[str] = set()
        self._empty: dict[str, _Empty] = {}

    def due_at(self) -> float | None:
        """When the next folder is to be removed, on the monotonic clock."""
        if not self._empty:
            return None
        return min(empty.since for empty in self._empty.values()) + self._empty_seconds

    def clear(self) -> None:
        """The inbox is unavailable, or has other settings."""
        self._to_inspect.clear()
        self._empty.clear()

    async def note_scan(self, report: ScanReport, *, is_full: bool) -> None:
        """Record the folders that a scan found; `is_full`: it was over the whole inbox."""
        if not self._inbox().prune or self._folder.is_doubtful:
            return
        if self._is_first_scan() or not await self._on_rows(lambda rows: rows.has_begun(self._folder.root)):
            if is_full:
                await self._on_rows(lambda rows: rows.begin(self._folder.root, report.visited))
            return
        await self._forget(report.deleted)
        if is_full:
            known = await self._on_rows(lambda rows: rows.known(self._folder.root))
            await self._forget(await self._folder.run(missing, self._folder.root, known.difference(report.visited)))
        await self._on_rows(lambda rows: rows.note(self._folder.root, report.visited))

    async def _on_rows(self, function: Callable[[ArrivedFolders], Answer]) -> Answer:
        return await self._store.run(lambda store: function(ArrivedFolders(store.connection)))

    async def _forget(self, folders: Sequence[str]) -> None:
        await self._on_rows(lambda rows: rows.forget(self._folder.root, folders))

    def note_hints(self, hints: Iterable[Hint]) -> None:
        """What was deleted may have left its folder empty."""
        if self._inbox().prune:
            for folder in {hint.path.rpartition("/")[0] for hint in hints if hint.was_deleted}:
                self._to_inspect.add(folder)
                self._empty.pop(folder, None)  # it changed: its time starts again

    async def turn(self, *, scanned: bool) -> None:
        """Remove the folders whose time has come, and inspect those that may be empty: all of them after a full scan."""
        if not self._inbox().prune:
            self.clear()
            return
        latest = self._clock.monotonic() - self._empty_seconds
        if due := [folder for folder, empty in self._empty.items() if empty.since <= latest]:
            await self._remove(due)
        folders, self._to_inspect = self._to_inspect, set()
        if scanned:
            folders.update(await self._on_rows(lambda rows: rows.prunable(self._folder.root)))
        wanted = [folder for folder in folders if folder and folder not in self._empty and self._may_remove(folder)]
        if wanted:
            found: dict[str, Facts] = await self._folder.run(_empty_ones, self._folder.root, wanted)
            self._start_waiting(found)

    def _start_waiting(self, found: Mapping[str, Facts]) -> None:
        now = self._clock.monotonic()
        self._empty.update({folder: _Empty(facts, now) for folder, facts in found.items()})

    def _may_remove(self, folder: str) -> bool:
        inbox = self._inbox()
        if rules.names_folder(inbox, folder):
            return False
        return not any(f"{own}/".startswith(f"{folder}/") for own, _ in own_folders(inbox))

    async def _remove(self, due: Sequence[str]) -> None:
        root = self._folder.root
        before = {folder: self._empty.pop(folder).facts for folder in due}
        allowed = await self._on_rows(lambda rows: rows.still_prunable(root, due))
        allowed = [folder for folder in await self._folder.confirm_gone(allowed) if self._may_remove(folder)]
        removed: list[str] = await self._folder.run(_remove_all, root, [(one, before[one]) for one in allowed])
        if removed:
            await self._forget(removed)
        for folder in removed:
            self._log.info("folder.pruned", inbox=root, path=folder)
            self._to_inspect.add(folder.rpartition("/")[0])
        left = [folder for folder in allowed if folder not in removed]
        found: dict[str, Facts] = await self._folder.run(_empty_ones, root, left)
        self._start_waiting({folder: facts for folder, facts in found.items() if facts != before[folder]})


def _empty_ones(root: str, folders: Iterable[str]) -> dict[str, Facts]:
    found = {}
    for folder in folders:
        with suppress(OSError), _opened(root, folder) as descriptor:
            if not os.listdir(descriptor):
                found[folder] = _facts(descriptor)
    return found


def _remove_all(root: str, folders: Iterable[tuple[str, Facts]]) -> list[str]:
    """Remove the folders that are empty and the same as before. Return those."""
    removed = []
    for folder, before in folders:
        parent, _, name = folder.rpartition("/")
        with suppress(OSError), _opened(root, parent) as above, _opened(root, folder) as descriptor:
            if _facts(descriptor) == before and not os.listdir(descriptor):
                os.rmdir(name, dir_fd=above)
                removed.append(folder)
    return removed


def _facts(descriptor: int) -> Facts:
    facts = os.fstat(descriptor)
    return Facts(facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)


@contextmanager
def _opened(root: str, folder: str) -> Iterator[int]:
    """Open a folder of the inbox without following symlinks: their targets are not in the inbox."""
    descriptor = os.open(root, _OPEN_FOLDER)
    try:
        for name in filter(None, folder.split("/")):
            inner = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)
