"""Predict the decisions of the spend guard, with the guard itself and what the daemon last knew."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Self

from lalald.clock import Clock
from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.spending.spend_limits import midnight
from lalald.stages.precharge.budget import Budget, Refusal
from lalald.store.queries import Reports


class SpendForecast:
    """The spend guard, with every admitted job counted as spent, so that reservations are not summed up for each job.

    `left`: minutes left on the service, less what waiting jobs need; infinite if unknown.
    """

    def __init__(self, limits: Minutes, left: float, spent: float) -> None:
        self._left = left
        self._spent = spent
        self._budget = Budget(limits, Clock(), self._minutes_left, self._spent_since)

    @classmethod
    def of(cls, reports: Reports | None, limits: Minutes) -> Self:
        """From what the store knows."""
        if reports is None:
            return cls(limits, math.inf, 0.0)
        fact = reports.fact("minutes")
        promised = reports.waiting_minutes()
        left = math.inf
        if fact is not None:  # less what was charged since the service reported it
            left = float(fact.value["left"]) - reports.spent_since(fact.value["at"]) - promised
        return cls(limits, left, reports.spent_since(midnight(time.time())) + promised)

    async def _minutes_left(self) -> float:
        return self._left

    async def _spent_since(self, _since: float) -> float:
        return self._spent

    async def refusal(self, job: Job) -> Refusal | None:
        """Why the job would be held, else None."""
        budget = self._budget
        admission = await (budget.admit_upload(job) if job.source_id is None else budget.admit(job, job.duration))
        if admission.refusal is None:
            self._left -= admission.minutes
            self._spent += admission.minutes
            budget.release_reservation(job.id)
            budget.invalidate()
        return admission.refusal

    def refusal_now(self, job: Job) -> Refusal | None:
        """The same, without an event loop."""
        return asyncio.run(self.refusal(job))
