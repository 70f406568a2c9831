"""The outboxes, and the done and failed folders elsewhere: is each there, can it be written, and is it the one that it was?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lalald.clock import Clock
from lalald.errors import FolderUnavailableError
from lalald.filesystem import markers
from lalald.filesystem.files import check_folder, free_bytes
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.names import printable

Remember = Callable[[str, str | None, str | None, float], Awaitable[None]]  # path, marker, reason, when


@dataclass(frozen=True, slots=True)
class _Known:
    """What a folder is known by, its room, and why it is away; `told` once a row says so."""

    marker: str | None = None
    folder: tuple[int, int] | None = None
    reason: str | None = None
    told: bool = False
    free_bytes: int = 0
    looked_at: float = float("-inf")  # by the monotonic clock; a look that found it there


class KnownFolders:
    """What was found of each the last time, and what changed since is told once."""

    def __init__(
        self,
        markers: Mapping[str, str | None],
        remember: Remember,
        disks: MountPools,
        clock: Clock,
        log: Any,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`remember` makes a folder's marker and reason durable; `changed` is called when a folder has become unavailable or is back."""
        self._known = {path: _Known(marker) for path, marker in markers.items()}
        self._remember = remember
        self._disks = disks
        self._clock = clock
        self._log = log
        self._changed = changed

    @property
    def unavailable(self) -> list[str]:
        """Those that were not there, or not the right ones, when they were looked at last."""
        return [path for path, known in self._known.items() if known.reason is not None]

    def reason_of(self, path: str) -> str | None:
        """Why it was away when it was looked at last, or None."""
        known = self._known.get(path)
        return None if known is None else known.reason

    def keep_only(self, kept: set[str]) -> None:
        """Only these are configured now: nobody waits for the others to come back, unless a job does."""
        self._known = {
            path: known if path in kept else replace(known, reason=None, told=False)
            for path, known in self._known.items()
        }

    async def check(self, path: str, *, fresh_seconds: float = 0.0) -> int:
        """The bytes free there, by a look that may be so many seconds old.

        Raises FolderUnavailableError where it is not there, is another one, or cannot be written; DiskFullError.
        """
        before = self._known.get(path, _Known())
        if before.reason is None and self._clock.monotonic() - before.looked_at < fresh_seconds:
            return before.free_bytes
        try:
            found = await self._disks.run_shared(path, _found, before)
        except FolderUnavailableError as error:
            known = self._known.get(path, before)  # it may have been accepted meanwhile
            # The kernel gives its numbers to the next file system: only its marker proves that it is the same folder.
            await self._note(path, replace(known, reason=f"{error} {error.hint}".strip(), folder=None))
            raise
        await self._note(path, replace(found, looked_at=self._clock.monotonic()))
        return found.free_bytes

    async def accept(self, path: str) -> bool:
        """From now on the folder that stands there is the right one. Whether there is one."""
        try:
            marker = await self._disks.run(path, markers.accept_folder, path)
        except (OSError, FolderUnavailableError):
            return False
        await self._note(path, _Known(marker))
        return True

    async def _note(self, path: str, found: _Known) -> None:
        """Tells the store and the log what changed, and nothing while nothing changes."""
        before = self._known.get(path, _Known())
        found = replace(found, told=True)
        self._known[path] = found
        if before.told and (before.marker, before.reason) == (found.marker, found.reason):
            return
        if found.reason is not None:
            self._log.warning("folder.unavailable", folder=path, reason=found.reason)
        elif before.reason is not None:
            self._log.info("folder.available", folder=path)
        self._changed()
        await self._remember(path, found.marker, found.reason, self._clock.now())


def _found(path: str, before: _Known) -> _Known:
    """On a thread. Raises FolderUnavailableError, DiskFullError."""
    check_folder(path)
    found = markers.verify_folder(path, before.marker, before.folder, listed=False)
    if not found.available:
        raise FolderUnavailableError(
            f"The folder {printable(path)}: {found.reason}.", hint="Work resumes when it is back."
        )
    return _Known(found.marker, found.folder, free_bytes=free_bytes(path))
