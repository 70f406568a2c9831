"""The same bytes with the same task: earlier results are given again, and never paid again without asking.

For each task that is not paid yet, by what is known of jobs with the same bytes:

    its tracks lie in an outbox as they were delivered    they are copied
    the service may still have them (24 h, not deleted)   they are fetched again, for free
    they lie in an outbox that is away                    the job waits for it
    an older job is about to get them                     the job waits for that
    it was paid, and its results are gone                 a person is asked (hold `duplicate`)
    none of these                                         it is charged like any other
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, FolderUnavailableError
from lalald.jobs.job import (
    Advance,
    Held,
    Hold,
    Job,
    Outcome,
    RetryLater,
    Stage,
    State,
    Task,
    Track,
    describe_error,
    task_key,
)
from lalald.jobs.transitions import reset_task
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.presets import expected_labels
from lalald.stages.context import StageContext
from lalald.stages.precharge.preflight import hold_for
from lalald.stages.precharge.source_check import digest
from lalald.store import Store

_WAIT_SECONDS = 3600.0  # the earlier job's end wakes this one; this is for one that is trimmed away
_TOLD_SECONDS = 24 * 3600.0 - 120.0  # the document: `/check/` is possible within 24 h after the task's creation
_LINKS_SECONDS = 3600.0 - 120.0  # after a delete its links live an hour


_Reason = Callable[[Job, int | None], str]


class Earlier(NamedTuple):
    """A task with the same question on the same bytes, and its job."""

    job: Job
    task: Task


@dataclass
class _Findings:
    """What follows for the tasks of a job."""

    given: dict[int, Task] = field(default_factory=dict)
    asked: dict[int, Earlier] = field(default_factory=dict)
    waits: Job | None = None
    away: Held | None = None


async def may_exist(job: Job, context: StageContext) -> bool:
    """Whether the job's bytes have to be compared: hashing costs a read, so only where one of the same size has such a task."""
    asks_always = job.settings.duplicates == "hold"
    if (
        job.ignore_duplicates
        or job.settings.duplicates == "process"
        or (asks_always and job.duplicate_accepted)
        or not _open(job)
    ):
        return False
    return await context.store.run(lambda store: store.may_have_duplicate(job))


async def look(job: Job, context: StageContext) -> Job | Outcome:
    """The job whose bytes are hashed, with the tasks that cost nothing; what is left of it is to be charged. Else what follows first."""
    candidates = await _candidates(job, context)
    if job.settings.duplicates == "hold":
        found = {task.number: same[0] for task in _open(job) if (same := _same(task, candidates))}
        return _asked(job, found, _always_asks) if found else job
    findings = await _findings(job, candidates, context, verify=job.duplicate_accepted)
    if findings.away is not None:
        return findings.away
    if findings.waits is not None:
        return _waits(job, findings.waits, context)
    return _answered(job, findings)


async def without_copies(job: Job, context: StageContext) -> Outcome:
    """What follows where an earlier result is not what was delivered: other copies are compared whole, and nothing is paid unasked."""
    lost = {task.number for task in job.tasks if task.stage is Stage.DOWNLOAD and any(t.copy_from for t in task.tracks)}
    again = replace(job, tasks=tuple(reset_task(task) if task.number in lost else task for task in job.tasks))
    again = replace(again, duplicate_accepted=False)  # that was another question
    findings = await _findings(again, await _candidates(again, context), context, verify=True)
    if findings.away is not None:
        return replace(
            findings.away, job=replace(job, duplicate_of=findings.away.job.duplicate_of if findings.away.job else None)
        )
    if findings.waits is not None:
        return _waits(replace(again, stage=Stage.UPLOAD), findings.waits, context)
    unknown = lost - findings.given.keys() - findings.asked.keys()
    earlier = Earlier(again, again.tasks[0])
    findings.asked.update(dict.fromkeys(unknown, earlier))  # its job is trimmed away by now: paid it was
    answered = _answered(again, findings)
    return Advance(answered) if isinstance(answered, Job) else answered


def ask_instead(job: Job, tasks: Sequence[Task]) -> Held:
    """Tasks whose results the service does not have any more either: a person decides whether they are paid again."""
    for task in tasks:
        job = job.with_task(reset_task(task))
    return _held(job, [task.number for task in tasks], _results_are_gone(job, next(iter(tasks)).paid_by))


async def _candidates(job: Job, context: StageContext) -> list[Job]:
    """Jobs with the same bytes. One whose file cannot be read to be compared is none."""
    found = await context.store.run(partial(_found, job))
    return [one for one in found if await _sha256(one, context) == job.sha256]


def _found(job: Job, store: Store) -> list[Job]:
    return store.duplicates(job)


async def _sha256(job: Job, context: StageContext) -> str | None:
    if job.sha256 is not None:
        return job.sha256
    try:
        return await context.disks.run(source_folder(job), digest, source_path(job))
    except FileError:
        return None


def _open(job: Job) -> list[Task]:
    """The tasks of which nothing is decided yet."""
    return [
        task
        for task in job.tasks
        if task.stage is Stage.SPLIT and task.error is None and task.hold is None and not task.paid
    ]


async def _findings(job: Job, candidates: Sequence[Job], context: StageContext, *, verify: bool) -> _Findings:
    findings = _Findings()
    for task in _open(job):
        same = _same(task, candidates)
        given = await _copied(task, same, job, context, findings, verify=verify)
        if given is None and not job.duplicate_accepted:
            given = _fetched_again(task, same, job, context)
        if given is not None:
            findings.given[task.number] = given
        elif same and (before := await _under_way(same, job, context)) is not None:
            findings.waits = findings.waits or before
        elif paid := [one for one in same if _was_paid(one.task)]:
            findings.asked[task.number] = paid[0]
    if not findings.asked or job.duplicate_accepted:
        findings.away = None  # whatever lies there is not needed
    if job.duplicate_accepted:  # what a person has answered is charged now, unless it can be had for nothing
        findings.asked.clear()
    return findings


def _same(task: Task, candidates: Sequence[Job]) -> list[Earlier]:
    """Earlier tasks that ask the same; those that nothing was paid for and nobody will are left out."""
    key = task_key(task.mode, task.presets)
    found = (Earlier(job, one) for job in candidates for one in job.tasks if task_key(one.mode, one.presets) == key)
    return [one for one in found if _was_paid(one.task) or _is_under_way(one)]


def _was_paid(task: Task) -> bool:
    """By its own job, or by the one whose results it was given."""
    return task.paid or task.paid_by is not None or any(track.sha256 for track in task.tracks)


def _is_under_way(earlier: Earlier) -> bool:
    job, task = earlier
    return job.state in (State.WAITING, State.HELD) and task.stage is not Stage.DONE and task.error is None


async def _under_way(same: Sequence[Earlier], job: Job, context: StageContext) -> Job | None:
    """The oldest job that is about to get the results. One that waits for a person's answer is no order: this one goes first, and it
    waits for this one once it is released."""
    for earlier in sorted((one.job for one in same if _is_under_way(one)), key=lambda one: one.id):
        if not await context.store.run(partial(_overtaken, earlier.id, job.id)):
            return earlier
    return None


def _overtaken(job_id: int, by: int, store: Store) -> bool:
    return store.overtake(job_id, by)


# results that are there


async def _copied(
    task: Task, same: Sequence[Earlier], job: Job, context: StageContext, findings: _Findings, *, verify: bool
) -> Task | None:
    """The task with the first tracks that are all there. Results that are away with their outbox are noted."""
    for earlier in same:
        if not any(track.delivered for track in earlier.task.tracks):
            continue
        if held := await _held_for_its_outbox(job, earlier.job, context):
            findings.away = findings.away or held
        elif given := await context.disks.run(
            earlier.job.settings.outbox, partial(_with_copies, verify=verify), task, earlier, job
        ):
            return given
    return None


async def _held_for_its_outbox(job: Job, earlier: Job, context: StageContext) -> Held | None:
    """Results that are not there may be away with their outbox, and what is paid is not paid again for that.

    One that no inbox has any more is not waited for.
    """
    outbox = earlier.settings.outbox
    if outbox in {job.settings.outbox, *(str(inbox.outbox) for inbox in context.config.inboxes)}:
        try:
            await context.folders.check(outbox)
        except FolderUnavailableError as error:
            return Held(hold_for(error), describe_error(error), job=replace(job, duplicate_of=earlier.id))
    return None


def _with_copies(task: Task, earlier: Earlier, job: Job, *, verify: bool) -> Task | None:
    """On a thread: the task with the earlier one's tracks to copy, or None where one that is wanted is not there any more."""
    tracks = mark_wanted([_to_copy(track, earlier.job) for track in earlier.task.tracks], job.settings.tracks)
    if not tracks or any(track.wanted and not _is_there(track, verify=verify) for track in tracks):
        return None
    return replace(task, stage=Stage.DOWNLOAD, tracks=tracks, paid_by=earlier.task.paid_by or earlier.job.id)


def _to_copy(track: Track, earlier: Job) -> Track:
    origin = os.path.join(earlier.settings.outbox, track.path) if track.path and track.delivered else None
    return replace(track, path=None, delivered=False, copy_from=origin)


def _is_there(track: Track, *, verify: bool) -> bool:
    if track.copy_from is None or track.sha256 is None:
        return False
    try:
        is_whole = os.stat(track.copy_from).st_size == track.size
        return is_whole and (not verify or digest(track.copy_from) == track.sha256)
    except (OSError, FileError):
        return False


# results that the service may still have


def _fetched_again(task: Task, same: Sequence[Earlier], job: Job, context: StageContext) -> Task | None:
    """The task as one that the service is asked for, where it may still tell of an earlier one."""
    now = context.clock.now()
    for earlier in same:
        if not _may_be_told(earlier, now):
            continue
        tracks = mark_wanted(_expected(earlier.task), job.settings.tracks)
        facts = {
            "task_id": earlier.task.task_id,
            "started_at": earlier.task.started_at,
            "progressed_at": now,
            "due_at": now,
        }
        paid_by = earlier.task.paid_by or earlier.job.id
        return replace(task, stage=Stage.CHECK, tracks=tracks, paid_by=paid_by, **facts)  # type: ignore[arg-type] # the fields' own
    return None


def _may_be_told(earlier: Earlier, now: float) -> bool:
    job, task = earlier
    if task.task_id is None or task.started_at is None or _is_under_way(earlier):
        return False
    deleted_at = job.source_deleted_at
    return now - task.started_at < _TOLD_SECONDS and (deleted_at is None or now - deleted_at < _LINKS_SECONDS)


def _expected(task: Task) -> list[Track]:
    """The tracks that it had, or that the document promises; where they are is asked for."""
    if task.tracks:
        return [Track(track.type, track.label, url="") for track in task.tracks]
    return [Track(kind, label, url="") for kind, label in expected_labels(task.mode, task.presets)]


# what follows


def _waits(job: Job, earlier: Job, context: StageContext) -> RetryLater:
    reason = f"waits for job {earlier.id}, which has the same content"
    return RetryLater(reason, job=replace(job, duplicate_of=earlier.id), due_at=context.clock.now() + _WAIT_SECONDS)


def _answered(job: Job, findings: _Findings) -> Job | Outcome:
    """The job with what is given; held for what a person is asked, and done with this stage where nothing is left to be charged."""
    for task in findings.given.values():
        job = replace(job.with_task(task), duplicate_of=task.paid_by)
    if findings.asked:
        return _asked(job, findings.asked, _results_are_gone)
    return job if _open(job) or not findings.given else Advance(job)


def _asked(job: Job, found: Mapping[int, Earlier], reason: _Reason) -> Held:
    first = next(iter(found.values())).job
    return _held(replace(job, duplicate_of=first.id), list(found), reason(job, first.id))


def _held(job: Job, numbers: Sequence[int], reason: str) -> Held:
    return Held(Hold.DUPLICATE, reason, job=job, tasks=tuple(numbers))


def _results_are_gone(job: Job, earlier_id: int | None) -> str:
    return (
        f"job {earlier_id} has paid for the same bytes, but its results are neither in the outbox as they were nor on the service."
        f" Nothing more is charged unless you run `lalald release {job.id}`, which pays for them again."
    )


def _always_asks(job: Job, earlier_id: int | None) -> str:
    return (
        f"job {earlier_id} has the same bytes (duplicates: hold)."
        f" Nothing is charged unless you run `lalald release {job.id}`, which pays for them again."
    )
