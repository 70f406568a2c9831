"""Give each stage pool the due jobs that it has slots for, and claim them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.due import Demand, DueJobs, Queue
from lalald.worker.claims import Claims
from lalald.worker.faults.internal_faults import InternalFaults
from lalald.worker.holds.license_check import LicenseCheck
from lalald.worker.wakeups import FAILURES

Query = Callable[[Store, float, Demand, Collection[int]], DueJobs]


@dataclass(frozen=True, slots=True)
class JobSource:
    """While the license key is missing or refused, jobs that need the service are held before any is claimed."""

    context: StageContext
    claims: Claims
    faults: InternalFaults
    license: LicenseCheck

    async def due(self, queue: Queue, demand: Demand) -> DueJobs:
        """Claim due jobs of a stage."""
        return await self._claim(queue.stage, demand, lambda store, now, most, but: store.due(queue, now, most, but))

    async def unarchived_failures(self, demand: Demand) -> DueJobs:
        """Claim failed jobs whose source is still to be archived."""
        return await self._claim(
            FAILURES, demand, lambda store, now, most, but: store.unarchived_failures(now, most.jobs, but)
        )

    async def _claim(self, step: str, demand: Demand, query: Query) -> DueJobs:
        """Of a stopped step, one job at most: the probe."""
        if self.license.problem is not None:
            await self.license.hold_jobs()
        # All three before the store is asked: a pause that ends meanwhile would be missed.
        skipped = self.claims.job_ids | self.faults.skipped_jobs(step)
        next_in, now = self.faults.next_in(step), self.context.clock.now()
        demand = self.faults.allowed_demand(step, demand)
        if not (demand.jobs or demand.probes):
            return DueJobs([], [], frozenset(), next_in)
        due = await self.context.store.run(query, now, demand, skipped)
        free = replace(
            due,
            jobs=self.faults.admitted_jobs(step, [job for job in due.jobs if not self.claims.is_claimed(job.id)]),
            probes=[job for job in due.probes if not self.claims.is_claimed(job.id)],
        )
        self.claims.claim((*free.jobs, *free.probes))
        waits = [next_in, due.next_due_seconds, 0.0 if not free.jobs and self.faults.restart_probes(step) else None]
        return replace(free, next_due_seconds=min((wait for wait in waits if wait is not None), default=None))
