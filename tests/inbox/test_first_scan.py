"""What happens to files that were there before the first scan."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lalald.config import Rule
from lalald.jobs.states import Hold, State
from lalald.store import Store
from lalald.store.tables.known_markers import WATCHED_BEFORE
from tests.support.intake_driver import (
    RULES,
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


def lose_state(driver: IntakeDriver, name: str = "lost") -> None:
    (driver.root / "state").rename(driver.root / name)


async def holds(driver: IntakeDriver) -> dict[str, tuple[Hold | None, bool]]:
    """Of each job: its hold, and whether the reason is that another database watched the inbox."""
    return {job.path: (job.hold, job.hold_reason == WATCHED_BEFORE) for job in await driver.jobs()}


WATCHED = (Hold.FIRST_SCAN, True)
PROCESSED = (None, False)


def test_what_another_database_may_have_paid_for_is_held(tmp_path: Path) -> None:
    """A container without the disk of its state folder: what it processed is still in the inbox (`on_success: keep`)."""
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        driver.put("a.mp3")
        async with driver.running():
            assert await holds(driver) == {"a.mp3": PROCESSED}
            assert driver.log.said("inbox.watched_before") == []
        lose_state(driver)
        driver.put("b.mp3")
        driver.put("deep/c.txt")
        for new in (["new.mp3"], ["new.mp3", "newer.mp3"]):
            async with driver.running():
                driver.put(new[-1])
                await driver.wait_for(["a.mp3", "b.mp3", *new])
                assert await holds(driver) == {"a.mp3": WATCHED, "b.mp3": WATCHED, **dict.fromkeys(new, PROCESSED)}
                (warning,) = driver.log.said("inbox.watched_before")
                assert (warning["inbox"], warning["state_dir"]) == (str(driver.folder), str(tmp_path / "state"))
        driver.inbox = replace(driver.inbox, rules=(Rule("all", RULES[1].tasks, types="any"),))
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert (await holds(driver))["deep/c.txt"] == WATCHED, "a rule of today matches it"
        lose_state(driver, "lost, too")
        shutil.move(tmp_path / "lost", tmp_path / "state")
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert set((await holds(driver)).values()) == {PROCESSED}, "its marker is still in the folder"

    run_story(story)


def test_folders_that_were_not_scanned_before_are_held_too(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        driver.put("deep/a.mp3")
        async with driver.running():
            assert await holds(driver) == {"deep/a.mp3": PROCESSED}
        lose_state(driver)
        recursive, driver.inbox = driver.inbox, replace(driver.inbox, recursive=False)
        async with driver.running() as intake:
            assert await holds(driver) == {}
            intake.replace(recursive)
            await driver.wait_for(["deep/a.mp3"])
            assert await holds(driver) == {"deep/a.mp3": WATCHED}

    run_story(story)


@pytest.mark.parametrize(
    ("existing", "override", "found"), [("take", None, [None]), ("hold", "take", [None]), ("skip", None, [])]
)
def test_existing_take_and_skip_apply_after_another_database(
    tmp_path: Path, existing: str, override: str | None, found: list[None]
) -> None:
    driver = IntakeDriver(tmp_path, existing=existing)

    async def story() -> None:
        async with driver.running():
            driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])
        lose_state(driver)
        async with driver.running(override) as intake:
            await intake.wait_until_idle()
            assert [job.hold for job in await driver.jobs()] == found
            assert driver.log.said("inbox.watched_before") == []

    run_story(story)


def test_of_two_that_begin_with_one_inbox_at_once_one_holds_what_is_there(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    drivers = [IntakeDriver(tmp_path / name) for name in "ab"]
    for driver in drivers:
        driver.inbox = replace(driver.inbox, path=drivers[0].folder)
    drivers[0].put("a.mp3")

    async def first_scan(driver: IntakeDriver) -> tuple[Hold | None, bool]:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            return (await holds(driver))["a.mp3"]

    async def story() -> None:
        assert sorted(await asyncio.gather(*map(first_scan, drivers)), key=str) == sorted([WATCHED, PROCESSED], key=str)

    run_story(story)


@pytest.mark.parametrize("state_lost", [False, True])
def test_a_first_scan_that_an_earlier_version_began_continues(tmp_path: Path, state_lost: bool) -> None:
    """It wrote the marker, and did not save that; a database that knows files of the inbox has written it."""
    driver = IntakeDriver(tmp_path)
    driver.put("a.mp3")

    async def story() -> None:
        async with driver.running():
            await driver.thread.run(partial(as_if_begun_earlier, str(driver.folder), "" if state_lost else "a.mp3"))
        driver.put("b.mp3")
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert (await holds(driver))["b.mp3"] == (WATCHED if state_lost else PROCESSED)

    run_story(story)


def as_if_begun_earlier(inbox: str, known: str, store: Store) -> None:
    store.connection.execute("DELETE FROM files WHERE name <> ?", (known,))
    store.connection.execute("DELETE FROM jobs WHERE path <> ?", (known,))
    store.connection.execute("DELETE FROM daemon_state")
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
