"""Contain unexpected exceptions: each sets aside the one job in whose work it was raised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from lalald.jobs.failures.unexpected_errors import convert_exhaustion, describe_exception, is_about_one_job
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Failed, Outcome, RetryLater
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.worker.faults.error_outcomes import outcome_of
from lalald.worker.faults.internal_faults import InternalFaults
from lalald.worker.holds.license_check import LicenseCheck

Answer = TypeVar("Answer")


class Guard:
    """One for the worker. `on_set_aside` is called with a job's id, and whether it failed; errors of the store, but RowError, pass."""

    def __init__(
        self,
        context: StageContext,
        license_check: LicenseCheck,
        jitter: Callable[[], float],
        on_set_aside: Callable[[int, bool], None],
    ) -> None:
        self._context = context
        self._license = license_check
        self._on_set_aside = on_set_aside
        self.faults = InternalFaults(context.clock, context.log, jitter, context.changed.set)

    async def outcome(self, step: str, job: Job, running: Awaitable[Outcome]) -> Outcome:
        """The outcome that a stage returned, or the one that its error, expected or not, means for the job."""
        try:
            return await outcome_of(job, convert_exhaustion(running), self._context, self._license)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            return self.faults.failed(step, job, error)

    def note_recorded(self, step: str, job: Job, outcome: Outcome) -> None:
        """Record that an outcome was saved: unless it is a retry or an internal failure, the step works."""
        if not isinstance(outcome, RetryLater) and not (isinstance(outcome, Failed) and outcome.is_internal):
            self.faults.note_success(step, job.id)

    async def run(
        self, step: str, job: Job, work: Callable[[], Awaitable[Answer]], *, may_fail: bool = True, written: bool = True
    ) -> Answer | None:
        """The result of the work; None if an unexpected exception set the job aside. With `written=False` its row is not changed."""
        try:
            return await convert_exhaustion(work())
        except Exception as error:
            if not is_about_one_job(error):
                raise
            outcome = self.faults.failed(step, job, error, may_fail=may_fail)
        if written:
            await self._set_aside(job, outcome)
        return None

    async def each(
        self, step: str, jobs: Sequence[Job], look: Callable[[Job], Awaitable[Answer]]
    ) -> list[tuple[Job, Answer]]:
        """Run `look` for one job after the other. The jobs for which it raised nothing, each with its result."""
        found: list[tuple[Job, Answer]] = []

        async def run_one(job: Job) -> None:
            found.append((job, await look(job)))
            self.faults.note_success(step, job.id)

        for job in jobs:
            if not self.faults.is_paused(step, job.id):
                await self.run(step, job, partial(run_one, job), may_fail=False, written=False)
        return found

    async def _set_aside(self, job: Job, outcome: RetryLater | Failed) -> None:
        """Write only state and error: another value of the job may be what cannot be written."""
        now = self._context.clock.now()
        is_failed = isinstance(outcome, Failed)
        error = outcome.error if isinstance(outcome, Failed) else outcome.reason
        due_at = (outcome.due_at or now) if isinstance(outcome, RetryLater) else 0.0
        counted = is_failed or (isinstance(outcome, RetryLater) and outcome.is_counted)

        def write(store: Store) -> bool:
            return store.set_aside(job.id, is_failed=is_failed, error=error, due_at=due_at, counted=counted, now=now)

        try:
            written = await self._context.store.run(write)
        except Exception as fault:
            if not is_about_one_job(fault):
                raise
            self._context.log.error(
                "job.not_set_aside", job=job.id, path=job.path, reason=describe_exception(fault), exc_info=fault
            )
            return
        self._context.changed.set()
        if is_failed and written:
            self._context.log.error("job.failed", job=job.id, path=job.path, stage=str(job.stage), reason=error)
            self._context.budget.release_reservation(job.id)
        self._on_set_aside(job.id, is_failed and written)
