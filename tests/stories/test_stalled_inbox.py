"""An inbox on a share that stops answering during a check: it is reported, the others continue, and it is used again."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lalald.clock import Clock
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox.intake import Intake
from lalald.inbox.scanning.native_watch import Watch
from lalald.store.queries import Reports
from lalald.store.report_types import InboxReport
from tests.support.fuse_mount import Share
from tests.support.intake_driver import IntakeDriver, until
from tests.support.private_mounts import in_own_mounts
from tests.support.running import own_disks


@asynccontextmanager
async def running(driver: IntakeDriver, disks: MountPools) -> AsyncIterator[Intake]:
    async with driver.store() as driver.thread:
        intake = Intake(
            driver.inbox,
            driver.thread,
            on_new_jobs=lambda: None,
            clock=Clock(),
            disks=disks,
            log=driver.log,
            probe_seconds=0.1,
        )
        work = asyncio.create_task(intake.run())
        try:
            yield intake
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def reported_state(driver: IntakeDriver, *, available: bool) -> InboxReport:
    """What `status` says about the inbox, once it says this."""
    found: list[InboxReport] = []

    async def is_reported() -> bool:
        with Reports.open(driver.root / "state") as reports:
            found[:] = reports.inboxes()
        return bool(found) and found[0].available == available

    await until(is_reported, f"available: {available}")
    return found[0]


def place_at(root: Path, watch: str) -> IntakeDriver:
    root.mkdir()
    return IntakeDriver(root, watch=watch)


@pytest.mark.parametrize(
    ("watch", "operations"),
    [("native", ()), ("polling", ()), ("polling", ("readdir",)), ("native", ("open",))],
    ids=["native, nothing answers", "polled, nothing answers", "no folder is listed", "no file is opened"],
)
def test_an_inbox_that_dies_during_a_check_is_reported_once_and_used_again(
    tmp_path: Path, watch: str, operations: tuple[str, ...]
) -> None:
    driver, other = place_at(tmp_path / "share", watch), place_at(tmp_path / "disk", "native")

    async def story() -> None:
        with Share(driver.folder) as share, own_disks(slow_seconds=0.2, probe_seconds=1.5, stuck_seconds=1.5) as disks:
            async with running(driver, disks) as intake, running(other, disks):
                await reported_state(driver, available=True)
                share.stop_answering(*operations)
                (share.far / "after.mp3").write_bytes(b"dropped by another machine")
                intake.request_rescan()
                report = await reported_state(driver, available=False)
                assert report.since is not None
                assert re.search("has not answered for|made no progress for", report.reason or "")
                other.put("meanwhile.mp3")
                await other.wait_for(["meanwhile.mp3"])
                share.answer()
                assert (await reported_state(driver, available=True)).since is None
                assert (await intake.scan()).files == 1
                assert len(driver.log.said("inbox.unavailable")) == 1
                assert other.log.said("inbox.unavailable") == []

    in_own_mounts(lambda: asyncio.run(story()))


def test_an_unresponsive_inbox_is_reported_and_not_checked_twice(tmp_path: Path) -> None:
    driver, answers = place_at(tmp_path / "share", "polling"), threading.Event()

    async def story() -> None:
        with own_disks(slow_seconds=0.02, probe_seconds=0.05, probe=lambda _: answers.wait()) as disks:
            held_up = [disks.run(str(driver.folder), answers.wait) for _ in range(4)]
            abandoned_work = asyncio.gather(*held_up, return_exceptions=True)
            try:
                async with running(driver, disks):
                    report = await reported_state(driver, available=False)
                    assert "has not answered for 0.07 seconds. Is its server down?" in (report.reason or "")
                    await abandoned_work
                    answers.set()
                    await reported_state(driver, available=True)
                    assert len(driver.log.said("inbox.unavailable")) == 1
            finally:
                answers.set()

    asyncio.run(story())


def test_the_end_of_watching_does_not_wait_for_a_share_that_is_being_watched(tmp_path: Path) -> None:
    """Adding a folder blocks the reader of all events meanwhile, and a dead folder is never added."""

    def story() -> None:
        with Share(tmp_path / "inbox/mounted") as share:
            watch = Watch(str(tmp_path / "inbox"), wake=lambda: None, skipped=lambda _: False)
            watch.start()
            share.stop_answering()
            adding = threading.Thread(target=watch.add, args=("mounted",), daemon=True)
            adding.start()
            adding.join(0.5)
            assert adding.is_alive()
            began_at = time.monotonic()
            watch.stop()
            assert time.monotonic() - began_at < 10.0  # it would wait until the share answers
            share.answer()
            adding.join(10.0)
            assert not adding.is_alive()

    in_own_mounts(story)
