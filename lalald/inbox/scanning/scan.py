"""Scan an inbox, or some of its folders: walk over it, compare with the store, and forget what is gone."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from lalald.clock import Clock
from lalald.inbox.inbox_folder import InboxFolder
from lalald.inbox.readiness import UnreadableFile
from lalald.inbox.scanning.native_watch import Hint, Watch
from lalald.inbox.scanning.unreadable import Unreadable
from lalald.inbox.scanning.walk import Agreement, Differences, Listing, Walk, compare, join
from lalald.inbox.set_aside import RunsOnStore
from lalald.jobs.failures.unexpected_errors import is_exhaustion
from lalald.store import Store

MOST_CANDIDATES = 10_000
_ROOT = ""


@dataclass(slots=True)
class ScanReport:
    """What a scan found; of a scan of some folders, what is in those.

    `unknown`: how many files are new or have new content; `candidates`: their paths, `is_cut` if these are not all. `visited`: the
    folders that were listed. `deleted`: folders that events had reported as deleted.
    """

    available: bool = True
    reason: str = ""
    files: int = 0
    folders: int = 0
    unknown: int = 0
    gone: int = 0
    seconds: float = 0.0
    candidates: list[str] = field(default_factory=list)
    is_cut: bool = False
    visited: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    unreadable: list[UnreadableFile] = field(default_factory=list)


class Scanner:
    """One for an inbox.

    `is_skipped`: whether a folder is not entered. `find_candidates`: of files that the store does not know, those to be inspected.
    """

    def __init__(
        self,
        folder: InboxFolder,
        store: RunsOnStore,
        clock: Clock,
        unreadable: Unreadable,
        *,
        is_skipped: Callable[[str], bool],
        find_candidates: Callable[[Sequence[str]], Awaitable[list[str]]],
    ) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._unreadable = unreadable
        self._is_skipped = is_skipped
        self._find_candidates = find_candidates
        self._agreement = Agreement()

    async def scan(self, watch: Watch | None, *, folders: Sequence[Hint] | None = None, recursive: bool) -> ScanReport:
        """Scan the whole inbox, or these folders and everything in them. `watch` gets each folder before it is listed.

        Files that are gone are forgotten at once, if the inbox is still the same folder afterwards. At most `MOST_CANDIDATES` files
        are reported as candidates; another scan finds the others.
        """
        report = ScanReport()
        began = self._clock.monotonic()
        starts = [_ROOT] if folders is None else _topmost(hint.path for hint in folders)
        self._unreadable.forget_below(starts)
        report.deleted = [hint.path for hint in folders or () if hint.was_deleted]
        if report.deleted:
            await self._forget_folders(await self._known_below(report.deleted), report)
        for start in starts:
            await self._walk(watch, start, report, recursive=recursive)
        unvisited = [folder for folder in await self._known_below(starts) if folder not in report.visited]
        if unvisited:
            await self._forget_folders(await self._folder.run(missing, self._folder.root, unvisited), report)
        report.folders = len(report.visited)
        report.seconds = self._clock.monotonic() - began
        report.available = not self._folder.is_doubtful
        self._unreadable.add("folder.unreadable", report.unreadable)
        return report

    async def _walk(self, watch: Watch | None, start: str, report: ScanReport, *, recursive: bool) -> None:
        walk = Walk(
            self._folder.root,
            skipped=self._is_skipped,
            entering=watch.add if watch is not None else None,
            agreed=self._agreement.holds,
            recursive=recursive,
            start=start,
        )
        self._agreement.begin(await self._store.run(lambda store: store.generation()))
        try:
            while listings := await self._folder.run(walk.take):
                await self._compare(listings, report)
        finally:
            walk.close()
        if exhaustion := next((folder.error for folder in walk.unreadable if is_exhaustion(folder.error)), None):
            raise exhaustion  # an incomplete walk would forget what it did not list
        report.files += walk.files
        report.unreadable += [folder for folder in walk.unreadable if not isinstance(folder.error, FileNotFoundError)]
        report.visited |= walk.visited

    async def _compare(self, listings: list[Listing], report: ScanReport) -> None:
        differences: Differences = await self._store.run(
            partial(_differences, self._folder.root, listings, self._agreement)
        )
        if differences.gone:
            await self._forget(differences.gone, report)
        if differences.unknown:
            candidates = await self._find_candidates(differences.unknown)
            report.unknown += len(candidates)
            room = MOST_CANDIDATES - len(report.candidates)
            report.candidates.extend(candidates[:room])
            report.is_cut |= len(candidates) > room

    async def _known_below(self, starts: Sequence[str]) -> list[str]:
        known = await self._store.run(lambda store: store.known_folders(self._folder.root))
        return [folder for folder in known if _is_below(folder, starts)]

    async def _forget_folders(self, folders: Sequence[str], report: ScanReport) -> None:
        for folder in folders:
            names = await self._store.run(partial(_names_in, self._folder.root, folder))
            await self._forget([join(folder, name) for name in names], report)

    async def _forget(self, paths: list[str], report: ScanReport) -> None:
        if gone := await self._folder.confirm_gone(paths):
            report.gone += len(gone)
            await self._store.run(lambda store: store.forget(self._folder.root, gone))


def _topmost(folders: Iterable[str]) -> list[str]:
    """Those that are in no other one of them."""
    kept: list[str] = []
    for folder in sorted(folders, key=lambda folder: folder.split("/")):
        if not kept or not folder.startswith(f"{kept[-1]}/"):
            kept.append(folder)
    return kept


def _is_below(folder: str, starts: Sequence[str]) -> bool:
    return any(not start or folder == start or folder.startswith(f"{start}/") for start in starts)


def missing(root: str, folders: Iterable[str]) -> list[str]:
    """The folders that do not exist. One that cannot be examined may exist, and keeps its files."""
    gone = []
    for folder in folders:
        try:
            os.lstat(os.path.join(root, folder))
        except (FileNotFoundError, NotADirectoryError):
            gone.append(folder)
        except OSError:
            continue
    return gone


def _differences(inbox: str, listings: list[Listing], agreement: Agreement, store: Store) -> Differences:
    return compare(store, inbox, listings, agreement)


def _names_in(inbox: str, folder: str, store: Store) -> list[str]:
    return list(store.known_in(inbox, folder))
