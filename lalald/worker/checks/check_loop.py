"""The check loop: request the state of every running task, within the rate limit of `/check/`."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from lalald.api import TaskAnswer
from lalald.errors import LicenseRefusedError, RateLimitedError, RefusedError, ServiceError, TransientError
from lalald.jobs.failures.unexpected_errors import convert_faults
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.stages import check
from lalald.stages.context import StageContext
from lalald.stages.reuse import reused_tasks
from lalald.store.due import RunningTask
from lalald.worker.checks.check_queue import MOST_IN_A_CHECK, CheckQueue, CheckRequest
from lalald.worker.claims import Claims
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.license_check import LicenseCheck
from lalald.worker.recorder import Recorder
from lalald.worker.service.rate_limiter import RateLimiter
from lalald.worker.service.service_health import CHECK, ServiceHealth
from lalald.worker.wakeups import Wakeups

FACT = "checks_sent_at"


class CheckFunction(Protocol):
    """`stages.check.outcome_of`."""

    def __call__(
        self,
        job: Job,
        answers: Mapping[int, TaskAnswer | None],
        now: float,
        *,
        expired: frozenset[int],
        many: bool,
    ) -> Advance: ...


class CheckLoop:
    """One loop for all jobs; it sleeps while no task runs on the service."""

    def __init__(
        self,
        context: StageContext,
        wakeups: Wakeups,
        claims: Claims,
        recorder: Recorder,
        guard: Guard,
        health: ServiceHealth,
        license_check: LicenseCheck,
        check: CheckFunction,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._wakeups = wakeups
        self._signal = wakeups.checks
        self._claims = claims
        self._recorder = recorder
        self._guard = guard
        self._health = health
        self._license = license_check
        self._check = check
        self._window: RateLimiter | None = None
        self._queue = CheckQueue(context.clock, jitter)
        self._set_aside: set[str] = set()  # ids of tasks that were reported as spoiling the check of others
        self._overdue_since: dict[tuple[int, int], float] = {}  # by job and task; after a restart the time starts again

    async def run(self) -> None:
        """Run until cancelled."""
        earlier = await self._context.store.run(lambda store: store.state.get(FACT))
        times = [float(at) for at in earlier] if isinstance(earlier, list) else []
        self._window = RateLimiter(self._context.config.checks_per_minute, self._context.clock, times)
        while True:
            self._signal.begin()
            asked, wait = await self._next()
            if asked is None:
                await self._signal.sleep(wait)
                continue
            wait_seconds = self._wait_seconds(self._window)
            if wait_seconds > 0:
                await self._sleep(wait_seconds)
                continue
            await self._signal.keep_beating(self._ask(asked))

    def _wait_seconds(self, window: RateLimiter) -> float:
        window.per_minute = self._context.config.checks_per_minute
        breaker = self._health.breakers[CHECK].of()
        return max(
            window.urgent_wait_seconds if self._queue.has_suspects else window.wait_seconds,
            self._health.pause.wait_seconds,
            breaker.wait_seconds(untried_waits=self._queue.has_suspects),
        )

    async def _next(self) -> tuple[CheckRequest | None, float | None]:
        if self._license.problem is not None:
            await self._license.hold_jobs()
        now = self._context.clock.now()
        return await self._context.store.run(lambda store: self._queue.next_request(store, now))

    async def _sleep(self, seconds: float) -> None:
        """Sleep for that long, even when woken: new tasks join the next request and do not advance it."""
        until = self._context.clock.monotonic() + seconds
        while (left := until - self._context.clock.monotonic()) > 0:
            self._signal.begin()
            await self._signal.sleep(left)

    async def _ask(self, asked: CheckRequest) -> None:
        assert self._window is not None  # noqa: S101 - narrows the type: `run` made it
        health, began_at = self._health, self._context.clock.monotonic()
        key = hash(tuple(asked.ids))
        sent = self._window.sent()
        await self._context.store.run(lambda store: store.state.set(FACT, sent, sent[-1]))
        try:
            answers = await convert_faults(self._context.api.check(asked.ids))
        except LicenseRefusedError as error:
            is_refused = await self._license.is_refused(error)
            if is_refused is None:
                health.failed(CHECK, TransientError(str(error)), began_at, [key], 1)
            elif not is_refused:
                await self._failed(asked, error, refused=True)
        except RefusedError as error:
            await self._failed(asked, error, refused=True)
        except TransientError as error:
            health.failed(CHECK, error, began_at, [key], 1)
            if error.answered and not isinstance(error, RateLimitedError):
                await self._failed(asked, error, refused=False)
        else:
            self._queue.answered(asked)
            self._set_aside.difference_update(asked.ids)
            health.succeeded(CHECK, [key], began_at)
            await self._record_answers(asked.tasks, answers)

    async def _failed(self, asked: CheckRequest, error: ServiceError, *, refused: bool) -> None:
        """The request failed as a whole. For a task that fails alone, continue as if it were missing in the answer."""
        if not self._queue.failed(asked, refused=refused):
            return
        (task,) = asked.tasks
        if task.task_id not in self._set_aside:
            self._set_aside.add(task.task_id)
            self._context.log.warning("check.set_aside", job=task.job_id, task=task.number, reason=str(error))
        await self._record_answers(asked.tasks, {})

    async def _answers(self, task_ids: Sequence[str]) -> dict[str, TaskAnswer]:
        """The answers by task id. A refused request is halved until the refused task stands alone; that one has no answer."""
        try:
            return await convert_faults(self._context.api.check(task_ids))
        except RefusedError:
            if len(task_ids) == 1:
                return {}
        half = len(task_ids) // 2
        first = await self.check_now(task_ids[:half])
        return first | await self.check_now(task_ids[half:])

    async def check_now(self, task_ids: Sequence[str]) -> dict[str, TaskAnswer]:
        """Check tasks at once, within the rate limit. Raises ServiceError."""
        if self._window:
            await asyncio.sleep(self._window.wait_seconds)
            self._window.sent()
        return await self._answers(task_ids)

    async def _record_answers(self, running: Sequence[RunningTask], answers: dict[str, TaskAnswer]) -> None:
        answers_of_job: dict[int, dict[int, TaskAnswer | None]] = defaultdict(dict)
        for task in running:
            answers_of_job[task.job_id][task.number] = answers.get(task.task_id)
        guard, step = self._guard, Stage.CHECK
        found = await self._context.store.run(lambda store: store.jobs_by_id(answers_of_job))
        free = [job for job in found if not guard.faults.is_paused(step, job.id)]
        many = len(running) >= MOST_IN_A_CHECK
        works = (
            (job, partial(self._record_job_answers, job, answers_of_job[job.id], many=many))
            for job in guard.faults.admitted_jobs(step, free)
        )
        await asyncio.gather(*(guard.run(step, job, work) for job, work in works))

    async def _record_job_answers(self, job: Job, answers_of_job: dict[int, TaskAnswer | None], *, many: bool) -> None:
        parked = job.state is State.HELD and any(task.hold is job.hold for task in job.tasks)
        stuck = job.state is State.HELD and job.hold is Hold.LOST_TASK
        if self._claims.is_claimed(job.id) or not (job.state is State.WAITING or stuck or parked):
            return
        cancelled = any(answer is not None and answer.status == "cancelled" for answer in answers_of_job.values())
        if cancelled and job.request is Request.CANCEL:  # by us, in a request whose answer was lost
            self._wakeups.requests.wake()
            return
        outcome = self._outcome(job, answers_of_job, many=many)
        if isinstance(outcome, Advance) and outcome.job.tasks == job.tasks:
            self._guard.note_recorded(Stage.CHECK, job, outcome)
            return  # nothing new: nothing is written
        saved = await self._recorder.record_outcome(job, outcome)
        self._guard.note_recorded(Stage.CHECK, job, outcome)
        if saved is not None and (saved.stage, saved.state) != (Stage.CHECK, State.WAITING):
            self._wakeups.wake_for(saved)

    def _outcome(self, job: Job, answers_of_job: Mapping[int, TaskAnswer | None], *, many: bool) -> Advance | Held:
        now = self._context.clock.now()
        reused = reused_tasks.outcome_of(job, answers_of_job, now)
        own = reused_tasks.of_own_tasks(job, answers_of_job)
        checked = self._check(reused.job or job, own, now, expired=self._expired(job, own), many=many)
        return replace(reused, job=checked.job)

    def _expired(self, job: Job, answers_of_job: Mapping[int, TaskAnswer | None]) -> frozenset[int]:
        """Tasks that have been missing in answers for a while after their 24 hours."""
        now, monotonic = self._context.clock.now(), self._context.clock.monotonic()
        expired = set()
        for task in (task for task in job.tasks if task.number in answers_of_job):
            place = (job.id, task.number)
            if not check.is_overdue(job, task, answers_of_job[task.number], now):
                self._overdue_since.pop(place, None)
            elif monotonic - self._overdue_since.setdefault(place, monotonic) >= check.EXPIRED_AFTER_SECONDS:
                expired.add(task.number)
                del self._overdue_since[place]
        return frozenset(expired)
