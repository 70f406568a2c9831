"""One check loop for the daemon: every running task is asked for, within the window that `/check/` allows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lalald import requests
from lalald.api import TaskAnswer
from lalald.errors import LicenceRefusedError, RefusedError, ServiceError, TransientError
from lalald.jobs import Done, Held, Hold, Job, Request, Stage, State
from lalald.pacing import CheckWindow
from lalald.stages import check, reused_tasks
from lalald.stages.bench import Bench
from lalald.store.store import RunningTask
from lalald.turns import Turns

if TYPE_CHECKING:
    from lalald.worker import Worker

MOST_IN_A_CHECK = 200  # the document's maxItems
FACT = "checks_sent_at"


class Checks:
    """Sleeps while nothing runs on the service."""

    def __init__(self, bench: Bench, worker: Worker) -> None:
        self._bench = bench
        self._worker = worker
        self.turns = Turns()
        self._window: CheckWindow | None = None
        self._overdue_since: dict[tuple[int, int], float] = {}  # by job and task; after a restart it begins anew

    async def run(self) -> None:
        """For ever."""
        earlier = await self._bench.store.run(lambda store: store.fact(FACT))
        times = [float(at) for at in earlier] if isinstance(earlier, list) else []
        self._window = CheckWindow(self._bench.config.checks_per_minute, self._bench.clock, times)
        while True:
            self.turns.begin()
            running = await self._running()
            if not running:
                await self._until_a_stuck_one_is_due()
                continue
            wait_seconds = self._wait_seconds(self._window)
            if wait_seconds > 0:
                await self._sleep(wait_seconds)
                continue
            await self.turns.meanwhile(self._ask(running))

    def _wait_seconds(self, window: CheckWindow) -> float:
        window.per_minute = self._bench.config.checks_per_minute
        return max(window.wait_seconds, self._worker.gates["check"].wait_seconds)

    async def _running(self) -> list[RunningTask]:
        if self._worker.holds.licence_trouble:
            await self._worker.holds.hold_for_licence()
        now = self._bench.clock.now()
        return await self._bench.store.run(lambda store: store.running_tasks(now, MOST_IN_A_CHECK))

    async def _until_a_stuck_one_is_due(self) -> None:
        due_at = await self._bench.store.run(lambda store: store.next_stuck_due_at())
        seconds = None if due_at is None else max(0.0, due_at - self._bench.clock.now())
        await self.turns.sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        """Until then, whoever wakes: new tasks join the next request, they do not bring it forward."""
        until = self._bench.clock.monotonic() + seconds
        while (left := until - self._bench.clock.monotonic()) > 0:
            self.turns.begin()
            await self.turns.sleep(left)

    async def _ask(self, running: Sequence[RunningTask]) -> None:
        assert self._window is not None  # noqa: S101 - narrows the type: `run` made it
        gate, began_at = self._worker.gates["check"], self._bench.clock.monotonic()
        sent = self._window.sent()
        await self._bench.store.run(lambda store: store.set_fact(FACT, sent, sent[-1]))
        try:
            answers = await self._answers([task.task_id for task in running])
        except LicenceRefusedError as error:
            if not await self._worker.holds.licence_is_refused():
                gate.failed(str(error), began_at=began_at)
            return
        except ServiceError as error:
            retry_after = error.retry_after_seconds if isinstance(error, TransientError) else None
            if gate.failed(str(error), began_at=began_at, retry_after_seconds=retry_after):
                self._bench.log.warning(
                    "service.trouble", error=str(error), meaning="running tasks are asked for again later"
                )
            return
        if gate.succeeded():
            self._bench.log.info("service.back")
        self._worker.last_good_at = self._bench.clock.monotonic()
        await self._settle(running, answers)

    async def _answers(self, task_ids: Sequence[str]) -> dict[str, TaskAnswer]:
        """Refused as a whole, a request for many is halved until the culprit stands alone, and says nothing of it."""
        try:
            return await self._bench.api.check(task_ids)
        except RefusedError:
            if len(task_ids) == 1:
                return {}
        half = len(task_ids) // 2
        first = await self.asked_at_once(task_ids[:half])
        return first | await self.asked_at_once(task_ids[half:])

    async def asked_at_once(self, task_ids: Sequence[str]) -> dict[str, TaskAnswer]:
        """What the service says of tasks, out of turn but within the window. Raises ServiceError."""
        if self._window:
            await asyncio.sleep(self._window.wait_seconds)
            self._window.sent()
        return await self._answers(task_ids)

    async def _settle(self, running: Sequence[RunningTask], answers: dict[str, TaskAnswer]) -> None:
        told: dict[int, dict[int, TaskAnswer | None]] = defaultdict(dict)
        for task in running:
            told[task.job_id][task.number] = answers.get(task.task_id)
        found = await self._bench.store.run(lambda store: store.jobs_of(told))
        many = len(running) >= MOST_IN_A_CHECK
        await asyncio.gather(*(self._settle_job(job, told[job.id], many=many) for job in found))

    async def _settle_job(self, job: Job, told: dict[int, TaskAnswer | None], *, many: bool) -> None:
        parked = job.state is State.HELD and any(task.waits_for is job.hold for task in job.tasks)
        stuck = job.state is State.HELD and job.hold is Hold.LOST_TASK
        if self._worker.carries(job.id) or not (job.state is State.WAITING or stuck or parked):
            return
        cancelled = any(answer is not None and answer.status == "cancelled" for answer in told.values())
        if cancelled and job.request is Request.CANCEL:  # by us, in a request whose answer was lost
            await requests.honour(job, self._worker)
            return
        outcome = self._outcome(job, told, many=many)
        if isinstance(outcome, Done) and outcome.job.tasks == job.tasks:
            return  # nothing new: nothing is written
        saved = await self._worker.settle(job, outcome)
        if saved is not None and (saved.stage, saved.state) != (Stage.CHECK, State.WAITING):
            self._worker.wake_for(saved)

    def _outcome(self, job: Job, told: Mapping[int, TaskAnswer | None], *, many: bool) -> Done | Held:
        now = self._bench.clock.now()
        reused = reused_tasks.outcome_of(job, told, now)
        own = reused_tasks.of_own_tasks(job, told)
        checked = check.outcome_of(reused.job or job, own, now, given_up=self._given_up(job, own), many=many)
        return replace(reused, job=checked.job)

    def _given_up(self, job: Job, told: Mapping[int, TaskAnswer | None]) -> frozenset[int]:
        """Tasks of which nothing has been told for a while after their day was over."""
        now, monotonic = self._bench.clock.now(), self._bench.clock.monotonic()
        given_up = set()
        for task in (task for task in job.tasks if task.number in told):
            place = (job.id, task.number)
            if not check.is_overdue(job, task, told[task.number], now):
                self._overdue_since.pop(place, None)
            elif monotonic - self._overdue_since.setdefault(place, monotonic) >= check.GIVEN_UP_AFTER_SECONDS:
                given_up.add(task.number)
                del self._overdue_since[place]
        return frozenset(given_up)
