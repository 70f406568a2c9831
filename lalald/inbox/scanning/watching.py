"""How one inbox is watched at the moment: natively, or by polling because that is configured, needed, or native watching failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lalald.config import Inbox
from lalald.config.quantities import format_duration
from lalald.inbox.inbox_folder import InboxFolder
from lalald.inbox.scanning.native_watch import Hints, Watch, WatchError
from lalald.inbox.scanning.watch_mode import WatchMode, choose_mode

AFTER_DELETION_SECONDS = 1.0  # files that were only deleted are forgotten together
_NOT_STARTED = WatchMode("polling", "it has not been scanned yet", leases_reliable=False)


class Watching:
    """`watch`: the native watch while there is one. After a failure the inbox is polled until `allow_native`."""

    def __init__(
        self, folder: InboxFolder, *, wake: Callable[[], None], is_skipped: Callable[[str], bool], log: Any
    ) -> None:
        self.watch: Watch | None = None
        self._folder = folder
        self._wake = wake
        self._is_skipped = is_skipped
        self._log = log
        self._mode: WatchMode | None = None
        self._refused: WatchError | None = None
        self._reported: str | None = None

    @property
    def mode(self) -> WatchMode:
        return self._mode or _NOT_STARTED

    async def start(self, inbox: Inbox) -> bool:
        """Begin to watch, unless that goes on already. Return whether the mode changed."""
        if self.watch is not None and not self.watch.is_alive:
            self.stop()
        if self.watch is not None:
            return False
        mode: WatchMode = await self._folder.run(choose_mode, inbox)
        if mode.watch == "native" and not await self._start_native(inbox):
            pause = format_duration(inbox.poll_interval)
            mode = WatchMode("polling", f"every {pause}: {self._refused}", mode.leases_reliable)
        before, self._mode = self._mode, mode
        if mode == before:
            return False
        self._log.info("inbox.watched", inbox=self._folder.root, watch=mode.watch, reason=mode.reason)
        return True

    async def _start_native(self, inbox: Inbox) -> bool:
        if self._refused is not None:
            return False
        watch = Watch(
            self._folder.root, wake=_threadsafe(self._wake), wake_later=_threadsafe(self._wake_later),
            skipped=self._is_skipped, recursive=inbox.recursive,
        )  # fmt: skip
        try:
            await self._folder.run(watch.start)
        except WatchError as error:
            self.fall_back(error)
            return False
        self.watch = watch
        return True

    def _wake_later(self) -> None:
        asyncio.get_running_loop().call_later(AFTER_DELETION_SECONDS, self._wake)

    def stop(self) -> None:
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.stop()

    def reset(self) -> None:
        """The inbox has new settings: choose again how to watch it."""
        self.stop()
        self._mode = None

    def allow_native(self) -> None:
        """Try native watching again at the next start."""
        self._refused = None

    def drain(self) -> Hints:
        """The hints since the last call."""
        return self.watch.drain() if self.watch is not None else Hints()

    def fall_back(self, error: WatchError) -> None:
        """Poll from the next start on, since native watching failed. Each failure is logged once."""
        self.stop()
        self._refused = error
        if self._reported == str(error):
            return
        self._reported = str(error)
        reason = f"{error} The inbox is polled instead."
        self._log.warning(
            "inbox.native_watching_refused", inbox=self._folder.root, reason=reason, hint=error.hint
        )  # fmt: skip


def _threadsafe(wake: Callable[[], None]) -> Callable[[], None]:
    loop = asyncio.get_running_loop()

    def wake_from_a_thread() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(wake)

    return wake_from_a_thread
