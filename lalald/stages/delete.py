"""Delete the source and its tracks from the service, once everything is in the outbox."""

from __future__ import annotations

from dataclasses import replace

from lalald.errors import RefusedError, TransientError
from lalald.jobs.job import Job, with_warning
from lalald.jobs.outcomes import Advance, Outcome, RetryLater
from lalald.jobs.states import Stage
from lalald.stages.context import StageContext

_FETCHING_SECONDS = (
    60.0  # the other job's end wakes this one; the limit is for a job that begins to wait for something else
)
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources about a day after the upload


async def delete(job: Job, context: StageContext) -> Outcome:
    """Delete the uploaded source. One that is already gone counts as deleted; a delete that keeps failing ends in a warning."""
    assert job.source_id is not None  # noqa: S101 - narrows the type: `transitions` leads here only with a source
    now = context.clock.now()
    if (fetching := await _fetching_job(job, now, context)) is not None:
        return RetryLater(f"job {fetching} fetches its results first", due_at=now + _FETCHING_SECONDS)
    done = replace(job, stage=Stage.ARCHIVE, source_deleted_at=now)
    try:
        await context.api.delete(job.source_id)
    except RefusedError as error:
        return Advance(done) if _says_gone(error) else leave_to_expire(job, str(error))
    except TransientError as error:
        if now < _expires_at(job):
            return RetryLater(str(error), error=error)
        done = replace(done, source_deleted_at=None)
        return Advance(with_warning(done, "the source could not be deleted from the service before it expired there"))
    return Advance(done)


async def _fetching_job(job: Job, now: float, context: StageContext) -> int | None:
    """The id of a job with the same bytes that may still fetch this source's results; None once they have expired."""
    if now >= _expires_at(job):
        return None
    return await context.store.run(lambda store: store.fetching_duplicate(job.id))


def _expires_at(job: Job) -> float:
    return job.expires_at if job.expires_at is not None else job.created_at + _KEPT_SECONDS


def leave_to_expire(job: Job, why: str) -> Advance:
    """The job past its delete, with a warning: the service refused it, and the results are delivered."""
    warning = f"the source could not be deleted from the service, where it will expire: {why}"
    return Advance(with_warning(replace(job, stage=Stage.ARCHIVE), warning))


def _says_gone(error: RefusedError) -> bool:
    """The API document has no code for a source that is already gone, so its words decide."""
    words = str(error).lower()
    return error.status == 404 or any(
        word in words for word in ("not found", "deleted", "does not exist", "not been uploaded")
    )
