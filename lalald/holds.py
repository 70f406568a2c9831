"""Holds that end by themselves: one probe for all jobs that wait for the same thing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lalald.errors import FileError, LicenceRefusedError, ServiceError
from lalald.jobs import Hold, Job, Stage, told
from lalald.minutes_probe import MinutesProbe
from lalald.mounts import Mounts
from lalald.moves import released
from lalald.naming import shown
from lalald.stages.bench import Bench
from lalald.stages.places import source_folder, source_path
from lalald.stages.preflight import Need, PlacementTrial, SourceTrial, hold_of
from lalald.stages.room import room_at, room_needed
from lalald.stages.source import check_inbox, check_reachable
from lalald.store import Store
from lalald.trials import ProbeSchedule, Trials
from lalald.turns import Turns

if TYPE_CHECKING:
    from lalald.worker import Worker

_LEAST_PAUSE_SECONDS = 10.0
_SERVICE_EVERY_SECONDS = 60.0
_LINK_AGAIN_SECONDS = 3600.0
_WARNED_AFTER_SECONDS = 12 * 3600.0
_PROBED = (Hold.LICENCE, Hold.MINUTES, Hold.DISK, Hold.MOUNT, Hold.PERMISSION, Hold.LINK)
_OF_THE_SERVICE = (Hold.LICENCE, Hold.MINUTES, Hold.LINK)


async def _in_the_way(need: Need) -> FileError | None:
    look, what = need
    try:
        await look(what)
    except FileError as error:
        return error
    return None


async def _errors(needs: Iterable[Need]) -> dict[Need, FileError]:
    """What is missing. Nothing is tried in a folder that is not there, or is another one."""
    trials = {need for need in needs if isinstance(need[1], (PlacementTrial, SourceTrial))}
    found = await _asked([need for need in needs if need not in trials])
    away = {what for _, what in found}
    return found | await _asked([need for need in trials if away.isdisjoint(getattr(need[1], "folders", ()))])


async def _asked(needs: Sequence[Need]) -> dict[Need, FileError]:
    answers = zip(needs, await asyncio.gather(*map(_in_the_way, needs)), strict=True)
    return {need: error for need, error in answers if error is not None}


def _is_named(need: Need, reason: str) -> bool:
    """Whether a hold's reason names what is needed."""
    _, what = need
    if isinstance(what, str):
        return shown(what) in reason
    folders = what if isinstance(what, tuple) else getattr(what, "folders", ())
    return any(shown(folder) in reason for folder in folders)


def _held_for_folders(store: Store) -> tuple[tuple[list[Job], dict[int, Job]], list[Job]]:
    """Those jobs, the twins whose results they wait for, and the jobs that wait for room."""
    jobs = [*store.held(Hold.MOUNT), *store.held(Hold.PERMISSION)]
    twins = {twin.id: twin for twin in store.jobs_of({job.twin_id for job in jobs if job.twin_id is not None})}
    return (jobs, twins), store.held(Hold.DISK)


class Holds:
    """Sleeps while nothing is held that a probe could end."""

    def __init__(self, bench: Bench, worker: Worker) -> None:
        self._bench = bench
        self._worker = worker
        self.turns = Turns()
        self.trials = Trials()
        self._schedule = ProbeSchedule()
        self._probed_at = float("-inf")
        self._is_news = True  # something may be held that is in no schedule yet
        self._mounts = Mounts()
        self._service_asked_at = float("-inf")
        self._warned: set[int] = set()
        self._minutes = MinutesProbe(bench, worker, self._release)
        self.licence_trouble: str | None = None
        self.unanswered: str | None = None  # what came instead of an answer, when it was last asked about the licence

    def ask_the_service_now(self) -> None:
        """The configuration or the key changed: no need to wait for the next minute."""
        self._service_asked_at = float("-inf")
        self.licence_trouble = None
        self.look_at_folders_now()

    def look_at_folders_now(self) -> None:
        """Somebody says that a folder is right."""
        self.trials.forget()
        self._bench.preflight.forget()
        self._schedule.hurry()
        self._probed_at = float("-inf")
        self.look_soon()

    def look_soon(self) -> None:
        """Another job is held, or a folder is away."""
        self._is_news = True
        self.turns.wake()

    async def run(self) -> None:
        """For ever."""
        self._mounts.start(self._mounts_changed, self._bench.loop.add_reader)
        try:
            while True:
                self.turns.begin()
                held = await self._bench.store.run(lambda store: store.holds())
                if not self._waits_for_something(held):
                    self.unanswered = None
                    self._is_news = True
                    await self.turns.sleep()
                    continue
                wait = self._next_probe_at(held) - self._bench.clock.monotonic()
                if wait <= 0:
                    self._probed_at = self._bench.clock.monotonic()
                    self._is_news = False
                    await self.turns.meanwhile(self._probe(held))
                    continue
                await self.turns.sleep(wait)
        finally:
            self._mounts.stop(self._bench.loop.remove_reader)

    def _mounts_changed(self) -> None:
        """What was mounted or unmounted may be what is waited for; where nothing is, nobody wakes up."""
        if self._schedule.next_at() < float("inf") or self._bench.folders.away:
            self.look_at_folders_now()

    def _waits_for_something(self, held: dict[Hold, int]) -> bool:
        is_held = any(hold in held for hold in _PROBED)
        return is_held or self.licence_trouble is not None or bool(self._bench.folders.away)

    def _next_probe_at(self, held: dict[Hold, int]) -> float:
        moments = [self._schedule.next_at()]
        if self.licence_trouble is not None or any(hold in held for hold in _OF_THE_SERVICE):
            moments.append(self._service_asked_at + _SERVICE_EVERY_SECONDS)
        return self._probed_at + _LEAST_PAUSE_SECONDS if self._is_news else max(min(moments), self._probed_at + 1.0)

    async def _probe(self, held: dict[Hold, int]) -> None:
        self.trials.forget_old(self._bench.clock.monotonic())
        await self._release_where_folders_are_back()
        now = self._bench.clock.monotonic()
        if now - self._service_asked_at < _SERVICE_EVERY_SECONDS:
            return
        self._service_asked_at = now
        if Hold.LICENCE in held or self.licence_trouble:
            await self._release_if_the_licence_is_accepted()
        else:
            self.unanswered = None
        if Hold.MINUTES in held and not self.licence_trouble:
            await self._minutes.release_what_fits()
        if Hold.LINK in held:
            await self._release_links()

    # the licence

    async def licence_is_refused(self) -> bool | None:
        """Asks the simplest question with the key. Where it is refused too every job is held, and it is said once, loudly.

        None where it gets no answer: nothing is known of the key then.
        """
        if self.licence_trouble is not None:
            return True
        try:
            await self._bench.budget.minutes_left(fresh_seconds=0.0)
        except LicenceRefusedError as error:
            if self.licence_trouble is None:
                self._bench.log.error(
                    "licence.refused", error=str(error), meaning="every job is held until the key is accepted"
                )
            self.licence_trouble = str(error)
            await self.hold_for_licence()
            self._bench.moved.set()
            return True
        except ServiceError:
            return None
        return False

    async def hold_for_licence(self) -> None:
        """Holds every job that needs the service, those that came since the last time too."""
        now, reason = self._bench.clock.now(), self.licence_trouble or "the service refuses the licence key"
        await self._bench.store.run(lambda store: store.hold_all(Hold.LICENCE, reason, now))

    async def _release_if_the_licence_is_accepted(self) -> None:
        try:
            await self._bench.budget.minutes_left(fresh_seconds=0.0)
        except LicenceRefusedError as error:
            self.licence_trouble, self.unanswered = str(error), None
            return
        except ServiceError as error:
            if self.unanswered is None:
                meaning = "whether the licence key is accepted is asked again every minute"
                self._bench.log.warning("service.trouble", error=str(error), meaning=meaning)
            self.unanswered = str(error)
            self._bench.moved.set()
            return
        self.licence_trouble = self.unanswered = None
        now = self._bench.clock.now()
        count = await self._bench.store.run(lambda store: store.release_all(Hold.LICENCE, now))
        self._bench.log.info("licence.accepted", released=count)
        self._bench.moved.set()
        self._worker.wake()

    # folders

    async def _release_where_folders_are_back(self) -> None:
        """A job goes on once all that it needs is there; while one thing of it has failed and is not due, nothing is probed for it."""
        (jobs, twins), full = await self._bench.store.run(_held_for_folders)
        away: set[Need] = {(self._bench.folders.check, folder) for folder in self._bench.folders.away}
        needs_of = {job.id: self._needs(job, twins.get(job.twin_id or 0)) for job in jobs}
        rooms: dict[str, list[Job]] = {}
        for job in full:
            rooms.setdefault(room_needed(job)[0], []).append(job)
        self._schedule.keep({*away, *rooms, *needs_of, *(job.id for job in full)}.union(*needs_of.values()))
        now = self._bench.clock.monotonic()
        for folder, held in rooms.items():
            if self._schedule.is_due(folder, now):
                await self._release_where_there_is_room(folder, held)
        due = [job for job in jobs if all(self._schedule.is_due(need, now) for need in (job.id, *needs_of[job.id]))]
        needs = {need for need in away if self._schedule.is_due(need, now)}.union(*(needs_of[job.id] for job in due))
        unmet = await self._unmet(needs)
        for job in due:
            await self._go_on_or_wait(job, {need: error for need, error in unmet.items() if need in needs_of[job.id]})

    async def _unmet(self, needs: set[Need]) -> dict[Need, FileError]:
        unmet = await _errors(needs)
        now = self._bench.clock.monotonic()
        for need in needs:
            if need in unmet:
                self._schedule.failed(need, now)
            else:
                self._schedule.succeeded(need)
        return unmet

    async def _go_on_or_wait(self, job: Job, unmet: dict[Need, FileError]) -> None:
        self._warn_if_paid_and_late(job)
        if not unmet:
            await self._release(job)
        elif not any(_is_named(need, job.hold_reason or "") for need in unmet):
            await self._hold_on(job, next(iter(unmet.values())))

    async def _hold_on(self, job: Job, error: FileError) -> None:
        """What it was held for is over, and it waits for something else now."""
        hold, now = hold_of(error), self._bench.clock.now()
        waits = replace(job, hold=hold, hold_reason=told(error), updated_at=now)
        if not self._worker.carries(job.id) and await self._worker.save(job, waits) is not None:
            self._bench.log.warning("job.held", job=job.id, path=job.path, hold=str(hold), reason=waits.hold_reason)

    def _needs(self, job: Job, twin: Job | None) -> set[Need]:
        """All that its stage asks of folders: let go for one of them alone, it would be held again at once."""
        preflight, check = self._bench.preflight, self._bench.folders.check
        inbox: Need = (self._check_inbox, job.inbox)
        outbox: set[Need] = {(check, job.handling.outbox)}
        results: set[Need] = set()  # of its twin, where they are what it was held for: else it may have them by now
        if twin is not None and shown(twin.handling.outbox) in (job.hold_reason or ""):
            results = {(check, twin.handling.outbox)}
        folder = source_folder(job)
        file: set[Need] = {inbox if folder == job.inbox else (check, folder)}
        file.add((self._check_reachable, (folder, source_path(job))))
        match job.stage:
            case Stage.UPLOAD:
                return {*file, *results}
            case Stage.SPLIT:
                return {*file, *outbox, *preflight.of_outbox(job), *preflight.of_source(job)}
            case Stage.ARCHIVE if job.handling.on_success == "keep":
                return {inbox}
            case Stage.ARCHIVE:
                return {inbox, *preflight.of_source(job)}
            case _:
                return {*outbox, *preflight.of_outbox(job), *results}

    async def _check_inbox(self, inbox: str) -> None:
        await check_inbox(inbox, self._bench)

    async def _check_reachable(self, source: tuple[str, str]) -> None:
        folder, path = source
        await self._bench.disks.on(folder, check_reachable, path, folder)

    async def _release_where_there_is_room(self, folder: str, jobs: list[Job]) -> None:
        left: dict[int, int] = {}  # bytes by device: what one job is let go for, no other is
        released = 0
        for job in jobs:
            self._warn_if_paid_and_late(job)
            if await self._fits(job, left) and await self._passes_trials(job):
                released += await self._release(job)
        if released:
            self._schedule.succeeded(folder)
        if released < len(jobs):
            self._schedule.failed(folder, self._bench.clock.monotonic())

    async def _passes_trials(self, job: Job) -> bool:
        """Before a charge there must be room in the folders for its source too."""
        if job.stage is not Stage.SPLIT:
            return True
        return not await _errors(self._needs(job, None))

    async def _fits(self, job: Job, left: dict[int, int]) -> bool:
        root, places = room_needed(job)
        needed: Counter[int] = Counter()
        try:
            for place, count in places.items():
                device, free = await self._bench.disks.on(root, room_at, place, root)
                left.setdefault(device, free)
                needed[device] += count
        except FileError:
            return False
        if any(left[device] < count for device, count in needed.items()):
            return False
        for device, count in needed.items():
            left[device] -= count
        return True

    async def _release_links(self) -> None:
        now = self._bench.clock.now()
        for job in await self._bench.store.run(lambda store: store.held(Hold.LINK)):
            self._warn_if_paid_and_late(job)
            if now - job.updated_at > _LINK_AGAIN_SECONDS or now < job.updated_at:
                await self._release(job)

    def _warn_if_paid_and_late(self, job: Job) -> None:
        """The service keeps results for a day: a paid job that is held for half of it needs a person."""
        started = [task.started_at for task in job.tasks if task.started_at is not None]
        if not started or job.id in self._warned or self._bench.clock.now() - min(started) < _WARNED_AFTER_SECONDS:
            return
        self._warned.add(job.id)
        self._bench.log.error(
            "job.paid_and_held",
            job=job.id,
            path=job.path,
            reason=job.hold_reason,
            meaning="its results expire 24 hours after their start",
        )

    async def _release(self, job: Job) -> bool:
        """Whether the job goes on: it may have been let go in vain a moment ago, or be changed by somebody else."""
        if self._worker.carries(job.id):
            return False
        if not self.trials.may(job, self._bench.clock.monotonic()):
            self._schedule.postpone(job.id, self.trials.again_at(job))
            return False
        again = released(job, self._bench.clock.now(), by_a_person=False)
        saved = await self._worker.save(job, again)
        if saved is not None and not self.trials.are_in_vain(job):
            self._bench.log.info("job.goes_on", job=job.id, path=job.path, held_for=str(job.hold))
        self._worker.wake()
        return saved is not None
