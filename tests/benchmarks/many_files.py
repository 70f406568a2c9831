"""Thousands of small files: how many a second, from the first drop to the last delivery."""

from __future__ import annotations

import time

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import Tail, daemon, drop, folder, pid_of, prepared
from tests.benchmarks.process import processor_seconds

SMALL = {"files": 12, "checks_per_minute": 600}
CEILING = 100.0  # files a second: 200 ids a check, a check every 2 s


def measure(*, files: int = 5000, checks_per_minute: int = 30) -> list[Figure]:
    """Without processing time, against a sink: the sandbox hashes and stores on the same processors."""
    with folder() as root, sink.running() as service:
        paths = prepared(root, files)
        with daemon(root, service.url, checks_per_minute=checks_per_minute) as home:
            began_at, computed = time.monotonic(), processor_seconds(pid_of(home))
            drop(paths, home)
            Tail(home, "job.delivered").until(files, 600.0)
            seconds = time.monotonic() - began_at
            computed = processor_seconds(pid_of(home)) - computed
        checks = len(service.events("check"))
    return [
        Figure(
            f"{files:,} small files, no processing time (a bare sink answers)",
            f"{files / seconds:.0f} files/s, {computed / files * 1000:.1f} ms of processor a file",
            f"the API's own ceiling: {CEILING:.0f} files/s; {checks} checks were sent",
            "≥ 80 files/s",
            files / seconds >= 80,
        )
    ]


if __name__ == "__main__":
    show(measure)
