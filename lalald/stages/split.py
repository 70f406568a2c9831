"""Prepare tasks to be started. Money is spent at this stage, so each step is durable before the next one begins.

prepare            decide whether a job may be charged, and give its tasks keys; the worker saves the keys
start_requests     ask the service; the worker saves each task's id before it does anything else
start_answers      turn the answers into the job's outcome
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lalald.errors import ServiceError
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held, Outcome
from lalald.jobs.states import Hold, Stage
from lalald.jobs.task import Task
from lalald.presets import BATCHABLE
from lalald.stages.context import StageContext
from lalald.stages.precharge.before_charge import hold_before_charge
from lalald.stages.precharge.skip_existing import skip_if_all_exist
from lalald.stages.precharge.source_check import SourceChange, discard_or_fail, source_change
from lalald.stages.start_answers import possibly_started, without_source

_EXPIRES_SOON_SECONDS = 60.0
_BATCH_RETRY_SECONDS = 24 * 3600.0  # a plan may have changed


@dataclass(frozen=True, slots=True)
class Ready:
    """A job whose tasks of one mode have their keys in `job`, to be saved before the service is asked."""

    job: Job


def unstarted_tasks(job: Job, mode: str) -> list[Task]:
    """The job's tasks of a mode that are not started yet."""
    return [
        task
        for task in job.tasks
        if task.mode == mode and task.stage is Stage.SPLIT and task.error is None and task.hold is None
    ]


async def prepare(job: Job, mode: str, context: StageContext) -> Ready | Outcome:
    """Give the job's tasks of this mode their keys if the file, the source, the outbox and the minutes allow a charge.

    Tasks that were requested before are not checked again: the charge may have begun.
    Raises ServiceError if the service does not report the minutes left, FolderUnavailableError if a folder is unavailable.
    """
    tasks = unstarted_tasks(job, mode) if uses_batches(mode, context) else unstarted_tasks(job, mode)[:1]
    was_requested = any(task.requested_at is not None for task in tasks)
    if was_requested:
        context.budget.reserve(job, job.duration or 0.0)
    if (outcome := await _outcome_without_charge(job, context)) is not None:
        return outcome
    if not was_requested and (held := await _held(job, tasks, context)) is not None:
        return held
    now = context.clock.now()
    for task in tasks:
        job = job.with_task(task.requested(task.idempotency_key or context.new_key(), now))
    return Ready(job)


async def _outcome_without_charge(job: Job, context: StageContext) -> Outcome | None:
    """The outcome if the file changed, the results exist already, or the source must be uploaded again. Else None."""
    if not job.paid and (change := await source_change(job, context)) is not None:
        return await _discard_upload(job, change, context)
    if (skipped := await skip_if_all_exist(job, context)) is not None:
        context.budget.release_reservation(job.id)
        return skipped
    if not possibly_started(job) and _expires_soon(job, context.clock.now()):
        return Advance(without_source(job))
    return None


async def _held(job: Job, tasks: Sequence[Task], context: StageContext) -> Held | None:
    """Why these tasks must not be charged now, or None once their minutes are reserved."""
    numbers = tuple(task.number for task in tasks)
    if (held := await hold_before_charge(job, numbers, context)) is not None:
        return held
    refusal = (await context.budget.admit(job, job.duration)).refusal
    return None if refusal is None else Held(Hold.MINUTES, refusal.hold_reason, tasks=numbers, source=refusal.source)


def _expires_soon(job: Job, now: float) -> bool:
    """A task started now might be too late. Whether a source has already expired is for the service to say: our clock may be wrong."""
    return job.expires_at is not None and 0 <= job.expires_at - now < _EXPIRES_SOON_SECONDS


async def _discard_upload(job: Job, change: SourceChange, context: StageContext) -> Outcome:
    """The file changed after the upload: the uploaded source is deleted. Nothing was charged for it."""
    if job.source_id is not None:
        try:
            await context.api.delete(job.source_id)
        except ServiceError:
            context.log.info("source.left_to_expire", job=job.id, path=job.path, source_id=job.source_id)
    context.budget.release_reservation(job.id)
    return discard_or_fail(job, change)


def uses_batches(mode: str, context: StageContext) -> bool:
    """Whether tasks of this mode are started in batches: the API has three such modes, and some plans have no batches."""
    refused_at = context.batch_refused_at
    is_refused = refused_at is not None and 0 <= context.clock.now() - refused_at < _BATCH_RETRY_SECONDS
    return mode in BATCHABLE and not is_refused
