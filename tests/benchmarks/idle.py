"""The daemon while nothing happens, with native watching, after it has carried a file: memory, wake-ups, bytes written."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import QUICK, Tail, daemon, drop, folder, pid_of, prepared
from tests.benchmarks.process import MIB, resident_bytes, wake_ups, written_bytes

SMALL = {"seconds": 0.3, "rest_seconds": 0.3}
_BARE = "import sys; sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()"


def measure(*, seconds: float = 30.0, rest_seconds: float = 8.0) -> list[Figure]:
    """`rest_seconds`: what a carried file leaves to do is done by then."""
    with folder() as root, sink.running() as service, daemon(root, service.url, checks_per_minute=QUICK) as home:
        drop(prepared(root, 1), home)
        Tail(home, "job.done").until(1, 30.0)
        time.sleep(rest_seconds)
        pid = pid_of(home)
        before = wake_ups(pid), written_bytes(pid)
        time.sleep(seconds)
        woken, written = wake_ups(pid) - before[0], written_bytes(pid) - before[1]
        memory = resident_bytes(pid) / MIB
    return [
        Figure(
            "idle, native watching: memory",
            f"{memory:.0f} MiB",
            f"Python alone: {_bare():.0f} MiB",
            "≤ 48 MiB",
            memory <= 48,
        ),
        Figure(
            f"idle for {seconds:g} s, no systemd watchdog",
            f"{woken} wake-ups, {written} bytes written",
            "–",
            "0 wake-ups, 0 bytes",
            (woken, written) == (0, 0),
        ),
    ]


def _bare() -> float:
    with subprocess.Popen([sys.executable, "-c", _BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as python:
        assert python.stdout is not None
        python.stdout.read(1)
        memory = resident_bytes(python.pid) / MIB
        python.kill()
    return memory


if __name__ == "__main__":
    show(measure)
