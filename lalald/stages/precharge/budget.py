"""Decide which minutes may be spent now, within the limits, and reserve them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lalald.clock import Clock
from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.spending import consent
from lalald.jobs.spending.prices import cost_text, free_text
from lalald.jobs.spending.prices import minutes as cost
from lalald.jobs.spending.spend_limits import exceeds, midnight
from lalald.jobs.states import Hold, HoldSource, Stage

FRESH_SECONDS = 60.0
_NOT_CHARGED = (Hold.LOST_TASK, Hold.DUPLICATE)  # charged already; not agreed to by a person


def unpaid_minutes(job: Job, duration: float) -> float:
    """The minutes that the job's uncharged tasks will cost (an estimate: only the price of multistem is documented).

    A task that was requested without an answer counts; one whose id was lost does not, since it is charged.
    """
    unpaid = (task for task in job.tasks if task.stage is Stage.SPLIT and task.task_id is None and task.error is None)
    return sum(cost(duration, task.mode, task.presets) for task in unpaid if task.hold not in _NOT_CHARGED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why minutes cannot be spent now: the limit, and in words what is needed and what is left.

    `past`: the same in the past tense, where the figures change while the job is held.
    """

    source: HoldSource
    reason: str
    past: str | None = None

    @property
    def hold_reason(self) -> str:
        """As it is kept with the held job."""
        return self.past or self.reason


@dataclass(frozen=True, slots=True)
class SpendDecision:
    """The budget's answer: the minutes reserved, or why they are refused."""

    minutes: float
    refusal: Refusal | None = None


class Budget:
    """The minutes left on the service, less those reserved for other jobs, within the configured limits."""

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
        self._reservations: dict[int, float] = {}

    @property
    def left(self) -> float | None:
        """The last known minutes left, without a request."""
        return self._left

    async def minutes_left(self, fresh_seconds: float = FRESH_SECONDS) -> float:
        """The minutes left on the service, at most `fresh_seconds` old. Raises ServiceError."""
        async with self._asking:
            if self._left is None or self._clock.monotonic() - self._asked_at > fresh_seconds:
                self._left = await self._ask()
                self._asked_at = self._clock.monotonic()
            return self._left

    async def admit_upload(self, job: Job) -> SpendDecision:
        """Whether the file may be uploaded. A length that it states must fit. If it states none, or a person waived that, the
        service's figure decides before the charge; a file that cannot be paid for in any case is still refused.

        Raises ServiceError if the service does not report the minutes left.
        """
        if job.duration is not None and not job.upload_waived:
            return await self.admit(job, job.duration)
        if unpaid_minutes(job, 60.0) == 0.0:
            return SpendDecision(0.0)
        async with self._deciding:
            self._reservations.pop(job.id, None)
            refusal = await self._refusal_of_any(job)
            least = 0.0 if job.upload_waived else unpaid_minutes(job, job.least_duration or 0.0)
            if refusal is None and exceeds(least, 0.0):
                refusal = await self.refusal(job, least, at_least=True)
        return SpendDecision(0.0, refusal)

    async def _refusal_of_any(self, job: Job) -> Refusal | None:
        """Why not even the shortest file could be charged now, or None."""
        reserved = sum(self._reservations.values())
        left = await self.minutes_left() - reserved - self.limits.reserve
        if not exceeds(left, 0.0):
            return Refusal(HoldSource.LEFT, f"is not uploaded while {self._free('are', left, reserved)}")
        per_day = self.limits.per_day
        if per_day is None or consent.has_waived(job, HoldSource.PER_DAY):
            return None
        spent = await self._spent_since(midnight(self._clock.now())) + reserved
        if exceeds(per_day, spent):
            return None
        return _above_per_day("is not uploaded: ", per_day, spent)

    def _free(self, are: str, left: float, reserved: float) -> str:
        parts = [f"{cost_text(reserved)} reserved for other jobs"] if exceeds(reserved, 0.0) else []
        parts += [f"{self.limits.reserve:g} kept in reserve"] if self.limits.reserve else []
        return f"{free_text(max(left, 0.0))} {are} free" + (f" ({', '.join(parts)})" if parts else "")

    async def admit(self, job: Job, duration: float | None) -> SpendDecision:
        """Reserve the job's cost, or say why it does not fit. An unknown duration is decided before the charge.

        Raises ServiceError if the service does not report the minutes left.
        """
        if duration is None:
            return SpendDecision(0.0)
        needed = unpaid_minutes(job, duration)
        async with self._deciding:  # one at a time: each decision counts the reservations before it
            refusal = None if needed == 0.0 else await self.refusal(job, needed)
            if refusal is None:
                self._reservations[job.id] = needed
        return SpendDecision(needed, refusal)

    def reserve(self, job: Job, duration: float) -> None:
        """Reserve the job's cost whatever the limits: a request for it may have been sent, also before a restart."""
        self._reservations[job.id] = unpaid_minutes(job, duration)

    async def refusal(self, job: Job, needed: float, *, at_least: bool = False) -> Refusal | None:
        """Why these minutes cannot be spent on the job now, or None. `at_least`: the job may need more."""
        needs = f"needs {'at least ' if at_least else ''}{cost_text(needed)} minutes"
        if not consent.is_within_approval(job, needed):
            return _above_approval(job, needed)
        per_file = self.limits.per_file
        if per_file is not None and exceeds(needed, per_file) and not consent.has_waived(job, HoldSource.PER_FILE):
            words = f"{needs}, minutes.per_file allows {per_file:g}"
            return Refusal(HoldSource.PER_FILE, words)
        reserved = sum(minutes for job_id, minutes in self._reservations.items() if job_id != job.id)
        left = await self.minutes_left() - reserved - self.limits.reserve
        if exceeds(needed, left):
            now, then = (f"{needs}, {self._free(are, left, reserved)}" for are in ("are", "were"))
            return Refusal(HoldSource.LEFT, now, then)
        return await self._refusal_today(job, needed, reserved, needs)

    async def _refusal_today(self, job: Job, needed: float, reserved: float, needs: str) -> Refusal | None:
        per_day = self.limits.per_day
        if per_day is None or consent.has_waived(job, HoldSource.PER_DAY):
            return None
        spent = await self._spent_since(midnight(self._clock.now())) + reserved
        if not exceeds(spent + needed, per_day):
            return None
        return _above_per_day(f"{needs}, ", per_day, spent)

    def charged(self, job_id: int, minutes: float) -> None:
        """Count reserved minutes as spent, once the charge is saved."""
        self._reservations[job_id] = self._reservations.get(job_id, 0.0) - minutes
        if not exceeds(self._reservations[job_id], 0.0):
            del self._reservations[job_id]
        if self._left is not None:
            self._left = max(0.0, self._left - minutes)

    def release_reservation(self, job_id: int) -> None:
        """Free the job's reserved minutes: it spends nothing, or not now."""
        self._reservations.pop(job_id, None)

    def invalidate(self) -> None:
        """Request the minutes left again before the next decision: the service disagreed."""
        self._left = None


def _above_per_day(what: str, per_day: float, spent: float) -> Refusal:
    words = f"{what}minutes.per_day allows {per_day:g} and {cost_text(spent)}"
    now, then = f"{words} are spent or reserved today", f"{words} were spent or reserved that day"
    return Refusal(HoldSource.PER_DAY, now, then)


def _above_approval(job: Job, needed: float) -> Refusal:
    approved = max(0.0, (job.approved_minutes or 0.0) - job.minutes)
    words = f"needs {cost_text(needed)} minutes, but was released for {free_text(approved)}"
    return Refusal(
        HoldSource.PRICE,
        f"{words}; nothing more is charged until you run `lalald release {job.id}` to accept the new price",
    )
