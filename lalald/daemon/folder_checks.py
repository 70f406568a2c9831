"""Check whether the configured folders are there: when the kernel reports a change, at `rescan`, and on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lalald.config import Config
from lalald.daemon.inbox_loops import Inboxes
from lalald.errors import FileError
from lalald.filesystem.availability.folder_monitor import FolderMonitor
from lalald.filesystem.mounts import is_automount
from lalald.reports.needs_attention import Attention, files_unreadable, folder_unavailable
from lalald.stages.context import StageContext
from lalald.worker.holds.hold_probes import HoldProbes

ANSWER_SECONDS = 1.0  # for one folder, while a user waits for the answer


class FolderChecks:
    """The checks of every configured folder. `start_task` starts a task of the daemon."""

    def __init__(
        self,
        context: StageContext,
        inboxes: Inboxes,
        start_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        holds: HoldProbes,
    ) -> None:
        self._context = context
        self._inboxes = inboxes
        self._start_task = start_task
        self._holds = holds
        self._monitor = FolderMonitor(self._request_check)
        self._watched: set[str] = set()
        self._checking: set[str] = set()
        self._again: set[str] = set()

    def start(self) -> None:
        self._monitor.start()
        self.configure()

    def stop(self) -> None:
        self._monitor.stop()

    def configure(self) -> None:
        """Watch the folders of the current configuration."""
        folders = {path for _, path in _folders(self._context.config)}
        for path in self._watched - folders:
            self._monitor.unwatch(path)
        self._watched = folders
        for path in folders:
            self._start_task(self._watch(path), f"watch {path}")

    def check_all(self) -> None:
        """Check every folder except the inboxes, which have their own scans."""
        for path in self._watched - self._inbox_paths():
            self._request_check(path)

    async def check_all_regularly(self) -> None:
        """Check as often as the inboxes are scanned in full, for changes that the kernel does not report."""
        while True:
            await asyncio.sleep(min((inbox.rescan for inbox in self._context.config.inboxes), default=3600.0))
            self.check_all()

    async def attention(self) -> list[Attention]:
        """The folders that are unavailable now, and the unreadable files of the inboxes.

        Each folder has a second to answer; a check that takes longer goes on in the background.
        """
        folders = list(_folders(self._context.config))
        reasons = await asyncio.gather(*(self._reason(kind, path) for kind, path in folders))
        unavailable = [
            folder_unavailable(kind, path, reason)
            for (kind, path), reason in zip(folders, reasons, strict=True)
            if reason is not None
        ]
        return [*unavailable, *self._unreadable()]

    def _unreadable(self) -> list[Attention]:
        by_inbox = [(str(path), intake.unreadable) for path, intake in self._inboxes.intakes.items()]
        return [files_unreadable(inbox, each.count, *each.first) for inbox, each in by_inbox if each.count]

    def _inbox_paths(self) -> set[str]:
        return {str(path) for path in self._inboxes.intakes}

    def _request_check(self, path: str) -> None:
        if path in self._checking:
            self._again.add(path)
        elif path in self._watched:
            self._checking.add(path)
            self._start_task(self._check_while_requested(path), f"check {path}")

    async def _check_while_requested(self, path: str) -> None:
        try:
            self._again.add(path)
            while path in self._again and path in self._watched:
                self._again.discard(path)
                if is_automount(path):
                    continue  # a check would mount it
                await self._watch(path)
                if (intake := self._inboxes.intakes.get(Path(path))) is not None:
                    intake.request_check()
                    continue
                await self._check(path)
        finally:
            self._checking.discard(path)
            self._again.discard(path)

    async def _check(self, path: str) -> str | None:
        """Check a folder that is not an inbox. Return why it is unavailable. If it is back, its jobs are probed at once."""
        before = self._context.folders.reason_of(path)
        with suppress(FileError):
            await self._context.folders.check(path)
        reason = self._context.folders.reason_of(path)
        if before is not None and reason is None:
            self._holds.probe_folders_now()
        elif before is None and reason is not None:
            self._holds.probe_soon()
        return reason

    async def _watch(self, path: str) -> None:
        if not is_automount(path):
            with suppress(FileError):
                await self._context.disks.run(path, self._monitor.watch, path)
            if path not in self._watched:  # no longer configured
                self._monitor.unwatch(path)

    async def _reason(self, kind: str, path: str) -> str | None:
        """Why a folder is unavailable, by a new check, or by the last one if a check would mount it."""
        known = self._known_reason(kind, path)
        if is_automount(path):
            return known
        check = asyncio.ensure_future(self._check_now(kind, path))
        done, _ = await asyncio.wait([check], timeout=ANSWER_SECONDS)
        if done:
            return check.result()
        return self._known_reason(kind, path) or f"it has not answered within {ANSWER_SECONDS:g} second"

    def _known_reason(self, kind: str, path: str) -> str | None:
        if kind != "inbox":
            return self._context.folders.reason_of(path)
        intake = self._inboxes.intakes.get(Path(path))
        state = intake.state() if intake is not None and intake.has_answered else None
        return state.reason if state is not None and not state.available else None

    async def _check_now(self, kind: str, path: str) -> str | None:
        if kind == "inbox":
            intake = self._inboxes.intakes.get(Path(path))
            return await intake.unavailable_reason() if intake is not None else None
        return await self._check(path)


def _folders(config: Config) -> Iterator[tuple[str, str]]:
    """Each configured folder once, with its kind in `attention`."""
    seen: set[str] = set()
    for kind, paths in (
        ("inbox", [inbox.path for inbox in config.inboxes]),
        ("outbox", [inbox.outbox for inbox in config.inboxes]),
        ("folder", [folder for inbox in config.inboxes for folder in inbox.archive_folders]),
    ):
        for path in map(str, paths):
            if path not in seen:
                seen.add(path)
                yield kind, path
