"""One cycle of an intake: check the folder, scan if that is due, inspect the files of hints and those that are due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lalald.clock import Clock
from lalald.config import Inbox
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox.empty_folders import EmptyFolders
from lalald.inbox.inbox_folder import Change, InboxFolder
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.registration import FileRegistrar
from lalald.inbox.scanning.native_watch import Hints
from lalald.inbox.scanning.scan import Scanner, ScanReport
from lalald.inbox.scanning.schedule import Schedule
from lalald.inbox.scanning.watching import Watching
from lalald.inbox.set_aside import RunsOnStore

MOST_FOLDERS = 200  # of hints, before a scan of everything is less work
LARGEST_SHARE = 5  # polling takes at most a fifth of the time, however long a scan lasts


class IntakeCycle:
    """The parts of an intake, and what it does with them. `wake` lets the next cycle begin at once."""

    def __init__(
        self,
        inbox: Inbox,
        store: RunsOnStore,
        *,
        on_new_jobs: Callable[[], None],
        wake: Callable[[], None],
        clock: Clock,
        disks: MountPools,
        existing_override: str | None,
        log: Any,
        steps: InspectionSteps,
        probe_seconds: float,
        empty_seconds: float,
    ) -> None:
        self.inbox = inbox
        self.schedule = Schedule(probe_seconds)
        self.folder = InboxFolder(inbox.path, disks)
        self.registrar = FileRegistrar(
            inbox, self.folder, store, on_new_jobs=on_new_jobs, clock=clock, disks=disks, existing=existing_override,
            log=log, steps=steps,
        )  # fmt: skip
        self.watching = Watching(self.folder, wake=wake, is_skipped=self.registrar.is_skipped, log=log)
        self.last_report = ScanReport()
        self._scanner = Scanner(
            self.folder, store, clock, self.registrar.unreadable,
            is_skipped=self.registrar.is_skipped, find_candidates=self.registrar.find_candidates,
        )  # fmt: skip
        self._empty_folders = EmptyFolders(
            self.folder, store, clock, log, empty_seconds=empty_seconds,
            inbox=lambda: self.registrar.inbox, is_first_scan=self.registrar.first_scan.is_scanning,
        )  # fmt: skip
        self._wake = wake
        self._clock = clock
        self._log = log
        self._has_begun = False
        self._rematched_by: Inbox | None = None  # the settings that were applied to skipped files

    @property
    def has_begun(self) -> bool:
        return self._has_begun

    def replace(self, inbox: Inbox) -> None:
        """Use other settings from the next cycle on. Files that wait to be finished start to wait again."""
        self.inbox = inbox
        self.registrar.replace(inbox)
        self._empty_folders.clear()
        self.watching.reset()

    def stop(self) -> None:
        self.watching.stop()
        self.folder.stop()
        self._has_begun = False

    def next_at(self) -> float:
        """When something is due next, on the monotonic clock."""
        others = [self.registrar.due_at(), self._empty_folders.due_at()]
        return self.schedule.next_at(others, is_available=self.folder.is_available)

    async def run(self) -> None:
        if not self._has_begun:
            await self._begin()
        if self._rematched_by is not self.inbox:
            settings = self.inbox
            await self.registrar.rematch_all()
            self._rematched_by = settings
        hints = self._drain_hints()
        is_available, now = self.folder.is_available, self._clock.monotonic()
        if self.schedule.is_check_due(now, is_available=is_available) or self._is_scan_due():
            await self._check()
        if self.folder.is_available:
            await self._process(hints)

    async def _begin(self) -> None:
        self.folder.marker = await self.registrar.begin()
        self.folder.start(self._request_check)
        self._has_begun = True

    def _request_check(self) -> None:
        self.schedule.request_check()
        self._wake()

    def _drain_hints(self) -> Hints:
        hints = self.watching.drain()
        if hints.concern_root:
            self.schedule.request_check()
        if hints.are_incomplete:
            self._log.info("inbox.events_lost", inbox=self.folder.root, reason="the whole inbox is scanned instead")
            self.schedule.request_scan()
        if hints.failure is not None:
            self.watching.fall_back(hints.failure)
            self.schedule.request_check_and_scan()
        return hints

    async def _process(self, hints: Hints) -> None:
        """Scan everything or some folders if needed, then inspect the files of the hints and those that are due."""
        self.schedule.note_burst(len(hints.files), self._clock.monotonic())
        self.registrar.note_arrivals(hints.arrived)
        self._empty_folders.note_hints([*hints.files, *hints.folders])
        is_full = self._is_scan_due() or len(hints.folders) > MOST_FOLDERS
        if is_full:
            await self._scan()
        elif hints.folders:
            report = await self._scanner.scan(
                self.watching.watch, folders=hints.folders, recursive=self.inbox.recursive
            )  # fmt: skip
            await self._use_report(report, is_full=False)
            if not report.available:
                self.schedule.request_check()
        await self.registrar.process(hints.files)
        await self.registrar.process_due()
        await self._empty_folders.turn(scanned=is_full)
        if self.registrar.wants_scan or self.folder.is_doubtful:
            self.schedule.request_check_and_scan()
            self._wake()

    async def _scan(self) -> None:
        self.schedule.begin_scan()
        self.registrar.settling.is_full = False
        report = self.last_report = await self._scanner.scan(self.watching.watch, recursive=self.inbox.recursive)
        await self._use_report(report, is_full=True)
        await self.registrar.end_scan(is_complete=report.available)
        self._log.debug(
            "inbox.scanned", inbox=self.folder.root, available=report.available, files=report.files,
            folders=report.folders, unknown=report.unknown, gone=report.gone, seconds=round(report.seconds, 3),
        )  # fmt: skip
        pause = self.inbox.rescan
        if self.watching.watch is None:
            pause = max(self.inbox.poll_interval, report.seconds * (LARGEST_SHARE - 1))
        self.schedule.end_scan(self._clock.monotonic(), pause)

    async def _use_report(self, report: ScanReport, *, is_full: bool) -> None:
        self.registrar.settling.is_full |= report.is_cut
        await self._empty_folders.note_scan(report, is_full=is_full)
        await self.registrar.process_paths(report.candidates)

    def _is_scan_due(self) -> bool:
        return self.schedule.is_scan_due(self._clock.monotonic(), is_available=self.folder.is_available)

    # the folder

    async def _check(self) -> None:
        """Check whether the folder is there. If it is there again, watch it and request a scan."""
        self.schedule.begin_check()
        change = await self.folder.check(await self._new_marker())
        if self.folder.is_available and (marker := self.folder.state.marker) != self.folder.marker:
            await self.registrar.first_scan.note_marker(marker)
            self.folder.marker = marker
        self.note_change(change)
        if self.folder.is_available:
            await self._watch()

    async def _new_marker(self) -> str | None:
        """For a folder that has none and is not known by one yet; saved before it is written."""
        if self.folder.marker is None and await self.folder.lacks_marker():
            return await self.registrar.first_scan.plan_marker()
        return None

    def note_change(self, change: Change) -> None:
        if change is Change.AVAILABLE or change is Change.UNCHANGED:
            self.schedule.note_available()
        else:
            self.schedule.note_unavailable(self._clock.monotonic())
        if change is Change.AVAILABLE:
            self.watching.stop()
            self.schedule.request_scan()
            self._log.info("inbox.available", inbox=self.folder.root)
        elif change is Change.UNAVAILABLE:
            self.watching.stop()
            self.registrar.forget_waiting()
            self._empty_folders.clear()
            self._log.warning("inbox.unavailable", inbox=self.folder.root, reason=self.folder.state.reason)

    async def _watch(self) -> None:
        before = self.watching.watch
        if await self.watching.start(self.inbox):
            self.registrar.set_leases_reliable(reliable=self.watching.mode.leases_reliable)
        if self.watching.watch is not before and self.watching.watch is not None:
            self.schedule.request_scan()  # the scan adds the folders to the watch
