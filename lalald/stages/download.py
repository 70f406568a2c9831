"""Fetch every wanted track of the job, choose its name, and put it in the outbox.

not named yet    fetch all into the staging folder, then reserve names; the worker saves them
named            put all in place; the worker saves that they are delivered, then calls `finish_delivery`
"""

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
    NameTakenError,
    StagingLostError,
    TransientError,
)
from lalald.filesystem.files import RESERVED_FREE_BYTES
from lalald.filesystem.names import printable
from lalald.jobs.job import Job, host_of
from lalald.jobs.outcomes import Advance, Held, Outcome
from lalald.jobs.states import Hold, Stage
from lalald.jobs.task import Task, Track
from lalald.jobs.wanted_tracks import undelivered_tracks
from lalald.outbox import SourceRead, Staged
from lalald.outbox.template import TrackKey
from lalald.stages.context import StageContext
from lalald.stages.failed_downloads import LINK_TRIES, FailedTrack, check_again, outcome_of_failures, with_links_renewed
from lalald.stages.precharge.disk_space import likely_size, room_for_tracks
from lalald.stages.reuse import duplicates
from lalald.stages.source_tags import SourceTagReading

_FRESH_SECONDS = 1.0  # age of the outbox check before fetching; before anything is put in place it is checked again


async def download(job: Job, context: StageContext) -> Outcome:
    """Fetch and name the tracks, or, once their names are saved, put them in place.

    Raises ServiceError, FolderUnavailableError, DiskFullError; what was fetched so far stays in the staging folder.
    """
    if _all_named(job):
        await context.folders.check(job.settings.outbox)
        return await _deliver(job, context)
    free = await context.folders.check(job.settings.outbox, fresh_seconds=_FRESH_SECONDS)
    if job.attempts >= LINK_TRIES and (renewed := with_links_renewed(job)) is not job:
        return Advance(renewed)
    if (held := _hold_for_room(job, free)) is not None:
        return held
    staged = await _fetch_all(job, context)
    if not isinstance(staged, dict):
        return staged
    return await _reserve_names(job, staged, context)


def _all_named(job: Job) -> bool:
    return all(track.path is not None for _, _, track in undelivered_tracks(job))


async def _deliver(job: Job, context: StageContext) -> Outcome:
    try:
        placed = await _place(job, context)
    except NameTakenError:  # another program created a file of that name since it was chosen
        staged = await context.disks.run(job.settings.outbox, outbox.staged_tracks, job)
        return await _reserve_names(job, staged, context)
    except StagingLostError:
        return Advance(outbox.without_names(job))
    now = context.clock.now()
    return Advance(replace(placed, tasks=tuple(_after_delivery(task, now) for task in placed.tasks)))


def _after_delivery(task: Task, now: float) -> Task:
    """Done, or checked again for the tracks that the service has not provided yet."""
    if task.stage is not Stage.DOWNLOAD or task.error is not None:
        return task
    if task.missing:
        return check_again(task, now)
    return replace(task, stage=Stage.DONE, incomplete_since=None)


async def _place(job: Job, context: StageContext) -> Job:
    """Put the tracks in place. With `overwrite`, one job at a time: of two sets with the same names one whole set remains."""
    overwrites = job.settings.on_conflict == "overwrite"
    async with context.reservations.choosing(job.settings.outbox) if overwrites else nullcontext():
        return await context.disks.run(job.settings.outbox, outbox.place, job)


async def _reserve_names(job: Job, staged: dict[TrackKey, Staged], context: StageContext) -> Advance:
    """Choose the tracks' names. In each outbox one job at a time, so that no two choose the same."""
    directory = job.settings.outbox
    async with context.reservations.choosing(directory):
        is_reserved = partial(context.reservations.is_reserved, directory, job.id)
        named = await context.disks.run(directory, partial(outbox.reserve, job, staged, is_reserved=is_reserved))
        paths = [track.path for task in named.tasks for track in task.tracks if track.path and not track.delivered]
        context.reservations.add(directory, paths, job.id)
    return Advance(named)


def _hold_for_room(job: Job, free: int) -> Held | None:
    needed = room_for_tracks(job)
    if free >= needed:
        return None
    place = printable(job.settings.outbox)
    reason = (
        f"{place} has {free:,} bytes free, {needed:,} are needed, of which {RESERVED_FREE_BYTES:,} stay free."
        " The results are paid; make room within 24 hours."
    )
    return Held(Hold.DISK, reason, path=job.settings.outbox)


async def _fetch_all(job: Job, context: StageContext) -> dict[TrackKey, Staged] | Outcome:
    """Every track in the staging folder, or the outcome if some failed; the others stay for the next attempt."""
    tracks = undelivered_tracks(job)
    results = await _attempt_all(job, tracks, context)
    failed = [
        FailedTrack(task, index, result)
        for (task, index, _), result in zip(tracks, results, strict=True)
        if isinstance(result, BaseException)
    ]
    if failed and (outcome := await _outcome_of(job, failed, context)) is not None:
        return outcome
    if failed:
        try:
            raise failed[0].error
        finally:
            del results, failed  # the error's traceback would keep the errors, and all that their threads held, alive
    return {
        (task.number, index): staged
        for (task, index, _), staged in zip(tracks, results, strict=True)
        if isinstance(staged, Staged)
    }


async def _attempt_all(
    job: Job, tracks: Sequence[tuple[Task, int, Track]], context: StageContext
) -> Sequence[Staged | BaseException]:
    context.expected_bytes[job.id] = sum(likely_size(job, track) for _, _, track in tracks if track.copy_from is None)
    tags = SourceTagReading(job, context)
    try:
        return await asyncio.gather(
            *(_fetch(job, task, index, track, context, tags) for task, index, track in tracks), return_exceptions=True
        )
    finally:
        context.end_transfers(job)
        await tags.close()


async def _outcome_of(job: Job, failed: Sequence[FailedTrack], context: StageContext) -> Outcome | None:
    await clear(job, context)
    if any(isinstance(track.error, DuplicateChangedError) for track in failed):
        return await duplicates.replace_lost_copies(job, context)
    return outcome_of_failures(job, failed, context.clock.now())


async def _fetch(
    job: Job, task: Task, index: int, track: Track, context: StageContext, tags: SourceTagReading
) -> Staged:
    """One track into the staging folder, from the service or from an earlier job's results, with its tags."""
    staged = await _arrived(job, task, index, track, context, tags.source)
    return await tags.finished(task.number, index, staged)


async def _arrived(job: Job, task: Task, index: int, track: Track, context: StageContext, source: SourceRead) -> Staged:
    directory = job.settings.outbox
    host = host_of(track.url)
    async with context.dead_hosts.get(host, context.downloads):
        if track.copy_from is not None:
            folders = tuple(dict.fromkeys((directory, context.folder_of(track.copy_from))))
            return await context.disks.run_transfer(folders, outbox.copy_duplicate, job, task.number, index)
        transfer = context.begin_transfer(job, likely_size(job, track))
        try:
            return await context.disks.run_transfer(
                directory, outbox.fetch, job, task.number, index, context.api, transfer, source
            )
        except TransientError as error:
            error.host = host
            raise


async def finish_delivery(job: Job, context: StageContext) -> None:
    """Free the names and clear the staging folder, once the row says that everything is delivered."""
    context.reservations.release(job.id)
    await clear(job, context)


async def clear(job: Job, context: StageContext) -> None:
    """Remove what is no longer needed from the staging folder; if the outbox is unavailable, the next start does it."""
    with suppress(FolderUnavailableError):
        await context.disks.run(job.settings.outbox, outbox.clear, job)
