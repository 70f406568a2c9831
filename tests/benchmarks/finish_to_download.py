"""A task has finished on the service: how long until its download starts."""

from __future__ import annotations

import bisect
import statistics
from pathlib import Path

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import Tail, daemon, drop, folder, prepared

SMALL = {"counts": ((2, 1),), "processing_seconds": 0.1, "spread_seconds": 0.2, "checks_per_minute": 600}


def measure(
    *,
    counts: tuple[tuple[int, int], ...] = ((1, 8), (20, 1), (200, 1)),
    processing_seconds: float = 2.0,
    spread_seconds: float = 16.0,
    checks_per_minute: int = 30,
) -> list[Figure]:
    """For each (tasks at once, times): the tasks end evenly spread over a while, so that no check can be timed to them."""
    figures = []
    for tasks, times in counts:
        spread = spread_seconds if tasks > 1 else 2.0
        with folder() as root, sink.running(processing_seconds=processing_seconds, spread_seconds=spread) as service:
            _carry(root, service.url, tasks, times, checks_per_minute)
            waits, best = _waits(service.events())
        mean = statistics.fmean(waits)
        figures.append(
            Figure(
                f"task finished → its download starts, {tasks} at once",
                f"mean {mean:.2f} s",
                f"the checks themselves: mean {statistics.fmean(best):.2f} s (at best {30 / checks_per_minute:.1f} s)",
                "≤ 1.2 s mean",
                mean <= 1.2,
            )
        )
    return figures


def _carry(root: Path, url: str, tasks: int, times: int, checks_per_minute: int) -> None:
    paths = prepared(root, tasks * times)
    with daemon(root, url, checks_per_minute=checks_per_minute) as home:
        delivered = Tail(home, "job.delivered")
        for number in range(times):
            drop(paths[number * tasks : (number + 1) * tasks], home)
            delivered.until((number + 1) * tasks, 120.0)


def _waits(events: list[sink.Event]) -> tuple[list[float], list[float]]:
    """From each task's end to its first download, and to the first check after it: no client could know earlier."""
    checks = sorted(event.at for event in events if event.what == "check")
    downloads: dict[str, float] = {}
    for event in events:
        if event.what == "track":
            downloads.setdefault(event.subject, event.at)
    ends = {event.subject: event.at for event in events if event.what == "finished"}
    known_at = {task: checks[bisect.bisect_left(checks, at)] for task, at in ends.items()}
    return [downloads[task] - at for task, at in ends.items()], [known_at[task] - at for task, at in ends.items()]


if __name__ == "__main__":
    show(measure)
