"""Decide what follows when tracks could not be fetched: new links, a second size, a hold, or delivery of the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lalald.errors import LinkDeadError, LinkRefusedError, SizeDiffersError, TransientError
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Outcome
from lalald.jobs.states import Hold, Stage, TaskFailure
from lalald.jobs.task import Task
from lalald.jobs.wanted_tracks import undelivered_tracks
from lalald.stages.check import late_check_pause
from lalald.stages.reuse import duplicates

MAX_LINK_RENEWALS = 2
LINK_TRIES = 10  # with their pauses some ten minutes: then `/check/` may know a better host or size


@dataclass(frozen=True, slots=True)
class FailedTrack:
    """A track that could not be fetched: its task, its index there, and the error."""

    task: Task
    index: int
    error: BaseException


def outcome_of_failures(job: Job, failed: Sequence[FailedTrack], now: float) -> Outcome | None:
    """The outcome if another `/check/` may help, or some tracks must not keep the others waiting. None: the error decides."""
    if dead := [track for track in failed if isinstance(track.error, LinkDeadError)]:
        return _renew_links(job, dead, now)
    if differing := [track for track in failed if isinstance(track.error, SizeDiffersError)]:
        return _check_sizes(job, differing)
    if refused := [track for track in failed if isinstance(track.error, LinkRefusedError)]:
        return _hold_refused(job, refused, now)
    if job.attempts >= LINK_TRIES - 1 and all(isinstance(track.error, TransientError) for track in failed):
        return _deliver_others(job, failed, now)
    return None


def with_links_renewed(job: Job) -> Job:
    """The job with a new `/check/` for each task whose tracks are fetched from the service."""
    numbers = {task.number for task, _, track in undelivered_tracks(job) if track.copy_from is None}
    tasks = (replace(task, stage=Stage.CHECK, due_at=None) if task.number in numbers else task for task in job.tasks)
    return replace(job, tasks=tuple(tasks)) if numbers else job


def check_again(task: Task, now: float) -> Task:
    """The task with another check for its missing tracks; held for a refused link if it has one."""
    since = now if task.incomplete_since is None else task.incomplete_since
    held = Hold.LINK if task.hold_reason else None
    task = replace(task, stage=Stage.CHECK, incomplete_since=since, hold=held)
    return replace(task, due_at=now + late_check_pause(task, now))


def _renew_links(job: Job, dead: Sequence[FailedTrack], now: float) -> Outcome:
    """A dead link is renewed by `/check/`, twice at most. Then the track counts as not provided, and the others are delivered;
    if there are none, the task fails."""
    task = dead[0].task
    if task.link_renewals < MAX_LINK_RENEWALS:
        return Advance(
            job.with_task(replace(task, link_renewals=task.link_renewals + 1, stage=Stage.CHECK, due_at=None))
        )
    if task.paid_by is not None and not any(track.delivered for track in task.tracks):
        return duplicates.hold_for_decision(job, [task])
    without = _without_links(task, [track.index for track in dead if track.task.number == task.number], now)
    if any(track.wanted and not track.is_missing for track in without.tracks):
        return Advance(job.with_task(without))
    error = (
        f"the service's links to its tracks are dead, new ones were requested {task.link_renewals} times."
        f" It is paid; run `lalald retry {job.id}` to ask again while the service keeps the results."
    )
    return Advance(job.with_task(replace(task, failure=TaskFailure.DEAD_LINKS, error=error)))


def _without_links(task: Task, indexes: Sequence[int], now: float) -> Task:
    """The task as if these tracks had not been provided: the others are delivered, and these are checked for again."""
    tracks = (replace(track, url="") if index in indexes else track for index, track in enumerate(task.tracks))
    without = replace(task, tracks=tuple(tracks), incomplete_since=task.incomplete_since or now)
    has_others = any(track.wanted and not track.delivered and not track.is_missing for track in without.tracks)
    return without if has_others else check_again(without, now)


def _hold_refused(job: Job, refused: Sequence[FailedTrack], now: float) -> Outcome | None:
    """A link that must not be followed holds the job once the other tracks are in place; at once if there are none."""
    for number in {track.task.number for track in refused}:
        task = _task(job, number)
        errors = {track.index: track.error for track in refused if track.task.number == number}
        reason = link_hold_reason(job, next(iter(errors.values())))
        without = _without_links(replace(task, hold_reason=reason), list(errors), now)
        if not any(track.wanted and not track.is_missing for track in without.tracks):
            return None
        job = job.with_task(without)
    return Advance(job)


def link_hold_reason(job: Job, error: BaseException) -> str:
    """Why the job is held for a link that lalald does not follow."""
    return f"{error} The task is paid; run `lalald release {job.id}` to try again."


def _deliver_others(job: Job, failed: Sequence[FailedTrack], now: float) -> Outcome | None:
    """Tracks that failed for some ten minutes no longer keep the fetched ones waiting."""
    after = job
    for task in job.tasks:
        indexes = [track.index for track in failed if track.task.number == task.number]
        without = _without_links(task, indexes, now) if indexes else task
        if indexes and task.paid_by is None and any(track.wanted and not track.is_missing for track in without.tracks):
            after = after.with_task(without)
    return Advance(after) if after is not job else None


def _check_sizes(job: Job, differing: Sequence[FailedTrack]) -> Advance:
    """The declared size is a hint: it is requested once more, and then the track is delivered whatever it says."""
    for failed in differing:
        task = _task(job, failed.task.number)
        tracks = (
            replace(track, declared_size=track.size) if index == failed.index else track
            for index, track in enumerate(task.tracks)
        )
        job = job.with_task(replace(task, tracks=tuple(tracks), stage=Stage.CHECK, due_at=None))
    return Advance(job)


def _task(job: Job, number: int) -> Task:
    return next(task for task in job.tasks if task.number == number)
