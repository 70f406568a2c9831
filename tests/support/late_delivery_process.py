"""A job whose task lacks a track for a while, processed by a worker that is killed: `python late_delivery_process.py ROOT URL MOMENT N`.

The moments are those of `crash_points.py`, counted from when the task's id is known; with N 0 it lives. Run again, it goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from lalald import outbox
from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from tests.support.crash_points import countdown, dying_store, watch_files
from tests.support.worker_driver import WorkerDriver, run

SPEED = 600.0
LOST = {"operation": "check", "kind": "lost_track", "only": "no_vocals", "count": 0}


class Remote:
    """A sandbox in another process, as far as a worker needs it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def faults(self, *faults: object) -> None:
        httpx.post(f"{self.url}/sandbox/faults", json=[*faults], timeout=10).raise_for_status()


async def carry(root: Path, url: str, moment: str, last: int) -> None:
    remote = Remote(url)
    count, armed = countdown(last), False

    def passed() -> None:
        if armed and last:
            count()

    driver = WorkerDriver(root, remote, manifest=True)  # type: ignore[arg-type] # all that it needs of a sandbox
    driver.open_store = dying_store(moment, passed).open
    if moment == "file":
        watch_files((str(driver.inbox), str(driver.outbox)), passed)
    async with driver:
        outbox.clear_staging(str(driver.outbox), await driver.jobs())  # as the daemon does when it starts
        if not await driver.jobs():
            await driver.drop("ep1.wav", pitch=220)

        async def started() -> Job | None:
            (job,) = await driver.jobs()
            return job if job.tasks[0].task_id is not None else None

        await driver.until(started, "the task's id is known")
        armed = True

        async def late() -> bool:
            (job,) = await driver.jobs()
            is_late = job.stage is Stage.CHECK and any(track.delivered for track in job.tasks[0].tracks)
            return is_late or job.state is State.DONE

        await driver.until(late, "what is there is delivered")
        remote.faults()
        await driver.until_job("the missing track has come", state=State.DONE)


if __name__ == "__main__":
    run(carry(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])), SPEED)
