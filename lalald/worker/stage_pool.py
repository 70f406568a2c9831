"""A pool runs due jobs of one stage, as many as its slots and circuit breakers allow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

from lalald.jobs.job import Job
from lalald.store.due import Demand, DueJobs, ProbeWanted
from lalald.worker.loop_signal import LoopSignal
from lalald.worker.service.circuit_breaker import CircuitBreaker, CircuitBreakers

Take = Callable[[Demand], Awaitable[DueJobs]]
RunGroup = Callable[[Sequence[Job]], Coroutine[Any, Any, None]]


def _never() -> float:
    return 0.0


def _one(_jobs: Sequence[Job]) -> int:
    return 1


class StagePool:
    """Claim due jobs, run each group in a task of its own, and sleep until woken or until the next job is due.

    `take` claims due jobs, by one reading of the clock: between two readings a job could become due unnoticed. `run_group` runs one
    group of at most `group` jobs: as many of the first as `batch_size` returns. The rest is `put_back`. `pause`: seconds for which
    nothing may begin.

    A probe of an open breaker has an extra slot, so that jobs of a dead host do not block others.
    """

    def __init__(
        self,
        name: str,
        *,
        slots: Callable[[], int],
        take: Take,
        run_group: RunGroup,
        breakers: CircuitBreakers,
        group: Callable[[], int] = lambda: 1,
        batch_size: Callable[[Sequence[Job]], int] = _one,
        put_back: Callable[[Sequence[Job]], None] = lambda _: None,
        pause: Callable[[], float] = _never,
        signal: LoopSignal | None = None,
    ) -> None:
        self.name = name
        self.breakers = breakers
        self._slots = slots
        self._takes = True
        self._take = take
        self._run_group = run_group
        self._group = group
        self._batch_size = batch_size
        self._put_back = put_back
        self._pause = pause
        self.signal = signal or LoopSignal()
        self._under_way: set[asyncio.Task[None]] = set()
        self._probes: set[asyncio.Task[None]] = set()
        self._retries: set[asyncio.Task[None]] = set()
        self._retried_last = False
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Run until cancelled, which cancels the running jobs and waits for them."""
        try:
            while True:
                self.signal.begin()
                if self._failure is not None:
                    raise self._failure  # an unknown fault ends the daemon, which its supervisor restarts
                await self.signal.sleep(await self._fill())
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def stop_taking(self) -> None:
        """Start nothing new; running jobs continue."""
        self._takes = False

    async def _fill(self) -> float | None:
        """Start what may start. Returns the seconds to sleep; None means until woken."""
        if not self._takes:
            return None
        if pause := self._pause():
            return pause
        demand = self._demand()
        if not (demand.jobs or demand.probes):
            return None  # the end of a running job wakes the loop
        due = await self._take(demand)
        for host in demand.probes:
            self.breakers.of(host).note_waiting(untried_waits=host in due.untried)
        for job in due.probes:
            self._start([job], is_probe=True)
        is_full = self._start_groups(due.jobs, demand)
        waits = list(self._pauses(demand, due))
        if due.next_due_seconds is not None and not is_full:
            waits.append(due.next_due_seconds)
        return min(waits, default=None)

    def _pauses(self, demand: Demand, due: DueJobs) -> Iterator[float]:
        """The remaining pause of each open breaker that let no probe through; it may be over by now."""
        for host, wanted in demand.probes.items():
            untried_waits, breaker = host in due.untried, self.breakers.of(host)
            let_through = wanted.any_job or (untried_waits and wanted.untried_job)
            if not let_through and self._may_probe(breaker):
                yield breaker.wait_seconds(untried_waits=untried_waits)

    def _may_probe(self, breaker: CircuitBreaker) -> bool:
        """Whether there is a slot for a probe."""
        return breaker.allowed(1) > 0 and len(self._probes) < max(self._slots(), 1)

    def _demand(self) -> Demand:
        slots, size = self._slots(), self._group()
        free = max(0, slots - len(self._under_way - self._probes)) * size
        probes, limits = {}, {}
        for host, breaker in self.breakers:
            allowed = breaker.allowed(slots * size)
            if breaker.is_open:
                ready = self._may_probe(breaker)
                probes[host] = ProbeWanted(
                    any_job=ready and not breaker.wait_seconds(),
                    untried_job=ready and not breaker.wait_seconds(untried_waits=True),
                )
            elif allowed < slots * size - breaker.under_way:
                limits[host] = allowed
        return Demand(free, self._retries_allowed(slots, size), size > 1, probes, limits)

    def _retries_allowed(self, slots: int, size: int) -> int:
        """At most half of the slots; with a single slot, every other turn."""
        if slots == 1:
            return 0 if self._retried_last else size
        return max(0, slots // 2 - len(self._retries)) * size

    def _start_groups(self, jobs: Sequence[Job], demand: Demand) -> bool:
        """Returns whether every free slot was filled: then more jobs may be due already."""
        size, left = self._group(), jobs
        while left and self._slots() > len(self._under_way - self._probes):
            count = self._batch_size(left[:size])
            self._start(left[:count])
            left = left[count:]
        self._put_back(left)
        return len(jobs) >= demand.jobs

    def _start(self, jobs: Sequence[Job], *, is_probe: bool = False) -> None:
        task = asyncio.create_task(self._run_group(jobs), name=f"{self.name} {[job.id for job in jobs[:3]]}")
        self._under_way.add(task)
        self._retried_last = any(job.attempts for job in jobs)
        if is_probe:
            self._probes.add(task)
        if self._retried_last:
            self._retries.add(task)
        for job in jobs:
            self.breakers.of(job.download_host).begin([job.id])
        task.add_done_callback(lambda task: self._ended(task, jobs))

    def _ended(self, task: asyncio.Task[None], jobs: Sequence[Job]) -> None:
        for tasks in (self._under_way, self._probes, self._retries):
            tasks.discard(task)
        for job in jobs:
            self.breakers.of(job.download_host).end([job.id])
        self.signal.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
