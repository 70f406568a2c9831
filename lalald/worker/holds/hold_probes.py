"""End holds when their cause is gone: one probe for all jobs that wait for the same thing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from lalald.filesystem.mounts import MountWatcher
from lalald.jobs.job import Job
from lalald.jobs.states import Hold
from lalald.stages.context import StageContext
from lalald.worker.claims import Claims
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.folder_holds import FolderProbe
from lalald.worker.holds.hold_backoff import LONGEST_PAUSE_SECONDS, HoldBackoff
from lalald.worker.holds.license_check import LicenseCheck
from lalald.worker.holds.minutes_probe import MinutesProbe
from lalald.worker.recorder import Recorder
from lalald.worker.wakeups import Wakeups

_LEAST_PAUSE_SECONDS = 10.0
_KEY_FILE_EVERY_SECONDS = 10.0  # while the key is missing or refused
_SERVICE_EVERY_SECONDS = 60.0
_LINK_AGAIN_SECONDS = 3600.0
_WARNED_AFTER_SECONDS = 12 * 3600.0
_PROBED = (Hold.LICENSE, Hold.MINUTES, Hold.DISK, Hold.MOUNT, Hold.PERMISSION, Hold.LINK)
_OF_THE_SERVICE = (Hold.LICENSE, Hold.MINUTES, Hold.LINK)


class ReleaseFunction(Protocol):
    """`transitions.release`."""

    def __call__(self, job: Job, now: float, *, by_a_person: bool) -> Job: ...


class HoldProbes:
    """Sleeps while no job has a hold that a probe can end."""

    def __init__(
        self,
        context: StageContext,
        wakeups: Wakeups,
        claims: Claims,
        recorder: Recorder,
        guard: Guard,
        license_check: LicenseCheck,
        backoff: HoldBackoff,
        release: ReleaseFunction,
    ) -> None:
        self._context = context
        self._wakeups = wakeups
        self._claims = claims
        self._recorder = recorder
        self._guard = guard
        self.license = license_check
        self._backoff = backoff
        self._released = release
        self.folders = FolderProbe(context, claims, recorder, guard, self._release, self._warn_if_paid_and_late)
        self._probed_at = float("-inf")
        self._mounts = MountWatcher()
        self._service_asked_at = float("-inf")
        self._warned: set[int] = set()
        self._minutes = MinutesProbe(context, claims, recorder, self._release, self._each)

    def ask_service_now(self) -> None:
        """Ask the service now: the configuration or the key changed."""
        self._service_asked_at = float("-inf")
        self.probe_folders_now()

    def probe_folders_now(self) -> None:
        """Probe all folders now: a user has accepted or repaired one."""
        self._backoff.forget()
        self._context.preflight.invalidate_all()
        self.folders.schedule.make_all_due()
        self._probed_at = float("-inf")
        self.probe_soon()

    async def probe_folders_at_end(self) -> None:
        """Probe all folders, and return when what is usable is released. A job that was just released and held again stays held."""
        self._context.preflight.invalidate_all()
        self.folders.schedule.make_all_due()
        await self.folders.release_where_folders_are_back()

    def probe_soon(self) -> None:
        """Another job is held, or a folder became unavailable."""
        self._wakeups.note_hold()

    async def run(self) -> None:
        """Run until cancelled."""
        self._mounts.start(self._mounts_changed, self._context.loop.add_reader)
        try:
            while True:
                self._wakeups.holds.begin()
                held = await self._context.store.run(lambda store: store.counts.by_hold())
                if not self._waits_for_something(held):
                    self.license.unanswered_reason = None
                    self._wakeups.has_new_hold = True
                    await self._wakeups.holds.sleep()
                    continue
                wait = self._next_probe_at(held) - self._context.clock.monotonic()
                if wait <= 0:
                    self._probed_at = self._context.clock.monotonic()
                    self._wakeups.has_new_hold = False
                    await self._wakeups.holds.keep_beating(self._probe(held))
                    continue
                await self._wakeups.holds.sleep(wait)
        finally:
            self._mounts.stop(self._context.loop.remove_reader)

    def _mounts_changed(self) -> None:
        """Probe the folders after a mount or unmount, if any job or folder waits."""
        if self.folders.schedule.next_at() < float("inf") or self._context.folders.unavailable:
            self.probe_folders_now()

    def _waits_for_something(self, held: dict[Hold, int]) -> bool:
        is_held = any(hold in held for hold in _PROBED)
        return is_held or not self.license.is_settled or bool(self._context.folders.unavailable)

    def _next_probe_at(self, held: dict[Hold, int]) -> float:
        moments = [self.folders.schedule.next_at(), self._probed_at + LONGEST_PAUSE_SECONDS]
        if not self.license.is_settled or any(hold in held for hold in _OF_THE_SERVICE):
            moments.append(self._service_asked_at + _SERVICE_EVERY_SECONDS)
        if self.license.problem is not None:
            moments.append(self._probed_at + _KEY_FILE_EVERY_SECONDS)
        return (
            self._probed_at + _LEAST_PAUSE_SECONDS
            if self._wakeups.has_new_hold
            else max(min(moments), self._probed_at + 1.0)
        )

    async def _probe(self, held: dict[Hold, int]) -> None:
        self._backoff.forget_old(self._context.clock.monotonic())
        await self.folders.release_where_folders_are_back()
        if await self.license.read_new_key():
            self._service_asked_at = float("-inf")
        now = self._context.clock.monotonic()
        if now - self._service_asked_at < _SERVICE_EVERY_SECONDS:
            return
        self._service_asked_at = now
        if Hold.LICENSE in held or not self.license.is_settled:
            await self.license.release_if_accepted()
        else:
            self.license.unanswered_reason = None
        if Hold.MINUTES in held and self.license.problem is None:
            await self._minutes.release_what_fits()
        if Hold.LINK in held:
            await self._release_links()

    async def _release_links(self) -> None:
        now = self._context.clock.now()

        async def release_after_a_while(job: Job) -> None:
            self._warn_if_paid_and_late(job)
            if now - job.updated_at > _LINK_AGAIN_SECONDS or now < job.updated_at:
                await self._release(job)

        await self._each(await self._context.store.run(lambda store: store.held_jobs(Hold.LINK)), release_after_a_while)

    async def _each(self, jobs: Sequence[Job], look: Callable[[Job], Awaitable[object]]) -> None:
        await self._guard.each("hold", jobs, look)

    def _warn_if_paid_and_late(self, job: Job) -> None:
        """The service keeps results for 24 hours: a paid job that is held for half of that needs attention."""
        started = [task.started_at for task in job.tasks if task.started_at is not None]
        if not started or job.id in self._warned or self._context.clock.now() - min(started) < _WARNED_AFTER_SECONDS:
            return
        self._warned.add(job.id)
        hint = "The service keeps paid results for 24 hours after the start of their task."
        self._context.log.error("results.expiring", job=job.id, path=job.path, reason=job.hold_reason, hint=hint)

    async def _release(self, job: Job) -> bool:
        """Release the job. False if it was just released and held again, or its row has changed since."""
        if self._claims.is_claimed(job.id):
            return False
        if not self._backoff.allows(job, self._context.clock.monotonic()):
            self.folders.schedule.postpone(job.id, self._backoff.again_at(job))
            return False
        again = self._released(job, self._context.clock.now(), by_a_person=False)
        saved = await self._recorder.save(job, again)
        if saved is not None and not self._backoff.keeps_failing(job):
            self._context.log.info("job.resumed", job=job.id, path=job.path, hold=str(job.hold))
        self._wakeups.wake_all()
        return saved is not None
