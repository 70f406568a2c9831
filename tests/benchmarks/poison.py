"""Good files beside poison ones: how much longer they take where ten others always fail, or a host, or a task spoils a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import daemon, drop, folder, prepared
from tests.support.running import Home, until

SMALL = {
    "good": 3,
    "poison": 2,
    "ahead": 0.5,
    "settle": "0s",
    "processing": 0.2,
    "checks_per_minute": 600,
    "cases": ("upload", "check of all"),
}
GOAL = 3.0
DEAD = "http://127.0.0.1:9/track"
CASES = {
    "upload": ("upload:400*0,code=internal_error,match=poison",),
    "start": tuple(f"{operation}:500*0,match=poison" for operation in ("batch", "split")),
    "check of all": ("check:500*0,match=poison",),
    "download": ("download:503*0,match=poison",),
    "download host dead": (f"check:http_link*0,url={DEAD},match=poison",),
}


def measure(
    *,
    good: int = 20,
    poison: int = 10,
    ahead: float = 30.0,
    settle: str = "5s",
    processing: float = 2.0,
    checks_per_minute: int = 30,
    cases: tuple[str, ...] = tuple(CASES),
) -> list[Figure]:
    """The poison ones are dropped `ahead` seconds before the others; a single one, and together with them, spoils the check of all."""

    def seconds(faults: tuple[str, ...], count: int) -> float:
        return _seconds(good, count, faults, ahead if count > 1 else 0.0, settle, processing, checks_per_minute)

    alone = seconds((), 0)
    return [_figure(case, good, 1 if case == "check of all" else poison, seconds, alone) for case in cases]


def _figure(
    case: str, good: int, poison: int, seconds: Callable[[tuple[str, ...], int], float], alone: float
) -> Figure:
    beside = seconds(CASES[case], poison)
    return Figure(
        f"{good} good files beside {poison} poison ones: {case}",
        f"{beside:.1f} s, {beside / alone:.1f}×",
        f"without poison: {alone:.1f} s",
        f"≤ {GOAL:g}×",
        beside <= GOAL * alone,
    )


def _seconds(
    good: int,
    poison: int,
    faults: tuple[str, ...],
    ahead: float,
    settle: str,
    processing: float,
    checks_per_minute: int,
) -> float:
    """From the drop of the good files to the last of them in `done`."""
    options = Options(processing_seconds=processing, checks_per_minute=checks_per_minute, faults=faults)
    with folder() as root, Sandbox(options) as sandbox:
        paths = prepared(root, good + poison)
        named = [path.rename(path.with_name(f"poison{path.name}")) for path in paths[:poison]] + paths[poison:]
        inbox = {"settle": settle}
        with daemon(root, sandbox.url, inbox=inbox, checks_per_minute=checks_per_minute) as home:
            drop(named[:poison], home)
            time.sleep(ahead)  # it is what is measured: how the service is trusted by then
            began_at = time.monotonic()
            drop(named[poison:], home)
            until(lambda: _done(home) >= {path.name for path in paths[poison:]}, "the good files are done", 300.0)
            return time.monotonic() - began_at


def _done(home: Home) -> set[str]:
    done: Path = home.inbox / "done"
    return {path.name for path in done.glob("*.wav")}


if __name__ == "__main__":
    show(measure)
