"""Find earlier tasks with the same bytes and the same presets as a job's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError
from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task, task_key
from lalald.stages.context import StageContext
from lalald.stages.precharge.source_check import sha256
from lalald.store import Store


class EarlierTask(NamedTuple):
    """A task with the same presets on the same bytes, and its job."""

    job: Job
    task: Task


def undecided_tasks(job: Job) -> list[Task]:
    """The job's tasks that are neither paid, ended nor waiting for anything."""
    return [
        task
        for task in job.tasks
        if task.stage is Stage.SPLIT and task.error is None and task.hold is None and not task.paid
    ]


async def jobs_with_same_bytes(job: Job, context: StageContext) -> list[Job]:
    """Other jobs whose source has the same bytes. Those whose file cannot be read for the comparison are left out."""
    candidates = await context.store.run(partial(_possible_duplicates, job))
    return [candidate for candidate in candidates if await _sha256(candidate, context) == job.sha256]


def _possible_duplicates(job: Job, store: Store) -> list[Job]:
    return store.duplicates(job)


async def _sha256(job: Job, context: StageContext) -> str | None:
    if job.sha256 is not None:
        return job.sha256
    try:
        return await context.disks.run(source_folder(job), sha256, source_path(job))
    except FileError:
        return None


def same_tasks(task: Task, candidates: Sequence[Job]) -> list[EarlierTask]:
    """Earlier tasks with the same mode and presets that were paid for, or will be."""
    key = task_key(task.mode, task.presets)
    found = [
        EarlierTask(job, other)
        for job in candidates
        for other in job.tasks
        if task_key(other.mode, other.presets) == key
    ]
    return [earlier for earlier in found if was_paid(earlier.task) or is_in_progress(earlier)]


def was_paid(task: Task) -> bool:
    """Whether its own job paid for it, or the job whose results it reuses."""
    return task.paid or task.paid_by is not None or any(track.sha256 for track in task.tracks)


def is_in_progress(earlier: EarlierTask) -> bool:
    """Whether its job is still working towards its results."""
    job, task = earlier
    return job.state in (State.WAITING, State.HELD) and task.stage is not Stage.DONE and task.error is None


async def job_in_progress(same: Sequence[EarlierTask], job: Job, context: StageContext) -> Job | None:
    """The oldest job that will get the same results, or None.

    A job that waits for a person's decision is overtaken: once released, it waits for this one.
    """
    for earlier in sorted((one.job for one in same if is_in_progress(one)), key=lambda one: one.id):
        if not await context.store.run(partial(_overtake, earlier.id, job.id)):
            return earlier
    return None


def _overtake(job_id: int, by: int, store: Store) -> bool:
    return store.overtake(job_id, by)
