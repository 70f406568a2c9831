"""A file is moved in: how long until its upload request is on the wire."""

from __future__ import annotations

import ctypes
import os
import statistics
import threading
import time
from pathlib import Path

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import QUICK, Tail, daemon, folder, prepared

SMALL = {"files": 3}
_MOVED_TO = 0x80  # <sys/inotify.h>


def measure(*, files: int = 60) -> list[Figure]:
    """One file at a time, each when the one before has been carried to its end."""
    with folder() as root, sink.running() as service:
        paths = prepared(root, files)
        moved_at: dict[str, float] = {}
        with daemon(root, service.url, checks_per_minute=QUICK) as home:
            done = Tail(home, "job.done")
            for number, path in enumerate(paths, start=1):
                moved_at[path.name] = time.monotonic()
                path.rename(home.inbox / path.name)
                done.until(number, 30.0)
            uploads = {event.subject: event.at for event in service.events("upload")}
        waits = sorted((uploads[name] - at) * 1000 for name, at in moved_at.items())
        raw = _inotify(root / "watched", files)
    p50, p90 = statistics.median(waits), waits[int(len(waits) * 0.9)]
    return [
        Figure(
            "file moved in → its upload request on the wire, `settle: 0s`",
            f"p50 {p50:.1f} ms, p90 {p90:.1f} ms",
            f"inotify itself: {raw:.2f} ms",
            "p50 ≤ 10 ms",
            p50 <= 10,
        )
    ]


def _inotify(watched: Path, files: int) -> float:
    """Milliseconds from the rename to the event, at the median, by the bare system call."""
    watched.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(0)
    libc.inotify_add_watch(descriptor, os.fsencode(watched), _MOVED_TO)
    waits: list[float] = []
    for number in range(files):
        outside = watched.with_name(f"moved {number}")
        outside.touch()
        seen_at: list[float] = []
        reader = threading.Thread(
            target=lambda seen_at=seen_at: (os.read(descriptor, 4096), seen_at.append(time.monotonic()))
        )
        reader.start()
        time.sleep(0.002)  # the reader is to wait in the system call, as a watcher does
        at = time.monotonic()
        outside.rename(watched / outside.name)
        reader.join()
        waits.append((seen_at[0] - at) * 1000)
    os.close(descriptor)
    return statistics.median(waits)


if __name__ == "__main__":
    show(measure)
