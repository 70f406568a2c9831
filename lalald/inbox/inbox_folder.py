"""The folder of one inbox: is it there, is it the right one, and work in it that blocks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

from lalald.errors import FolderUnavailableError
from lalald.filesystem import markers
from lalald.filesystem.markers import FolderState
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.mounts import MountWatcher

_NOT_CHECKED = FolderState(False, "it has not been scanned yet")


class Change(Enum):
    """What a check found in comparison with the one before."""

    AVAILABLE = auto()  # for the first time, again, or another folder with the same marker
    UNCHANGED = auto()
    UNAVAILABLE = auto()  # since now, or for another reason
    STILL_UNAVAILABLE = auto()


class InboxFolder:
    """Its availability, by its marker.

    `marker`: what it is known by; None before the first scan. `is_doubtful`: files were reported missing while the folder seemed to
    be another one; the next check decides.
    """

    def __init__(self, path: Path, disks: MountPools) -> None:
        self.root = os.fspath(path)
        self.marker: str | None = None
        self.is_doubtful = False
        self.last_available = FolderState(False)
        self._disks = disks
        self._state: FolderState | None = None
        self._mounts = MountWatcher()
        self._is_watching = False

    def start(self, request_check: Callable[[], None]) -> None:
        """Call `request_check` whenever the table of mounts changes."""
        self._mounts.start(request_check, asyncio.get_running_loop().add_reader)
        self._is_watching = True

    def stop(self) -> None:
        if self._is_watching:
            self._mounts.stop(asyncio.get_running_loop().remove_reader)
            self._is_watching = False

    @property
    def has_answered(self) -> bool:
        """Whether anything is known of the folder yet: a dead share does not even tell that it is unavailable."""
        return self._state is not None

    @property
    def is_available(self) -> bool:
        return self.state.available

    @property
    def state(self) -> FolderState:
        return self._state or _NOT_CHECKED

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run `function` on a thread of the folder's disk. Raises FolderUnavailableError if the disk does not answer."""
        return await self._disks.run(self.root, function, *arguments)

    async def lacks_marker(self) -> bool:
        """Whether the folder is there, and has no marker. Raises FolderUnavailableError if its disk does not answer."""
        found: bool = await self.run(markers.lacks_marker, self.root)
        return found

    async def check(self, new_marker: str | None = None) -> Change:
        """Check whether the folder is there. Raises FolderUnavailableError if its disk does not answer.

        `new_marker`: for a folder without one that is not known by its marker yet; None writes none there.
        """
        before = self._state
        writes = self.marker is not None or new_marker is not None
        verify = partial(markers.verify_folder, new=new_marker) if writes else markers.inspect_folder
        self._state = await self.run(verify, self.root, self.marker, self._numbers_before())
        self.is_doubtful = False
        if not self.state.available:
            return self._compare_unavailable(before)
        self.last_available = self.state
        is_same = before is not None and before.available and before.folder == self.state.folder
        return Change.UNCHANGED if is_same else Change.AVAILABLE

    def note_silent(self, error: FolderUnavailableError) -> Change:
        """Its disk does not answer."""
        before, self._state = self._state, FolderState(False, f"{error} {error.hint}")
        return self._compare_unavailable(before)

    def _compare_unavailable(self, before: FolderState | None) -> Change:
        is_news = before is None or before.reason != self.state.reason
        return Change.UNAVAILABLE if is_news else Change.STILL_UNAVAILABLE

    def _numbers_before(self) -> tuple[int, int] | None:
        """Device and inode, while it is available. Afterwards they prove nothing: the kernel gives them to the next file system."""
        return self.state.folder if self.is_available else None

    async def current_state(self) -> FolderState:
        """Its state now, changing nothing here."""
        try:
            current_state = self._disks.run_shared(
                self.root, markers.inspect_folder, self.marker, self._numbers_before()
            )
            return await current_state
        except FolderUnavailableError as error:
            return FolderState(False, f"{error} {error.hint}".strip())

    async def accept(self, new_marker: str) -> str | None:
        """The marker of the folder at this path, whatever was expected, written if it has none; `marker` where it cannot be read."""
        with suppress(OSError, FolderUnavailableError):
            marker: str | None = await self.run(markers.accept_folder, self.root, new_marker)
            return marker
        return self.marker

    async def confirm_gone(self, paths: list[str]) -> list[str]:
        """These paths if the folder is still the same, so that they are really gone; else none, and the folder is doubtful."""
        if not paths:
            return []
        before = self.last_available
        now = await self.run(
            markers.inspect_folder, self.root, before.marker
        )  # writes nothing: it may be another folder
        if now.available and now.folder == before.folder:
            return paths
        self.is_doubtful = True
        return []
