"""Run a job's stage, record its outcome, and go on with the next stage of the same pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from lalald.jobs.job import Job, download_hosts
from lalald.jobs.outcomes import Outcome, RetryLater
from lalald.jobs.states import Stage, State
from lalald.stages.context import StageContext
from lalald.store.due import LONGEST_WAIT_SECONDS, Queue
from lalald.worker.claims import Claims
from lalald.worker.faults.error_outcomes import proves_service_works
from lalald.worker.faults.guard import Guard
from lalald.worker.recorder import Recorder
from lalald.worker.service.service_health import ServiceHealth
from lalald.worker.stage_steps import StageFunction


@dataclass(frozen=True, slots=True)
class StageRunner:
    context: StageContext
    guard: Guard
    recorder: Recorder
    claims: Claims
    health: ServiceHealth

    async def run_job(self, job: Job, functions: Mapping[Stage, StageFunction]) -> None:
        """Run the stages of a claimed job, one after the other, while the next one is among `functions` and due at once."""
        try:
            current: Job | None = job
            while current is not None and current.stage in functions and self._is_due_now(current):
                stage = current.stage
                if current is not job and not self.guard.faults.admitted_jobs(stage, [current]):
                    return  # the stage is stopped
                current = await self.guard.run(stage, current, partial(self._run_stage, current, functions[stage]))
        finally:
            self.claims.release([job])

    async def _run_stage(self, job: Job, function: StageFunction) -> Job | None:
        """The job as saved, or None where it does not go on at once."""
        began_at = self.context.clock.monotonic()
        outcome = await self.guard.outcome(job.stage, job, function(job, self.context))
        await self._report_to_breaker(job, outcome, began_at)
        saved = await self.recorder.record_outcome(job, outcome)
        self.guard.note_recorded(job.stage, job, outcome)
        return None if isinstance(outcome, RetryLater) else saved

    def _is_due_now(self, job: Job) -> bool:
        """Whether it waits for nothing, not even for the end of a pause."""
        now = self.context.clock.now()
        return job.state is State.WAITING and not now < job.due_at <= now + LONGEST_WAIT_SECONDS

    async def _report_to_breaker(self, job: Job, outcome: Outcome, began_at: float) -> None:
        """An outcome without a request to the service says nothing about the service."""
        if isinstance(outcome, RetryLater) and outcome.error is not None:
            await self.health.jobs_failed(Queue(job.stage), [job], outcome.error, began_at)
        elif proves_service_works(job, outcome):
            for host in [""] if job.stage is not Stage.DOWNLOAD else download_hosts(job):
                self.health.succeeded(job.stage, [job.id], began_at, host)
        elif not isinstance(outcome, RetryLater):
            self.health.last_good_at = self.context.clock.monotonic()
