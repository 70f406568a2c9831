"""Start tasks: save their keys, request them, and save their ids before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

from lalald.errors import LicenseRefusedError, RefusedError, ServiceError, TransientError
from lalald.jobs.failures.unexpected_errors import is_about_one_job, is_exhaustion
from lalald.jobs.halving import Halving
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held, Outcome, RetryLater
from lalald.jobs.states import Hold, Stage, State
from lalald.jobs.task import Task
from lalald.stages import split, start_answers, start_requests
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.due import Queue
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.license_check import LicenseCheck
from lalald.worker.recorder import Recorder
from lalald.worker.service.service_health import ServiceHealth, start_of
from lalald.worker.stage_steps import StageSteps

Answers = dict[tuple[int, int], start_answers.Answer]


class TaskStarter:
    """Runs groups of jobs through `split`: up to a hundred tasks in one request."""

    def __init__(
        self,
        context: StageContext,
        steps: StageSteps,
        recorder: Recorder,
        guard: Guard,
        health: ServiceHealth,
        license_check: LicenseCheck,
    ) -> None:
        self._context = context
        self._steps = steps
        self._recorder = recorder
        self._guard = guard
        self._health = health
        self._license = license_check
        self._stopping = False
        self._halving: Halving[int] = Halving()  # by job
        self.charging: set[asyncio.Task[None]] = (
            set()
        )  # those whose request is on the wire, or its answer not yet saved

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """How many of the first of these jobs may share a request."""
        return self._halving.leading([job.id for job in jobs], start_requests.MAX_BATCH_TASKS)

    def stop(self) -> None:
        """Start no further requests; those on the wire continue."""
        self._stopping = True

    async def start(self, group: Sequence[Job], mode: str) -> None:
        """Prepare each job of a group, start their tasks of this mode in one request, and save each job's answers."""
        possibly_started_before = {job.id: start_answers.possibly_started(job) for job in group}
        guard = self._guard
        prepared = await asyncio.gather(*(guard.run("split", job, partial(self._prepare, job, mode)) for job in group))
        ready = [job for job in prepared if job is not None]
        if not ready or self._stopping:
            return
        request = asyncio.create_task(self._ask(ready, mode, possibly_started_before), name=f"start {mode}")
        self.charging.add(request)
        request.add_done_callback(self.charging.discard)
        try:
            await request
        finally:
            request.cancel()

    async def _ask(self, ready: Sequence[Job], mode: str, possibly_started_before: Mapping[int, Set[int]]) -> None:
        """Send the requests that charge, and save the answers to each before the next."""
        request = start_requests.StartRequest(
            mode, self._context, self._halving, partial(self._report, mode), lambda: self._stopping
        )
        known, unanswered = {job.id: job for job in ready}, {job.id for job in ready}
        try:
            async for answers in self._steps.start(ready, request):
                job_ids = {job_id for job_id, _ in answers}
                unanswered -= job_ids
                saved = await asyncio.gather(
                    *(
                        self._guarded_record(known[job_id], answers, possibly_started_before[job_id])
                        for job_id in job_ids
                    )
                )
                known |= {job.id: job for job in saved if job is not None}
        except Exception as error:
            if not is_about_one_job(error):
                raise
            await self._ask_in_halves([job for job in ready if job.id in unanswered], mode, error)

    async def _ask_in_halves(self, ready: Sequence[Job], mode: str, error: Exception) -> None:
        """After an unexpected exception: request halves, with the same keys, until the job that causes it stands alone."""
        if len(ready) <= 1 or is_exhaustion(error):
            for job in ready:
                await self._guard.run("split", job, partial(_raised, error))
            return
        half = len(ready) // 2
        for part in (ready[:half], ready[half:]):
            if not self._stopping:
                await self._ask(part, mode, {job.id: start_answers.possibly_started(job) for job in part})

    async def _guarded_record(self, job: Job, answers: Answers, possibly_started_before: Set[int]) -> Job | None:
        return await self._guard.run("split", job, partial(self._record_answers, job, answers, possibly_started_before))

    async def _prepare(self, job: Job, mode: str) -> Job | None:
        """The job with its keys saved, or None where its outcome is another."""

        async def prepare() -> Outcome:
            prepared = await self._steps.prepare_split(job, mode, self._context)
            return Advance(prepared.job) if isinstance(prepared, split.Ready) else prepared

        began_at = self._context.clock.monotonic()
        outcome = await self._guard.outcome("split", job, prepare())
        if (
            not isinstance(outcome, Advance)
            or outcome.job.source_id is None
            or not split.unstarted_tasks(outcome.job, mode)
        ):
            if isinstance(outcome, RetryLater) and outcome.error is not None:
                await self._report(mode, [job], outcome.error, began_at)
            await self._recorder.record_outcome(job, outcome)
            return None
        saved = await self._recorder.save(job, replace(outcome.job, updated_at=self._context.clock.now()))
        return None if saved is None or self._recorder.has_request(saved) else saved

    async def _report(self, mode: str, jobs: Sequence[Job], error: ServiceError | None, began_at: float) -> None:
        """Report to the circuit breaker. A refusal proves that the service works."""
        health, operation = self._health, start_of(mode)
        if isinstance(error, TransientError):
            await health.jobs_failed(Queue(Stage.SPLIT, mode), jobs, error, began_at, operation)
        elif not isinstance(error, LicenseRefusedError):
            health.succeeded(operation, [job.id for job in jobs], began_at)

    async def _record_started(self, job: Job, answers: Mapping[int, start_answers.Answer]) -> Job:
        """The job with the started tasks, once their ids are saved: a lost id is a paid task without results."""
        started = start_answers.with_started(job, answers, self._context)
        new = [task for task in started.tasks if task not in job.tasks]
        if not new:
            return job
        revision, charged = await self._context.store.run(partial(_record, job.id, new))
        self._context.budget.charged(job.id, charged)
        unchanged = revision == job.revision + 1
        return replace(started, revision=revision if unchanged else job.revision, minutes=job.minutes + charged)

    async def _record_answers(self, job: Job, answers: Answers, possibly_started_before: Set[int]) -> Job | None:
        """Save started tasks first, then examine a refusal of the license key. The job as saved."""
        of_job = {number: answer for (job_id, number), answer in answers.items() if job_id == job.id}
        unlicensed = {number: answer for number, answer in of_job.items() if isinstance(answer, LicenseRefusedError)}
        answered = {number: answer for number, answer in of_job.items() if number not in unlicensed}
        began_as, job = job, await self._record_started(job, answered)
        current: Job | None = job
        if answered:
            outcome = self._steps.start_outcome(job, answered, self._context, possibly_started_before)
            current = await self._recorder.record_outcome(job, outcome, began_as=began_as)
            self._guard.note_recorded("split", job, outcome)
            if current is None or (current.stage, current.state) != (Stage.SPLIT, State.WAITING):
                self._halving.forget([job.id])
        if not unlicensed or current is None or current.state is not State.WAITING:
            return current
        error = next(iter(unlicensed.values()))
        is_refused = await self._license.is_refused(error)
        without_request = start_answers.without_request(current, unlicensed, possibly_started_before)
        if is_refused:
            reason = f"the service refuses the license key: {error}"
            return await self._recorder.record_outcome(current, Held(Hold.LICENSE, reason, job=without_request))
        if is_refused is None:
            return await self._recorder.record_outcome(
                current, RetryLater(str(error), job=without_request, error=TransientError(str(error)))
            )
        for_good = RefusedError(error.args[0], status=error.status, code=error.code, request_id=error.request_id)
        refused = dict.fromkeys(unlicensed, for_good)
        return await self._recorder.record_outcome(
            current, start_answers.outcome_of(current, refused, self._context, possibly_started_before)
        )


def _record(job_id: int, tasks: Sequence[Task], store: Store) -> tuple[int, float]:
    return store.tasks.record_started(job_id, tasks)


async def _raised(error: Exception) -> None:
    raise error
