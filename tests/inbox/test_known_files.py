"""Which files count as known, as new, or as failed files that came back."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, State
from tests.support.intake_driver import (
    IntakeDriver,
    knows_no_folders,
    run_story,
    until,
)


def test_a_known_file_is_not_processed_again_by_restarts_and_rescans(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            path = driver.put("sub/a.mp3")
            await driver.wait_for(["sub/a.mp3"])
            path.chmod(0o600)
            intake.request_rescan()
            await intake.wait_until_idle()
        for _ in range(2):
            async with driver.running() as intake:
                report = await intake.scan()
                assert (report.files, report.unknown, report.gone) == (1, 0, 0)
                assert len(await driver.jobs()) == 1

    run_story(story)


def test_files_that_arrived_while_no_daemon_ran_are_found_at_the_start(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            pass
        names = [f"{number}.mp3" for number in range(30)]
        for name in names:
            driver.put(name)
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert sorted(await driver.paths()) == sorted(names)
            assert {job.state for job in await driver.jobs()} == {State.WAITING}

    run_story(story)


def test_new_content_under_a_known_name_is_a_new_job(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])
            driver.put("a.mp3", b"other content")
            first, second = await driver.wait_for(["a.mp3", "a.mp3"])
            assert (first.size, second.size) == (3, 13)

    run_story(story)


def test_new_content_of_a_paid_file_is_reported_with_what_can_be_done(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            path = driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            path.write_bytes(b"unpaid")
            await driver.wait_for(["a.mp3", "a.mp3"])
            assert driver.log.said("file.changed_after_payment") == []
            await driver.thread.run(
                lambda store: store.connection.execute("UPDATE tasks SET task_id = 't', minutes = 1 WHERE job_id > 1")
            )
            path.write_bytes(b"it has grown")
            said = await driver.wait_for_event("file.changed_after_payment")
            assert (said["path"], said["job"], said["earlier_job"]) == ("a.mp3", job.id + 2, job.id + 1)
            assert "`settle`" in said["hint"]

    run_story(story)


@pytest.mark.parametrize("way", ["in place", "renamed over", "deleted and made again"])
def test_with_changed_skip_a_retagged_file_is_skipped_permanently(tmp_path: Path, way: str) -> None:
    driver = IntakeDriver(tmp_path, changed="skip")

    async def story() -> None:
        async with driver.running() as intake:
            path = driver.put("a.mp3")
            await driver.wait_for(["a.mp3"])
            if way == "in place":
                path.write_bytes(b"retagged")
            elif way == "renamed over":
                driver.put("a.mp3", b"retagged")
            else:
                path.unlink()
                path.write_bytes(b"retagged")
            assert "changed: skip" in (await driver.wait_for_event("file.skipped"))["reason"]
            intake.replace(driver.inbox)
            await intake.wait_until_idle()
            assert len(await driver.jobs()) == 1
            path.write_bytes(b"retagged once more")
            await until(partial(knows_size, driver, "a.mp3", 18), "the second change")
            assert len(await driver.jobs()) == 1
            assert len(driver.log.said("file.skipped")) == 1

    run_story(story)


async def knows_size(driver: IntakeDriver, name: str, size: int) -> bool:
    known = await driver.thread.run(lambda store: store.known_in(str(driver.folder), ""))
    return name in known and known[name].size == size


def test_a_held_old_file_with_new_content_is_held_again_and_its_first_job_ends(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    for index in range(21):
        driver.put(f"{index}.mp3")

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("0.mp3", b"retagged")
            await until(partial(knows_size, driver, "0.mp3", 8), "the change")
            await intake.wait_until_idle()
            first, second = [(job.state, job.hold) for job in await driver.jobs() if job.path == "0.mp3"]
            assert first == (State.CANCELLED, None)
            assert second == (State.HELD, Hold.FIRST_SCAN)

    run_story(story)


@pytest.mark.parametrize("at_a_start", [True, False])
@pytest.mark.parametrize("passed_over", [{"recursive": False}, {"ignore": ("old/",)}])
def test_existing_files_in_newly_scanned_places_are_held(
    tmp_path: Path, passed_over: dict[str, Any], at_a_start: bool
) -> None:
    driver = IntakeDriver(tmp_path, **passed_over)
    old = [driver.put(f"old/{index}.mp3").relative_to(driver.folder).as_posix() for index in range(21)]
    looked_into = replace(driver.inbox, recursive=True, ignore=())

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            assert await driver.jobs() == []
            if not at_a_start:
                intake.replace(looked_into)
                await until(partial(has_held, driver, old), "they are held")
        driver.inbox = looked_into
        async with driver.running():
            await until(partial(has_held, driver, old), "they are held")
            driver.put("old/new.mp3")
            await driver.wait_for([*old, "old/new.mp3"])
        driver.put("newer.mp3")
        async with driver.running():
            await driver.wait_for([*old, "old/new.mp3", "newer.mp3"])
            assert await has_held(driver, old)

    run_story(story)


@pytest.mark.parametrize("while_at_work", [True, False])
def test_existing_files_in_a_renamed_folder_stay_held(tmp_path: Path, while_at_work: bool) -> None:
    driver = IntakeDriver(tmp_path)
    for index in range(21):
        driver.put(f"old/{index}.mp3", b"%d" % index)
    copy, renamed = driver.folder / "copy.mp3", [f"archive/{index}.mp3" for index in range(21)]

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            os.link(driver.folder / "old/0.mp3", driver.outside / "copy")
            (driver.outside / "copy").rename(copy)
            await until(partial(knows_size, driver, "copy.mp3", 1), "a file of the same bytes that is dropped")
            copy.unlink()
            if while_at_work:
                (driver.folder / "old").rename(driver.folder / "archive")
                await until(partial(has_held, driver, renamed), "they are held under their new names")
        if not while_at_work:
            (driver.folder / "old").rename(driver.folder / "archive")
            async with driver.running():
                await until(partial(has_held, driver, renamed), "they are held under their new names")
        async with driver.running():
            assert [job.path for job in await driver.jobs() if job.state is State.WAITING] == ["copy.mp3"]

    run_story(story)


async def has_held(driver: IntakeDriver, paths: list[str]) -> bool:
    held = [job.path for job in await driver.jobs() if job.hold is Hold.FIRST_SCAN]
    return sorted(held) == sorted(paths)


def test_a_failed_job_ends_when_its_file_is_replaced(tmp_path: Path) -> None:
    """With on_failure: keep, the file is corrected in its place, and its new content is a new job."""
    driver = IntakeDriver(tmp_path, on_failure="keep")

    async def story() -> None:
        async with driver.running():
            driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            await driver.set_job(job.id, state="failed", archived=1, error="It is broken.")
            driver.put("a.mp3", b"corrected")
            first, _ = await driver.wait_for(["a.mp3", "a.mp3"])
            assert first.state is State.CANCELLED
            assert first.error == "It is broken. The file has other content now, which is a new job."

    run_story(story)


def test_a_finished_file_that_is_dropped_again_is_a_new_job(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            path = driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            await driver.set_job(job.id, state="done", stage="done", archived=1)
            path.rename(driver.outside / "a.mp3")
            (driver.outside / "a.mp3").rename(path)
            await driver.wait_for(["a.mp3", "a.mp3"])

    run_story(story)


def test_a_file_that_its_own_job_moved_and_restored_is_not_a_new_job(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            path = driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            await driver.set_job(job.id, stage="archive")
            path.rename(driver.folder / ".lalald-1-a.mp3")
            intake.request_rescan()
            await intake.wait_until_idle()
            (driver.folder / ".lalald-1-a.mp3").rename(path)
            driver.put("beacon.mp3")
            await driver.wait_for(["a.mp3", "beacon.mp3"])
            await intake.wait_until_idle()
            assert len(await driver.jobs()) == 2

    run_story(story)


def test_files_of_a_folder_that_is_moved_away_and_back_are_new_jobs(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("album/a.mp3")
            (job,) = await driver.wait_for(["album/a.mp3"])
            await driver.set_job(job.id, state="done", stage="done", archived=1)
            (driver.folder / "album").rename(driver.outside / "album")
            await until(partial(knows_no_folders, driver), "the folder forgotten")
            await intake.wait_until_idle()
            (driver.outside / "album").rename(driver.folder / "album")
            await driver.wait_for(["album/a.mp3", "album/a.mp3"])

    run_story(story)


def test_a_renamed_folder_is_watched_under_its_new_name(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            driver.put("one/a.mp3")
            await driver.wait_for(["one/a.mp3"])
            (driver.folder / "one").rename(driver.folder / "two")
            await driver.wait_for(["one/a.mp3", "two/a.mp3"])
            driver.put("two/b.mp3")
            await driver.wait_for(["one/a.mp3", "two/a.mp3", "two/b.mp3"])

    run_story(story)


def test_the_file_of_a_discarded_job_is_inspected_again(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            await driver.thread.run(lambda store: store.drop_file(job))
            intake.request_rescan()
            await driver.wait_for(["a.mp3", "a.mp3"])

    run_story(story)


async def failed(driver: IntakeDriver, name: str, content: bytes, *, paid: bool) -> Job:
    """A failed job whose file was moved to the failed folder."""
    driver.put(name, content)
    (job,) = await driver.wait_for([name])
    away = driver.folder / "failed" / name
    away.parent.mkdir(exist_ok=True)
    (driver.folder / name).rename(away)
    sha256 = hashlib.sha256(content).hexdigest() if paid else None
    await driver.set_job(job.id, state="failed", archived=1, moved_to=str(away), sha256=sha256)
    await driver.thread.run(lambda store: store.forget(job.inbox, [job.path]))
    if paid:
        await driver.thread.run(
            lambda store: store.connection.execute("UPDATE tasks SET task_id = 't' || number").rowcount
        )
    return job


def bring_back(driver: IntakeDriver, way: str, target: Path) -> None:
    away = driver.folder / "failed/a.mp3"
    target.parent.mkdir(exist_ok=True)
    if way.startswith("moved"):
        away.rename(target)
        return
    making = driver.outside / "copy"
    making.write_bytes(away.read_bytes())
    if way == "copied":
        os.utime(making, ns=(away.stat().st_atime_ns, away.stat().st_mtime_ns))
    making.rename(target)


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize("way", ["moved", "moved under another name", "copied", "copied without its time"])
def test_a_failed_file_moved_back_is_its_old_job(tmp_path: Path, way: str, paid: bool) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            job = await failed(driver, "a.mp3", b"the content", paid=paid)
            target = "podcasts/other.mp3" if way == "moved under another name" else "a.mp3"
            bring_back(driver, way, driver.folder / target)
            if way == "copied without its time" and not paid:
                await driver.wait_for(
                    ["a.mp3", "a.mp3"]
                )  # nothing tells that it is the same: a new job, and nothing was spent
                return
            await driver.wait_for_event("job.returned")
            (back,) = await driver.jobs()
            assert (back.id, back.path, back.moved_to, back.request) == (job.id, target, None, "retry")
            is_rematched = target.startswith("podcasts") and not paid
            assert back.rule == ("podcasts" if is_rematched else "rest")
            assert [task.task_id for task in back.tasks] == (["t1", "t2"] if paid else [None] * len(back.tasks))

    run_story(story)


def test_another_file_with_the_same_size_and_inode_number_does_not_become_the_failed_job(tmp_path: Path) -> None:
    """Its content decides: results of another file must never be delivered for it."""
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            job = await failed(driver, "a.mp3", b"the content", paid=True)
            (driver.folder / "failed/a.mp3").unlink()
            stranger = driver.outside / "stranger"
            stranger.write_bytes(b"not content")
            await driver.set_job(job.id, inode=stranger.stat().st_ino)
            stranger.rename(driver.folder / "b.mp3")
            await driver.wait_for(["a.mp3", "b.mp3"])
            assert driver.log.said("job.returned") == []

    run_story(story)
