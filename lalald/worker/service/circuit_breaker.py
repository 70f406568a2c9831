"""Circuit breakers: while an operation of the service or a download host fails, one request at a time probes it.

    closed ──three different jobs in a row, or all there are, failed──► open ──a probe succeeds──► recovering ──► closed
                                                                        ▲  │                       1, 2, 4 … slots
                                                                        └──┘ a probe fails: a longer pause

Pure: the clock and the jitter are parameters, and nothing here knows jobs, requests or the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator

from lalald.clock import Clock
from lalald.jobs.backoff import FIRST_BACKOFF_SECONDS, backoff_seconds

DIFFERENT_JOBS = 3  # that must fail in a row: then the service is at fault, and not the jobs
QUICK_PAUSE_SECONDS = 10.0  # the longest pause while an untried job waits
QUICK_PROBES = 30  # in a row: after so many different jobs it is an outage, and long pauses are enough
_QUICK_PAUSE_DOUBLES_AFTER = 4  # probes
_LONGEST_RETRY_AFTER_SECONDS = 3600.0
_MOST_REMEMBERED = 10_000  # jobs that failed
_MOST_SLOTS = 1 << 16


class CircuitBreaker:
    """The breaker of one operation of the service, or of one download host. Jobs are identified by id."""

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._under_way: set[int] = set()
        self._probing: set[int] = set()
        self._successes = 0
        self._failed_at: dict[int, int] = {}  # how many requests had succeeded when a job last failed here
        self._in_a_row: set[int] = set()  # different jobs that failed, with no success between
        self._slots: int | None = None  # while recovering
        self._failures = 0  # in a row, that lengthened the pause
        self._failed_last_at = 0.0
        self._pause_seconds = self._quick_pause_seconds = 0.0
        self._quick_probes_left = QUICK_PROBES
        self.problem: str | None = None

    @property
    def is_open(self) -> bool:
        return self._failures > 0

    @property
    def is_idle(self) -> bool:
        """Whether it can be forgotten: a new breaker would behave the same."""
        return not (self.is_open or self._under_way or self._failed_at or self._slots)

    @property
    def under_way(self) -> int:
        """How many jobs have a request under way."""
        return len(self._under_way)

    def wait_seconds(self, *, untried_waits: bool = False) -> float:
        """Seconds until the next request may be sent; 0 if it may now. `untried_waits`: a job that never failed here waits."""
        if not self.is_open:
            return 0.0
        quick = untried_waits and self._quick_probes_left > 0
        pause = self._quick_pause_seconds if quick else self._pause_seconds
        return max(0.0, self._failed_last_at + pause - self._clock.monotonic())

    def allowed(self, most: int) -> int:
        """How many more jobs may begin, if `most` may run at once. While it is open, the caller waits for the pauses."""
        if self.is_open:
            return max(0, 1 - len(self._probing))
        return max(0, (most if self._slots is None else min(most, self._slots)) - len(self._under_way))

    def note_waiting(self, *, untried_waits: bool) -> None:
        """Record whether an untried job waits: if none does, the next one that comes is probed soon."""
        if not untried_waits:
            self._quick_probes_left = QUICK_PROBES

    def begin(self, jobs: Collection[int]) -> None:
        """Requests for these jobs are about to be sent."""
        self._under_way.update(jobs)
        if self.is_open:
            self._probing.update(jobs)

    def end(self, jobs: Collection[int]) -> None:
        """They have ended, whatever the outcome."""
        self._under_way.difference_update(jobs)
        self._probing.difference_update(jobs)

    def failed(
        self,
        jobs: Collection[int],
        problem: str,
        *,
        began_at: float,
        jobs_there: int = 1,
        retry_after_seconds: float | None = None,
    ) -> bool:
        """A request for these jobs failed. Returns whether this opened the breaker.

        `jobs_there`: how many wait here or are under way, these included; more than `DIFFERENT_JOBS` need not be counted.
        A request that was sent before the last failure says nothing new about an open breaker.
        """
        counted = {job for job in jobs if self._failed_at.get(job, self._successes) == self._successes}
        is_new = any(job not in self._failed_at for job in jobs)
        self._remember(jobs)
        if self.is_open:
            if began_at >= self._failed_last_at:
                self._quick_probes_left -= is_new
                self._lengthen(problem, retry_after_seconds)
            return False
        self._in_a_row |= counted
        if not counted or len(self._in_a_row) < min(DIFFERENT_JOBS, jobs_there):
            return False
        self._quick_probes_left = QUICK_PROBES
        self._lengthen(problem, retry_after_seconds)
        return True

    def succeeded(self, jobs: Collection[int]) -> bool:
        """A request for these jobs succeeded. Returns whether the breaker was open."""
        was_open = self.is_open
        self._successes += 1
        self._in_a_row.clear()
        for job in jobs:
            self._failed_at.pop(job, None)
        if was_open:
            self._slots = 1
            self._failures = 0
            self._probing.clear()
            self.problem = None
        if self._slots is not None:
            self._slots = self._slots * 2 if self._slots < _MOST_SLOTS else None
        return was_open

    def _remember(self, jobs: Collection[int]) -> None:
        for job in jobs:
            self._failed_at.pop(job, None)  # the one that failed last is forgotten last
            self._failed_at[job] = self._successes
        while len(self._failed_at) > _MOST_REMEMBERED:
            del self._failed_at[next(iter(self._failed_at))]

    def _lengthen(self, problem: str, retry_after_seconds: float | None) -> None:
        chance = self._jitter()
        asked = min(retry_after_seconds or 0.0, _LONGEST_RETRY_AFTER_SECONDS)
        quick = min(QUICK_PAUSE_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** (self._failures / _QUICK_PAUSE_DOUBLES_AFTER))
        self._pause_seconds = max(backoff_seconds(self._failures, chance), asked)
        self._quick_pause_seconds = max(min(quick * chance, self._pause_seconds), FIRST_BACKOFF_SECONDS / 2, asked)
        self._failures = min(self._failures + 1, 1000)
        self._failed_last_at = self._clock.monotonic()
        self._slots = None
        self.problem = problem


class CircuitBreakers:
    """The breakers of one operation: one per download host; a single one, of the host "", for an operation without hosts."""

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._of: dict[str, CircuitBreaker] = {}

    def of(self, host: str = "") -> CircuitBreaker:
        """The breaker of a host; idle ones of other hosts are forgotten."""
        if host not in self._of:
            self._of = {other: breaker for other, breaker in self._of.items() if not breaker.is_idle}
            self._of[host] = CircuitBreaker(self._clock, self._jitter)
        return self._of[host]

    def __iter__(self) -> Iterator[tuple[str, CircuitBreaker]]:
        return iter(list(self._of.items()))

    @property
    def problem(self) -> str | None:
        """The error of an open breaker; None if none is open."""
        return next((breaker.problem for breaker in self._of.values() if breaker.problem), None)
