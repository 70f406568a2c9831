"""What clients ask the daemon over its socket: wake up, is every loop running, what needs a person."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from lalald.daemon.parts import Parts
from lalald.daemon.queued_requests import QueuedRequests
from lalald.daemon.reloading import Reloader
from lalald.errors import FileError
from lalald.filesystem.disk_errors import write_error_if_low
from lalald.reports import needs_attention
from lalald.reports.needs_attention import Attention
from lalald.store import Store

_HEALTH_TIMEOUT_SECONDS = 10.0
_STATE_TRIAL_SECONDS = 2.0


class DaemonRequests:
    """`state_dir`: the one that is used; after a reload the configuration may name another."""

    def __init__(self, parts: Parts, state_dir: Path, reloader: Reloader) -> None:
        self._parts = parts
        self._state_dir = state_dir
        self._reloader = reloader
        self._handling = asyncio.Lock()

    def wake(self) -> None:
        """The database holds a new request."""
        self._parts.supervisor.start(self.handle(), "requests")
        self._parts.worker.wake()

    async def handle(self) -> None:
        """Do what clients left in the database for the daemon itself: rescan, release a folder."""
        parts = self._parts
        async with self._handling:
            await QueuedRequests(parts.worker, parts.inboxes.intakes, parts.folder_checks.check_all).handle()

    async def is_healthy(self) -> bool:
        """Whether every loop runs: the store's thread, the worker, the inboxes. May take ten seconds."""
        parts, store = self._parts, self._parts.context.store
        if parts.supervisor.has_failed or not parts.inboxes.are_alive:
            return False
        if store.trouble is not None:
            return True  # the loops wait for room; a daemon that is ended for it would forget what it could not write
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_SECONDS):
                await store.run(_no_query)
                await parts.worker.next_turns()
        except TimeoutError:
            return False
        return True

    async def attention(self) -> list[Attention]:
        """What needs a person as far as this process knows, including what a full state folder could not record."""
        trouble, license_check = self._parts.context.store.trouble, self._parts.worker.license
        found = list(needs_attention.daemon_items(trouble, license_check.problem, self._reloader.rejected))
        if trouble is None and (error := await self._state_folder_error()):
            found.append(needs_attention.state_not_writable(error))
        return [*found, *self._parts.page.attention(), *await self._parts.folder_checks.attention()]

    async def _state_folder_error(self) -> OSError | None:
        """Why nothing can be written there. Tried on request: an idle daemon writes nothing, and would not notice a full disk."""
        try:
            async with asyncio.timeout(_STATE_TRIAL_SECONDS):
                return await self._parts.context.disks.run(str(self._state_dir), write_error_if_low, self._state_dir)
        except (FileError, TimeoutError):
            return OSError(errno.ETIMEDOUT, "its disk or server does not answer")


def _no_query(_store: Store) -> None:
    """Enough to know that the store's thread answers."""
