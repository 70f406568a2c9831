"""`prune: true`: folders that arrived in the inbox go once their files were archived and they stay empty.

A folder goes only if it arrived after the first scan, no rule's pattern names it or a folder in it, a source from it was archived, and
it has been empty and unchanged for ten minutes by our own clock. It goes by rmdir(2), which no folder with anything in it, hidden
files included, ever obeys. What refuses stays, without a word, until
a later full scan has another try.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lalald.inbox.explanation import own_folders
from lalald.inbox.registration import FileRegistrar
from lalald.inbox.selection import rules
from lalald.store.arrived_folders import ArrivedFolders

EMPTY_SECONDS = 600.0
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK

Facts = tuple[int, int, int, int]
"""Device, inode, mtime and ctime of an empty folder."""


@dataclass(frozen=True, slots=True)
class _Empty:
    facts: Facts
    since: float


class EmptyFolders:
    """The empty folders of one inbox. `note` after each walk, `consider` at hints, `turn` at the end of each turn of the intake.

    Nothing wakes up but when a folder's time has come (`due_at`). After a restart the next full scan finds them again.
    """

    def __init__(self, desk: FileRegistrar, empty_seconds: float = EMPTY_SECONDS) -> None:
        self._desk = desk
        self._empty_seconds = empty_seconds
        self._considered: set[str] = set()
        self._empty: dict[str, _Empty] = {}

    def due_at(self) -> float | None:
        """When the next folder's time has come, on the monotonic clock."""
        if not self._empty:
            return None
        return min(empty.since for empty in self._empty.values()) + self._empty_seconds

    def clear(self) -> None:
        """The inbox is away, or has other settings."""
        self._considered.clear()
        self._empty.clear()

    async def note(self, visited: Collection[str], went: Sequence[str], *, whole: bool) -> None:
        """After a walk: which folders it saw, which were told to have gone, and whether it was over the whole inbox."""
        desk, first = self._desk, self._desk.eyes.first
        if not desk.inbox.prune or desk.presence_in_doubt:
            return
        is_first = first is not None and not first.all_seen
        if is_first or not await desk.on_store(lambda store: ArrivedFolders(store.connection).has_begun(desk.key)):
            if whole:
                await desk.on_store(lambda store: ArrivedFolders(store.connection).begin(desk.key, visited))
            return
        await desk.on_store(lambda store: ArrivedFolders(store.connection).forget(desk.key, went))
        if whole:
            known = await desk.on_store(lambda store: ArrivedFolders(store.connection).known(desk.key))
            gone = await desk.in_thread(_gone, desk.root, known.difference(visited))
            await desk.on_store(lambda store: ArrivedFolders(store.connection).forget(desk.key, gone))
        await desk.on_store(lambda store: ArrivedFolders(store.connection).note(desk.key, visited))

    def consider(self, files: Mapping[str, bool], folders: Mapping[str, bool]) -> None:
        """Hints: what went away may have left its folder empty."""
        if self._desk.inbox.prune:
            gone = (path for hints in (files, folders) for path, went in hints.items() if went)
            for folder in {path.rpartition("/")[0] for path in gone}:
                self._considered.add(folder)
                self._empty.pop(folder, None)  # it changed: its time begins again

    async def turn(self, *, scanned: bool) -> None:
        """Removes the folders whose time has come, and looks at those that may be empty: all of them after a full scan."""
        desk = self._desk
        if not desk.inbox.prune:
            self.clear()
            return
        latest = desk.clock.monotonic() - self._empty_seconds
        if due := [folder for folder, empty in self._empty.items() if empty.since <= latest]:
            await self._remove(due)
        considered, self._considered = self._considered, set()
        if scanned:
            considered.update(await desk.on_store(lambda store: ArrivedFolders(store.connection).done_with(desk.key)))
        wanted = [folder for folder in considered if folder and folder not in self._empty and self._may_go(folder)]
        if wanted:
            found: dict[str, Facts] = await desk.in_thread(_empty_ones, desk.root, wanted)
            self._watch_from_now(found)

    def _watch_from_now(self, found: Mapping[str, Facts]) -> None:
        now = self._desk.clock.monotonic()
        self._empty.update({folder: _Empty(facts, now) for folder, facts in found.items()})

    def _may_go(self, folder: str) -> bool:
        inbox = self._desk.inbox
        if rules.names_folder(inbox, folder):
            return False
        return not any(f"{own}/".startswith(f"{folder}/") for own, _ in own_folders(inbox))

    async def _remove(self, due: Sequence[str]) -> None:
        desk = self._desk
        before = {folder: self._empty.pop(folder).facts for folder in due}
        allowed = await desk.on_store(lambda store: ArrivedFolders(store.connection).may_go(desk.key, due))
        allowed = [folder for folder in await desk.confirmed(allowed) if self._may_go(folder)]
        removed: list[str] = await desk.in_thread(_remove_all, desk.root, [(one, before[one]) for one in allowed])
        if removed:
            await desk.on_store(lambda store: ArrivedFolders(store.connection).forget(desk.key, removed))
        for folder in removed:
            desk.log.info("folder.pruned", inbox=desk.key, path=folder)
            self._considered.add(folder.rpartition("/")[0])
        left = [folder for folder in allowed if folder not in removed]
        found: dict[str, Facts] = await desk.in_thread(_empty_ones, desk.root, left)
        changed = {folder: facts for folder, facts in found.items() if facts != before[folder]}
        self._watch_from_now(changed)  # the others cannot be removed


def _gone(root: str, folders: Iterable[str]) -> list[str]:
    """Those that are not there. One that cannot be looked at is."""
    found = []
    for folder in folders:
        try:
            os.lstat(os.path.join(root, folder))
        except (FileNotFoundError, NotADirectoryError):
            found.append(folder)
        except OSError:
            continue
    return found


def _empty_ones(root: str, folders: Iterable[str]) -> dict[str, Facts]:
    found = {}
    for folder in folders:
        with suppress(OSError), _opened(root, folder) as descriptor:
            if not os.listdir(descriptor):
                found[folder] = _facts(descriptor)
    return found


def _remove_all(root: str, folders: Iterable[tuple[str, Facts]]) -> list[str]:
    """Removes those that are empty and the same as before. Those that are gone then."""
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
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns


@contextmanager
def _opened(root: str, folder: str) -> Iterator[int]:
    """A folder of the inbox, reached through no symlink: what is behind one is not the inbox."""
    descriptor = os.open(root, _OPEN_FOLDER)
    try:
        for name in filter(None, folder.split("/")):
            inner = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)
