"""A lane keeps due jobs of one stage under way: as many as it has slots and its gate allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from lalald.clock import Clock
from lalald.jobs import Job
from lalald.pacing import Gate

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
        clock: Clock,
        group: Callable[[], int] = lambda: 1,
    ) -> None:
        self.name = name
        self._slots = slots
        self._takes = True
        self.gate = gate
        self._take = take
        self._carry = carry
        self._clock = clock
        self._group = group
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._turns: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    def turn(self) -> asyncio.Future[None]:
        """Done when the loop has come round once more: the proof that it lives."""
        turned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turned)
        self.wake()
        return turned

    async def run(self) -> None:
        """For ever. Cancelled, it cancels what it carries and waits for it."""
        try:
            while True:
                self._woken.clear()
                self._tell_turns()
                if self._failure is not None:
                    raise self._failure  # an unknown fault is no reason to go on blindly: the daemon ends and is started anew
                wait_seconds = await self._fill()
                if not self._woken.is_set():
                    await self._sleep(wait_seconds)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def stop_taking(self) -> None:
        """Nothing new is started; what is under way goes on."""
        self._takes = False

    def _tell_turns(self) -> None:
        turns, self._turns = self._turns, []
        for turned in turns:
            if not turned.done():
                turned.set_result(None)

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
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
