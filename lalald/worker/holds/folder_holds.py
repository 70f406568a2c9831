"""Probe the folders that held jobs wait for: unavailable, full, or without a permission; with growing pauses."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError
from lalald.jobs.failures.unexpected_errors import describe_exception, is_about_one_job
from lalald.jobs.job import Job, describe_error
from lalald.jobs.states import Hold, Stage
from lalald.stages.context import StageContext
from lalald.stages.precharge.disk_space import room_at, room_needed
from lalald.stages.precharge.preflight import Check, PlacementTest, SourceMoveTest, hold_for
from lalald.stages.precharge.source_check import check_inbox, check_reachable
from lalald.store import Store
from lalald.worker.claims import Claims
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.hold_backoff import ProbeSchedule
from lalald.worker.recorder import Recorder

Answer = TypeVar("Answer")


async def _check_error(need: Check) -> FileError | None:
    look, what = need
    try:
        await look(what)
    except FileError as error:
        return error
    except Exception as error:
        if not is_about_one_job(error):
            raise
        folder = next(iter(_folders_of(need)), None)
        return FileError(f"it cannot be examined: internal: {describe_exception(error)}.", path=folder)
    return None


async def _errors(needs: Iterable[Check]) -> dict[Check, FileError]:
    """The checks that fail. Nothing is tested in a folder that is unavailable or not the right one."""
    trials = {need for need in needs if isinstance(need[1], (PlacementTest, SourceMoveTest))}
    found = await _errors_of([need for need in needs if need not in trials])
    unavailable = {what for _, what in found}
    return found | await _errors_of(
        [need for need in trials if unavailable.isdisjoint(getattr(need[1], "folders", ()))]
    )


async def _errors_of(needs: Sequence[Check]) -> dict[Check, FileError]:
    answers = zip(needs, await asyncio.gather(*map(_check_error, needs)), strict=True)
    return {need: error for need, error in answers if error is not None}


def _folders_of(check: Check) -> tuple[str, ...]:
    _, what = check
    if isinstance(what, str):
        return (what,)
    return what if isinstance(what, tuple) else getattr(what, "folders", ())


def _is_about(check: Check, job: Job) -> bool:
    """Whether the job is held for a folder of the check, or for something in it."""
    return any(_is_within(job.held_path, folder) for folder in _folders_of(check))


def _is_within(path: str | None, folder: str) -> bool:
    return path is not None and f"{path}/".startswith(f"{folder}/")


def _held_for_folders(store: Store) -> tuple[tuple[list[Job], dict[int, Job]], list[Job]]:
    """Jobs held for folders, the earlier jobs whose results they wait for, and jobs held for room."""
    jobs = [*store.held_jobs(Hold.MOUNT), *store.held_jobs(Hold.PERMISSION)]
    earlier_jobs = {
        earlier.id: earlier
        for earlier in store.jobs_by_id({job.duplicate_of for job in jobs if job.duplicate_of is not None})
    }
    return (jobs, earlier_jobs), store.held_jobs(Hold.DISK)


class FolderProbe:
    """`release` ends a job's hold and returns whether it did; `warn_if_late` logs that a paid job is held for long."""

    def __init__(
        self,
        context: StageContext,
        claims: Claims,
        recorder: Recorder,
        guard: Guard,
        release: Callable[[Job], Awaitable[bool]],
        warn_if_late: Callable[[Job], None],
    ) -> None:
        self._context = context
        self._claims = claims
        self._recorder = recorder
        self._guard = guard
        self._release = release
        self._warn_if_late = warn_if_late
        self.schedule = ProbeSchedule()

    async def release_where_folders_are_back(self) -> None:
        """Release each job whose folders are all usable. Folders of a job are probed together, when all its probes are due."""
        (jobs, earlier_jobs), full = await self._context.store.run(_held_for_folders)
        unavailable: set[Check] = {
            Check(self._context.folders.check, folder) for folder in self._context.folders.unavailable
        }

        async def needs_of_one(job: Job) -> set[Check]:
            return self._needs(job, earlier_jobs.get(job.duplicate_of or 0))

        async def folder_of(job: Job) -> str:
            return room_needed(job).root

        needs_of = {job.id: needs for job, needs in await self._each(jobs, needs_of_one)}
        jobs = [job for job in jobs if job.id in needs_of]
        rooms: dict[str, list[Job]] = {}
        for job, folder in await self._each(full, folder_of):
            rooms.setdefault(folder, []).append(job)
        self.schedule.keep({*unavailable, *rooms, *needs_of, *(job.id for job in full)}.union(*needs_of.values()))
        now = self._context.clock.monotonic()
        for folder, held in rooms.items():
            if self.schedule.is_due(folder, now):
                await self._release_where_there_is_room(folder, held)
        due = [job for job in jobs if all(self.schedule.is_due(need, now) for need in (job.id, *needs_of[job.id]))]
        needs = {need for need in unavailable if self.schedule.is_due(need, now)}.union(
            *(needs_of[job.id] for job in due)
        )
        unmet = await self._unmet(needs)

        async def release_or_keep(job: Job) -> None:
            missing = {need: error for need, error in unmet.items() if need in needs_of[job.id]}
            await self._release_or_keep(job, missing)

        await self._each(due, release_or_keep)

    async def _each(self, jobs: Sequence[Job], look: Callable[[Job], Awaitable[Answer]]) -> list[tuple[Job, Answer]]:
        return await self._guard.each("hold", jobs, look)

    async def _unmet(self, needs: set[Check]) -> dict[Check, FileError]:
        unmet = await _errors(needs)
        now = self._context.clock.monotonic()
        for need in needs:
            if need in unmet:
                self.schedule.failed(need, now)
            else:
                self.schedule.succeeded(need)
        return unmet

    async def _release_or_keep(self, job: Job, unmet: dict[Check, FileError]) -> None:
        self._warn_if_late(job)
        if not unmet:
            await self._release(job)
        elif not any(_is_about(need, job) for need in unmet):
            await self._change_hold(job, next(iter(unmet.values())))

    async def _change_hold(self, job: Job, error: FileError) -> None:
        """Record that the job waits for something else now."""
        hold, now = hold_for(error), self._context.clock.now()
        waits = replace(job, hold=hold, hold_reason=describe_error(error), held_path=error.path, updated_at=now)
        if not self._claims.is_claimed(job.id) and await self._recorder.save(job, waits) is not None:
            self._context.log.warning("job.held", job=job.id, path=job.path, hold=str(hold), reason=waits.hold_reason)

    def _needs(self, job: Job, earlier: Job | None) -> set[Check]:
        """All checks of folders that the job's stage needs: released after fewer, it would be held again at once."""
        preflight, check = self._context.preflight, self._context.folders.check
        inbox = Check(self._check_inbox, job.inbox)
        outbox = {Check(check, job.settings.outbox)}
        results: set[Check] = set()  # of the job whose results it waits for, if they are why it is held
        if earlier is not None and _is_within(job.held_path, earlier.settings.outbox):
            results = {Check(check, earlier.settings.outbox)}
        folder = source_folder(job)
        file = {inbox if folder == job.inbox else Check(check, folder)}
        file.add(Check(self._check_reachable, (folder, source_path(job))))
        match job.stage:
            case Stage.UPLOAD:
                return {*file, *results}
            case Stage.SPLIT:
                return {*file, *outbox, *preflight.outbox_checks(job), *preflight.source_checks(job)}
            case Stage.ARCHIVE if job.settings.on_success == "keep":
                return {inbox}
            case Stage.ARCHIVE:
                return {inbox, *preflight.source_checks(job)}
            case _:
                return {*outbox, *preflight.outbox_checks(job), *results}

    async def _check_inbox(self, inbox: str) -> None:
        await check_inbox(inbox, self._context)

    async def _check_reachable(self, source: tuple[str, str]) -> None:
        folder, path = source
        await self._context.disks.run(folder, check_reachable, path, folder)

    async def _release_where_there_is_room(self, folder: str, jobs: list[Job]) -> None:
        left: dict[int, int] = {}  # free bytes by device, less what released jobs need

        async def release_if_it_fits(job: Job) -> bool:
            self._warn_if_late(job)
            fits = await self._fits(job, left) and await self._passes_trials(job)
            return fits and await self._release(job)

        released = sum(went_on for _, went_on in await self._each(jobs, release_if_it_fits))
        if released:
            self.schedule.succeeded(folder)
        if released < len(jobs):
            self.schedule.failed(folder, self._context.clock.monotonic())

    async def _passes_trials(self, job: Job) -> bool:
        """Before a charge, the folders for its source must be usable, too."""
        if job.stage is not Stage.SPLIT:
            return True
        unmet = await _errors(self._needs(job, None))
        if unmet and not any(_is_about(need, job) for need in unmet):
            await self._change_hold(job, next(iter(unmet.values())))
        return not unmet

    async def _fits(self, job: Job, left: dict[int, int]) -> bool:
        root, places = room_needed(job)
        needed: Counter[int] = Counter()
        try:
            for place, count in places.items():
                device, free = await self._context.disks.run(root, room_at, place, root)
                left.setdefault(device, free)
                needed[device] += count
        except FileError:
            return False
        if any(left[device] < count for device, count in needed.items()):
            return False
        for device, count in needed.items():
            left[device] -= count
        return True
