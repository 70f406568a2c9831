"""Cancel running tasks on the service, and find out which of them had ended before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from lalald.api import TaskAnswer
from lalald.errors import RateLimitedError, RefusedError, ServiceError, TransientError
from lalald.jobs.failures.unexpected_errors import convert_faults
from lalald.jobs.halving import TIMES_IN_A_ROW
from lalald.jobs.job import Job
from lalald.stages.context import StageContext
from lalald.worker.service.circuit_breaker import DIFFERENT_JOBS
from lalald.worker.service.rate_limiter import GrowingPauses
from lalald.worker.service.service_health import CANCEL, ServiceHealth

Check = Callable[[Sequence[str]], Awaitable[dict[str, TaskAnswer]]]


class Cancellation:
    """`check` asks the service for tasks at once, within its rate limit."""

    def __init__(self, context: StageContext, health: ServiceHealth, check: Check, jitter: Callable[[], float]) -> None:
        self._context = context
        self._health = health
        self._check = check
        self._pauses = GrowingPauses(context.clock, jitter)  # by job

    def keep(self, job_ids: Collection[int]) -> None:
        """Only these jobs are still to be cancelled."""
        self._pauses.keep(job_ids)

    @property
    def wait_seconds(self) -> float | None:
        """Seconds until a failed cancel is tried again; None if there is none."""
        return self._health.wait_seconds(CANCEL) or self._pauses.next_seconds

    async def cancel(self, job: Job, running: list[str]) -> set[str] | None:
        """Cancel these tasks of a job. Returns those that had ended; None if the service does not answer.

        Then the job pauses, longer each time, and delays no other job's request.
        """
        health, began_at = self._health, self._context.clock.monotonic()
        if health.wait_seconds(CANCEL) or self._pauses.wait_seconds(job.id):
            return None
        try:
            ended = await self._ended_tasks(job, running)
        except ServiceError as error:
            await self._postpone(job, error, began_at)
            return None
        self._pauses.forget(job.id)
        health.succeeded(CANCEL, [job.id], began_at)
        return ended

    async def _postpone(self, job: Job, error: ServiceError, began_at: float) -> None:
        self._pauses.failed(job.id)
        opened = False
        if isinstance(error, TransientError):
            waiting = len(await self._context.store.run(lambda store: store.jobs_with_request(limit=DIFFERENT_JOBS)))
            opened = self._health.failed(CANCEL, error, began_at, [job.id], waiting)
        if opened or (self._pauses.times(job.id) == TIMES_IN_A_ROW and not self._health.wait_seconds(CANCEL)):
            self._context.log.warning("cancel.postponed", job=job.id, path=job.path, reason=str(error))

    async def _ended_tasks(self, job: Job, running: list[str]) -> set[str]:
        """Cancel, and return those that had ended.

        The service says "not in progress" also of tasks that an earlier request cancelled, if its answer was lost: `/check/` decides.
        """
        is_halved = self._pauses.times(job.id) >= TIMES_IN_A_ROW - 1
        answers = await self._request(running, is_halved=is_halved)
        refused = [task_id for task_id in running if answers.get(task_id, "no answer") is not None]
        checked = await self._check(refused) if refused else {}
        return {task_id for task_id in refused if task_id not in checked or checked[task_id].status != "cancelled"}

    async def _request(self, task_ids: list[str], *, is_halved: bool) -> dict[str, str | None]:
        """By task: None if it was cancelled, else why not. Raises ServiceError, after every half was tried.

        A request for many that is refused as a whole (or, where `is_halved`, answered with an error) is halved until the refused
        task is alone in its request: that one cannot be cancelled.
        """
        try:
            return await convert_faults(self._context.api.cancel(task_ids))
        except RefusedError as error:
            if len(task_ids) == 1:
                return {task_ids[0]: str(error)}
        except TransientError as error:
            if len(task_ids) == 1 or not is_halved or not error.answered or isinstance(error, RateLimitedError):
                raise
        half = len(task_ids) // 2
        parts = (self._request(part, is_halved=is_halved) for part in (task_ids[:half], task_ids[half:]))
        merged: dict[str, str | None] = {}
        for answers in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(answers, BaseException):
                raise answers
            merged |= answers
        return merged
