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


async def until_delivered(shop: WorkerDriver, stage: Stage) -> None:
    """With `archive`: the job is paid and delivered, and its source has not been moved yet. With `split`: it is dropped."""
    if stage is Stage.ARCHIVE:
        shop.sandbox.faults("delete:503*0")
    await shop.drop("ep1.wav", seconds=2.0)
    if stage is Stage.ARCHIVE:
        await shop.until_job("it is delivered", stage=Stage.DELETE)


async def waits_quietly(shop: WorkerDriver, hold: Hold, stage: Stage) -> None:
    held = await shop.until_job("it is held", state=State.HELD, hold=hold)
    assert held.stage is stage
    await asyncio.sleep(PROBES_SECONDS)
    assert len(shop.journal.of("job.held")) == 1, "logged once, and not at every probe"


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.ARCHIVE])
def test_a_missing_done_folder_outside_the_inbox_is_waited_for_and_never_created(tmp_path: Path, stage: Stage) -> None:
    async def scenario() -> None:
        done = tmp_path / "elsewhere"
        if stage is Stage.ARCHIVE:
            done.mkdir()
        async with WorkerDriver(tmp_path, done_dir=str(done)) as shop:
            await until_delivered(shop, stage)
            if stage is Stage.ARCHIVE:
                done.rename(tmp_path / "away")
            shop.sandbox.faults()
            await waits_quietly(shop, Hold.MOUNT, stage)
            assert not done.exists()
            assert tree(shop.inbox) == ["ep1.wav"]
            assert len(shop.charges()) == (1 if stage is Stage.ARCHIVE else 0)
            if stage is Stage.SPLIT:
                done.mkdir()
            else:
                (tmp_path / "away").rename(done)
            await shop.until_job("it is there", state=State.DONE)
            assert tree(done) == ["ep1.wav"]
            assert tree(shop.inbox) == []
            assert sum(shop.charges().values()) == 1

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
    async with WorkerDriver(root, done_dir=str(done)) as shop:
        await until_delivered(shop, stage)
        if stage is Stage.ARCHIVE:
            filler.fill()
        shop.sandbox.faults()
        await waits_quietly(shop, Hold.DISK, stage)
        assert len(shop.charges()) == (1 if stage is Stage.ARCHIVE else 0)
        assert (shop.inbox / "ep1.wav").read_bytes() == shop.contents["ep1.wav"]
        filler.empty()
        await shop.until_job("there is room", state=State.DONE)
        assert (done / "ep1.wav").read_bytes() == shop.contents["ep1.wav"]
        assert sum(shop.charges().values()) == 1
        assert shop.litter() == []


def test_an_outbox_that_fills_up_during_a_download_is_waited_for(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_full_outbox(tmp_path)))


async def _full_outbox(root: Path) -> None:
    mount_disk(root / "outbox", "20m")
    filler = Filler(root / "outbox")
    async with WorkerDriver(root) as shop:
        shop.sandbox.faults("download:503*2")
        await shop.drop("ep1.wav", seconds=2.0)
        await shop.until_job("it is paid", stage=Stage.DOWNLOAD)
        filler.fill()
        await waits_quietly(shop, Hold.DISK, Stage.DOWNLOAD)
        assert shop.seen() == [".filler"]
        filler.empty()
        await shop.until_job("there is room", state=State.DONE)
        assert shop.seen() == ["ep1/no_vocals.wav", "ep1/vocals.wav"]
        assert sum(shop.charges().values()) == 1


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.DOWNLOAD])
def test_a_full_disk_that_is_mounted_within_the_outbox_is_waited_for_there(tmp_path: Path, stage: Stage) -> None:
    in_own_mounts(lambda: run(_full_within_the_outbox(tmp_path, stage)))


async def _full_within_the_outbox(root: Path, stage: Stage) -> None:
    within = root / "outbox/podcasts"
    mount_disk(within, "1m")
    filler = Filler(within)
    if stage is Stage.SPLIT:
        filler.fill()
    async with WorkerDriver(root) as shop:
        shop.sandbox.faults("download:503*0")
        await shop.drop("podcasts/ep1.wav")
        if stage is Stage.DOWNLOAD:
            await shop.until_job("it is paid", stage=stage)
            filler.fill()
        shop.sandbox.faults()
        await waits_quietly(shop, Hold.DISK, stage)
        assert len(shop.charges()) == (1 if stage is Stage.DOWNLOAD else 0)
        filler.empty()
        await shop.until_job("there is room", state=State.DONE)
        assert shop.seen() == ["podcasts/ep1/no_vocals.wav", "podcasts/ep1/vocals.wav"]
        assert sum(shop.charges().values()) == 1
        assert shop.litter() == []


def test_a_kept_source_needs_only_an_available_inbox(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_kept_in_a_read_only_inbox(tmp_path)))


async def _kept_in_a_read_only_inbox(root: Path) -> None:
    inbox, aside = root / "inbox", root / "aside"
    mount_disk(inbox)
    async with WorkerDriver(root, on_success="keep") as shop:
        shop.sandbox.faults("delete:503*0")
        await shop.drop("ep1.wav")
        await shop.until_job("it is delivered", stage=Stage.DELETE)
        move_mount(inbox, aside)
        shop.sandbox.faults()
        await waits_quietly(shop, Hold.MOUNT, Stage.ARCHIVE)
        make_read_only(aside)
        move_mount(aside, inbox)
        await shop.until_job("it is there again, for reading", state=State.DONE)


def test_an_unavailable_inbox_is_waited_for_before_the_split(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.outbox.rename(tmp_path / "away-out")
            await shop.drop("ep1.wav")
            await shop.until_job("the outbox is away", state=State.HELD, stage=Stage.SPLIT)
            shop.inbox.rename(tmp_path / "away-in")
            (tmp_path / "away-out").rename(shop.outbox)
            await shop.until(lambda: len(shop.journal.of("job.held")) == 2, "it says what it waits for now")
            assert str(shop.inbox) in str((await shop.job()).hold_reason)
            await asyncio.sleep(PROBES_SECONDS)
            assert len(shop.journal.of("job.held")) == 2
            (tmp_path / "away-in").rename(shop.inbox)
            await shop.until_job("both are there", state=State.DONE)
            assert sum(shop.charges().values()) == 1

    run(scenario())


def test_the_marker_distinguishes_an_unmounted_inbox_from_one_without_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            marker = write_marker(str(shop.inbox), None)
            await shop.store.run(lambda store: store.folders.mark_inbox_seen(str(shop.inbox), marker, shop.clock.now()))
            shop.sandbox.faults("upload:503*0")
            await shop.drop("ep1.wav")
            await shop.until(lambda: shop.counts().get("upload"), "the upload is tried")
            shop.inbox.rename(tmp_path / "unmounted")
            shop.inbox.mkdir()
            (shop.inbox / "a-stray-file-beneath.wav").write_bytes(b"abc")
            shop.sandbox.faults()
            await waits_quietly(shop, Hold.MOUNT, Stage.UPLOAD)
            assert tree(shop.inbox) == ["a-stray-file-beneath.wav"]
            shop.inbox.rename(tmp_path / "beneath")
            (tmp_path / "unmounted").rename(shop.inbox)
            await shop.until_job("it is mounted again", state=State.DONE)
            assert sum(shop.charges().values()) == 1

    run(scenario())


@pytest.mark.parametrize("outbox", ["outbox", "another outbox"])
def test_earlier_results_in_an_unavailable_outbox_are_waited_for_and_not_paid_again(
    tmp_path: Path, outbox: str
) -> None:
    async def scenario() -> None:
        (tmp_path / "another outbox").mkdir()
        async with WorkerDriver(tmp_path) as shop:
            shop.context.config = replace(shop.context.config, inboxes=(IntakeDriver(tmp_path).inbox,))
            await shop.drop("ep1.wav", pitch=440.0)
            await shop.rest()
            shop.pass_time(hours=25)  # till then the service would give them once more
            shop.outbox.rename(tmp_path / "away")
            await shop.drop("the same again.wav", pitch=440.0, outbox=str(tmp_path / outbox))
            held = await shop.until_job("it is held", 2, state=State.HELD, hold=Hold.MOUNT)
            assert held.stage is Stage.UPLOAD
            await asyncio.sleep(PROBES_SECONDS)
            assert len(shop.journal.of("job.held")) == 1
            (tmp_path / "away").rename(shop.outbox)
            await shop.until_job("the outbox is back", 2, state=State.DONE)
            assert sum(shop.charges().values()) == 1
            assert tree(tmp_path / outbox)[-1] == "the same again/vocals.wav"

    run(scenario())


def test_earlier_results_unavailable_when_copied_are_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        another = tmp_path / "another outbox"
        async with WorkerDriver(tmp_path) as shop:
            shop.context.config = replace(shop.context.config, inboxes=(IntakeDriver(tmp_path).inbox,))
            await shop.drop("ep1.wav", pitch=440.0)
            await shop.rest()
            shop.pass_time(hours=25)  # till then the service would give them once more
            await shop.drop("the same again.wav", pitch=440.0, outbox=str(another))
            await shop.until_job("its own outbox is missing", 2, hold=Hold.MOUNT, stage=Stage.DOWNLOAD)
            shop.outbox.rename(tmp_path / "away")
            another.mkdir()
            await shop.until(lambda: len(shop.journal.of("job.held")) == 2, "the other one is waited for")
            await asyncio.sleep(PROBES_SECONDS)
            assert len(shop.journal.of("job.held")) == 2
            (tmp_path / "away").rename(shop.outbox)
            await shop.until_job("both are there", 2, state=State.DONE)
            assert sum(shop.charges().values()) == 1

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
        async with WorkerDriver(tmp_path, done_dir=str(done)) as shop:
            await shop.drop("first.wav")
            await shop.rest()
            aside = swapped(done)
            await shop.drop("ep1.wav")
            await shop.until_job("it is held", 2, state=State.HELD, hold=Hold.MOUNT, stage=Stage.ARCHIVE)
            await asyncio.sleep(PROBES_SECONDS)
            assert len(shop.journal.of("job.held")) == 1
            assert list(done.iterdir()) == []
            assert tree(shop.inbox) == ["ep1.wav"]
            done.rmdir()
            aside.rename(done)
            await shop.until_job("it is mounted again", 2, state=State.DONE)
            assert tree(done) == ["ep1.wav", "first.wav"]

    run(scenario())


def test_an_unmounted_failed_folder_gets_nothing_and_the_file_stays_until_it_is_mounted(tmp_path: Path) -> None:
    async def scenario() -> None:
        refused = tmp_path / "elsewhere"
        refused.mkdir()
        async with WorkerDriver(tmp_path, failed_dir=str(refused)) as shop:
            shop.sandbox.faults("upload:400*0")
            await shop.drop("first.wav")
            await shop.rest()
            assert tree(refused) == ["first.wav", "first.wav.error.txt"]
            aside = swapped(refused)
            await shop.drop("ep1.wav")

            async def tried_again() -> bool:
                job = await shop.job(2)
                return job.state is State.FAILED and job.attempts > 3

            await shop.until(tried_again, "its file is to be filed, again and again")
            assert list(refused.iterdir()) == []
            assert tree(shop.inbox) == ["ep1.wav"]
            assert f"lalald release {refused}" in ((await shop.job(2)).archive_error or "")
            assert len(shop.journal.of("archive.failed")) == 1, "said once"
            refused.rmdir()
            aside.rename(refused)
            await shop.until(lambda: tree(shop.inbox) == [], "it is mounted again")
            assert tree(refused) == [
                f"{name}.wav{ending}" for name in ("ep1", "first") for ending in ("", ".error.txt")
            ]
            job = await shop.until_job("it is known to be filed", 2, archived=True)
            assert (job.state, job.warning) == (State.FAILED, None)

    run(scenario())


def test_a_probe_of_a_dead_inbox_blocks_no_loop(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_dead_inbox(tmp_path)))


async def _dead_inbox(root: Path) -> None:
    async with WorkerDriver(root) as shop:
        shop.outbox.rename(root / "away")
        await shop.drop("ep1.wav")
        await shop.until_job("the outbox is away", state=State.HELD, hold=Hold.MOUNT)
        with dead_mount(shop.inbox):
            await asyncio.sleep(20.0)  # a probe has begun
            async with asyncio.timeout(10.0):
                await shop.worker.next_turns()
        unmount(shop.inbox)
        (root / "away").rename(shop.outbox)
        await shop.until_job("both are there", state=State.DONE)


def test_an_inbox_unmounted_before_archiving_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            marker = write_marker(str(shop.inbox), None)
            await shop.store.run(lambda store: store.folders.mark_inbox_seen(str(shop.inbox), marker, shop.clock.now()))
            shop.sandbox.faults("delete:503*0")
            await shop.drop("ep1.wav")
            await shop.until_job("all but the filing is done", stage=Stage.DELETE)
            aside = swapped(shop.inbox)
            (shop.inbox / "a-stray-file-beneath.wav").write_bytes(b"abc")
            shop.sandbox.faults()
            await waits_quietly(shop, Hold.MOUNT, Stage.ARCHIVE)
            assert tree(shop.inbox) == ["a-stray-file-beneath.wav"]
            shop.inbox.rename(tmp_path / "beneath")
            aside.rename(shop.inbox)
            job = await shop.until_job("it is mounted again", state=State.DONE)
            assert (job.warning, tree(shop.inbox)) == (None, ["done/ep1.wav"])

    run(scenario())


def test_a_folder_within_the_inbox_that_is_read_only_is_probed_itself(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_read_only_below(tmp_path), speed=150.0))


async def _read_only_below(root: Path) -> None:
    below = root / "inbox/below"
    mount_disk(below)
    async with WorkerDriver(root) as shop:
        shop.sandbox.faults("download:503*0")
        await shop.drop("below/ep1.wav")
        await shop.until_job("it is paid", stage=Stage.DOWNLOAD)
        remount(below, "ro")
        shop.sandbox.faults()
        held = await shop.until_job(
            "it cannot be archived", state=State.HELD, hold=Hold.PERMISSION, stage=Stage.ARCHIVE
        )
        assert str(below) in (held.hold_reason or "")
        await asyncio.sleep(300.0)
        assert (await shop.job()).revision == held.revision, "the probe tries it where the file lies"
        assert len(shop.journal.of("job.held")) == 1
        remount(below, "rw")
        await shop.until_job("it resumes automatically", state=State.DONE)
