"""Tasks start here, and money is spent: the key is durable before the request leaves, the task's id before anything else happens.

`prepare` decides whether a job may be charged and gives its tasks keys; the worker saves that; `start_requests` then asks the service.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lalald.errors import ServiceError
from lalald.jobs.job import Advance, Held, Hold, Job, Outcome, Stage, Task
from lalald.presets import BATCHABLE
from lalald.stages.context import StageContext
from lalald.stages.precharge.before_charge import held_before_the_charge
from lalald.stages.precharge.skip_existing import skip
from lalald.stages.precharge.source_check import changed, gone
from lalald.stages.start_answers import possibly_started, without_source

_ABOUT_TO_EXPIRE_SECONDS = 60.0
_BATCH_ASKED_AGAIN_SECONDS = 24 * 3600.0  # a plan may have changed


@dataclass(frozen=True, slots=True)
class Ready:
    """A job whose tasks of one mode have their keys in `job`, to be saved before `start`."""

    job: Job


def unstarted_tasks(job: Job, mode: str) -> list[Task]:
    """The job's tasks of a mode that are not started yet."""
    return [
        task
        for task in job.tasks
        if task.mode == mode and task.stage is Stage.SPLIT and task.error is None and task.hold is None
    ]


async def prepare(job: Job, mode: str, context: StageContext) -> Ready | Outcome:
    """Whether the job's tasks of this mode may be charged now: the file, the source, the outbox and the minutes.

    Raises ServiceError where the service does not tell the minutes left, FolderUnavailableError where a folder is away.
    """
    tasks = unstarted_tasks(job, mode) if batches(mode, context) else unstarted_tasks(job, mode)[:1]
    asked = any(task.requested_at is not None for task in tasks)
    numbers = tuple(task.number for task in tasks)
    if asked:
        context.budget.reserve(job, job.duration or 0.0)
    if not job.paid and (reason := await changed(job, context)) is not None:
        return await _discard_upload(job, reason, context)
    if (skipped := await skip(job, context)) is not None:
        context.budget.release_reservation(job.id)
        return skipped
    if not possibly_started(job) and _is_about_to_expire(job, context.clock.now()):
        return Advance(without_source(job))
    if not asked and (held := await held_before_the_charge(job, numbers, context)) is not None:
        return held
    if not asked:
        admission = await context.budget.admit(job, job.duration)
        if (refusal := admission.refusal) is not None:
            return Held(Hold.MINUTES, refusal.reason, tasks=numbers, source=refusal.source)
    now = context.clock.now()
    for task in tasks:
        job = job.with_task(
            replace(
                task, idempotency_key=task.idempotency_key or context.new_key(), requested_at=task.requested_at or now
            )
        )
    return Ready(job)


def _is_about_to_expire(job: Job, now: float) -> bool:
    """A task started now might come too late. Of a source that had expired before the service is the judge: our clock may be wrong."""
    return job.expires_at is not None and 0 <= job.expires_at - now < _ABOUT_TO_EXPIRE_SECONDS


async def _discard_upload(job: Job, reason: str, context: StageContext) -> Outcome:
    """The file changed after the upload: what was uploaded is of no use, and nobody paid for it."""
    if job.source_id is not None:
        try:
            await context.api.delete(job.source_id)
        except ServiceError:
            context.log.info("source.left_to_expire", job=job.id, path=job.path, source_id=job.source_id)
    context.budget.release_reservation(job.id)
    return gone(job, reason)


def batches(mode: str, context: StageContext) -> bool:
    """Whether tasks of this mode are started in batches: the document has three such modes, and it is a matter of the plan."""
    refused_at = context.batch_refused_at
    refused = refused_at is not None and 0 <= context.clock.now() - refused_at < _BATCH_ASKED_AGAIN_SECONDS
    return mode in BATCHABLE and not refused
