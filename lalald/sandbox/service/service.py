"""One account of the service: its sources, tasks, minutes and idempotency keys. Clock and ids are parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from heapq import heappop, heappush

from lalald.sandbox.options import Options
from lalald.sandbox.service import modes
from lalald.sandbox.service.storage import Stored
from lalald.sandbox.service.tasks import UNDER_WAY, Charge, Failure, Source, Task
from lalald.sandbox.service.validation import AnyPresets

GONE = "The file has not been uploaded properly or has already been deleted. Please upload it again."
UNKNOWN_TASK = "Failed to extract information about task"
NOT_UNDER_WAY = "Task is not in progress state"
KEY_USED = "Idempotency key has already been used."
WINDOW_SECONDS = 60.0


class RefusalError(Exception):
    """The service refuses a request, with an HTTP status, a text, and usually a code."""

    def __init__(self, status: int, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code


class Account:
    """Idempotency keys are shared by all modes. While the key's task is queued, a request with the same key returns its id, whatever
    else it contains; afterwards (started, ended, cancelled) it gets `idempotency_key_used`. A refused start does not use its key.
    """

    def __init__(self, options: Options, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.options = options
        self.clock = clock
        self.new_id = new_id
        self._minutes_left = Fraction(0)
        self.sources: dict[str, Source] = {}
        self.tasks: dict[str, Task] = {}
        self.charges: list[Charge] = []
        self._by_key: dict[str, Task] = {}
        self._checked_at: deque[float] = deque()
        self._expires_at: list[tuple[float, str]] = []

    @property
    def minutes_left(self) -> float:
        return float(self._minutes_left)

    def set_minutes(self, minutes: float) -> None:
        self._minutes_left = Fraction(str(minutes))  # exact decimals: sums of tenths have no rounding error

    def add_source(self, *, name: str, duration: int, stored: Stored, head: bytes, sha256: str | None) -> Source:
        """Add a complete upload."""
        now = self.clock()
        expires_at = now + self.options.source_seconds
        source = Source(self.new_id(), name, stored.size, duration, stored, head, sha256, now, expires_at)
        self.sources[source.id] = source
        heappush(self._expires_at, (expires_at + self.options.check_seconds + self.options.link_seconds, source.id))
        return source

    def start(self, source_id: str, presets: AnyPresets, idempotency_key: str | None = None) -> tuple[Task, bool]:
        """Start a task, charge it, and return it and True; or return the queued task of this key and False.

        Raises RefusalError, without a charge: the key is used, the source does not exist, the plan does not allow it, or the minutes
        are too few.
        """
        now = self.clock()
        earlier = self._by_key.get(idempotency_key or "")
        if earlier is not None:
            if earlier.status(now) != "queued":
                raise RefusalError(400, KEY_USED, "idempotency_key_used")
            return earlier, False
        source = self._source(source_id, now)
        task = self._charged_task(source, presets, idempotency_key, now)
        if idempotency_key:
            self._by_key[idempotency_key] = task
        return task, True

    def _source(self, source_id: str, now: float) -> Source:
        source = self.sources.get(source_id)
        if source is None or not source.exists(now):
            raise RefusalError(400, GONE)
        return source

    def _charged_task(self, source: Source, presets: AnyPresets, key: str | None, now: float) -> Task:
        self._check_plan(source)
        cost = Fraction(max(0, source.duration), 60) * modes.stems_charged(presets)
        if cost > self._minutes_left:
            raise RefusalError(400, "Not enough minutes left to process the file.", "exceeded_duration")
        minutes = float(cost)
        starts_at = now + self.options.queue_seconds
        ends_at = starts_at + self.options.processing_seconds + minutes * self.options.processing_seconds_per_minute
        task = Task(self.new_id(), source, presets, key, now, starts_at, ends_at, minutes)
        self._minutes_left -= cost
        self.tasks[task.id] = task
        source.tasks.append(task)
        self.charges.append(Charge(now, task))
        return task

    def _check_plan(self, source: Source) -> None:
        longest, largest = self.options.max_duration_seconds, self.options.max_size_bytes
        if longest is not None and source.duration > longest:
            raise RefusalError(400, f"The file is longer than the {longest} seconds of your plan.", "max_duration")
        if largest is not None and source.size > largest:
            raise RefusalError(400, f"The file is larger than the {largest} bytes of your plan.", "exceeded_size")

    def count_check(self) -> None:
        """Count one request to `/check/`. Raises RefusalError (429) above the limit in 60 s; a refused request does not count."""
        now = self.clock()
        while self._checked_at and self._checked_at[0] <= now - WINDOW_SECONDS:
            self._checked_at.popleft()
        if len(self._checked_at) >= self.options.checks_per_minute:
            raise RefusalError(429, "Too Many Requests")
        self._checked_at.append(now)

    def known_task(self, task_id: str) -> Task | None:
        """The task, unless `/check/` no longer knows it."""
        task = self.tasks.get(task_id)
        return task if task and self.clock() < task.created_at + self.options.check_seconds else None

    def cancel(self, task_id: str) -> str | None:
        """Cancel a task that is queued or in progress. Return why that is not possible, or None."""
        now = self.clock()
        task = self.known_task(task_id)
        if task is None:
            return UNKNOWN_TASK
        if task.status(now) not in UNDER_WAY:
            return NOT_UNDER_WAY
        task.cancelled_at = now
        return None

    def cancel_all(self) -> list[str]:
        """Cancel every task that is queued or in progress. Return their ids."""
        return [task_id for task_id in list(self.tasks) if self.cancel(task_id) is None]

    def delete(self, source_id: str) -> None:
        """Delete a source and cancel its tasks; links stay valid for a while. Raises RefusalError if it does not exist."""
        now = self.clock()
        source = self._source(source_id, now)
        source.deleted_at = now
        heappush(self._expires_at, (now + self.options.link_seconds_after_delete, source.id))
        for task in source.tasks:
            if task.status(now) in UNDER_WAY:
                task.cancelled_at = now

    def expired_sources(self) -> list[Source]:
        """Sources whose tracks can no longer be downloaded; each is returned once or twice."""
        expired, now = [], self.clock()
        while self._expires_at and self._expires_at[0][0] <= now:
            expired.append(self.sources[heappop(self._expires_at)[1]])
        return expired

    def serves_tracks_of(self, source: Source) -> bool:
        deleted_at = source.deleted_at
        return deleted_at is None or self.clock() < deleted_at + self.options.link_seconds_after_delete

    def failure(self, detail: str, code: str | None) -> Failure:
        return Failure(detail, code, self.new_id())
