"""A walk over an inbox or some of its folders, and what follows from it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from lalald.inbox.inbox_status import ScanReport
from lalald.inbox.registration import FileRegistrar
from lalald.inbox.scanning.native_watch import Watch
from lalald.inbox.scanning.walk import Agreement, Differences, Listing, Walk, compare, join
from lalald.jobs.unexpected_errors import is_exhaustion
from lalald.store import Store

MOST_UNKNOWN = 10_000
_ROOT = ""


class Note(Protocol):
    """What is told which folders a walk has seen, and which went away."""

    async def __call__(self, visited: Collection[str], went: Sequence[str], *, whole: bool) -> None: ...


async def sweep(desk: FileRegistrar, watch: Watch | None, folders: Mapping[str, bool] | None, note: Note) -> ScanReport:
    """Looks at the whole inbox, or below some folders; of each it is told whether it went away before.

    What is gone is forgotten at once, and only if the inbox is still the same afterwards; what is unknown is looked at when the walk
    is over. Of more unknown files than can be kept in mind, the rest is left for another sweep.
    """
    report = ScanReport()
    began = desk.clock.monotonic()
    starts = [_ROOT] if folders is None else _topmost(folders)
    desk.unreadable.forget_below(starts)
    went = [folder for folder in folders or () if folders and folders[folder]]
    if went:
        await _forget_folders(desk, await _known_below(desk, went), report)
    unknown: list[str] = []
    visited: set[str] = set()
    for start in starts:
        visited |= await _walk(desk, watch, start, unknown, report)
    unvisited = [folder for folder in await _known_below(desk, starts) if folder not in visited]
    if unvisited:
        await _forget_folders(desk, await desk.in_thread(_away, desk.root, unvisited), report)
    report.folders = len(visited)
    report.seconds = desk.clock.monotonic() - began
    report.available = not desk.presence_in_doubt
    await note(visited, went, whole=folders is None)
    desk.unreadable.tell("folder.unreadable", report.troubles)
    await desk.see(dict.fromkeys(unknown, False))
    return report


def _topmost(folders: Iterable[str]) -> list[str]:
    """Those that lie in no other one of them."""
    kept: list[str] = []
    for folder in sorted(folders, key=lambda folder: folder.split("/")):
        if not kept or not folder.startswith(f"{kept[-1]}/"):
            kept.append(folder)
    return kept


async def _walk(
    desk: FileRegistrar, watch: Watch | None, start: str, unknown: list[str], report: ScanReport
) -> set[str]:
    walk = Walk(
        desk.root,
        skipped=desk.skipped,
        entering=watch.add if watch is not None else None,
        agreed=desk.agreement.holds,
        recursive=desk.inbox.recursive,
        start=start,
    )
    desk.agreement.begin(await desk.on_store(lambda store: store.generation()))
    try:
        while listings := await desk.in_thread(walk.take):
            await _compare(desk, listings, unknown, report)
    finally:
        walk.close()
    if ran_out := next((error for _, error in walk.troubles if is_exhaustion(error)), None):
        raise ran_out  # half a look would forget what it did not see
    report.files += walk.files
    report.troubles += [(folder, error) for folder, error in walk.troubles if not isinstance(error, FileNotFoundError)]
    return walk.visited


async def _compare(desk: FileRegistrar, listings: list[Listing], unknown: list[str], report: ScanReport) -> None:
    differences: Differences = await desk.on_store(partial(_differences, desk.key, listings, desk.agreement))
    if differences.gone:
        await _forget(desk, differences.gone, report)
    if differences.unknown:
        wanted = [path for path in differences.unknown if not desk.aside.is_paused(path)]
        sifted, faults = await desk.in_thread(desk.eyes.sift, wanted)
        await desk.set_aside(faults)
        report.unknown += len(sifted)
        room = MOST_UNKNOWN - len(unknown)
        unknown.extend(sifted[:room])
        desk.settling.full |= len(sifted) > room


def _differences(inbox: str, listings: list[Listing], agreement: Agreement, store: Store) -> Differences:
    return compare(store, inbox, listings, agreement)


async def _known_below(desk: FileRegistrar, starts: Sequence[str]) -> list[str]:
    known = await desk.on_store(lambda store: store.known_folders(desk.key))
    return [folder for folder in known if _lies_below(folder, starts)]


async def _forget_folders(desk: FileRegistrar, folders: Sequence[str], report: ScanReport) -> None:
    for folder in folders:
        names = await desk.on_store(partial(_names_in, desk.key, folder))
        await _forget(desk, [join(folder, name) for name in names], report)


def _lies_below(folder: str, starts: Sequence[str]) -> bool:
    return any(not start or folder == start or folder.startswith(f"{start}/") for start in starts)


def _away(root: str, folders: list[str]) -> list[str]:
    """Those that are not there any more. A known folder that exists and was not entered keeps its files."""
    found = []
    for folder in folders:
        try:
            os.lstat(os.path.join(root, folder))
        except (FileNotFoundError, NotADirectoryError):
            found.append(folder)
        except OSError:
            continue  # nothing is known of it
    return found


def _names_in(inbox: str, folder: str, store: Store) -> list[str]:
    return list(store.known_in(inbox, folder))


async def _forget(desk: FileRegistrar, paths: list[str], report: ScanReport) -> None:
    confirmed = await desk.confirmed(paths)
    if confirmed:
        report.gone += len(confirmed)
        await desk.on_store(lambda store: store.forget(desk.key, confirmed))
