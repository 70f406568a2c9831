"""Tasks are started: keys are saved, the service is asked, and what started is saved before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from lalald import requests
from lalald.errors import LicenceRefusedError, RefusedError, TransientError
from lalald.jobs import Done, Failed, Held, Hold, Job, Later, Outcome, State
from lalald.outcomes import outcome_of
from lalald.stages import split
from lalald.stages.bench import Bench

if TYPE_CHECKING:
    from lalald.worker import Worker

Answers = dict[tuple[int, int], split.Answer]


class Starts:
    """Carries groups of jobs through `split`: up to a hundred in one request."""

    def __init__(self, bench: Bench, worker: Worker) -> None:
        self._bench = bench
        self._worker = worker
        self._stopping = False
        self.charging: set[asyncio.Task[None]] = (
            set()
        )  # those whose request is on the wire, or its answer not yet saved

    def stop(self) -> None:
        """Whatever is being prepared is not asked for any more; what is on the wire goes on."""
        self._stopping = True

    async def start(self, group: Sequence[Job], mode: str) -> None:
        """Prepares each job of a group, starts their tasks of this mode together, and saves each job's answers."""
        asked_before = {job.id: split.unanswered(job) for job in group}
        prepared = await asyncio.gather(*(self._prepared(job, mode) for job in group))
        ready = [job for job in prepared if job is not None]
        if not ready or self._stopping:
            return
        asking = asyncio.create_task(self._ask(ready, mode, asked_before), name=f"start {mode}")
        self.charging.add(asking)
        asking.add_done_callback(self.charging.discard)
        try:
            await asking
        finally:
            asking.cancel()

    async def _ask(self, ready: Sequence[Job], mode: str, asked_before: Mapping[int, Set[int]]) -> None:
        """Money is spent here: until the answers are saved nothing may come between."""
        began_at = self._bench.clock.monotonic()
        answers = await split.start(ready, mode, self._bench)
        self._tell_gate(answers, began_at)
        await asyncio.gather(*(self._answered(job, answers, asked_before[job.id]) for job in ready))

    async def _prepared(self, job: Job, mode: str) -> Job | None:
        """The job with its keys saved, or None where its outcome is another."""

        async def prepare() -> Outcome:
            prepared = await split.prepare(job, mode, self._bench)
            return Done(prepared.job) if isinstance(prepared, split.Ready) else prepared

        began_at = self._bench.clock.monotonic()
        outcome = await outcome_of(job, prepare(), self._bench, self._worker.holds)
        if not isinstance(outcome, Done) or outcome.job.source_id is None or not split.owing(outcome.job, mode):
            self._worker.tell_gate(self._worker.gates["split"], outcome, began_at, answered=False)
            await self._worker.settle(job, outcome)
            return None
        saved = await self._worker.save(job, replace(outcome.job, updated_at=self._bench.clock.now()))
        if saved is not None and saved.request is not None:
            await requests.honour(saved, self._worker)
            return None
        return saved

    def _tell_gate(self, answers: Answers, began_at: float) -> None:
        faults = [answer for answer in answers.values() if isinstance(answer, TransientError)]
        outcome: Outcome = Later(str(faults[0]), error=faults[0]) if faults else Failed("")
        self._worker.tell_gate(self._worker.gates["split"], outcome, began_at, answered=True)

    async def _answered(self, job: Job, answers: Answers, asked_before: Set[int]) -> None:
        """Saves what started before anything else is asked, then looks into a refusal of the key."""
        of_job = {number: answer for (job_id, number), answer in answers.items() if job_id == job.id}
        unlicensed = {number: answer for number, answer in of_job.items() if isinstance(answer, LicenceRefusedError)}
        told = {number: answer for number, answer in of_job.items() if number not in unlicensed}
        current: Job | None = job
        if told:
            current = await self._worker.settle(job, split.outcome_of(job, told, self._bench, asked_before))
        if not unlicensed or current is None or current.state is not State.WAITING:
            return
        error = next(iter(unlicensed.values()))
        is_refused = await self._worker.holds.licence_is_refused()
        unasked = split.unasked(current, unlicensed, asked_before)
        if is_refused:
            reason = f"the service refuses the licence key: {error}"
            await self._worker.settle(current, Held(Hold.LICENCE, reason, job=unasked))
        elif is_refused is None:
            await self._worker.settle(current, Later(str(error), job=unasked, error=TransientError(str(error))))
        else:
            refused = {number: RefusedError(str(error)) for number in unlicensed}
            await self._worker.settle(current, split.outcome_of(current, refused, self._bench, asked_before))
