"""Check the outboxes, and done and failed folders outside the inboxes: is each present, writable, and the same folder as before?"""

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
    """A folder's marker and numbers, its free space, and why it is unavailable; `is_saved` once its row says the same."""

    marker: str | None = None
    folder: tuple[int, int] | None = None
    reason: str | None = None
    is_saved: bool = False
    free_bytes: int = 0
    checked_at: float = float("-inf")  # monotonic seconds of the last successful check


class KnownFolders:
    """The state of each folder at its last check; each change is logged and saved once."""

    def __init__(
        self,
        markers: Mapping[str, str | None],
        remember: Remember,
        disks: MountPools,
        clock: Clock,
        log: Any,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`remember` saves a folder's marker and reason; `changed` is called when a folder becomes unavailable or available."""
        self._known = {path: _Known(marker) for path, marker in markers.items()}
        self._remember = remember
        self._disks = disks
        self._clock = clock
        self._log = log
        self._changed = changed

    @property
    def unavailable(self) -> list[str]:
        """The folders that were missing, or not the right ones, at their last check."""
        return [path for path, known in self._known.items() if known.reason is not None]

    def reason_of(self, path: str) -> str | None:
        """Why the folder was unavailable at its last check, or None."""
        known = self._known.get(path)
        return None if known is None else known.reason

    def keep_only(self, kept: set[str]) -> None:
        """Stop waiting for folders that are no longer configured."""
        self._known = {
            path: known if path in kept else replace(known, reason=None, is_saved=False)
            for path, known in self._known.items()
        }

    async def check(self, path: str, *, fresh_seconds: float = 0.0) -> int:
        """The bytes free there, by a check that may be `fresh_seconds` old.

        Raises FolderUnavailableError if it is missing, another folder, or not writable; DiskFullError.
        """
        before = self._known.get(path, _Known())
        if before.reason is None and self._clock.monotonic() - before.checked_at < fresh_seconds:
            return before.free_bytes
        try:
            found = await self._disks.run_shared(path, _check, before)
        except FolderUnavailableError as error:
            if self._known.get(path, before).marker != before.marker:  # a person has accepted it meanwhile
                return await self.check(path)
            # The kernel reuses device numbers: from now on only the marker proves that it is the same folder.
            await self._note(path, replace(before, reason=f"{error} {error.hint}".strip(), folder=None))
            raise
        await self._note(path, replace(found, checked_at=self._clock.monotonic()))
        return found.free_bytes

    async def accept(self, path: str) -> bool:
        """Take the folder that is now at the path for the right one. Whether there is one."""
        try:
            marker = await self._disks.run(path, markers.accept_folder, path)
        except (OSError, FolderUnavailableError):
            return False
        await self._note(path, _Known(marker))
        return True

    async def _note(self, path: str, found: _Known) -> None:
        """Save and log a change; without one, do nothing."""
        before = self._known.get(path, _Known())
        found = replace(found, is_saved=True)
        self._known[path] = found
        if before.is_saved and (before.marker, before.reason) == (found.marker, found.reason):
            return
        if found.reason is not None:
            self._log.warning("folder.unavailable", folder=path, reason=found.reason)
        elif before.reason is not None:
            self._log.info("folder.available", folder=path)
        self._changed()
        await self._remember(path, found.marker, found.reason, self._clock.now())


def _check(path: str, before: _Known) -> _Known:
    """On a thread. Raises FolderUnavailableError, DiskFullError."""
    check_folder(path)
    found = markers.verify_folder(path, before.marker, before.folder, listed=False)
    if not found.available:
        raise FolderUnavailableError(
            f"The folder {printable(path)}: {found.reason}.", hint="Work resumes when it is back.", path=path
        )
    return _Known(found.marker, found.folder, free_bytes=free_bytes(path))
