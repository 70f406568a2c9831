"""Every wanted track of the job into the outbox: fetched whole, named, then put in place; all or nothing."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial

from lalald import outbox
from lalald.errors import FolderUnavailableError, LinkDeadError, NameTakenError, StagingLostError, TwinChangedError
from lalald.jobs import Done, Held, Hold, Job, Outcome, Stage, Task, Track
from lalald.outbox import Staged
from lalald.stages import twins
from lalald.stages.bench import Bench
from lalald.stages.room import room_for_tracks
from lalald.stages.tracks import owed

_LINKS_ASKED_AT_MOST = 2
_FRESH_SECONDS = 1.0  # of a look at the outbox before fetching; before anything is put in place there is another
_TRIES_WITH_A_LINK = 10  # with their backoffs some ten minutes: then `/check/` may know a better host, or size


async def download(job: Job, bench: Bench) -> Outcome:
    """Fetches and names the tracks, or, once their names are durable, puts them in place.

    Raises ServiceError, FolderUnavailableError, DiskFullError; what was fetched so far stays in the staging folder.
    """
    if _named(job):
        await bench.folders.check(job.handling.outbox)
        return await _place(job, bench)
    free = await bench.folders.check(job.handling.outbox, fresh_seconds=_FRESH_SECONDS)
    if job.attempts >= _TRIES_WITH_A_LINK and (doubted := with_links_asked_anew(job)) is not job:
        return Done(doubted)
    if (held := _no_room(job, free)) is not None:
        return held
    staged = await _fetch_all(job, bench)
    if not isinstance(staged, dict):
        return staged
    return await _reserve(job, staged, bench)


def _named(job: Job) -> bool:
    return all(track.path is not None for _, _, track in owed(job))


async def _place(job: Job, bench: Bench) -> Outcome:
    try:
        placed = await _placed(job, bench)
    except NameTakenError:  # somebody put a file there since the name was chosen
        staged = await bench.disks.on(job.handling.outbox, outbox.staged_tracks, job)
        return await _reserve(job, staged, bench)
    except StagingLostError:
        return Done(outbox.unnamed(job))
    tasks = (
        replace(task, stage=Stage.DONE) if task.stage is Stage.DOWNLOAD and task.error is None else task
        for task in placed.tasks
    )
    return Done(replace(placed, tasks=tuple(tasks)))


async def _placed(job: Job, bench: Bench) -> Job:
    """Who overwrites does it alone: of two sets with the same names one is left, and no mixture."""
    overwrites = job.handling.on_conflict == "overwrite"
    async with bench.reservations.choosing(job.handling.outbox) if overwrites else nullcontext():
        return await bench.disks.on(job.handling.outbox, outbox.place, job)


async def _reserve(job: Job, staged: dict[tuple[int, int], Staged], bench: Bench) -> Done:
    """In an outbox names are chosen by one job at a time, so that no two choose the same."""
    directory = job.handling.outbox
    async with bench.reservations.choosing(directory):
        taken = partial(bench.reservations.taken, directory, job.id)
        named = await bench.disks.on(directory, partial(outbox.reserve, job, staged, reserved=taken))
        paths = [track.path for task in named.tasks for track in task.tracks if track.path and not track.delivered]
        bench.reservations.claim(directory, paths, job.id)
    return Done(named)


def _no_room(job: Job, free: int) -> Held | None:
    needed = room_for_tracks(job)
    if free >= needed:
        return None
    reason = f"{job.handling.outbox} has {free:,} bytes free, {needed:,} are needed. The results are paid; make room within 24 hours."
    return Held(Hold.DISK, reason)


async def _fetch_all(job: Job, bench: Bench) -> dict[tuple[int, int], Staged] | Outcome:
    """All at once, as far as the download threads go. The first fault ends it; what others fetched stays for the next try."""
    tracks = owed(job)
    try:
        tries = await asyncio.gather(
            *(_fetch(job, task, position, track, bench) for task, position, track in tracks), return_exceptions=True
        )
    finally:
        bench.transferred(job)
    faults = [fault for fault in tries if isinstance(fault, BaseException)]
    if faults:
        await clear(job, bench)
    dead = [task for (task, _, _), fault in zip(tracks, tries, strict=True) if isinstance(fault, LinkDeadError)]
    if any(isinstance(fault, TwinChangedError) for fault in faults):
        return await twins.away(job, bench) or _without_the_twin(job)
    if dead:
        return _links_anew(job, dead[0])
    if faults:
        try:
            raise faults[0]
        finally:
            del tries, faults  # with its traceback it would keep itself, and all that its thread held
    return {
        (task.number, position): done
        for (task, position, _), done in zip(tracks, tries, strict=True)
        if isinstance(done, Staged)
    }


async def _fetch(job: Job, task: Task, position: int, track: Track, bench: Bench) -> Staged:
    """One track into the staging folder, from the service or from an earlier job's results."""
    directory = job.handling.outbox
    async with bench.downloads:
        if track.origin is not None:
            folders = dict.fromkeys((directory, bench.folder_of(track.origin)))
            return await bench.disks.transfer(tuple(folders), outbox.copy_twin, job, task.number, position)
        transfer = bench.transfer(job, track.size or job.size)
        return await bench.disks.transfer(directory, outbox.fetch, job, task.number, position, bench.api, transfer)


def with_links_asked_anew(job: Job) -> Job:
    """The job with `/check/` owed again by every task whose tracks come from the service."""
    doubted = {task.number for task, _, track in owed(job) if track.origin is None}
    tasks = (replace(task, stage=Stage.CHECK, due_at=None) if task.number in doubted else task for task in job.tasks)
    return replace(job, tasks=tuple(tasks)) if doubted else job


def _without_the_twin(job: Job) -> Outcome:
    """The earlier results are not what they were: the bytes are split again, or somebody is asked."""
    tasks = tuple(
        replace(task, stage=Stage.SPLIT, tracks=()) if any(track.origin for track in task.tracks) else task
        for task in job.tasks
    )
    again = replace(job, tasks=tasks, twin_id=None, stage=Stage.UPLOAD)
    if job.handling.duplicates == "hold":
        return twins.ask(again, job.twin_id)
    return Done(replace(again, redo=True))


def _links_anew(job: Job, task: Task) -> Outcome:
    """A dead link: `/check/` may give a new one, twice at most. Then this task has failed, the others go on."""
    if task.links_asked >= _LINKS_ASKED_AT_MOST:
        words = f"the service's links to its tracks are dead, new ones were asked for {task.links_asked} times."
        again = f"It is paid; `lalald retry {job.id}` asks again while the service keeps the results."
        return Done(job.with_task(replace(task, error=f"{words} {again}")))
    return Done(job.with_task(replace(task, links_asked=task.links_asked + 1, stage=Stage.CHECK, due_at=None)))


async def tidy(job: Job, bench: Bench) -> None:
    """After the row says that everything is delivered: what is left in the staging folder goes, and the names are free."""
    bench.reservations.forget(job.id)
    await clear(job, bench)


async def clear(job: Job, bench: Bench) -> None:
    """What is of no use any more leaves the staging folder; where the outbox is away, at the next start."""
    with suppress(FolderUnavailableError):
        await bench.disks.on(job.handling.outbox, outbox.clear, job)
