"""The worker's stage pools: how many jobs of each stage run at once, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.presets import MODES
from lalald.stages import split, start_requests
from lalald.stages.context import StageContext
from lalald.store.due import Queue
from lalald.worker.claims import Claims
from lalald.worker.failed_sources import FailedSources
from lalald.worker.job_source import JobSource
from lalald.worker.service.circuit_breaker import CircuitBreakers
from lalald.worker.service.service_health import ServiceHealth, start_of
from lalald.worker.stage_pool import StagePool
from lalald.worker.stage_runner import StageRunner
from lalald.worker.stage_steps import StageFunction, StageSteps
from lalald.worker.task_starter import TaskStarter
from lalald.worker.wakeups import FAILURES, Wakeups

_SLOTS = 4  # of deletes, archiving, and starts of a mode without batches

Run = Callable[[Sequence[Job]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class StagePools:
    """Builds the pools. A pool of several stages takes jobs of the first, and runs the others in the same slot."""

    context: StageContext
    steps: StageSteps
    health: ServiceHealth
    source: JobSource
    runner: StageRunner
    starter: TaskStarter
    failed_sources: FailedSources
    claims: Claims
    wakeups: Wakeups

    def all(self) -> list[StagePool]:
        """Each with its name, its slots and what runs in them."""
        steps, context = self.steps, self.context
        return [
            self._stages(lambda: context.config.transfers.uploads, {Stage.UPLOAD: steps.upload}),
            self._stages(lambda: context.config.transfers.downloads, {Stage.DOWNLOAD: steps.download}),
            self._stages(lambda: _SLOTS, {Stage.DELETE: steps.delete, Stage.ARCHIVE: steps.archive}),
            self._stages(lambda: _SLOTS, {Stage.ARCHIVE: steps.archive}),
            *(self._starts(mode) for mode in MODES),
            self._failures(),
        ]

    def _stages(self, slots: Callable[[], int], functions: Mapping[Stage, StageFunction]) -> StagePool:
        stage = next(iter(functions))

        async def run(group: Sequence[Job]) -> None:
            await self.runner.run_job(group[0], functions)

        return StagePool(
            stage, slots=slots, run_group=run, breakers=self.health.breakers[stage], signal=self.wakeups.pool(stage),
            take=lambda demand: self.source.due(Queue(stage), demand), pause=lambda: self.health.pause.wait_seconds,
        )  # fmt: skip

    def _starts(self, mode: str) -> StagePool:
        context, queue, name = self.context, Queue(Stage.SPLIT, mode), start_of(mode)

        async def run(group: Sequence[Job]) -> None:
            try:
                await self.starter.start(group, mode)
            finally:
                self.claims.release(group)

        return StagePool(
            name, slots=lambda: 1 if split.uses_batches(mode, context) else _SLOTS, run_group=run,
            breakers=self.health.breakers[name], signal=self.wakeups.pool(name),
            take=lambda demand: self.source.due(queue, demand), pause=lambda: self.health.pause.wait_seconds,
            group=lambda: start_requests.MAX_BATCH_TASKS if split.uses_batches(mode, context) else 1,
            batch_size=self.starter.batch_size, put_back=self.claims.put_back,
        )  # fmt: skip

    def _failures(self) -> StagePool:
        async def run(group: Sequence[Job]) -> None:
            await self.failed_sources.archive(group[0])

        return StagePool(
            FAILURES, slots=lambda: 1, run_group=run, breakers=CircuitBreakers(self.context.clock),
            signal=self.wakeups.pool(FAILURES), take=self.source.unarchived_failures,
        )  # fmt: skip
