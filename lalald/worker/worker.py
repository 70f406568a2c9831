"""Carries due jobs: runs the stage they owe, saves the outcome, and only then goes on.

A stage returns its outcome or raises one of `errors`; `Worker` alone turns either into a saved row. What a row says after a crash
is therefore always work still owed, and running its stage again is the whole recovery.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from lalald.errors import DiskFullError, FileError, FolderUnavailableError, LalaldError
from lalald.jobs import job as jobs
from lalald.jobs import transitions
from lalald.jobs.job import Discarded, Held, Job, Outcome, RetryLater, Stage, State
from lalald.jobs.unexpected_errors import convert_exhaustion, describe_exception, is_about_one_job
from lalald.presets import MODES
from lalald.stages import split, start_requests
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.due import LONGEST_WAIT_SECONDS, Demand, Due, Queue
from lalald.store.store import StaleError
from lalald.worker.check_loop import Checks
from lalald.worker.faults.error_outcomes import was_answered
from lalald.worker.faults.guard import Guard
from lalald.worker.holds.hold_log import HoldLog
from lalald.worker.holds.hold_probes import Holds
from lalald.worker.job_log import tell
from lalald.worker.loop_signal import LoopSignal
from lalald.worker.service.circuit_breaker import CircuitBreakers
from lalald.worker.service.rate_limiter import GrowingPauses
from lalald.worker.service.service_health import CANCEL, ServiceHealth, start_of
from lalald.worker.stage_pool import StagePool
from lalald.worker.stage_steps import StageFunction, StageSteps
from lalald.worker.task_starter import Starts

_ASKED_AGAIN_SECONDS = 30.0


class Worker:
    """One for the daemon. `look_again` is called with an inbox where a dropped job's file should be seen anew."""

    def __init__(
        self,
        context: StageContext,
        *,
        look_again: Callable[[str], None],
        jitter: Callable[[], float] = random.random,
        steps: StageSteps = StageSteps(),  # noqa: B008 - frozen, and the same for everybody
    ) -> None:
        self.context = context
        self._look_again = look_again
        self._jitter = jitter
        self.steps = steps
        self.guard = Guard(context, jitter, self._was_set_aside)
        self._carried: set[int] = set()
        self._next: dict[int, Job] = {}
        self._woken_after: set[int] = set()  # jobs that were set aside: once they are let go every loop looks
        self.settled = asyncio.Event()  # set whenever a job came to rest; `run --once` waits on it
        self._requests_woken = asyncio.Event()
        self.health = ServiceHealth(context.store, context.clock, context.log, self.wake, jitter)
        self.cancel_pauses = GrowingPauses(context.clock, jitter)  # by job
        context.dead_hosts = self.health.dead_hosts
        self.hold_log = HoldLog(context.log)
        self.holds = Holds(context, self)
        self.checks = Checks(context, self, jitter)
        self.starts = Starts(context, self)
        self.lanes = self._lanes()
        self.failed_count = 0  # jobs that failed since this worker began
        self.done_count = 0  # likewise

    def _lanes(self) -> list[StagePool]:
        context = self.context
        lanes = [
            self._lane(lambda: context.config.transfers.uploads, {Stage.UPLOAD: self.steps.upload}),
            self._lane(lambda: context.config.transfers.downloads, {Stage.DOWNLOAD: self.steps.download}),
            self._lane(lambda: 4, {Stage.DELETE: self.steps.delete, Stage.ARCHIVE: self.steps.archive}),
            self._lane(lambda: 4, {Stage.ARCHIVE: self.steps.archive}),
        ]
        return [*lanes, *(self._split_lane(mode) for mode in MODES), self._failure_lane()]

    def _lane(self, slots: Callable[[], int], functions: Mapping[Stage, StageFunction]) -> StagePool:
        """Takes what owes the first of these stages, and carries it through the others in the same slot."""
        stage = next(iter(functions))

        async def carry(group: Sequence[Job]) -> None:
            await self._carry(group[0], functions)

        return StagePool(
            stage, slots=slots, carry=carry, breakers=self.health.breakers[stage],
            take=lambda demand: self._take_due(Queue(stage), demand), pause=lambda: self.health.pause.wait_seconds,
        )  # fmt: skip

    def _split_lane(self, mode: str) -> StagePool:
        context, queue = self.context, Queue(Stage.SPLIT, mode)

        async def carry(group: Sequence[Job]) -> None:
            try:
                await self.starts.start(group, mode)
            finally:
                self._let_go(group)

        return StagePool(
            start_of(mode), slots=lambda: 1 if split.uses_batches(mode, context) else 4, carry=carry,
            breakers=self.health.breakers[start_of(mode)], take=lambda demand: self._take_due(queue, demand),
            group=lambda: start_requests.MAX_BATCH_TASKS if split.uses_batches(mode, context) else 1,
            leading=self.starts.leading, put_back=self._put_back, pause=lambda: self.health.pause.wait_seconds,
        )  # fmt: skip

    def _failure_lane(self) -> StagePool:
        async def carry(group: Sequence[Job]) -> None:
            try:
                await self.guard.run("failures", group[0], partial(self._file_failure, group[0]), told=False)
            finally:
                self._let_go(group)

        return StagePool(
            "failures", slots=lambda: 1, carry=carry, breakers=CircuitBreakers(self.context.clock),
            take=lambda wanted: self._take(
                "failures", wanted, lambda store, now, demand, but: store.unfiled_failures(now, demand.jobs, but)
            ),
        )  # fmt: skip

    async def run(self) -> None:
        """Every loop, for ever; the first that ends in an error, which is raised, ends them all."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self.lanes:
                    group.create_task(lane.run(), name=lane.name)
                group.create_task(self.checks.run(), name="checks")
                group.create_task(self.holds.run(), name="holds")
                group.create_task(self._honour_requests(), name="requests")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # what it means, and the exit code, goes by its kind
        finally:
            self.hold_log.flush()

    async def _honour_requests(self) -> None:
        """What the command line left in rows that nobody carries; rows that are carried are honoured at their next save."""
        while True:
            self._requests_woken.clear()
            requested = await self.context.store.run(lambda store: store.requested())
            self.cancel_pauses.keep({job.id for job in requested})
            for job in requested:
                if job.id in self._carried:
                    self._stop_transfers(job)
                elif not self.guard.faults.is_paused("requests", job.id):
                    await self.guard.run("requests", job, partial(self._honoured, job), may_fail=False, told=False)
            left = await self.context.store.run(lambda store: store.requested(limit=1)) if requested else []
            with suppress(TimeoutError):
                again_seconds = (
                    self.health.wait_seconds(CANCEL) or self.cancel_pauses.next_seconds or _ASKED_AGAIN_SECONDS
                )
                async with asyncio.timeout(again_seconds if left else None):
                    await self._requests_woken.wait()

    async def _honoured(self, job: Job) -> None:
        await self.steps.honour(job, self)
        self.guard.faults.worked("requests", job.id)

    def _stop_transfers(self, job: Job) -> None:
        if job.request is jobs.Request.CANCEL and job.stage is Stage.UPLOAD:
            for transfer, _ in self.context.transfers.get(job.id, ()):
                transfer.end()

    def wake(self) -> None:
        """Something changed: every loop looks."""
        self._requests_woken.set()
        for turns in self._turns:
            turns.wake()

    async def turn(self) -> None:
        """Returns when every loop has come round."""
        await asyncio.gather(*(turns.turn() for turns in self._turns))

    @property
    def _turns(self) -> list[LoopSignal]:
        return [*(lane.turns for lane in self.lanes), self.checks.turns, self.holds.turns]

    def stop_taking(self) -> bool:
        """Nothing new is begun. Returns whether a request that charges is on the wire."""
        for lane in self.lanes:
            lane.stop_taking()
        self.starts.stop()
        return bool(self.starts.charging)

    async def splits_ended(self) -> None:
        """What came of the requests that charge is saved."""
        await asyncio.gather(*self.starts.charging, return_exceptions=True)

    @property
    def _split_lanes(self) -> list[StagePool]:
        return [lane for lane in self.lanes if lane.name.startswith("split ")]

    @property
    def trouble(self) -> str | None:
        """What is wrong with the service, where a breaker is open, or nobody tells whether the license is accepted."""
        return self.health.trouble or self.holds.license.unanswered

    def carries(self, job_id: int) -> bool:
        return job_id in self._carried

    async def _take_due(self, queue: Queue, demand: Demand) -> Due:
        return await self._take(queue.stage, demand, lambda store, now, wanted, but: store.due(queue, now, wanted, but))

    async def _take(
        self, step: str, demand: Demand, look: Callable[[Store, float, Demand, Collection[int]], Due]
    ) -> Due:
        """Due jobs that are not carried yet, which from now on they are. Of a stopped step one, with which it is probed."""
        if self.holds.license.trouble is not None:
            await self.holds.license.hold_jobs()
        faults = self.guard.faults
        # All three before the store is asked: a pause that ends meanwhile would be missed.
        passed_over = frozenset(self._carried | faults.passed_over(step))
        next_in, now = faults.next_in(step), self.context.clock.now()
        wanted = faults.limited(step, demand)
        if not (wanted.jobs or wanted.probes):
            return Due([], [], frozenset(), next_in)
        due = await self.context.store.run(lambda store: look(store, now, wanted, passed_over))
        free = replace(
            due,
            jobs=faults.chosen(step, [job for job in due.jobs if job.id not in self._carried]),
            probes=[job for job in due.probes if job.id not in self._carried],
        )
        self._carried.update(job.id for job in (*free.jobs, *free.probes))
        waits = [next_in, due.next_due_seconds, 0.0 if not free.jobs and faults.begin_again(step) else None]
        soonest = min((wait for wait in waits if wait is not None), default=None)
        return replace(free, next_due_seconds=soonest)

    def _put_back(self, taken: Sequence[Job]) -> None:
        """These are not carried after all; whoever took them looks for them again."""
        self._carried.difference_update(job.id for job in taken)

    async def _carry(self, job: Job, functions: Mapping[Stage, StageFunction]) -> None:
        """Runs a stage and saves what came of it, again and again while the job owes one of these stages at once."""
        try:
            current: Job | None = job
            while current is not None and current.stage in functions and self._is_owed_now(current):
                stage = current.stage
                if current is not job and not self.guard.faults.chosen(stage, [current]):
                    return  # it is stopped
                current = await self.guard.run(stage, current, partial(self._run_stage, current, functions[stage]))
        finally:
            self._let_go([job])

    async def _run_stage(self, job: Job, function: StageFunction) -> Job | None:
        """The job as saved, or None where it does not go on at once."""
        began_at = self.context.clock.monotonic()
        outcome = await self.guard.outcome(job.stage, job, function(job, self.context), self.holds)
        await self._report(job, outcome, began_at)
        saved = await self.settle(job, outcome)
        self.guard.settled(job.stage, job, outcome)
        return None if isinstance(outcome, RetryLater) else saved

    def _was_set_aside(self, job_id: int, is_failed: bool) -> None:
        self.failed_count += is_failed
        if job_id in self._carried:
            self._woken_after.add(job_id)
        else:
            self.wake()

    def _is_owed_now(self, job: Job) -> bool:
        """Whether it waits for nothing, not even for the end of a pause."""
        now = self.context.clock.now()
        return job.state is State.WAITING and not now < job.due_at <= now + LONGEST_WAIT_SECONDS

    def _let_go(self, carried: Sequence[Job]) -> None:
        """Nobody carries these any more: whoever is next is woken."""
        for job in carried:
            self._carried.discard(job.id)
            saved = self._next.pop(job.id, None)
            if saved is not None:
                self.wake_for(saved)
            if job.id in self._woken_after:
                self._woken_after.discard(job.id)
                self.wake()
        self.settled.set()

    def wake_for(self, job: Job) -> None:
        """Whoever is next to do something about the job looks."""
        if any(task.is_late for task in job.tasks) or (job.state is State.WAITING and job.stage is Stage.CHECK):
            self.checks.turns.wake()
        if job.state is State.WAITING and job.stage is Stage.CHECK:
            return
        if job.state is State.HELD:
            self.holds.look_soon()
            if job.hold is jobs.Hold.DUPLICATE:  # who waits for it goes first
                self.wake_for(replace(job, state=State.CANCELLED))
        else:
            names = _lanes_of(job)
            for lane in self.lanes:
                if lane.name in names:
                    lane.turns.wake()

    async def _report(self, job: Job, outcome: Outcome, began_at: float) -> None:
        """To the circuit breaker: what ends without asking the service tells nothing of it."""
        if isinstance(outcome, RetryLater) and outcome.error is not None:
            await self.health.jobs_failed(Queue(job.stage), [job], outcome.error, began_at)
        elif was_answered(job, outcome):
            for host in [""] if job.stage is not Stage.DOWNLOAD else jobs.download_hosts(job):
                self.health.succeeded(job.stage, [job.id], began_at, host)
        elif not isinstance(outcome, RetryLater):
            self.health.last_good_at = self.context.clock.monotonic()

    async def settle(self, before: Job, outcome: Outcome, *, began_as: Job | None = None) -> Job | None:
        """Saves the outcome and says it. None where the row was changed meanwhile, by a file dragged back, say.

        `began_as`: the job before this step, where some of what the step did is in the row already.
        """
        now = self.context.clock.now()
        after = transitions.apply_outcome(began_as or before, outcome, now, self._jitter())
        saved = await self.save(before, after, dropped=isinstance(outcome, Discarded))
        if saved is None:
            return None
        self._next[saved.id] = saved
        tell(self.context.log, self.hold_log, before, saved, outcome, is_news=not self.holds.trials.are_in_vain(saved))
        if before.stage is Stage.DOWNLOAD and saved.stage is not Stage.DOWNLOAD:
            await self._finish_delivery(saved)
        if isinstance(outcome, Discarded):
            self._look_again(before.inbox)
        if saved.state in (State.FAILED, State.CANCELLED) or isinstance(outcome, Held):
            self.context.budget.release_reservation(saved.id)
        if saved.request is not None:
            return await self.steps.honour(saved, self)
        return saved

    async def _finish_delivery(self, job: Job) -> None:
        """What it leaves behind goes at the next start: everything is delivered, and the row says so."""
        try:
            await self.steps.finish_delivery(job, self.context)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            self.context.log.error("staging.not_cleared", job=job.id, path=job.path, exc_info=error)

    async def save(
        self, before: Job, after: Job, *, dropped: bool = False, honoured: jobs.Request | None = None
    ) -> Job | None:
        """Writes the row. The store waits where its disk is full: nothing else happens to the job before it is written.

        The request that is `honoured` by it goes in the same commit: left behind, it would be honoured twice, and paid twice.
        """

        def write(store: Store) -> Job:
            try:
                saved = store.save(before, after)
            except StaleError:
                saved = store.save(_with_the_same_work(store, before), after)
            if dropped:
                store.drop_file(before)
            if honoured is not None:
                store.clear_request(before.id, honoured)
            return saved

        try:
            saved = await self.context.store.run(write)
        except StaleError:
            self.context.log.info("job.conflict", job=before.id, path=before.path)
            return None
        if saved.minutes > before.minutes:
            self.context.budget.charged(saved.id, saved.minutes - before.minutes)
        self.context.changed.set()
        self.failed_count += saved.state is State.FAILED and before.state is not State.FAILED
        self.done_count += saved.state is State.DONE and before.state is not State.DONE
        return saved

    async def _file_failure(self, job: Job) -> None:
        try:
            filed = await convert_exhaustion(self.steps.put_failure_away(job, self.context))
            await self.save(job, replace(filed, archived=True))
            self.guard.faults.worked("failures", job.id)
        except FileError as error:
            passes = isinstance(error, (FolderUnavailableError, DiskFullError))
            await self._not_filed(job, error, again=passes)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            again = isinstance(self.guard.faults.failed("failures", job, error), RetryLater)
            await self._not_filed(job, LalaldError(f"internal: {describe_exception(error)}"), again=again)

    async def _not_filed(self, job: Job, error: LalaldError, *, again: bool) -> None:
        after = transitions.record_archive_error(job, error, self.context.clock.now(), self._jitter(), again=again)
        if after.archive_error != job.archive_error:
            self.context.log.warning("archive.failed", job=job.id, path=job.path, reason=jobs.describe_error(error))
        await self.save(job, after)


def _lanes_of(job: Job) -> set[str]:
    """The lanes that may have something to do once the job is let go; each look of a lane is a question to the store."""
    deletes = {Stage.DELETE} if job.duplicate_of is not None else set()  # of the job whose results it was given
    if job.state is not State.WAITING:  # a twin may wait for its end, at the upload
        return {Stage.UPLOAD, *deletes, *(("failures",) if job.state is State.FAILED else ())}
    if job.stage is Stage.SPLIT:
        return {start_of(task.mode) for task in job.tasks}
    if job.stage in (Stage.DELETE, Stage.ARCHIVE):  # its results are there for a duplicate
        return {job.stage, Stage.UPLOAD, *deletes}
    return {job.stage}


def _with_the_same_work(store: Store, before: Job) -> Job:
    """The row as it is now, where only its hold has changed since it was taken: what was learnt meanwhile may be money.

    Raises StaleError where the work itself is another.
    """
    now = store.job(before.id)
    if now is None or (now.tasks, now.stage, now.path) != (before.tasks, before.stage, before.path):
        raise StaleError(f"job {before.id} was changed by another process")
    return now
