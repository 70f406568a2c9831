"""Decide whether a job may be uploaded or split, as far as minutes go."""

from __future__ import annotations

from lalald.jobs.job import Job
from lalald.jobs.states import HoldSource
from lalald.stages.context import StageContext
from lalald.stages.precharge.budget import Refusal, SpendDecision


async def admit(job: Job, context: StageContext) -> SpendDecision:
    """The budget's decision. While a job of unknown length is held for minutes, no other job of unknown length is uploaded.

    Raises ServiceError if the service does not report the minutes left.
    """
    if job.source_id is not None:
        return await context.budget.admit(job, job.duration)
    if job.has_unknown_length and not job.upload_waived:
        ahead = await context.store.run(lambda store: store.unknown_length_held(job.id))
        if ahead is not None:
            return SpendDecision(0.0, _wait_for(ahead))
    return await context.budget.admit_upload(job)


def _wait_for(ahead: int) -> Refusal:
    words = f"its length is unknown, like that of job {ahead}, which is held for minutes; it is uploaded when that job resumes"
    return Refusal(HoldSource.UNKNOWN, words)
