"""The source and its tracks leave the service, once everything is in the outbox."""

from __future__ import annotations

from dataclasses import replace

from lalald.errors import RefusedError, TransientError
from lalald.jobs.job import Advance, Job, Outcome, RetryLater, Stage, with_warning
from lalald.stages.context import StageContext

_FETCHING_SECONDS = 60.0  # its end wakes the job; this is for one that waits for something else by then
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources by itself about a day after the upload


async def delete(job: Job, context: StageContext) -> Outcome:
    """Deletes the remote source. Already gone is success; a delete that keeps failing costs no results, only a warning."""
    assert job.source_id is not None  # noqa: S101 - narrows the type: `moves.owed` asks for a delete only then
    now = context.clock.now()
    if (fetching := await _fetching(job, now, context)) is not None:
        return RetryLater(f"job {fetching} takes its results first", due_at=now + _FETCHING_SECONDS)
    done = replace(job, stage=Stage.ARCHIVE, source_deleted_at=now)
    try:
        await context.api.delete(job.source_id)
    except RefusedError as error:
        return Advance(done) if _says_gone(error) else left_to_expire(job, str(error))
    except TransientError as error:
        if now < _expires_at(job):
            return RetryLater(str(error), error=error)
        done = replace(done, source_deleted_at=None)
        return Advance(with_warning(done, "the source could not be deleted on the service before it expired there"))
    return Advance(done)


async def _fetching(job: Job, now: float, context: StageContext) -> int | None:
    """A job with the same bytes that may still have to fetch what a delete would take away, while the service keeps it."""
    if now >= _expires_at(job):
        return None
    return await context.store.run(lambda store: store.fetching_duplicate(job.id))


def _expires_at(job: Job) -> float:
    return job.expires_at if job.expires_at is not None else job.created_at + _KEPT_SECONDS


def left_to_expire(job: Job, why: str) -> Advance:
    """The service will not delete the source: the results are there all the same."""
    warning = f"the source could not be deleted on the service, where it will expire: {why}"
    return Advance(with_warning(replace(job, stage=Stage.ARCHIVE), warning))


def _says_gone(error: RefusedError) -> bool:
    """The document names no code for a source that is not there: its words are all there is."""
    words = str(error).lower()
    return error.status == 404 or any(
        word in words for word in ("not found", "deleted", "does not exist", "not been uploaded")
    )
