"""The loop of one inbox: finds finished files and adds them to the store as jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lalald.clock import Clock
from lalald.config import Inbox
from lalald.errors import FolderUnavailableError, StoreError, StoreRefusedError
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox.empty_folders import EMPTY_SECONDS
from lalald.inbox.inbox_status import InboxState, StateReporter
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.scanning.cycle import IntakeCycle
from lalald.inbox.scanning.scan import ScanReport
from lalald.inbox.scanning.unreadable import Unreadable
from lalald.inbox.set_aside import RunsOnStore
from lalald.jobs.failures.unexpected_errors import describe_exhaustion, is_exhaustion

PROBE_SECONDS = 10.0  # at most, between checks of an unavailable inbox, and tries with a state folder that is full


class Intake:
    """Finds the files of one inbox, waits until they are finished, and adds them to the store as jobs.

    `scan` scans once; `run` works until it is cancelled: at hints as they come, and with a full scan at the start, every `rescan`,
    after a burst or lost events, after the folder came back, and on request. `on_new_jobs` is called after jobs were added,
    `on_change` when `state` has changed. Nothing wakes up in between, and nothing is written while nothing changes.
    """

    def __init__(
        self,
        inbox: Inbox,
        store: RunsOnStore,
        *,
        on_new_jobs: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
        clock: Clock,
        disks: MountPools,
        existing_override: str | None = None,
        log: Any,
        steps: InspectionSteps | None = None,
        probe_seconds: float = PROBE_SECONDS,
        empty_seconds: float = EMPTY_SECONDS,
    ) -> None:
        self._path = str(inbox.path)
        self._clock = clock
        self._log = log
        self._steps = steps or InspectionSteps()
        self._wake = asyncio.Event()
        self._cycle = cycle = IntakeCycle(
            inbox, store, on_new_jobs=on_new_jobs, wake=self._wake.set, clock=clock, disks=disks,
            existing_override=existing_override, log=log, steps=self._steps, probe_seconds=probe_seconds,
            empty_seconds=empty_seconds,
        )  # fmt: skip
        self._reporter = StateReporter(cycle.folder, cycle.registrar, cycle.watching, store, clock, on_change)
        self._running = asyncio.Lock()
        self._cycle_ended = asyncio.Event()

    async def run(self) -> None:
        """Process files until this is cancelled, which stops everything at once."""
        try:
            while True:
                self._wake.clear()
                await self._run_cycle()
                await self._wait()
        finally:
            self._cycle.stop()

    async def scan(self) -> ScanReport:
        """Scan once. `run` processes what is not finished yet."""
        self._cycle.schedule.request_check_and_scan()
        await self._run_cycle()
        if not self._cycle.folder.is_available:
            return ScanReport(available=False, reason=self.state().reason)
        return self._cycle.last_report

    async def _run_cycle(self) -> None:
        """If the disk, the store or resources fail, another cycle is tried later; other errors are raised."""
        async with self._running:
            try:
                await self._cycle.run()
                await self._reporter.save()
            except StoreRefusedError:
                raise  # trying again would not help
            except FolderUnavailableError as error:
                self._cycle.note_change(self._cycle.folder.note_silent(error))
                await self._reporter.save()
            except StoreError as error:
                self._log.error("inbox.store_failed", inbox=self._path, reason=str(error), hint=error.hint)
                self._cycle.schedule.note_failure(self._clock.monotonic())
            except Exception as error:
                if not is_exhaustion(error):
                    raise
                self._log.warning("inbox.out_of_resources", inbox=self._path, reason=describe_exhaustion(error))
                self._cycle.schedule.note_failure(self._clock.monotonic())
        self._cycle_ended.set()

    async def _wait(self) -> None:
        """Sleep until something happens or is due."""
        pause_seconds = max(0.0, self._cycle.next_at() - self._clock.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await self._wake.wait()

    # requests

    def request_rescan(self, *, by_user: bool = False) -> None:
        """Scan as soon as possible, and inspect files that were set aside; `by_user`: even those in which the process has died."""
        if by_user:
            self._steps.inspections.pardon(self._path)
        self._cycle.registrar.set_aside.end_pauses()
        self._cycle.watching.allow_native()
        self._cycle.schedule.request_check_and_scan()
        self._wake.set()

    def request_check(self) -> None:
        """Check whether the folder is there; if it was not, scan it."""
        self._cycle.schedule.request_check()
        self._wake.set()

    def replace(self, inbox: Inbox) -> None:
        """Use other settings from now on; the path is the same. Files that wait to be finished start to wait again."""
        self._cycle.replace(inbox)
        self.request_rescan()

    async def accept_folder(self) -> None:
        """From now on, the folder that is at the inbox's path is the right one."""
        folder, first_scan = self._cycle.folder, self._cycle.registrar.first_scan
        marker = await folder.accept(await first_scan.plan_marker())
        if marker != folder.marker:
            await first_scan.accept_marker(marker)
            folder.marker = marker
        self.request_rescan()

    async def unavailable_reason(self) -> str | None:
        """Check now why the folder is unavailable; None if it is there."""
        folder = self._cycle.folder
        if not self._cycle.has_begun:
            return folder.state.reason if folder.has_answered and not folder.is_available else None
        found = await folder.current_state()
        if found.available != folder.is_available:
            self.request_check()
        return None if found.available else found.reason

    # state

    @property
    def inbox(self) -> Inbox:
        return self._cycle.inbox

    def is_idle(self) -> bool:
        """Whether every file in the inbox is processed or skipped, but for those that a program has held open for ten minutes."""
        schedule, folder = self._cycle.schedule, self._cycle.folder
        if self._running.locked() or schedule.is_check_requested or self._wake.is_set():
            return False
        return not folder.is_available or (not schedule.is_scan_requested and self._cycle.registrar.is_idle)

    async def wait_until_idle(self) -> None:
        """`run` must be running."""
        while not self.is_idle():
            self._cycle_ended.clear()
            await self._cycle_ended.wait()

    @property
    def has_answered(self) -> bool:
        """Whether anything is known of the folder yet: a dead share does not even tell that it is unavailable."""
        return self._cycle.folder.has_answered

    @property
    def unreadable(self) -> Unreadable:
        return self._cycle.registrar.unreadable

    def state(self) -> InboxState:
        return self._reporter.state()
