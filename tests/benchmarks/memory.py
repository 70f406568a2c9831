"""The most memory the daemon ever has: with a very large file, with a long history, and with very many files at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.history import carry_one, multiply
from tests.benchmarks.place import QUICK, Tail, daemon, drop, folder, pid_of, prepared
from tests.benchmarks.process import MIB, peak_resident_bytes

SMALL = {"size_bytes": 20_000_000, "track_bytes": 2_000_000, "jobs": 1000, "files": 2, "burst": 50}
GOAL_MIB = 64


def measure(
    *,
    size_bytes: int = 9_000_000_000,
    track_bytes: int = 1_000_000_000,
    jobs: int = 100_000,
    files: int = 100,
    burst: int = 100_000,
) -> list[Figure]:
    """`files` are carried while the store holds `jobs`; `burst` are dropped at once."""
    large = _large(size_bytes, track_bytes)
    long = _long(jobs, files)
    tracks = f"its two tracks have {track_bytes / 1e9:g} GB each, to spare the disk"
    return [
        _figure(f"peak RSS, one file of {size_bytes / 1e9:g} GB up and its tracks down", large, tracks),
        _figure(f"peak RSS, {jobs:,} jobs in the store, {files} files carried", long, "–"),
        _figure(f"peak RSS, {burst:,} files dropped at once, while nobody answers", _burst(burst), "–"),
    ]


def _figure(what: str, peak_bytes: int, reference: str) -> Figure:
    peak = peak_bytes / MIB
    return Figure(what, f"{peak:.0f} MiB", reference, f"≤ {GOAL_MIB} MiB", peak <= GOAL_MIB)


def _large(size_bytes: int, track_bytes: int) -> int:
    with folder() as root, sink.running(track_bytes=track_bytes) as service:
        path = root / "large.wav"
        _make_large(path, size_bytes)
        with daemon(root, service.url, checks_per_minute=QUICK) as home:
            drop([path], home)
            Tail(home, "job.done").until(1, 300.0)
            return peak_resident_bytes(pid_of(home))


def _make_large(path: Path, size_bytes: int) -> None:
    """Mostly a hole: what is read is as long as any file, and nothing needs to be written first."""
    with path.open("wb") as file:
        file.write(os.urandom(4096))
        file.truncate(size_bytes)


def _long(jobs: int, files: int) -> int:
    with (
        folder() as root,
        sink.running() as service,
        daemon(root, service.url, start=False, checks_per_minute=QUICK) as home,
    ):
        carry_one(home)
        multiply(home, jobs)
        paths = prepared(root, files)
        home.start()
        done = Tail(home, "job.done")
        before = done.count()
        drop(paths, home)
        done.until(before + files, 120.0)
        return peak_resident_bytes(pid_of(home))


def _burst(files: int) -> int:
    """All are taken; none goes further, for it is the intake that is measured."""
    with folder() as root, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        with daemon(root, f"http://127.0.0.1:{closed.getsockname()[1]}") as home:
            drop(prepared(root, files), home)
            Tail(home, "job.created").until(files, 300.0)
            return peak_resident_bytes(pid_of(home))


if __name__ == "__main__":
    show(measure)
