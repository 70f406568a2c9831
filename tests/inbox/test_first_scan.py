"""What happens to files that were there before the first scan."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lalald.jobs.states import Hold, State
from lalald.store import Store
from tests.support.intake_driver import (
    IntakeDriver,
    created_job_for,
    run_story,
    until,
)


@pytest.mark.parametrize(("number", "held"), [(20, 0), (21, 21)])
def test_up_to_twenty_existing_files_are_processed_and_more_are_held(tmp_path: Path, number: int, held: int) -> None:
    driver = IntakeDriver(tmp_path)
    for index in range(number):
        driver.put(f"{index}.mp3")
        driver.put(f"{index}.txt")

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            jobs = await driver.jobs()
            assert len(jobs) == number
            assert [job.hold for job in jobs].count(Hold.FIRST_SCAN) == held
            if held:
                assert all(job.state is State.HELD and "lalald release" in (job.hold_reason or "") for job in jobs)
            driver.put("new.mp3")
            await until(partial(created_job_for, driver, "new.mp3"), "the new one")
            assert (await driver.jobs())[-1].hold is None

    run_story(story)


def test_held_files_are_priced(tmp_path: Path) -> None:
    from tests.support.running import write_wav

    driver = IntakeDriver(tmp_path)
    for index in range(21):
        write_wav(driver.folder / f"{index}.wav", seconds=0.5)

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert {job.duration for job in await driver.jobs()} == {0.5}

    run_story(story)


@pytest.mark.parametrize(
    ("existing", "override", "processed"), [("take", None, 25), ("hold", "take", 25), ("skip", None, 0)]
)
def test_existing_take_and_skip_apply_to_any_number(
    tmp_path: Path, existing: str, override: str | None, processed: int
) -> None:
    driver = IntakeDriver(tmp_path, existing=existing)
    for index in range(25):
        driver.put(f"{index}.mp3")

    async def story() -> None:
        for _ in range(2):
            async with driver.running(override) as intake:
                await intake.wait_until_idle()
                assert [job.hold for job in await driver.jobs()] == [None] * processed
                intake.replace(driver.inbox)
                await intake.wait_until_idle()
                assert len(await driver.jobs()) == processed

    run_story(story)


def test_an_interrupted_first_scan_continues_after_a_restart(tmp_path: Path) -> None:
    """After a crash during the first scan, the other files are not processed without asking."""
    driver = IntakeDriver(tmp_path)
    for index in range(30):
        driver.put(f"{index}.mp3")

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            await driver.thread.run(partial(as_if_cut_short, str(driver.folder)))
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert [job.hold for job in await driver.jobs()] == [Hold.FIRST_SCAN] * 30

    run_story(story)


def as_if_cut_short(inbox: str, store: Store) -> None:
    store.connection.execute("DELETE FROM tasks WHERE job_id > 25")
    store.connection.execute("DELETE FROM files WHERE job_id > 25")
    store.connection.execute("DELETE FROM jobs WHERE id > 25")
    store.connection.execute("UPDATE inboxes SET first_seen_at = NULL, marker = NULL WHERE path = ?", (inbox,))


def test_existing_files_that_finish_late_still_count_as_existing(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path, settle=0.3)
    for index in range(25):
        driver.put(f"{index}.mp3")

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("new.mp3")
            await intake.wait_until_idle()
            holds = {job.path: job.hold for job in await driver.jobs()}
            assert holds.pop("new.mp3") is None
            assert list(holds.values()) == [Hold.FIRST_SCAN] * 25

    run_story(story)
