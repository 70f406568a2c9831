"""Every wanted track of the job into the outbox: fetched whole, named, then put in place; all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial

from lalald import outbox
from lalald.errors import (
    DuplicateChangedError,
    FolderUnavailableError,
    LinkDeadError,
    LinkRefusedError,
    NameTakenError,
    SizeDiffersError,
    StagingLostError,
    TransientError,
)
from lalald.jobs.job import Advance, Held, Hold, Job, Outcome, Stage, Task, TaskFailure, Track, host_of
from lalald.jobs.wanted_tracks import undelivered_tracks
from lalald.outbox import Staged
from lalald.stages import duplicates
from lalald.stages.check import seconds_till_asked_again
from lalald.stages.context import StageContext
from lalald.stages.precharge.disk_space import likely_size, room_for_tracks

_LINKS_ASKED_AT_MOST = 2
_FRESH_SECONDS = 1.0  # of a look at the outbox before fetching; before anything is put in place there is another
_TRIES_WITH_A_LINK = 10  # with their backoffs some ten minutes: then `/check/` may know a better host, or size


async def download(job: Job, context: StageContext) -> Outcome:
    """Fetches and names the tracks, or, once their names are durable, puts them in place.

    Raises ServiceError, FolderUnavailableError, DiskFullError; what was fetched so far stays in the staging folder.
    """
    if _named(job):
        await context.folders.check(job.settings.outbox)
        return await _place(job, context)
    free = await context.folders.check(job.settings.outbox, fresh_seconds=_FRESH_SECONDS)
    if job.attempts >= _TRIES_WITH_A_LINK and (doubted := with_links_asked_anew(job)) is not job:
        return Advance(doubted)
    if (held := _no_room(job, free)) is not None:
        return held
    staged = await _fetch_all(job, context)
    if not isinstance(staged, dict):
        return staged
    return await _reserve(job, staged, context)


def _named(job: Job) -> bool:
    return all(track.path is not None for _, _, track in undelivered_tracks(job))


async def _place(job: Job, context: StageContext) -> Outcome:
    try:
        placed = await _placed(job, context)
    except NameTakenError:  # somebody put a file there since the name was chosen
        staged = await context.disks.run(job.settings.outbox, outbox.staged_tracks, job)
        return await _reserve(job, staged, context)
    except StagingLostError:
        return Advance(outbox.without_names(job))
    now = context.clock.now()
    return Advance(replace(placed, tasks=tuple(_delivered(task, now) for task in placed.tasks)))


def _delivered(task: Task, now: float) -> Task:
    """Over, unless the service still owes a track: it is asked for again."""
    if task.stage is not Stage.DOWNLOAD or task.error is not None:
        return task
    if task.missing:
        return _asked_again(task, now)
    return replace(task, stage=Stage.DONE, incomplete_since=None)


def _asked_again(task: Task, now: float) -> Task:
    since = now if task.incomplete_since is None else task.incomplete_since
    held = Hold.LINK if task.hold_reason else None
    task = replace(task, stage=Stage.CHECK, incomplete_since=since, hold=held)
    return replace(task, due_at=now + seconds_till_asked_again(task, now))


async def _placed(job: Job, context: StageContext) -> Job:
    """Who overwrites does it alone: of two sets with the same names one is left, and no mixture."""
    overwrites = job.settings.on_conflict == "overwrite"
    async with context.reservations.choosing(job.settings.outbox) if overwrites else nullcontext():
        return await context.disks.run(job.settings.outbox, outbox.place, job)


async def _reserve(job: Job, staged: dict[tuple[int, int], Staged], context: StageContext) -> Advance:
    """In an outbox names are chosen by one job at a time, so that no two choose the same."""
    directory = job.settings.outbox
    async with context.reservations.choosing(directory):
        taken = partial(context.reservations.taken, directory, job.id)
        named = await context.disks.run(directory, partial(outbox.reserve, job, staged, reserved=taken))
        paths = [track.path for task in named.tasks for track in task.tracks if track.path and not track.delivered]
        context.reservations.claim(directory, paths, job.id)
    return Advance(named)


def _no_room(job: Job, free: int) -> Held | None:
    needed = room_for_tracks(job)
    if free >= needed:
        return None
    reason = f"{job.settings.outbox} has {free:,} bytes free, {needed:,} are needed. The results are paid; make room within 24 hours."
    return Held(Hold.DISK, reason)


async def _fetch_all(job: Job, context: StageContext) -> dict[tuple[int, int], Staged] | Outcome:
    """All at once, as far as the download threads go. The first fault ends it; what others fetched stays for the next try."""
    tracks = undelivered_tracks(job)
    context.expected_bytes[job.id] = sum(likely_size(job, track) for _, _, track in tracks if track.copy_from is None)
    try:
        tries = await asyncio.gather(
            *(_fetch(job, task, position, track, context) for task, position, track in tracks), return_exceptions=True
        )
    finally:
        context.end_transfers(job)
    faults = [fault for fault in tries if isinstance(fault, BaseException)]
    if faults:
        await clear(job, context)
    if any(isinstance(fault, DuplicateChangedError) for fault in faults):
        return await duplicates.without_copies(job, context)
    failed = [(*place, fault) for place, fault in zip(tracks, tries, strict=True) if isinstance(fault, Exception)]
    if (outcome := _asks_about_tracks(job, failed, context.clock.now())) is not None:
        return outcome
    if faults:
        try:
            raise faults[0]
        finally:
            del tries, faults, failed  # with its traceback it would keep itself, and all that its thread held
    return {
        (task.number, position): done
        for (task, position, _), done in zip(tracks, tries, strict=True)
        if isinstance(done, Staged)
    }


async def _fetch(job: Job, task: Task, position: int, track: Track, context: StageContext) -> Staged:
    """One track into the staging folder, from the service or from an earlier job's results."""
    directory = job.settings.outbox
    host = host_of(track.url)
    async with context.dead_hosts.get(host, context.downloads):
        if track.copy_from is not None:
            folders = dict.fromkeys((directory, context.folder_of(track.copy_from)))
            return await context.disks.run_transfer(tuple(folders), outbox.copy_duplicate, job, task.number, position)
        transfer = context.begin_transfer(job, likely_size(job, track))
        try:
            return await context.disks.run_transfer(
                directory, outbox.fetch, job, task.number, position, context.api, transfer
            )
        except TransientError as error:
            error.host = host
            raise


def with_links_asked_anew(job: Job) -> Job:
    """The job with `/check/` owed again by every task whose tracks come from the service."""
    doubted = {task.number for task, _, track in undelivered_tracks(job) if track.copy_from is None}
    tasks = (replace(task, stage=Stage.CHECK, due_at=None) if task.number in doubted else task for task in job.tasks)
    return replace(job, tasks=tuple(tasks)) if doubted else job


_Failed = tuple[Task, int, Track, Exception]


def _asks_about_tracks(job: Job, failed: Sequence[_Failed], now: float) -> Outcome | None:
    """What `/check/` may know better: a dead link, another size, tracks that never arrive or are refused while others do. Else None."""
    if dead := [(task, place) for task, place, _, fault in failed if isinstance(fault, LinkDeadError)]:
        return _links_anew(job, dead, now)
    if differing := [(task, place) for task, place, _, fault in failed if isinstance(fault, SizeDiffersError)]:
        return _sizes_anew(job, differing)
    if refused := [(task, place, fault) for task, place, _, fault in failed if isinstance(fault, LinkRefusedError)]:
        return _held_alone(job, refused, now)
    if job.attempts >= _TRIES_WITH_A_LINK - 1 and all(isinstance(fault, TransientError) for *_, fault in failed):
        return _sisters_alone(job, [(task, place) for task, place, _, _ in failed], now)
    return None


def _links_anew(job: Job, dead: Sequence[tuple[Task, int]], now: float) -> Outcome:
    """A dead link: `/check/` may give a new one, twice at most. Then the service has not given that track, and its sisters go on;
    where there are none its task has failed."""
    task = dead[0][0]
    if task.link_renewals < _LINKS_ASKED_AT_MOST:
        return Advance(
            job.with_task(replace(task, link_renewals=task.link_renewals + 1, stage=Stage.CHECK, due_at=None))
        )
    if task.paid_by is not None and not any(track.delivered for track in task.tracks):
        return duplicates.ask_instead(job, [task])
    without = _without_links(task, [place for other, place in dead if other.number == task.number], now)
    if any(track.wanted and not track.is_missing for track in without.tracks):
        return Advance(job.with_task(without))
    words = f"the service's links to its tracks are dead, new ones were requested {task.link_renewals} times."
    again = f"It is paid; `lalald retry {job.id}` asks again while the service keeps the results."
    return Advance(job.with_task(replace(task, failure=TaskFailure.DEAD_LINKS, error=f"{words} {again}")))


def _without_links(task: Task, places: Sequence[int], now: float) -> Task:
    """As if the service had not given these tracks: the others are delivered, and these asked for again."""
    tracks = (replace(track, url="") if place in places else track for place, track in enumerate(task.tracks))
    without = replace(task, tracks=tuple(tracks), incomplete_since=task.incomplete_since or now)
    owes = any(track.wanted and not track.delivered and not track.is_missing for track in without.tracks)
    return without if owes else _asked_again(without, now)


def _held_alone(job: Job, refused: Sequence[tuple[Task, int, LinkRefusedError]], now: float) -> Outcome | None:
    """A link that must not be followed holds the job once its sisters are in place. Without any it holds it now."""
    for number in {task.number for task, _, _ in refused}:
        task = next(task for task in job.tasks if task.number == number)
        faults = {place: fault for other, place, fault in refused if other.number == number}
        reason = link_hold_reason(job, next(iter(faults.values())))
        without = _without_links(replace(task, hold_reason=reason), list(faults), now)
        if not any(track.wanted and not track.is_missing for track in without.tracks):
            return None
        job = job.with_task(without)
    return Advance(job)


def link_hold_reason(job: Job, error: LinkRefusedError) -> str:
    return f"{error} The task is paid; `lalald release {job.id}` tries again."


def _sisters_alone(job: Job, failed: Sequence[tuple[Task, int]], now: float) -> Outcome | None:
    """Tracks that were tried for some ten minutes keep no longer those from their places that have arrived."""
    after = job
    for task in job.tasks:
        places = [place for other, place in failed if other.number == task.number]
        without = _without_links(task, places, now) if places else task
        if places and task.paid_by is None and any(track.wanted and not track.is_missing for track in without.tracks):
            after = after.with_task(without)
    return Advance(after) if after is not job else None


def _sizes_anew(job: Job, differing: Sequence[tuple[Task, int]]) -> Advance:
    """The declared size is a hint, and asked for once more. What comes is delivered then, whatever it says."""
    for number, place in [(task.number, place) for task, place in differing]:
        task = next(task for task in job.tasks if task.number == number)
        doubted = (
            replace(track, declared_size=track.size) if other == place else track
            for other, track in enumerate(task.tracks)
        )
        job = job.with_task(replace(task, tracks=tuple(doubted), stage=Stage.CHECK, due_at=None))
    return Advance(job)


async def finish_delivery(job: Job, context: StageContext) -> None:
    """After the row says that everything is delivered: what is left in the staging folder goes, and the names are free."""
    context.reservations.forget(job.id)
    await clear(job, context)


async def clear(job: Job, context: StageContext) -> None:
    """What is of no use any more leaves the staging folder; where the outbox is away, at the next start."""
    with suppress(FolderUnavailableError):
        await context.disks.run(job.settings.outbox, outbox.clear, job)
