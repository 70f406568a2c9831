"""Archive the sources of failed jobs: into `failed_dir`, with a note beside each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from lalald.errors import DiskFullError, FileError, FolderUnavailableError, LalaldError
from lalald.jobs import transitions
from lalald.jobs.failures.unexpected_errors import convert_exhaustion, describe_exception, is_about_one_job
from lalald.jobs.job import Job, describe_error
from lalald.jobs.outcomes import RetryLater
from lalald.stages.context import StageContext
from lalald.worker.claims import Claims
from lalald.worker.faults.guard import Guard
from lalald.worker.recorder import Recorder
from lalald.worker.wakeups import FAILURES


@dataclass(frozen=True, slots=True)
class FailedSources:
    """`archive_source` moves one of them, and raises FileError where it stays in its place."""

    context: StageContext
    guard: Guard
    recorder: Recorder
    claims: Claims
    archive_source: Callable[[Job, StageContext], Awaitable[Job]]
    jitter: Callable[[], float]

    async def archive(self, job: Job) -> None:
        """Archive the source of a claimed job."""
        try:
            await self.guard.run(FAILURES, job, partial(self._archive, job), written=False)
        finally:
            self.claims.release([job])

    async def _archive(self, job: Job) -> None:
        try:
            archived = await convert_exhaustion(self.archive_source(job, self.context))
            await self.recorder.save(job, replace(archived, archived=True))
            self.guard.faults.note_success(FAILURES, job.id)
        except FileError as error:
            again = isinstance(error, (FolderUnavailableError, DiskFullError))
            await self._record_error(job, error, again=again)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            again = isinstance(self.guard.faults.failed(FAILURES, job, error), RetryLater)
            await self._record_error(job, LalaldError(f"internal: {describe_exception(error)}"), again=again)

    async def _record_error(self, job: Job, error: LalaldError, *, again: bool) -> None:
        now = self.context.clock.now()
        after = transitions.record_archive_error(job, error, now, self.jitter(), again=again)
        if after.archive_error != job.archive_error:
            self.context.log.warning("archive.failed", job=job.id, path=job.path, reason=describe_error(error))
        await self.recorder.save(job, after)
