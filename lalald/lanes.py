"""A lane keeps due jobs of one stage under way: as many as it has slots and its gate allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from lalald.jobs import Job
from lalald.pacing import Gate
from lalald.turns import Turns

Take = Callable[[int], Awaitable[tuple[Sequence[Job], float | None]]]
Carry = Callable[[Sequence[Job]], Coroutine[Any, Any, None]]


class Lane:
    """Asks for due jobs, carries each group in a task of its own, and sleeps until woken, or until the next is due.

    `take(n)` gives up to n due jobs that nobody carries yet, and the seconds until the next one is due, by one look at the
    clock: between two looks a job could become due unseen. `carry` takes one group of at most `group` of them.
    """

    def __init__(
        self,
        name: str,
        *,
        slots: Callable[[], int],
        take: Take,
        carry: Carry,
        gate: Gate,
        group: Callable[[], int] = lambda: 1,
    ) -> None:
        self.name = name
        self._slots = slots
        self._takes = True
        self.gate = gate
        self._take = take
        self._carry = carry
        self._group = group
        self.turns = Turns()
        self._under_way: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """For ever. Cancelled, it cancels what it carries and waits for it."""
        try:
            while True:
                self.turns.begin()
                if self._failure is not None:
                    raise self._failure  # an unknown fault is no reason to go on blindly: the daemon ends and is started anew
                await self.turns.sleep(await self._fill())
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def stop_taking(self) -> None:
        """Nothing new is started; what is under way goes on."""
        self._takes = False

    async def _fill(self) -> float | None:
        """Starts what may start. Returns the seconds to sleep: None means until woken."""
        if not self._takes:
            return None
        closed_seconds = self.gate.wait_seconds
        if closed_seconds:
            return closed_seconds
        free = self.gate.allowed(self._slots()) - len(self._under_way)
        if free <= 0:
            return None
        size = self._group()
        jobs, next_due_seconds = await self._take(free * size)
        for start in range(0, len(jobs), size):
            self._start(jobs[start : start + size])
        return None if len(jobs) == free * size else next_due_seconds

    def _start(self, jobs: Sequence[Job]) -> None:
        task = asyncio.create_task(self._carry(jobs), name=f"{self.name} {[job.id for job in jobs[:3]]}")
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.turns.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
