"""An inbox that vanishes, comes back, or is replaced by another folder."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lalald.filesystem.markers import new_marker, write_marker
from lalald.jobs.states import Hold
from lalald.store.tables.known_markers import WATCHED_BEFORE
from tests.support.intake_driver import (
    IntakeDriver,
    run_story,
    until,
)


def test_an_inbox_that_is_renamed_away_and_back_loses_nothing(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])
            driver.folder.rename(tmp_path / "away")
            assert "missing" in (await driver.wait_for_event("inbox.unavailable"))["reason"]
            assert intake.state().available is False
            (tmp_path / "away/meanwhile.mp3").write_bytes(b"abc")
            (tmp_path / "away").rename(driver.folder)
            await driver.wait_for(["a.mp3", "meanwhile.mp3"])
            driver.put("after.mp3")
            await driver.wait_for(["a.mp3", "after.mp3", "meanwhile.mp3"])
            assert intake.state().available is True

    run_story(story)


@pytest.mark.parametrize("instead", ["nothing", "a stranger"])
@pytest.mark.parametrize("watch", ["native", "polling"])
def test_an_empty_inbox_that_is_renamed_away_is_unavailable(tmp_path: Path, watch: str, instead: str) -> None:
    driver = IntakeDriver(tmp_path, watch=watch)

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            driver.folder.rename(tmp_path / "away")
            if instead == "a stranger":
                driver.folder.mkdir()
            await driver.wait_for_event("inbox.unavailable")
            if instead == "a stranger":
                driver.folder.rmdir()
            (tmp_path / "away").rename(driver.folder)
            driver.put("after.mp3")
            await driver.wait_for(["after.mp3"])

    run_story(story)


def test_an_inbox_that_vanishes_just_before_it_is_watched_is_unavailable(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    # then it has been seen to be there, and none of its folders is watched yet
    driver.log.at["inbox.watched"] = lambda: driver.folder.rename(tmp_path / "away")

    async def story() -> None:
        async with driver.running() as intake:
            await driver.wait_for_event("inbox.unavailable")
            assert not intake.state().available
            (tmp_path / "away").rename(driver.folder)
            driver.put("after.mp3")
            await driver.wait_for(["after.mp3"])

    run_story(story)


def test_an_empty_folder_in_its_place_is_unavailable_until_it_is_accepted(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])
            driver.folder.rename(tmp_path / "away")
            driver.folder.mkdir()
            assert "lalald release" in (await logged_with(driver, "inbox.unavailable", "marker"))["reason"]
            driver.put("b.mp3")
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await driver.paths() == ["a.mp3"]
            assert await driver.thread.run(lambda store: set(store.known_in(str(driver.folder), ""))) == {"a.mp3"}
            assert not (driver.folder / ".lalald").exists()
            await intake.accept_folder()
            await driver.wait_for(["a.mp3", "b.mp3"])
        async with driver.running() as intake:
            assert intake.state().available

    run_story(story)


async def logged_with(driver: IntakeDriver, event: str, word: str) -> dict[str, Any]:
    async def said() -> bool:
        return any(word in keys["reason"] for keys in driver.log.said(event))

    await until(said, f"{event} with {word}")
    return next(keys for keys in driver.log.said(event) if word in keys["reason"])


def test_existing_files_in_an_accepted_folder_are_held(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.folder.rename(tmp_path / "away")
            driver.folder.mkdir()
            for index in range(25):
                driver.put(f"{index}.mp3")
            await logged_with(driver, "inbox.unavailable", "marker")
            await intake.accept_folder()
            await intake.wait_until_idle()
            assert [job.hold for job in await driver.jobs()] == [Hold.FIRST_SCAN] * 25

    run_story(story)


def test_files_in_an_accepted_folder_that_another_database_watched_are_held(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    away, other = tmp_path / "away", tmp_path / "other"

    async def story() -> None:
        async with driver.running() as intake:
            driver.folder.rename(away)
            driver.folder.mkdir()
            driver.put("a.mp3")
            write_marker(str(driver.folder), None)
            await logged_with(driver, "inbox.unavailable", "marker")
            await intake.accept_folder()
            await driver.wait_for(["a.mp3"])
            await intake.wait_until_idle()
            driver.folder.rename(other)
            away.rename(driver.folder)
            driver.put("b.mp3")
            await logged_with(driver, "inbox.unavailable", "different")
            await intake.accept_folder()
            await driver.wait_for(["a.mp3", "b.mp3"])
            a, b = await driver.jobs()
            assert (a.hold, a.hold_reason, b.hold) == (Hold.FIRST_SCAN, WATCHED_BEFORE, None), "its own marker is known"

    run_story(story)


def test_a_restart_does_not_end_the_first_scan_of_an_accepted_folder(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            pass
        for index in range(25):
            driver.put(f"{index}.mp3")
        marker = write_marker(str(driver.folder), new_marker(), replaces=True)
        async with driver.store() as store:  # the daemon is killed once it has saved that the folder is accepted
            await store.run(lambda store: store.folders.mark_inbox_accepted(str(driver.folder), marker))
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert [job.hold for job in await driver.jobs()] == [Hold.FIRST_SCAN] * 25

    run_story(story)


def test_jobs_from_before_a_folder_was_accepted_do_not_count_towards_its_first_scan(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            for index in range(25):
                driver.put(f"{index}.mp3")
            await driver.wait_for([f"{index}.mp3" for index in range(25)])
        driver.put("new.mp3")
        marker = write_marker(str(driver.folder), new_marker(), replaces=True)
        async with driver.store() as store:  # the daemon is killed once it has saved that the folder is accepted
            await store.run(lambda store: store.markers.plan(marker or "", 0.0))
            await store.run(lambda store: store.folders.mark_inbox_accepted(str(driver.folder), marker))
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert {job.path: job.hold for job in await driver.jobs()}["new.mp3"] is None

    run_story(story)


def test_an_inbox_that_is_missing_at_the_start_is_used_when_it_appears(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    driver.folder.rmdir()

    async def story() -> None:
        async with driver.running() as intake:
            assert intake.is_idle()
            assert not intake.state().available
            driver.folder.mkdir()
            driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])

    run_story(story)


def test_an_unmounted_inbox_is_unavailable_and_its_files_stay_known(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        subprocess.run(["mount", "--bind", str(disk), str(driver.folder)], check=False, capture_output=True).returncode
        != 0
    ):
        pytest.skip("no right to mount")

    async def story() -> None:
        async with driver.running():
            (driver.folder / "a.mp3").write_bytes(b"abc")
            await driver.wait_for(["a.mp3"])
            await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(driver.folder)], check=True)
            await logged_with(driver, "inbox.unavailable", "marker")
            (disk / "meanwhile.mp3").write_bytes(b"abc")
            await asyncio.to_thread(subprocess.run, ["mount", "--bind", str(disk), str(driver.folder)], check=True)
            await driver.wait_for(["a.mp3", "meanwhile.mp3"])
            (driver.folder / "after.mp3").write_bytes(b"abc")
            await driver.wait_for(["a.mp3", "after.mp3", "meanwhile.mp3"])

    try:
        run_story(story)
    finally:
        subprocess.run(["umount", "--lazy", str(driver.folder)], check=False, capture_output=True)
