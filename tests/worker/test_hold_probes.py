"""When holds are probed again: from 10 s to 10 min, and at once when a person says so."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from lalald.filesystem.placeholders import hidden_path
from lalald.inbox.selection.excluded_names import refusal
from lalald.jobs.states import Hold, Stage, State
from lalald.worker.holds.hold_backoff import ProbeSchedule
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts, mount_disk, unmount
from tests.support.worker_driver import WorkerDriver, run


def test_pauses_double_from_ten_seconds_to_ten_minutes() -> None:
    schedule, now, pauses = ProbeSchedule(), 1000.0, []
    assert schedule.is_due("a folder", now)
    for _ in range(9):
        schedule.failed("a folder", now)
        assert not schedule.is_due("a folder", now)
        pauses.append(schedule.next_at() - now)
        now = schedule.next_at()
        assert schedule.is_due("a folder", now)
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_each_cause_has_its_own_pauses_until_it_is_gone_or_not_needed() -> None:
    schedule = ProbeSchedule()
    for _ in range(3):
        schedule.failed("one", 0.0)
    schedule.failed("another", 0.0)
    assert schedule.next_at() == 10.0
    schedule.succeeded("another")
    assert schedule.next_at() == 40.0
    schedule.make_all_due()
    assert schedule.is_due("one", 0.0)
    schedule.failed("one", 0.0)
    assert schedule.next_at() == 10.0, "the pauses begin again"
    schedule.keep({"another"})
    assert schedule.next_at() == float("inf")


def test_a_folder_that_stays_away_is_probed_less_and_less(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Share(tmp_path / "outbox") as share:
            async with WorkerDriver(tmp_path) as driver:
                await driver.context.folders.check(str(driver.outbox))
                share.refuse(errno.EIO, "mkdir")
                await driver.drop("ep1.wav")
                await driver.until_job("it is held", state=State.HELD, hold=Hold.MOUNT, stage=Stage.SPLIT)
                began_at = driver.clock.monotonic()
                schedule = driver.worker.holds.folders.schedule
                await driver.until(
                    lambda: 160.0 in [pause for _, pause in schedule._pauses.values()], "the fifth probe"
                )
                assert 140.0 <= driver.clock.monotonic() - began_at <= 300.0
                share.answer()

    in_own_mounts(lambda: run(scenario(), speed=100.0))


def test_a_mount_ends_the_pause_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        outbox = tmp_path / "outbox"
        mount_disk(outbox, "40m")
        async with WorkerDriver(tmp_path) as driver:
            await driver.context.folders.check(str(outbox))
            marker = (outbox / ".lalald").read_text()
            unmount(outbox)
            await driver.drop("ep1.wav")
            await driver.until_job("it is held", state=State.HELD, hold=Hold.MOUNT)
            await asyncio.sleep(100.0)
            began_at = driver.clock.monotonic()
            mount_disk(outbox, "40m")
            (outbox / ".lalald").write_text(marker)
            await driver.until_job("it resumes", state=State.DONE)
            assert driver.clock.monotonic() - began_at < 60.0, "and not after the rest of a pause of 160 s"

    in_own_mounts(lambda: run(scenario(), speed=20.0))


def test_hidden_files_of_probes_are_recognized(tmp_path: Path) -> None:
    with hidden_path(str(tmp_path)) as path:
        assert refusal(Path(path).name) == "it belongs to lalald"
