"""Release jobs that are held for minutes once they fit; record which limit the others wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from lalald.errors import ServiceError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource
from lalald.stages.context import StageContext
from lalald.stages.precharge.admission import admit
from lalald.stages.precharge.budget import Refusal
from lalald.worker.claims import Claims
from lalald.worker.recorder import Recorder

_REFUSED_AGAIN_SECONDS = 3600.0


class MinutesProbe:
    """`release` ends a job's hold and returns whether it did; `each` runs a function for each job, containing its exceptions."""

    def __init__(
        self,
        context: StageContext,
        claims: Claims,
        recorder: Recorder,
        release: Callable[[Job], Awaitable[bool]],
        each: Callable[[Sequence[Job], Callable[[Job], Awaitable[object]]], Awaitable[None]],
    ) -> None:
        self._context = context
        self._claims = claims
        self._recorder = recorder
        self._release = release
        self._each = each
        self._refused_at_left: dict[int, float] = {}

    async def release_what_fits(self) -> None:
        """Oldest first. Jobs that the service itself refused are retried when the minutes have risen, or after an hour."""
        try:
            left = await self._context.budget.minutes_left(fresh_seconds=0.0)

            async def release_if_it_fits(job: Job) -> None:
                if self._claims.is_claimed(job.id) or not self._may_retry(job, left):
                    return
                refusal = (await admit(job, self._context)).refusal
                if refusal is not None:
                    await self._change_limit(job, refusal)
                elif not await self._release(job):
                    self._context.budget.release_reservation(job.id)

            await self._each(
                await self._context.store.run(lambda store: store.held_jobs(Hold.MINUTES)), release_if_it_fits
            )
        except ServiceError:
            return

    async def _change_limit(self, job: Job, refusal: Refusal) -> None:
        """Record that the job waits for another limit now: a release must be for the current one."""
        if refusal.source is job.hold_source:
            return
        now = self._context.clock.now()
        waits = replace(job, hold_reason=refusal.hold_reason, hold_source=refusal.source, updated_at=now)
        if not self._claims.is_claimed(job.id) and await self._recorder.save(job, waits) is not None:
            self._recorder.hold_log.add(waits, Hold.MINUTES, refusal.source, refusal.hold_reason)

    def _may_retry(self, job: Job, left: float) -> bool:
        if job.hold_source is not HoldSource.SERVICE:
            return True
        refused_at = self._refused_at_left.setdefault(job.id, left)
        since = self._context.clock.now() - job.updated_at
        long_ago = since > _REFUSED_AGAIN_SECONDS or since < 0  # the second where the clock was turned back
        if left <= refused_at and not long_ago:
            return False
        self._refused_at_left.pop(job.id, None)
        return True
