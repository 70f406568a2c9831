"""Whether a job may take the next step that leads to a charge: be uploaded, or be split."""

from __future__ import annotations

from lalald.jobs.job import HoldSource, Job
from lalald.stages.context import StageContext
from lalald.stages.precharge.budget import Refusal, SpendDecision


async def admit(job: Job, context: StageContext) -> SpendDecision:
    """The spend guard's answer. While one job of unknown length is held for minutes no further one is uploaded: it would join it.

    Raises ServiceError where the service does not tell the minutes left.
    """
    if job.source_id is not None:
        return await context.budget.admit(job, job.duration)
    if job.has_unknown_length and not job.upload_waived:
        ahead = await context.store.run(lambda store: store.unknown_length_held(job.id))
        if ahead is not None:
            return SpendDecision(0.0, _behind(ahead))
    return await context.budget.admit_upload(job)


def _behind(ahead: int) -> Refusal:
    words = (
        f"its length is unknown, like that of job {ahead}, which is held for minutes: it is uploaded when that resumes"
    )
    return Refusal(HoldSource.UNKNOWN, words)
