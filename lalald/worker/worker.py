"""The worker: loops that run the due stages of jobs, ask for running tasks, end holds, and handle requests.

A stage returns its outcome or raises one of `errors`; `Recorder` saves the outcome before anything else happens to the job. A row
therefore always says what is still to be done, and recovery after a crash is to run its stage again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from lalald.stages.context import StageContext
from lalald.worker.checks.check_loop import CheckLoop
from lalald.worker.claims import Claims
from lalald.worker.failed_sources import FailedSources
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.hold_backoff import HoldBackoff
from lalald.worker.holds.hold_log import HoldLog
from lalald.worker.holds.hold_probes import HoldProbes
from lalald.worker.holds.license_check import LicenseCheck
from lalald.worker.job_source import JobSource
from lalald.worker.pools import StagePools
from lalald.worker.recorder import Recorder
from lalald.worker.requests.cancellation import Cancellation
from lalald.worker.requests.job_requests import JobRequests
from lalald.worker.service.service_health import ServiceHealth
from lalald.worker.stage_runner import StageRunner
from lalald.worker.stage_steps import StageSteps
from lalald.worker.task_starter import TaskStarter
from lalald.worker.wakeups import Wakeups


class Worker:
    """One for the daemon. `request_rescan` gets the inbox of each job that was discarded since its file changed."""

    def __init__(
        self,
        context: StageContext,
        *,
        request_rescan: Callable[[str], None],
        jitter: Callable[[], float] = random.random,
        steps: StageSteps = StageSteps(),  # noqa: B008 - frozen, and the same for every worker
    ) -> None:
        self.context = context
        self.wakeups = Wakeups()
        self.claims = Claims(self.wakeups)
        self.hold_log = HoldLog(context.log)
        self.health = ServiceHealth(context.store, context.clock, context.log, self.wakeups.wake_all, jitter)
        context.dead_hosts = self.health.dead_hosts
        self.license = LicenseCheck(context, self.wakeups)
        backoff = HoldBackoff()
        self.recorder = Recorder(
            context, self.claims, self.wakeups, self.hold_log, backoff, jitter, request_rescan, steps.finish_delivery
        )
        self.guard = Guard(context, self.license, jitter, self._note_set_aside)
        self.checks = CheckLoop(
            context,
            self.wakeups,
            self.claims,
            self.recorder,
            self.guard,
            self.health,
            self.license,
            steps.check,
            jitter,
        )
        self.holds = HoldProbes(
            context, self.wakeups, self.claims, self.recorder, self.guard, self.license, backoff, steps.release
        )
        cancellation = Cancellation(context, self.health, self.checks.check_now, jitter)
        self.requests = JobRequests(
            context, self.wakeups, self.claims, self.recorder, self.guard, cancellation, steps.handle_request
        )
        self.starter = TaskStarter(context, steps, self.recorder, self.guard, self.health, self.license)
        self.pools = StagePools(
            context, steps, self.health, JobSource(context, self.claims, self.guard.faults, self.license),
            StageRunner(context, self.guard, self.recorder, self.claims, self.health), self.starter,
            FailedSources(context, self.guard, self.recorder, self.claims, steps.archive_failed, jitter),
            self.claims, self.wakeups,
        ).all()  # fmt: skip

    def _note_set_aside(self, job_id: int, is_failed: bool) -> None:
        self.recorder.failed_count += is_failed
        self.claims.note_set_aside(job_id)

    async def run(self) -> None:
        """Run every loop until cancelled. The first error of a loop ends them all and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for pool in self.pools:
                    group.create_task(pool.run(), name=pool.name)
                group.create_task(self.checks.run(), name="checks")
                group.create_task(self.holds.run(), name="holds")
                group.create_task(self.requests.run(), name="requests")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the exit code goes by the kind of the error
        finally:
            self.hold_log.flush()

    def wake(self) -> None:
        """Something changed: wake every loop."""
        self.wakeups.wake_all()

    async def next_turns(self) -> None:
        """Return when every loop has begun its next turn: the proof that they run."""
        await self.wakeups.next_turns()

    def stop_taking(self) -> bool:
        """Begin nothing new. Whether a request that charges is on the wire."""
        for pool in self.pools:
            pool.stop_taking()
        self.starter.stop()
        return bool(self.starter.charging)

    async def charges_recorded(self) -> None:
        """Return when the answers to requests that charge are saved."""
        await asyncio.gather(*self.starter.charging, return_exceptions=True)

    @property
    def service_problem(self) -> str | None:
        """Why requests to the service fail or wait; None while it works."""
        return self.health.problem or self.license.unanswered_reason

    @property
    def failed_count(self) -> int:
        """Jobs that failed since this start."""
        return self.recorder.failed_count

    @property
    def done_count(self) -> int:
        """Jobs that were done since this start."""
        return self.recorder.done_count
