"""A full rescan of an inbox whose files are all known, beside `find` with stat."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from functools import partial
from pathlib import Path

import structlog

from lalald.clock import Clock
from lalald.config import load
from lalald.inbox.intake import Intake
from lalald.store import Store, StoreThread
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import folder
from tests.support.running import Home, own_disks

SMALL = {"files": 300, "rounds": 1}
_IN_A_FOLDER = 100


def measure(*, files: int = 100_000, rounds: int = 7) -> list[Figure]:
    """The daemon's own intake and store thread, in this process."""
    with folder() as root:
        home = Home(root, "http://127.0.0.1:9", inbox={"existing": "skip"})
        _fill(home.inbox, files)
        ours, theirs = asyncio.run(_compared(home, files, rounds))
    return [
        Figure(
            f"full rescan, {files:,} known files in folders of {_IN_A_FOLDER}",
            f"{ours:.2f} s: {ours / theirs:.1f}×",
            f"`find` with stat: {theirs:.2f} s",
            "≤ 2.0×",
            ours <= 2 * theirs,
        )
    ]


def _fill(inbox: Path, files: int) -> None:
    for number in range(files):
        path = inbox / f"{number // _IN_A_FOLDER // 30}" / f"{number // _IN_A_FOLDER}" / f"a recording {number}.wav"
        if number % _IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")


async def _compared(home: Home, files: int, rounds: int) -> tuple[float, float]:
    """Medians in seconds, taken in turns."""
    config = load(home.config, {"LALALD_LICENSE_KEY": "a-key"})
    store = StoreThread(partial(Store.open, home.state))
    await store.start()
    with own_disks() as disks:
        intake = Intake(
            config.inboxes[0], store, on_new_jobs=lambda: None, clock=Clock(), disks=disks,
            log=structlog.wrap_logger(None, processors=[_silent]),
        )  # fmt: skip
        await _know_all(intake, store, files)
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            taken[1].append(_find(home.inbox))
            began_at = time.monotonic()
            report = await intake.scan()
            taken[0].append(time.monotonic() - began_at)
            assert report.files >= files
            assert report.unknown == 0
        running = asyncio.create_task(intake.run())
        await asyncio.sleep(0)
        running.cancel()  # which stops the watching
        await asyncio.gather(running, return_exceptions=True)
    await store.stop()
    return statistics.median(taken[0]), statistics.median(taken[1])


async def _know_all(intake: Intake, store: StoreThread, files: int) -> None:
    """A first scan records so many at a time; it continues until every file is known."""
    while await store.run(_known) < files:
        await intake.scan()


def _known(store: Store) -> int:
    (count,) = store.connection.execute("SELECT count(*) FROM files").fetchone()
    return int(count)


def _silent(*_: object) -> str:
    raise structlog.DropEvent


def _find(inbox: Path) -> float:
    began_at = time.monotonic()
    subprocess.run(["find", str(inbox), "-type", "f", "-printf", "%s %T@\n"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_at


if __name__ == "__main__":
    show(measure)
