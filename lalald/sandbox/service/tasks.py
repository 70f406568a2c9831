"""Sources, tasks and charges. Their state at a moment is computed; the moment is a parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lalald.sandbox.service.storage import Stored
from lalald.sandbox.service.validation import AnyPresets

Status = Literal["queued", "progress", "success", "error", "cancelled"]
UNDER_WAY: tuple[Status, Status] = ("queued", "progress")


@dataclass(slots=True)
class Source:
    """An uploaded file. `sha256`: None for a large one until it is computed. `stored`: None after its bytes are deleted."""

    id: str
    name: str
    size: int
    duration: int
    stored: Stored | None
    head: bytes
    sha256: str | None
    created_at: float
    expires_at: float
    deleted_at: float | None = None
    tasks: list[Task] = field(default_factory=list)

    def exists(self, now: float) -> bool:
        return self.deleted_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Failure:
    detail: str
    code: str | None
    id: str


@dataclass(slots=True)
class Task:
    """One split or voice change. Its status follows from the time, unless it was set."""

    id: str
    source: Source
    presets: AnyPresets
    idempotency_key: str | None
    created_at: float
    starts_at: float
    ends_at: float
    minutes: float
    cancelled_at: float | None = None
    failure: Failure | None = None
    stuck_at_percent: int | None = None

    def status(self, now: float) -> Status:
        if self.cancelled_at is not None:
            return "cancelled"
        if self.percent(now) == 0:
            return "queued"
        if self.stuck_at_percent is not None or now < self.ends_at:
            return "progress"
        return "error" if self.failure else "success"

    def percent(self, now: float) -> int:
        """0 in the queue, then 1 to 99, then 100."""
        if self.stuck_at_percent is not None:
            return self.stuck_at_percent
        if now >= self.ends_at:
            return 100
        if now < self.starts_at:
            return 0
        return 1 + int(98 * (now - self.starts_at) / (self.ends_at - self.starts_at))

    def finish(self, now: float, failure: Failure | None = None) -> None:
        """End it now, with success or `failure`, whatever its status."""
        self.stuck_at_percent, self.cancelled_at, self.failure = None, None, failure
        self.starts_at = min(self.starts_at, now)
        self.ends_at = min(self.ends_at, now)


@dataclass(frozen=True, slots=True)
class Charge:
    """Minutes charged when a task was accepted.

    Nothing is refunded, not even for failed and cancelled tasks: the live service may not do so either.
    """

    at: float
    task: Task

    @property
    def minutes(self) -> float:
        return self.task.minutes
