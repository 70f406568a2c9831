"""Holds that end by themselves: one probe for all jobs that wait for the same thing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lalald.errors import FileError, LicenceRefusedError, ServiceError
from lalald.files import check_folder
from lalald.jobs import Hold, Job, Stage, told
from lalald.minutes_probe import MinutesProbe
from lalald.moves import released
from lalald.naming import shown
from lalald.stages.bench import Bench
from lalald.stages.places import filing_folder, source_folder
from lalald.stages.room import room_at, room_needed
from lalald.stages.source import check_inbox
from lalald.store import Store
from lalald.trials import Trials
from lalald.turns import Turns

if TYPE_CHECKING:
    from lalald.worker import Worker

_FOLDERS_EVERY_SECONDS = 10.0
_SERVICE_EVERY_SECONDS = 60.0
_LINK_AGAIN_SECONDS = 3600.0
_WARNED_AFTER_SECONDS = 12 * 3600.0
_PROBED = (Hold.LICENCE, Hold.MINUTES, Hold.DISK, Hold.MOUNT, Hold.LINK)

_Need = tuple[Callable[[str], Awaitable[object]], str]  # a look at a folder, which raises FileError, and the folder


async def _in_the_way(need: _Need) -> FileError | None:
    look, folder = need
    try:
        await look(folder)
    except FileError as error:
        return error
    return None


def _held_for_folders(store: Store) -> tuple[list[Job], dict[int, Job]]:
    """Those jobs, and the twins whose results they wait for."""
    jobs = store.held(Hold.MOUNT)
    return jobs, {twin.id: twin for twin in store.jobs_of({job.twin_id for job in jobs if job.twin_id is not None})}


class Holds:
    """Sleeps while nothing is held that a probe could end."""

    def __init__(self, bench: Bench, worker: Worker) -> None:
        self._bench = bench
        self._worker = worker
        self.turns = Turns()
        self.trials = Trials()
        self._probed_at = float("-inf")
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
        self._probed_at = float("-inf")
        self.turns.wake()

    async def run(self) -> None:
        """For ever."""
        while True:
            self.turns.begin()
            held = await self._bench.store.run(lambda store: store.holds())
            if (
                not any(hold in held for hold in _PROBED)
                and self.licence_trouble is None
                and not self._bench.folders.away
            ):
                self.unanswered = None
                await self.turns.sleep()
                continue
            wait = self._probed_at + _FOLDERS_EVERY_SECONDS - self._bench.clock.monotonic()
            if wait <= 0:
                self._probed_at = self._bench.clock.monotonic()
                await self.turns.meanwhile(self._probe(held))
                continue
            await self.turns.sleep(wait)

    async def _probe(self, held: dict[Hold, int]) -> None:
        self.trials.forget_old(self._bench.clock.monotonic())
        await self._release_where_folders_are_back()
        if Hold.DISK in held:
            await self._release_where_there_is_room()
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
        jobs, twins = await self._bench.store.run(_held_for_folders)
        away: set[_Need] = {(self._bench.folders.check, folder) for folder in self._bench.folders.away}
        needs_of = {job.id: self._needs(job, twins.get(job.twin_id or 0)) for job in jobs}
        needs = list(away.union(*needs_of.values()))
        answers = zip(needs, await asyncio.gather(*map(_in_the_way, needs)), strict=True)
        unmet = {need: error for need, error in answers if error is not None}
        for job in jobs:
            self._warn_if_paid_and_late(job)
            still = {folder: error for (look, folder), error in unmet.items() if (look, folder) in needs_of[job.id]}
            if not still:
                await self._release(job)
            elif not any(shown(folder) in (job.hold_reason or "") for folder in still):
                await self._hold_on(job, next(iter(still.values())))

    async def _hold_on(self, job: Job, error: FileError) -> None:
        """What it was held for is over, and it waits for something else now."""
        waits = replace(job, hold_reason=told(error), updated_at=self._bench.clock.now())
        if not self._worker.carries(job.id) and await self._worker.save(job, waits) is not None:
            self._bench.log.warning("job.held", job=job.id, path=job.path, hold=str(job.hold), reason=waits.hold_reason)

    def _needs(self, job: Job, twin: Job | None) -> set[_Need]:
        """All that its stage asks of folders: let go for one of them alone, it would be held again at once."""
        inbox: _Need = (self._check_inbox, job.inbox)
        outbox: _Need = (self._bench.folders.check, job.handling.outbox)
        results: set[_Need] = set()  # of its twin, where they are what it was held for: else it may have them by now
        if twin is not None and shown(twin.handling.outbox) in (job.hold_reason or ""):
            results = {(self._bench.folders.check, twin.handling.outbox)}
        folder = source_folder(job)
        file: _Need = inbox if folder == job.inbox else (self._bench.folders.check, folder)
        match job.stage:
            case Stage.UPLOAD:
                return {file, *results}
            case Stage.SPLIT:
                return {outbox} if job.paid else {file, outbox}
            case Stage.ARCHIVE if job.handling.on_success == "keep":
                return {inbox}
            case Stage.ARCHIVE:
                moved: set[_Need] = {inbox, (self._check_written, source_folder(job))}
                folder = filing_folder(job)
                return moved if folder == job.inbox else {*moved, (self._bench.folders.check, folder)}
            case _:
                return {outbox, *results}

    async def _check_inbox(self, inbox: str) -> None:
        await check_inbox(inbox, self._bench)

    async def _check_written(self, folder: str) -> None:
        await self._bench.disks.look(folder, check_folder)

    async def _release_where_there_is_room(self) -> None:
        jobs = await self._bench.store.run(lambda store: store.held(Hold.DISK))
        left: dict[int, int] = {}  # bytes by device: what one job is let go for, no other is
        for job in jobs:
            self._warn_if_paid_and_late(job)
            if await self._fits(job, left):
                await self._release(job)

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
        if self._worker.carries(job.id) or not self.trials.may(job, self._bench.clock.monotonic()):
            return False
        again = released(job, self._bench.clock.now(), by_a_person=False)
        saved = await self._worker.save(job, again)
        if saved is not None and not self.trials.are_in_vain(job):
            self._bench.log.info("job.goes_on", job=job.id, path=job.path, held_for=str(job.hold))
        self._worker.wake()
        return saved is not None
