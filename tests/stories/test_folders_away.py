"""Folders that are unavailable or full: the job waits for the right one, reports that once, and resumes automatically."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.filesystem.markers import write_marker
from lalald.jobs.states import Hold, Stage, State
from tests.support.intake_driver import IntakeDriver
from tests.support.private_mounts import (
    Filler,
    dead_mount,
    in_own_mounts,
    make_read_only,
    mount_disk,
    move_mount,
    remount,
    unmount,
)
from tests.support.running import tree
from tests.support.worker_driver import WorkerDriver, run

PROBES_SECONDS = 35.0  # three probes


async def until_delivered(driver: WorkerDriver, stage: Stage) -> None:
    """With `archive`: the job is paid and delivered, and its source has not been moved yet. With `split`: it is dropped."""
    if stage is Stage.ARCHIVE:
        driver.sandbox.faults("delete:503*0")
    await driver.drop("ep1.wav", seconds=2.0)
    if stage is Stage.ARCHIVE:
        await driver.until_job("it is delivered", stage=Stage.DELETE)


async def waits_quietly(driver: WorkerDriver, hold: Hold, stage: Stage) -> None:
    held = await driver.until_job("it is held", state=State.HELD, hold=hold)
    assert held.stage is stage
    await asyncio.sleep(PROBES_SECONDS)
    assert len(driver.journal.of("job.held")) == 1, "logged once, and not at every probe"


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.ARCHIVE])
def test_a_missing_done_folder_outside_the_inbox_is_waited_for_and_never_created(tmp_path: Path, stage: Stage) -> None:
    async def scenario() -> None:
        done = tmp_path / "elsewhere"
        if stage is Stage.ARCHIVE:
            done.mkdir()
        async with WorkerDriver(tmp_path, done_dir=str(done)) as driver:
            await until_delivered(driver, stage)
            if stage is Stage.ARCHIVE:
                done.rename(tmp_path / "away")
            driver.sandbox.faults()
            await waits_quietly(driver, Hold.MOUNT, stage)
            assert not done.exists()
            assert tree(driver.inbox) == ["ep1.wav"]
            assert len(driver.charges()) == (1 if stage is Stage.ARCHIVE else 0)
            if stage is Stage.SPLIT:
                done.mkdir()
            else:
                (tmp_path / "away").rename(done)
            await driver.until_job("it is there", state=State.DONE)
            assert tree(done) == ["ep1.wav"]
            assert tree(driver.inbox) == []
            assert sum(driver.charges().values()) == 1

    run(scenario())


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.ARCHIVE])
def test_a_done_folder_on_a_full_disk_is_waited_for_and_the_file_stays(tmp_path: Path, stage: Stage) -> None:
    in_own_mounts(lambda: run(_full_done_folder(tmp_path, stage)))


async def _full_done_folder(root: Path, stage: Stage) -> None:
    done = root / "elsewhere"
    mount_disk(done, "1m")
    filler = Filler(done)
    if stage is Stage.SPLIT:
        filler.fill()
    async with WorkerDriver(root, done_dir=str(done)) as driver:
        await until_delivered(driver, stage)
        if stage is Stage.ARCHIVE:
            filler.fill()
        driver.sandbox.faults()
        await waits_quietly(driver, Hold.DISK, stage)
        assert len(driver.charges()) == (1 if stage is Stage.ARCHIVE else 0)
        assert (driver.inbox / "ep1.wav").read_bytes() == driver.contents["ep1.wav"]
        filler.empty()
        await driver.until_job("there is room", state=State.DONE)
        assert (done / "ep1.wav").read_bytes() == driver.contents["ep1.wav"]
        assert sum(driver.charges().values()) == 1
        assert driver.litter() == []


def test_an_outbox_that_fills_up_during_a_download_is_waited_for(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_full_outbox(tmp_path)))


async def _full_outbox(root: Path) -> None:
    mount_disk(root / "outbox", "20m")
    filler = Filler(root / "outbox")
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults("download:503*2")
        await driver.drop("ep1.wav", seconds=2.0)
        await driver.until_job("it is paid", stage=Stage.DOWNLOAD)
        filler.fill()
        await waits_quietly(driver, Hold.DISK, Stage.DOWNLOAD)
        assert driver.seen() == [".filler"]
        filler.empty()
        await driver.until_job("there is room", state=State.DONE)
        assert driver.seen() == ["ep1/no_vocals.wav", "ep1/vocals.wav"]
        assert sum(driver.charges().values()) == 1


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.DOWNLOAD])
def test_a_full_disk_that_is_mounted_within_the_outbox_is_waited_for_there(tmp_path: Path, stage: Stage) -> None:
    in_own_mounts(lambda: run(_full_within_the_outbox(tmp_path, stage)))


async def _full_within_the_outbox(root: Path, stage: Stage) -> None:
    within = root / "outbox/podcasts"
    mount_disk(within, "1m")
    filler = Filler(within)
    if stage is Stage.SPLIT:
        filler.fill()
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults("download:503*0")
        await driver.drop("podcasts/ep1.wav")
        if stage is Stage.DOWNLOAD:
            await driver.until_job("it is paid", stage=stage)
            filler.fill()
        driver.sandbox.faults()
        await waits_quietly(driver, Hold.DISK, stage)
        assert len(driver.charges()) == (1 if stage is Stage.DOWNLOAD else 0)
        filler.empty()
        await driver.until_job("there is room", state=State.DONE)
        assert driver.seen() == ["podcasts/ep1/no_vocals.wav", "podcasts/ep1/vocals.wav"]
        assert sum(driver.charges().values()) == 1
        assert driver.litter() == []


def test_a_kept_source_needs_only_an_available_inbox(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_kept_in_a_read_only_inbox(tmp_path)))


async def _kept_in_a_read_only_inbox(root: Path) -> None:
    inbox, aside = root / "inbox", root / "aside"
    mount_disk(inbox)
    async with WorkerDriver(root, on_success="keep") as driver:
        driver.sandbox.faults("delete:503*0")
        await driver.drop("ep1.wav")
        await driver.until_job("it is delivered", stage=Stage.DELETE)
        move_mount(inbox, aside)
        driver.sandbox.faults()
        await waits_quietly(driver, Hold.MOUNT, Stage.ARCHIVE)
        make_read_only(aside)
        move_mount(aside, inbox)
        await driver.until_job("it is there again, for reading", state=State.DONE)


def test_an_unavailable_inbox_is_waited_for_before_the_split(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.outbox.rename(tmp_path / "away-out")
            await driver.drop("ep1.wav")
            await driver.until_job("the outbox is away", state=State.HELD, stage=Stage.SPLIT)
            driver.inbox.rename(tmp_path / "away-in")
            (tmp_path / "away-out").rename(driver.outbox)
            await driver.until(lambda: len(driver.journal.of("job.held")) == 2, "it says what it waits for now")
            assert str(driver.inbox) in str((await driver.job()).hold_reason)
            await asyncio.sleep(PROBES_SECONDS)
            assert len(driver.journal.of("job.held")) == 2
            (tmp_path / "away-in").rename(driver.inbox)
            await driver.until_job("both are there", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_the_marker_distinguishes_an_unmounted_inbox_from_one_without_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            marker = write_marker(str(driver.inbox), None)
            await driver.store.run(
                lambda store: store.folders.mark_inbox_seen(str(driver.inbox), marker, driver.clock.now())
            )
            driver.sandbox.faults("upload:503*0")
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.counts().get("upload"), "the upload is tried")
            driver.inbox.rename(tmp_path / "unmounted")
            driver.inbox.mkdir()
            (driver.inbox / "a-stray-file.wav").write_bytes(b"abc")
            driver.sandbox.faults()
            await waits_quietly(driver, Hold.MOUNT, Stage.UPLOAD)
            assert tree(driver.inbox) == ["a-stray-file.wav"]
            driver.inbox.rename(tmp_path / "aside")
            (tmp_path / "unmounted").rename(driver.inbox)
            await driver.until_job("it is mounted again", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario())


@pytest.mark.parametrize("outbox", ["outbox", "another outbox"])
def test_earlier_results_in_an_unavailable_outbox_are_waited_for_and_not_paid_again(
    tmp_path: Path, outbox: str
) -> None:
    async def scenario() -> None:
        (tmp_path / "another outbox").mkdir()
        async with WorkerDriver(tmp_path) as driver:
            driver.context.config = replace(driver.context.config, inboxes=(IntakeDriver(tmp_path).inbox,))
            await driver.drop("ep1.wav", pitch=440.0)
            await driver.rest()
            driver.pass_time(hours=25)  # till then the service would give them once more
            driver.outbox.rename(tmp_path / "away")
            await driver.drop("the same again.wav", pitch=440.0, outbox=str(tmp_path / outbox))
            held = await driver.until_job("it is held", 2, state=State.HELD, hold=Hold.MOUNT)
            assert held.stage is Stage.UPLOAD
            await asyncio.sleep(PROBES_SECONDS)
            assert len(driver.journal.of("job.held")) == 1
            (tmp_path / "away").rename(driver.outbox)
            await driver.until_job("the outbox is back", 2, state=State.DONE)
            assert sum(driver.charges().values()) == 1
            assert tree(tmp_path / outbox)[-1] == "the same again/vocals.wav"

    run(scenario())


def test_earlier_results_unavailable_when_copied_are_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        another = tmp_path / "another outbox"
        async with WorkerDriver(tmp_path) as driver:
            driver.context.config = replace(driver.context.config, inboxes=(IntakeDriver(tmp_path).inbox,))
            await driver.drop("ep1.wav", pitch=440.0)
            await driver.rest()
            driver.pass_time(hours=25)  # till then the service would give them once more
            await driver.drop("the same again.wav", pitch=440.0, outbox=str(another))
            await driver.until_job("its own outbox is missing", 2, hold=Hold.MOUNT, stage=Stage.DOWNLOAD)
            driver.outbox.rename(tmp_path / "away")
            another.mkdir()
            await driver.until(lambda: len(driver.journal.of("job.held")) == 2, "the other one is waited for")
            await asyncio.sleep(PROBES_SECONDS)
            assert len(driver.journal.of("job.held")) == 2
            (tmp_path / "away").rename(driver.outbox)
            await driver.until_job("both are there", 2, state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario())


def swapped(folder: Path) -> Path:
    """As an unmount looks from above: an empty, writable folder in its place. Where the real one is."""
    aside = folder.with_name(f"{folder.name}, the real one")
    folder.rename(aside)
    folder.mkdir()
    return aside


def test_the_marker_distinguishes_an_unmounted_done_folder_from_its_mount_point(tmp_path: Path) -> None:
    async def scenario() -> None:
        done = tmp_path / "elsewhere"
        done.mkdir()
        async with WorkerDriver(tmp_path, done_dir=str(done)) as driver:
            await driver.drop("first.wav")
            await driver.rest()
            aside = swapped(done)
            await driver.drop("ep1.wav")
            await driver.until_job("it is held", 2, state=State.HELD, hold=Hold.MOUNT, stage=Stage.ARCHIVE)
            await asyncio.sleep(PROBES_SECONDS)
            assert len(driver.journal.of("job.held")) == 1
            assert list(done.iterdir()) == []
            assert tree(driver.inbox) == ["ep1.wav"]
            done.rmdir()
            aside.rename(done)
            await driver.until_job("it is mounted again", 2, state=State.DONE)
            assert tree(done) == ["ep1.wav", "first.wav"]

    run(scenario())


def test_an_unmounted_failed_folder_gets_nothing_and_the_file_stays_until_it_is_mounted(tmp_path: Path) -> None:
    async def scenario() -> None:
        refused = tmp_path / "elsewhere"
        refused.mkdir()
        async with WorkerDriver(tmp_path, failed_dir=str(refused)) as driver:
            driver.sandbox.faults("upload:400*0")
            await driver.drop("first.wav")
            await driver.rest()
            assert tree(refused) == ["first.wav", "first.wav.error.txt"]
            aside = swapped(refused)
            await driver.drop("ep1.wav")

            async def tried_again() -> bool:
                job = await driver.job(2)
                return job.state is State.FAILED and job.attempts > 3

            await driver.until(tried_again, "its file is to be filed, again and again")
            assert list(refused.iterdir()) == []
            assert tree(driver.inbox) == ["ep1.wav"]
            assert f"lalald release {refused}" in ((await driver.job(2)).archive_error or "")
            assert len(driver.journal.of("archive.failed")) == 1, "said once"
            refused.rmdir()
            aside.rename(refused)
            await driver.until(lambda: tree(driver.inbox) == [], "it is mounted again")
            assert tree(refused) == [
                f"{name}.wav{ending}" for name in ("ep1", "first") for ending in ("", ".error.txt")
            ]
            job = await driver.until_job("it is known to be filed", 2, archived=True)
            assert (job.state, job.warning) == (State.FAILED, None)

    run(scenario())


def test_a_probe_of_a_dead_inbox_blocks_no_loop(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_dead_inbox(tmp_path)))


async def _dead_inbox(root: Path) -> None:
    async with WorkerDriver(root) as driver:
        driver.outbox.rename(root / "away")
        await driver.drop("ep1.wav")
        await driver.until_job("the outbox is away", state=State.HELD, hold=Hold.MOUNT)
        with dead_mount(driver.inbox):
            await asyncio.sleep(20.0)  # a probe has begun
            async with asyncio.timeout(10.0):
                await driver.worker.next_turns()
        unmount(driver.inbox)
        (root / "away").rename(driver.outbox)
        await driver.until_job("both are there", state=State.DONE)


def test_an_inbox_unmounted_before_archiving_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            marker = write_marker(str(driver.inbox), None)
            await driver.store.run(
                lambda store: store.folders.mark_inbox_seen(str(driver.inbox), marker, driver.clock.now())
            )
            driver.sandbox.faults("delete:503*0")
            await driver.drop("ep1.wav")
            await driver.until_job("all but the filing is done", stage=Stage.DELETE)
            aside = swapped(driver.inbox)
            (driver.inbox / "a-stray-file.wav").write_bytes(b"abc")
            driver.sandbox.faults()
            await waits_quietly(driver, Hold.MOUNT, Stage.ARCHIVE)
            assert tree(driver.inbox) == ["a-stray-file.wav"]
            driver.inbox.rename(tmp_path / "aside")
            aside.rename(driver.inbox)
            job = await driver.until_job("it is mounted again", state=State.DONE)
            assert (job.warning, tree(driver.inbox)) == (None, ["done/ep1.wav"])

    run(scenario())


def test_a_folder_within_the_inbox_that_is_read_only_is_probed_itself(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_read_only_below(tmp_path), speed=150.0))


async def _read_only_below(root: Path) -> None:
    below = root / "inbox/below"
    mount_disk(below)
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults("download:503*0")
        await driver.drop("below/ep1.wav")
        await driver.until_job("it is paid", stage=Stage.DOWNLOAD)
        remount(below, "ro")
        driver.sandbox.faults()
        held = await driver.until_job(
            "it cannot be archived", state=State.HELD, hold=Hold.PERMISSION, stage=Stage.ARCHIVE
        )
        assert str(below) in (held.hold_reason or "")
        await asyncio.sleep(300.0)
        assert (await driver.job()).revision == held.revision, "the probe tries it where the file lies"
        assert len(driver.journal.of("job.held")) == 1
        remount(below, "rw")
        await driver.until_job("it resumes automatically", state=State.DONE)
