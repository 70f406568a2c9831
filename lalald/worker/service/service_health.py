"""How well the service works: a circuit breaker for each operation and download host, and the pause after a 429."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

from lalald.clock import Clock
from lalald.errors import RateLimitedError, TransientError
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.presets import MODES
from lalald.store import StoreThread
from lalald.store.due import Queue
from lalald.worker.service.circuit_breaker import DIFFERENT_JOBS, CircuitBreaker, CircuitBreakers
from lalald.worker.service.rate_limiter import RateLimitPause

CHECK, CANCEL = "check", "cancel"


def start_of(mode: str) -> str:
    """The operation that starts tasks of a mode; each mode has its own."""
    return f"split {mode}"


class ServiceHealth:
    """Records how every request ended, and when the next may be sent.

    `on_change` is called when the service works again. `dead_hosts`: for each download host whose breaker is open, a semaphore of
    its own, so that its tracks and those of other hosts do not wait for each other.
    """

    def __init__(
        self,
        store: StoreThread,
        clock: Clock,
        log: Any,
        on_change: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._on_change = on_change
        operations = (Stage.UPLOAD, *map(start_of, MODES), CHECK, Stage.DOWNLOAD, Stage.DELETE, Stage.ARCHIVE, CANCEL)
        self.breakers = {str(operation): CircuitBreakers(clock, jitter) for operation in operations}
        self.pause = RateLimitPause(clock, jitter)
        self.dead_hosts: dict[str, asyncio.Semaphore] = {}
        self.last_good_at = clock.monotonic()
        self.has_worked = False  # since the start

    @property
    def problem(self) -> str | None:
        """What is wrong, if a breaker is open or the service requests a pause; else None."""
        if self.pause.problem:
            return self.pause.problem
        return next((breakers.problem for breakers in self.breakers.values() if breakers.problem), None)

    def wait_seconds(self, operation: str) -> float:
        """Seconds until the next request of an operation without a stage pool may be sent."""
        return max(self.pause.wait_seconds, self.breakers[operation].of().wait_seconds())

    async def jobs_failed(
        self, queue: Queue, jobs: Sequence[Job], error: TransientError, began_at: float, operation: str | None = None
    ) -> None:
        """A request for these jobs, which still wait for the operation, failed or was not answered."""
        host = jobs[0].download_host
        if error.host and queue.stage is Stage.DOWNLOAD:
            host = error.host
        elif isinstance(error, RateLimitedError):
            self.limited(error, began_at)
            return
        if not (error.is_outage or isinstance(error, RateLimitedError)):
            return
        there = await self._store.run(lambda store: store.waiting_at(queue, host, DIFFERENT_JOBS))
        breaker = self.breakers[operation or str(queue.stage)].of(host)
        self._failed(breaker, [job.id for job in jobs], error, began_at, max(there, 1))
        if host and breaker.is_open:
            self.dead_hosts.setdefault(host, asyncio.Semaphore(1))

    def failed(self, operation: str, error: TransientError, began_at: float, keys: Collection[int], there: int) -> bool:
        """A request of an operation without a stage pool failed. Returns whether its breaker opened."""
        if isinstance(error, RateLimitedError):
            self.limited(error, began_at)
            return False
        if not error.is_outage:
            return False
        return self._failed(self.breakers[operation].of(), keys, error, began_at, there)

    def limited(self, error: RateLimitedError, began_at: float) -> None:
        """Every operation pauses."""
        if self.pause.limited(str(error), began_at=began_at, retry_after_seconds=error.retry_after_seconds):
            self._warn(error)

    def succeeded(self, operation: str, keys: Collection[int], began_at: float, host: str = "") -> None:
        """A request succeeded."""
        self.last_good_at = self._clock.monotonic()
        self.has_worked = True
        limited = self.pause.succeeded(began_at=began_at) if not host else False
        was_open = self.breakers[operation].of(host).succeeded(keys)
        if host:
            self.dead_hosts.pop(host, None)
        if was_open or limited:
            self._log.info("service.back")
            self._on_change()

    def _failed(
        self, breaker: CircuitBreaker, keys: Collection[int], error: TransientError, began_at: float, there: int
    ) -> bool:
        after = error.retry_after_seconds
        opened = breaker.failed(keys, str(error), began_at=began_at, jobs_there=there, retry_after_seconds=after)
        if opened:
            self._warn(error)
        return opened

    def _warn(self, error: TransientError) -> None:
        self._log.warning("service.down", reason=str(error))
