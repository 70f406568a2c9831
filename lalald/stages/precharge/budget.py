"""The spend guard: what may be charged now, and what has to wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lalald.clock import Clock
from lalald.config import Minutes
from lalald.jobs import consent
from lalald.jobs.job import Hold, HoldSource, Job, Stage
from lalald.jobs.prices import cost_text, free_text
from lalald.jobs.prices import minutes as cost

FRESH_SECONDS = 60.0
_NOT_OWED = (Hold.LOST_TASK, Hold.DUPLICATE)  # charged already; a person has not agreed
_NOTHING = 1e-6  # minutes: what sums of tenths are off by


def unpaid_minutes(job: Job, duration: float) -> float:
    """What the job's tasks that are not known to be charged will cost (an estimate: only multistem's price is documented).

    One that was asked for without an answer is among them, one that is lost is not: that is charged.
    """
    owed = (task for task in job.tasks if task.stage is Stage.SPLIT and task.task_id is None and task.error is None)
    return sum(cost(duration, task.mode, task.presets) for task in owed if task.hold not in _NOT_OWED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why minutes cannot be spent now: which limit it is about, and in words what is needed and what is left."""

    source: HoldSource
    reason: str


@dataclass(frozen=True, slots=True)
class SpendDecision:
    """The guard's answer."""

    minutes: float
    refusal: Refusal | None = None


class Budget:
    """Minutes left on the service, less what jobs under way are about to spend, within the configured limits."""

    def __init__(
        self,
        limits: Minutes,
        clock: Clock,
        ask_minutes_left: Callable[[], Awaitable[float]],
        spent_since: Callable[[float], Awaitable[float]],
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._ask = ask_minutes_left
        self._spent_since = spent_since
        self._asking = asyncio.Lock()
        self._deciding = asyncio.Lock()
        self._left: float | None = None
        self._asked_at = 0.0
        self._promised: dict[int, float] = {}

    @property
    def left(self) -> float | None:
        """Minutes left as far as is known, without asking."""
        return self._left

    async def minutes_left(self, fresh_seconds: float = FRESH_SECONDS) -> float:
        """What the service says, at most `fresh_seconds` old. Raises ServiceError."""
        async with self._asking:
            if self._left is None or self._clock.monotonic() - self._asked_at > fresh_seconds:
                self._left = await self._ask()
                self._asked_at = self._clock.monotonic()
            return self._left

    async def admit_upload(self, job: Job) -> SpendDecision:
        """Whether the file goes up. What it states of its length must fit; where it states none, or a person let it past that,
        the service's figure decides before the charge, but nothing goes up that cannot be paid for in any case.

        Raises ServiceError where the service does not tell what is left.
        """
        if job.duration is not None and not job.upload_waived:
            return await self.admit(job, job.duration)
        if unpaid_minutes(job, 60.0) == 0.0:
            return SpendDecision(0.0)
        async with self._deciding:
            self._promised.pop(job.id, None)
            refusal = await self._refusal_of_any(job)
            least = 0.0 if job.upload_waived else unpaid_minutes(job, job.least_duration or 0.0)
            if refusal is None and least > _NOTHING:
                refusal = await self.refusal(job, least, at_least=True)
        return SpendDecision(0.0, refusal)

    async def _refusal_of_any(self, job: Job) -> Refusal | None:
        """Why not even the shortest file can be charged now, or None."""
        promised = sum(self._promised.values())
        left = await self.minutes_left() - promised - self.limits.reserve
        if not exceeds(left, 0.0):
            return Refusal(HoldSource.LEFT, f"is not uploaded while {self._free(left, promised)}")
        per_day = self.limits.per_day
        if per_day is None or consent.has_waived(job, HoldSource.PER_DAY):
            return None
        spent = await self._spent_since(midnight(self._clock.now())) + promised
        return (
            None
            if exceeds(per_day, spent)
            else Refusal(HoldSource.PER_DAY, f"is not uploaded: {_allowed(per_day, spent)}")
        )

    def _free(self, left: float, promised: float) -> str:
        reserve = f", {self.limits.reserve:g} kept in reserve" if self.limits.reserve else ""
        return f"{free_text(max(left, 0.0))} are free ({cost_text(promised)} promised to other jobs{reserve})"

    async def admit(self, job: Job, duration: float | None) -> SpendDecision:
        """Promises the job's cost, or says why it does not fit. An unknown duration is decided before the charge.

        Raises ServiceError where the service does not tell what is left.
        """
        if duration is None:
            return SpendDecision(0.0)
        needed = unpaid_minutes(job, duration)
        async with self._deciding:  # one after another: each counts what was promised before
            refusal = None if needed == 0.0 else await self.refusal(job, needed)
            if refusal is None:
                self._promised[job.id] = needed
        return SpendDecision(needed, refusal)

    def reserve(self, job: Job, duration: float) -> None:
        """Counts the job's cost whatever the limits: a request for it may have left, before a restart too."""
        self._promised[job.id] = unpaid_minutes(job, duration)

    async def refusal(self, job: Job, needed: float, *, at_least: bool = False) -> Refusal | None:
        """Why these minutes cannot be spent on the job now, or None. `at_least`: it needs these, and maybe more."""
        needs = f"needs {'at least ' if at_least else ''}{cost_text(needed)} minutes"
        if not consent.is_within_approval(job, needed):
            return _dearer(job, needed)
        per_file = self.limits.per_file
        if per_file is not None and exceeds(needed, per_file) and not consent.has_waived(job, HoldSource.PER_FILE):
            words = f"{needs}, minutes.per_file allows {per_file:g}"
            return Refusal(HoldSource.PER_FILE, words)
        promised = sum(minutes for job_id, minutes in self._promised.items() if job_id != job.id)
        left = await self.minutes_left() - promised - self.limits.reserve
        if exceeds(needed, left):
            return Refusal(HoldSource.LEFT, f"{needs}, {self._free(left, promised)}")
        return await self._refusal_today(job, needed, promised, needs)

    async def _refusal_today(self, job: Job, needed: float, promised: float, needs: str) -> Refusal | None:
        per_day = self.limits.per_day
        if per_day is None or consent.has_waived(job, HoldSource.PER_DAY):
            return None
        spent = await self._spent_since(midnight(self._clock.now())) + promised
        if not exceeds(spent + needed, per_day):
            return None
        return Refusal(HoldSource.PER_DAY, f"{needs}, {_allowed(per_day, spent)}")

    def charged(self, job_id: int, minutes: float) -> None:
        """What was promised is spent, and saved: until then it counts as promised."""
        self._promised[job_id] = self._promised.get(job_id, 0.0) - minutes
        if self._promised[job_id] < _NOTHING:
            del self._promised[job_id]
        if self._left is not None:
            self._left = max(0.0, self._left - minutes)

    def release_reservation(self, job_id: int) -> None:
        """The job spends nothing after all, or not now."""
        self._promised.pop(job_id, None)

    def invalidate(self) -> None:
        """The service disagreed: ask before the next decision."""
        self._left = None


def _allowed(per_day: float, spent: float) -> str:
    return f"minutes.per_day allows {per_day:g} and {cost_text(spent)} are spent or promised today"


def _dearer(job: Job, needed: float) -> Refusal:
    agreed = max(0.0, (job.approved_minutes or 0.0) - job.minutes)
    words = f"needs {cost_text(needed)} minutes, and was released for {free_text(agreed)}"
    return Refusal(
        HoldSource.PRICE, f"{words}: nothing more is charged until `lalald release {job.id}` agrees to the new price"
    )


def exceeds(minutes: float, limit: float) -> bool:
    """Whether these minutes are more than a limit, and not just by what sums of tenths are off by."""
    return minutes > limit + _NOTHING


def midnight(now: float) -> float:
    """The beginning of the local day, in epoch seconds; right on days when the clocks change, too."""
    today = time.localtime(now)
    return time.mktime((today.tm_year, today.tm_mon, today.tm_mday, 0, 0, 0, 0, 0, -1))
