"""The source and its tracks leave the service, once everything is in the outbox."""

from __future__ import annotations

from dataclasses import replace

from lalald.errors import RefusedError, TransientError
from lalald.jobs import Done, Job, Later, Outcome, Stage, warned
from lalald.stages.bench import Bench

_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources by itself about a day after the upload


async def delete(job: Job, bench: Bench) -> Outcome:
    """Deletes the remote source. Already gone is success; a delete that keeps failing costs no results, only a warning."""
    assert job.source_id is not None  # noqa: S101 - narrows the type: `moves.owed` asks for a delete only then
    done = replace(job, stage=Stage.ARCHIVE)
    try:
        await bench.api.delete(job.source_id)
    except RefusedError as error:
        return Done(done) if _says_gone(error) else left_to_expire(job, str(error))
    except TransientError as error:
        until = job.expires_at if job.expires_at is not None else job.created_at + _KEPT_SECONDS
        if bench.clock.now() < until:
            return Later(str(error), error=error)
        return Done(warned(done, "the source could not be deleted on the service before it expired there"))
    return Done(done)


def left_to_expire(job: Job, why: str) -> Done:
    """The service will not delete the source: the results are there all the same."""
    warning = f"the source could not be deleted on the service, where it expires by itself: {why}"
    return Done(warned(replace(job, stage=Stage.ARCHIVE), warning))


def _says_gone(error: RefusedError) -> bool:
    """The document names no code for a source that is not there: its words are all there is."""
    words = str(error).lower()
    return error.status == 404 or any(
        word in words for word in ("not found", "deleted", "does not exist", "not been uploaded")
    )
