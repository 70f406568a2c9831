"""Intake of one inbox: hints and scans in, jobs out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lalald.clock import Clock
from lalald.config import Inbox
from lalald.config.quantities import format_duration
from lalald.errors import FolderUnavailableError, StoreError, StoreRefusedError
from lalald.filesystem import markers
from lalald.filesystem.markers import FolderState
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.mounts import MountWatcher
from lalald.inbox.empty_folders import EMPTY_SECONDS, EmptyFolders
from lalald.inbox.inbox_status import InboxState, ScanReport
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.registration import FileRegistrar
from lalald.inbox.scanning.native_watch import Hints, Watch, WatchError
from lalald.inbox.scanning.scan import sweep
from lalald.inbox.scanning.unreadable import Unreadable
from lalald.inbox.scanning.watch_mode import Mode, choose_mode
from lalald.inbox.set_aside import RunsOnStore
from lalald.jobs.unexpected_errors import describe_exception, is_exhaustion

PROBE_SECONDS = 10.0  # at most, between looks at an inbox that is not there, and tries with a state folder that is full
FIRST_PROBE_SECONDS = 0.5
MOST_FOLDERS = 200  # of hints, before looking at everything is less work
BURST_FILES = 1000
AFTER_BURST_SECONDS = 5.0
GONE_SECONDS = 1.0  # until files that only went away are looked for, all at once
LARGEST_SHARE = 5  # polling takes at most a fifth of the time, however long a scan lasts


class Intake:
    """Finds the files of one inbox, waits until they are finished, and gives them to the store as jobs.

    `scan` looks at everything once; `run` keeps looking until it is cancelled: at hints as they come, and at everything at start,
    every `rescan`, after a burst or lost events, after the folder came back, and when `rescan()` asks for it. `taken` is called
    after jobs were added, `changed` when `describe` has something else to say. Nothing wakes up in between, and nothing is written
    while nothing changes.
    """

    def __init__(
        self,
        inbox: Inbox,
        store: RunsOnStore,
        *,
        taken: Callable[[], None],
        changed: Callable[[], None] = lambda: None,
        clock: Clock,
        disks: MountPools,
        existing_override: str | None = None,
        log: Any,
        steps: InspectionSteps | None = None,
        probe_seconds: float = PROBE_SECONDS,
        empty_seconds: float = EMPTY_SECONDS,
    ) -> None:
        self.inbox = inbox
        self._key = str(inbox.path)
        self._root = os.fspath(inbox.path)
        self._store = store
        self._changed = changed
        self._clock = clock
        self._disks = disks
        self._log = log
        self._steps = steps or InspectionSteps()
        self._desk = FileRegistrar(
            inbox,
            store,
            taken=taken,
            clock=clock,
            disks=disks,
            existing=existing_override,
            log=log,
            steps=self._steps,
        )
        self._empty_folders = EmptyFolders(self._desk, empty_seconds)
        self._wake = asyncio.Event()
        self._turning = asyncio.Lock()
        self._turned = asyncio.Event()
        self._mounts = MountWatcher()
        self._watch: Watch | None = None
        self._mode: Mode | None = None
        self._presence: FolderState | None = None
        self._marker: str | None = None
        self._told: InboxState | None = None
        self._told_unreadable = 0
        self._begun = False
        self._gone_by: Inbox | None = None  # the settings by which what was left alone is decided
        self._look_wanted = True
        self._scan_wanted = True
        self._native_refused: str | None = None
        self._said_refused = ""
        self._next_look_at = 0.0
        self._longest_probe_seconds = probe_seconds
        self._probe_seconds = FIRST_PROBE_SECONDS
        self._next_scan_at = 0.0
        self._burst_scan_at: float | None = None
        self._last_report = ScanReport()

    # what others ask

    async def run(self) -> None:
        """Takes files for ever. Cancelling it stops everything at once."""
        try:
            while True:
                self._wake.clear()
                await self._turn_unless_the_store_fails()
                await self._wait()
        finally:
            self._stop()

    async def scan(self) -> ScanReport:
        """One full look. What it finds unfinished is taken later, by `run`."""
        self._scan_wanted = self._look_wanted = True
        await self._turn_unless_the_store_fails()
        if not self._is_available:
            return ScanReport(available=False, reason=self.describe().reason)
        return self._last_report

    def rescan(self, *, is_asked: bool = False) -> None:
        """A full look as soon as possible, at what was set aside, too; `is_asked`: even at that in which the process has died."""
        if is_asked:
            self._steps.inspections.pardon(self._key)
        self._desk.aside.hurry()
        self._scan_wanted = self._look_wanted = True
        self._native_refused = None
        self._wake.set()

    def check_soon(self) -> None:
        """A look whether the folder is there; at its files, if it was not."""
        self._look_soon()

    async def reason_now(self) -> str | None:
        """Why the folder is unavailable, by a look of its own; None where it is there."""
        if not self._begun:
            return self.describe().reason if self.has_answered and not self._is_available else None
        try:
            found = await self._disks.run_shared(self._root, markers.verify_folder, self._marker, self._numbers_before)
        except FolderUnavailableError as error:
            found = FolderState(False, f"{error} {error.hint}".strip())
        if found.available != self._is_available:
            self._look_soon()
        return None if found.available else found.reason

    @property
    def _numbers_before(self) -> tuple[int, int] | None:
        """Of the folder, while it is there. Once it was away they prove nothing: the kernel gives them to the next file system."""
        return self._presence.folder if self._is_available and self._presence is not None else None

    def look_at(self, path: str) -> None:
        """A look at one file, by its path within the inbox."""
        self._desk.wanted[path] = False
        self._wake.set()

    def replace(self, inbox: Inbox) -> None:
        """The inbox's settings after a reload; its path is the same. What waits to be finished settles anew."""
        self.inbox = inbox
        self._desk.replace(inbox)
        self._empty_folders.clear()
        self._stop_watching()
        self._mode = None
        self.rescan()

    async def accept(self) -> None:
        """From now on the folder that stands at the inbox's path is the right one."""
        with suppress(OSError, FolderUnavailableError):
            marker = await self._in_thread(markers.accept_folder, self._root)
            if marker != self._marker:
                await self._desk.remember_marker(marker)
                self._marker = marker
                self._desk.stranger_accepted()
        self.rescan()

    def settled(self) -> bool:
        """Whether all that lies in the inbox is taken or left alone. A file held open for ten minutes is not waited for."""
        if self._turning.locked() or self._look_wanted or self._wake.is_set():
            return False
        return not self._is_available or (not self._scan_wanted and self._desk.is_clear())

    async def quiet(self) -> None:
        """Returns when the inbox is settled. `run` must be running."""
        while not self.settled():
            self._turned.clear()
            await self._turned.wait()

    @property
    def has_answered(self) -> bool:
        """Whether anything is known of the folder yet: a dead share does not even say that it is away."""
        return self._presence is not None

    @property
    def unreadable(self) -> Unreadable:
        return self._desk.unreadable

    def describe(self) -> InboxState:
        """How the inbox fares, in words."""
        mode = self._mode or Mode("polling", "it has not been scanned yet", lease_tells=False)
        found = self._presence or FolderState(False, "it has not been scanned yet")
        reason = mode.reason
        if self._desk.settling.cannot_tell and found.available:
            least = format_duration(max(self._desk.settling.untold_seconds, self.inbox.settle))
            reason = f"{reason}; whether a program is writing to a file cannot be seen here, so it must not change for {least}"
        return InboxState(found.available, found.reason, mode.watch, reason)

    # one turn

    async def _turn_unless_the_store_fails(self) -> None:
        async with self._turning:
            try:
                await self._turn()
            except StoreRefusedError:
                raise  # no new try mends it
            except FolderUnavailableError as error:
                await self._fall_silent(error)
            except StoreError as error:
                self._log.error("inbox.store_failed", inbox=self._key, reason=str(error), hint=error.hint)
                self._try_again_later()
            except Exception as error:
                if not is_exhaustion(error):
                    raise
                self._log.warning("inbox.out_of_resources", inbox=self._key, reason=describe_exception(error))
                self._try_again_later()
        self._turned.set()

    def _try_again_later(self) -> None:
        self._scan_wanted = True
        self._next_look_at = self._clock.monotonic() + self._longest_probe_seconds

    async def _turn(self) -> None:
        if not self._begun:
            await self._begin()
        if self._gone_by is not self.inbox:
            settings = self.inbox
            await self._desk.go_by_settings()
            self._gone_by = settings
        hints = self._watch.drain() if self._watch is not None else Hints()
        if hints.root:
            self._look_wanted = True
        if hints.lost:
            self._log.info("inbox.events_lost", inbox=self._key, reason="the whole inbox is scanned instead")
            self._scan_wanted = True
        if hints.failure is not None:
            self._fall_back(hints.failure)
        if self._look_due() or self._scan_due():
            await self._take_up()
        if self._is_available:
            await self._see(hints)
        await self._tell_state()

    async def _see(self, hints: Hints) -> None:
        """Looks where it must: everywhere or in some folders, then at the files that were hinted at and those that are due."""
        self._note_burst(hints)
        self._desk.came(hints.came)
        self._empty_folders.consider(hints.files, hints.folders)
        scans = self._scan_due() or len(hints.folders) > MOST_FOLDERS
        if scans:
            await self._scan()
        elif hints.folders:
            report = await sweep(self._desk, self._watch, hints.folders, self._empty_folders.note)
            self._look_wanted |= not report.available
        await self._desk.see(hints.files)
        await self._desk.see_due()
        await self._empty_folders.turn(scanned=scans)
        if self._desk.wants_scan() or self._desk.presence_in_doubt:
            self._scan_wanted = self._look_wanted = True
            self._wake.set()

    async def _scan(self) -> None:
        self._scan_wanted = False
        self._burst_scan_at = None
        self._desk.settling.full = False
        report = await sweep(self._desk, self._watch, None, self._empty_folders.note)
        self._last_report = report
        await self._desk.end_scan()
        self._log.debug(
            "inbox.scanned", inbox=self._key, available=report.available, files=report.files,
            folders=report.folders, unknown=report.unknown, gone=report.gone, seconds=round(report.seconds, 3),
        )  # fmt: skip
        if report.available and not self._desk.settling.full and self._desk.eyes.first is not None:
            self._desk.eyes.first.end_scan(self._desk.settling)
        pause = self.inbox.rescan
        if self._watch is None:
            pause = max(self.inbox.poll_interval, report.seconds * (LARGEST_SHARE - 1))
        self._next_scan_at = self._clock.monotonic() + pause

    def _note_burst(self, hints: Hints) -> None:
        if len(hints.files) >= BURST_FILES and self._burst_scan_at is None:
            self._burst_scan_at = self._clock.monotonic() + AFTER_BURST_SECONDS

    # when

    @property
    def _is_available(self) -> bool:
        return self._presence is not None and self._presence.available

    def _look_due(self) -> bool:
        late = not self._is_available and self._clock.monotonic() >= self._next_look_at
        return self._look_wanted or late

    def _scan_due(self) -> bool:
        now = self._clock.monotonic()
        burst = self._burst_scan_at is not None and now >= self._burst_scan_at
        return self._scan_wanted or burst or (self._is_available and now >= self._next_scan_at)

    async def _wait(self) -> None:
        """Sleeps until something happens or is due."""
        due = [self._next_scan_at, self._burst_scan_at, self._desk.settling.due_at(), self._empty_folders.due_at()]
        due.append(self._desk.aside.due_at())
        if not self._is_available or self._scan_wanted:  # the inbox is away, or the store failed
            due = [self._next_look_at]
        soonest = min(moment for moment in due if moment is not None)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, soonest - self._clock.monotonic())):
                await self._wake.wait()

    # whether

    async def _begin(self) -> None:
        self._marker = await self._desk.begin()
        self._mounts.start(self._look_soon, asyncio.get_running_loop().add_reader)
        self._begun = True

    def _look_soon(self) -> None:
        self._look_wanted = True
        self._wake.set()

    async def _take_up(self) -> None:
        """Looks whether the inbox is there; if it is there again, it is watched and looked at as a whole."""
        self._look_wanted = False
        before = self._presence
        found = await self._in_thread(markers.verify_folder, self._root, self._marker, self._numbers_before)
        self._presence = found
        self._desk.presence_in_doubt = False
        if not found.available:
            self._lose(before)
            return
        self._probe_seconds = FIRST_PROBE_SECONDS
        if found.marker != self._marker:
            self._marker = found.marker
            await self._desk.remember_marker(found.marker)
        self._desk.presence = found
        if before is None or not before.available or before.folder != found.folder:
            self._stop_watching()
            self._scan_wanted = True
            self._log.info("inbox.available", inbox=self._key)
        elif self._watch is not None and not self._watch.is_alive:
            self._stop_watching()
        if self._watch is None:
            await self._start_watching()

    async def _fall_silent(self, error: FolderUnavailableError) -> None:
        """It does not answer, not even that it is away: what was begun is given up."""
        before, self._presence = self._presence, FolderState(False, f"{error} {error.hint}")
        self._lose(before)
        await self._tell_state()

    def _lose(self, before: FolderState | None) -> None:
        self._next_look_at = self._clock.monotonic() + self._probe_seconds
        self._probe_seconds = min(self._longest_probe_seconds, self._probe_seconds * 2)
        if self._presence is None or (before is not None and before.reason == self._presence.reason):
            return
        self._stop_watching()
        self._desk.lost()
        self._empty_folders.clear()
        self._log.warning("inbox.unavailable", inbox=self._key, reason=self._presence.reason)

    # how

    async def _start_watching(self) -> None:
        mode = await self._in_thread(choose_mode, self.inbox)
        if mode.watch == "native" and self._native_refused is not None:
            mode = self._polling_instead(mode)
        elif mode.watch == "native":
            watch = Watch(
                self._root, wake=self._waker(self._wake.set), wake_later=self._waker(self._wake_later),
                skipped=self._desk.skipped, recursive=self.inbox.recursive,
            )  # fmt: skip
            try:
                await self._in_thread(watch.start)
            except WatchError as error:
                self._say_refused(error)
                mode = self._polling_instead(mode)
            else:
                self._watch = watch
                self._scan_wanted = True  # which adds the folders
        if mode != self._mode:
            self._desk.lease_tells(mode.lease_tells)
            self._log.info("inbox.watched", inbox=self._key, watch=mode.watch, reason=mode.reason)
        self._mode = mode

    def _waker(self, wake: Callable[[], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def wake_from_a_thread() -> None:
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(wake)

        return wake_from_a_thread

    def _wake_later(self) -> None:
        asyncio.get_running_loop().call_later(GONE_SECONDS, self._wake.set)

    def _fall_back(self, error: WatchError) -> None:
        self._say_refused(error)
        self._stop_watching()
        self._look_wanted = self._scan_wanted = True

    def _say_refused(self, error: WatchError) -> None:
        self._native_refused = str(error)
        if self._said_refused == str(error):
            return
        self._said_refused = str(error)
        reason = f"{error} The inbox is polled instead."
        self._log.warning("inbox.native_watching_refused", inbox=self._key, reason=reason, hint=error.hint)

    def _polling_instead(self, mode: Mode) -> Mode:
        pause = format_duration(self.inbox.poll_interval)
        return Mode("polling", f"every {pause}: {self._native_refused}", mode.lease_tells)

    def _stop_watching(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def _stop(self) -> None:
        self._stop_watching()
        if self._begun:
            self._mounts.stop(asyncio.get_running_loop().remove_reader)
            self._begun = False

    async def _tell_state(self) -> None:
        state, unreadable = self.describe(), self.unreadable.count
        if state != self._told:
            await self._desk.tell(state)
            self._told = state
            self._changed()
        if unreadable != self._told_unreadable:
            self._told_unreadable = unreadable
            self._changed()

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._disks.run(self._root, function, *arguments)
