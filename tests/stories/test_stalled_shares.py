"""Shares whose server stops answering at each stage: their files wait with a reason, and the others continue."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lalald.jobs.states import Hold, Stage, State
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts, mount_disk, unmount
from tests.support.running import tree
from tests.support.worker_driver import SPEED, WorkerDriver, run

ANSWERS = (
    0.2 * SPEED,
    0.5 * SPEED,
    2.0 * SPEED,
)  # until a share is doubted; for it to answer; for anything to move there
DEAD = [f"dead{number}.wav" for number in range(8)]  # more than any lane has slots
TRACKS = ["no_vocals.wav", "vocals.wav"]


class Two:
    """A workshop whose inbox or outbox is a share, and beside it another inbox and outbox on a disk that is well."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.driver = WorkerDriver(root / "share", answers=ANSWERS, **settings)  # type: ignore[arg-type]
        self.inbox, self.outbox = root / "disk/inbox", root / "disk/outbox"
        for folder in (self.inbox, self.outbox):
            folder.mkdir(parents=True)

    async def nothing_leaves(self, operation: str) -> None:
        """Where the service refuses everything, nothing is asked of it for a while."""
        await self.driver.until(
            lambda: self.driver.worker.health.wait_seconds(operation) > 50.0, f"no {operation} is tried"
        )

    async def others_continue(self, *names: str) -> None:
        """Files of the other inbox come to their end, while the share does not answer."""
        ids = await self.driver.drop(*names, inbox=self.inbox, outbox=str(self.outbox))
        for job_id in ids:
            await self.driver.until_job("the others go on", job_id, state=State.DONE)
        async with asyncio.timeout(5.0 * SPEED):
            await self.driver.worker.next_turns()
        assert tree(self.outbox) == sorted(f"{name[:-4]}/{track}" for name in names for track in TRACKS)

    async def held(self, *stages: Stage, names: list[str] = DEAD) -> None:
        """All files of the share are held, and it is said of each at most twice, however long that takes."""
        for job_id in range(1, len(names) + 1):
            job = await self.driver.until_job("it is held", job_id, state=State.HELD, hold=Hold.MOUNT)
            assert job.stage in stages
            assert re.search(
                "has not answered for .* Is its server down|made no progress for .* hang", job.hold_reason or ""
            )
        said = Counter(one["job"] for one in self.driver.journal.of("job.held"))
        assert sorted(said) == list(range(1, len(names) + 1))
        assert max(said.values()) <= 2, "a probe may release a job once before its hold is no news"

    async def delivered(self) -> None:
        """Everything comes to its end, and was paid once."""
        for job in await self.driver.jobs():
            await self.driver.until_job("it resumes automatically", job.id, state=State.DONE)
        assert set(self.driver.charges().values()) == {1}
        assert self.driver.litter() == []


def story(scenario: Callable[[], Awaitable[None]]) -> None:
    in_own_mounts(lambda: run(scenario()))


@pytest.mark.parametrize("operations", [(), ("read",)], ids=["nothing answers", "what is read never comes"])
def test_an_inbox_that_dies_before_or_while_its_files_are_read(tmp_path: Path, operations: tuple[str, ...]) -> None:
    async def scenario() -> None:
        two = Two(tmp_path, jitter=1.0)
        with Share(two.driver.inbox) as share:
            async with two.driver as driver:
                driver.sandbox.faults("upload:503*0")
                await driver.drop(*DEAD)
                await two.nothing_leaves("upload")
                share.stop_answering(*operations)
                driver.sandbox.faults()
                await two.others_continue("a.wav", "b.wav")
                await two.held(Stage.UPLOAD)
                share.answer()
                await two.delivered()
                assert tree(driver.inbox) == sorted(f"done/{name}" for name in DEAD)

    story(scenario)


def test_an_inbox_that_dies_between_the_uploads_and_the_splits(tmp_path: Path) -> None:
    """Those that share a batch with its files are started all the same."""

    async def scenario() -> None:
        two = Two(tmp_path, jitter=1.0)
        with Share(two.driver.inbox) as share:
            async with two.driver as driver:
                driver.sandbox.faults("split:429*0", "batch:429*0")
                await driver.drop(*DEAD)
                for job_id in range(1, len(DEAD) + 1):
                    await driver.until_job("it is uploaded", job_id, stage=Stage.SPLIT)
                await two.nothing_leaves("split stem_separator")
                share.stop_answering()
                driver.sandbox.faults()
                await two.others_continue("a.wav", "b.wav")
                await two.held(Stage.SPLIT)
                share.answer()
                await two.delivered()

    story(scenario)


@pytest.mark.parametrize("operations", [(), ("write",), ("fsync",)], ids=["nothing answers", "write", "fsync"])
def test_an_outbox_that_dies_while_tracks_arrive(tmp_path: Path, operations: tuple[str, ...]) -> None:
    async def scenario() -> None:
        two = Two(tmp_path)
        with Share(two.driver.outbox) as share:
            async with two.driver as driver:
                driver.sandbox.faults("download:503*0")
                await driver.drop(*DEAD)
                for job_id in range(1, len(DEAD) + 1):
                    await driver.until_job("it is paid", job_id, stage=Stage.DOWNLOAD)
                share.stop_answering(*operations)
                driver.sandbox.faults()
                await two.others_continue("a.wav", "b.wav")
                await two.held(Stage.DOWNLOAD)
                await driver.until(lambda: driver.journal.of("folder.unavailable"), "`status` reports the outbox")
                share.answer()
                await two.delivered()
                assert [said["folder"] for said in driver.journal.of("folder.unavailable")] == [str(driver.outbox)]
                assert driver.seen() == sorted(f"{name[:-4]}/{track}" for name in DEAD for track in TRACKS)

    story(scenario)


@pytest.mark.parametrize("operations", [(), ("rename2", "rename", "link")], ids=["nothing answers", "renames"])
def test_a_done_folder_that_dies_while_files_are_archived(tmp_path: Path, operations: tuple[str, ...]) -> None:
    async def scenario() -> None:
        done = tmp_path / "filed"
        two = Two(tmp_path, done_dir=str(done))
        with Share(done) as share:
            async with two.driver as driver:
                driver.sandbox.faults("delete:503*0")
                await driver.drop(*DEAD)
                for job_id in range(1, len(DEAD) + 1):
                    await driver.until_job("it is delivered", job_id, stage=Stage.DELETE)
                share.stop_answering(*operations)
                driver.sandbox.faults()
                two.driver.settings["done_dir"] = "done"
                await two.others_continue("a.wav", "b.wav")
                await two.held(Stage.ARCHIVE)
                share.answer()
                await two.delivered()
                assert tree(done) == DEAD

    story(scenario)


def test_a_dead_failed_folder_does_not_delay_other_failures(tmp_path: Path) -> None:
    async def scenario() -> None:
        refused = tmp_path / "refused"
        two = Two(tmp_path, failed_dir=str(refused))
        with Share(refused) as share:
            async with two.driver as driver:
                driver.sandbox.faults("upload:400*0")
                await driver.drop("first.wav")
                await driver.until_job("it is put where failures belong", state=State.FAILED, archived=True)
                share.stop_answering()
                await driver.drop(*DEAD)
                driver.settings["failed_dir"] = "failed"
                (last,) = await driver.drop("a.wav", inbox=two.inbox, outbox=str(two.outbox))
                await driver.until_job("the others go on", last, state=State.FAILED, archived=True)
                assert tree(two.inbox) == ["failed/a.wav", "failed/a.wav.error.txt"]
                share.answer()
                for job_id in range(2, len(DEAD) + 2):
                    await driver.until_job("it resumes automatically", job_id, archived=True)
                assert tree(refused) == sorted(
                    [*DEAD, *(f"{name}.error.txt" for name in DEAD), "first.wav", "first.wav.error.txt"]
                )
                assert len(driver.journal.of("archive.failed")) <= len(DEAD)

    story(scenario)


def test_a_dead_share_does_not_affect_a_mount_in_its_place(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        two = Two(tmp_path)
        share = Share(two.driver.outbox)
        with share:
            async with two.driver as driver:
                driver.sandbox.faults("download:503*0")
                await driver.drop(*DEAD)
                for job_id in range(1, len(DEAD) + 1):
                    await driver.until_job("it is paid", job_id, stage=Stage.DOWNLOAD)
                share.stop_answering()
                driver.sandbox.faults()
                await two.held(Stage.DOWNLOAD)
                unmount(driver.outbox)  # lazily: what waits there waits on
                mount_disk(driver.outbox, "64m")
                (driver.outbox / ".lalald").write_text((share.far / ".lalald").read_text())
                await two.delivered()
                assert driver.seen() == sorted(f"{name[:-4]}/{track}" for name in DEAD for track in TRACKS)
                share.die()
                mount_disk(driver.outbox)  # the share's own end unmounts it again

    story(scenario)
