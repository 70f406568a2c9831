"""Which loops of the worker to wake: all of them, or those that can do something for a job."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.worker.loop_signal import LoopSignal
from lalald.worker.service.service_health import start_of

FAILURES = "failures"  # the pool that archives the sources of failed jobs


class Wakeups:
    """The signals of the stage pools, the check loop, the hold probes and the request loop."""

    def __init__(self) -> None:
        self.pools: dict[str, LoopSignal] = {}
        self.checks = LoopSignal()
        self.holds = LoopSignal()
        self.requests = LoopSignal()
        self.has_new_hold = True  # something may be held that the probes do not know yet

    def pool(self, name: str) -> LoopSignal:
        """The signal of a stage pool."""
        return self.pools.setdefault(name, LoopSignal())

    @property
    def _beating(self) -> list[LoopSignal]:
        """Loops whose turns are short; handling a request may take minutes."""
        return [*self.pools.values(), self.checks, self.holds]

    def wake_all(self) -> None:
        """Something changed that may concern every loop."""
        self.requests.wake()
        for signal in self._beating:
            signal.wake()

    async def next_turns(self) -> None:
        """Return when every loop has begun its next turn."""
        await asyncio.gather(*(signal.next_turn() for signal in self._beating))

    def note_hold(self) -> None:
        """Another job is held, or a folder became unavailable: the probes begin soon."""
        self.has_new_hold = True
        self.holds.wake()

    def wake_for(self, job: Job) -> None:
        """Wake the loops that can do something for the job."""
        if job.request is not None:
            self.requests.wake()
        is_checked = job.state is State.WAITING and job.stage is Stage.CHECK
        if is_checked or any(task.is_late for task in job.tasks):
            self.checks.wake()
        if is_checked:
            return
        if job.state is State.HELD:
            self.note_hold()
        if job.state is not State.HELD:
            self._wake_pools(job)
        elif job.hold is Hold.DUPLICATE:  # jobs that wait for it go first
            self._wake_pools(replace(job, state=State.CANCELLED))

    def _wake_pools(self, job: Job) -> None:
        names = _pools_of(job)
        for name, signal in self.pools.items():  # in their order: a set's order differs from run to run
            if name in names:
                signal.wake()


def _pools_of(job: Job) -> set[str]:
    """The pools that may have work after the job was released; waking one costs a query."""
    deletes = {Stage.DELETE} if job.duplicate_of is not None else set()  # of the job whose results it got
    if job.state is not State.WAITING:  # a duplicate may wait for its end, at the upload
        return {Stage.UPLOAD, *deletes, *((FAILURES,) if job.state is State.FAILED else ())}
    if job.stage is Stage.SPLIT:
        return {start_of(task.mode) for task in job.tasks}
    if job.stage in (Stage.DELETE, Stage.ARCHIVE):  # its results are there for a duplicate
        return {job.stage, Stage.UPLOAD, *deletes}
    return {job.stage}
