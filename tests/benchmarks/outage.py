"""The service is down for a day: how many requests it gets, whatever the number of jobs."""

from __future__ import annotations

import random
import time

from lalald.clock import Clock
from lalald.jobs.backoff import LONGEST_BACKOFF_SECONDS, backoff_seconds
from lalald.worker.service.circuit_breaker import CircuitBreaker
from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import daemon, drop, folder, prepared

SMALL = {"seconds": 0.3, "jobs": (1, 5), "days": 3}
_DAY_SECONDS = 86_400.0


def measure(*, seconds: float = 20.0, jobs: tuple[int, int] = (1, 1000), days: int = 200) -> list[Figure]:
    """Some seconds for real, with few and with many jobs; and days, with the real breaker and a clock that is put forward."""
    few, many = (_for_real(count, seconds) for count in jobs)
    breaker = sum(_day(random.Random(day), jobs[1]) for day in range(days)) / days
    alone = _one_job_alone() * jobs[1]
    most = 2 * _DAY_SECONDS / LONGEST_BACKOFF_SECONDS
    return [
        Figure(
            f"requests in the first {seconds:g} s of an outage, {jobs[0]:,} and {jobs[1]:,} jobs waiting",
            f"{few} and {many}",
            "–",
            "the same",
            None,
        ),
        Figure(
            "requests of an operation during an outage of a day, any number of jobs (simulated)",
            f"{breaker:.0f}",
            f"if each of {jobs[1]:,} jobs backed off by itself: {alone:,.0f}",
            f"≈ a day / half the longest backoff: {most:.0f}",
            breaker <= 1.1 * most,
        ),
    ]


def _for_real(jobs: int, seconds: float) -> int:
    with folder() as root, sink.running(down=True) as service:
        paths = prepared(root, jobs)
        with daemon(root, service.url) as home:
            drop(paths, home)
            time.sleep(seconds)
            return len(service.events())


class _PutForward(Clock):
    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def _day(chance: random.Random, jobs: int) -> int:
    """Requests that the breaker of an operation lets through while every one fails: first of untried jobs, then of any."""
    clock = _PutForward()
    breaker = CircuitBreaker(clock, chance.random)
    requests = 0
    while clock.seconds < _DAY_SECONDS:
        breaker.failed([requests % jobs], "down", began_at=clock.seconds, jobs_there=jobs)
        requests += 1
        breaker.note_waiting(untried_waits=requests < jobs)
        clock.seconds += breaker.wait_seconds(untried_waits=requests < jobs)
    return requests


def _one_job_alone() -> int:
    now, requests = 0.0, 0
    while now < _DAY_SECONDS:
        now += backoff_seconds(requests, 0.5)
        requests += 1
    return requests


if __name__ == "__main__":
    show(measure)
