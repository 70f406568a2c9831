"""Shares that refuse operations of placement: tested before the charge, worked around if that is safe, else waited for."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lalald.filesystem import renaming
from lalald.filesystem.markers import read_marker
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.stages.precharge.preflight import SourceMoveTest
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts, make_read_only, mount_disk
from tests.support.running import write_wav
from tests.support.worker_driver import WorkerDriver, run

REFUSALS = (
    errno.EIO, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EMLINK, errno.EACCES,
)  # fmt: skip
FALLBACKS = [
    pytest.param(("rename2",), id="link"),
    pytest.param(("rename2", "link"), id="reserve"),
    pytest.param(("rename2", "link", "replace"), id="rename"),
    pytest.param(("replace",), id="nothing is replaced"),
]
PRIMITIVES = [
    ("rename",),
    ("rename2", "link", "rename"),
    ("rename2", "link", "unlink"),
    ("mkdir",),
    ("create", "mknod"),
    ("write",),
    ("fsync",),
    ("fsyncdir",),
    ("unlink",),
    ("rmdir",),
    ("setattr",),
    ("tmpfile",),
    ("opendir",),
    ("rename2", "link", "replace", "fsync", "fsyncdir", "chmod"),
]


def story(steps: Callable[[], Awaitable[None]]) -> None:
    in_own_mounts(lambda: run(steps()))


def tried_again(driver: WorkerDriver) -> None:
    """As after a remount, or ten minutes."""
    driver.context.preflight.invalidate_all()
    renaming.forget_methods()


def paid(driver: WorkerDriver) -> int:
    return sum(driver.charges().values())


async def rested(driver: WorkerDriver, job_id: int) -> Job:
    """The job, once it is held or done."""

    async def found() -> Job | None:
        job = await driver.job(job_id)
        return job if job.state in (State.HELD, State.DONE, State.FAILED) else None

    job: Job = await driver.until(found, "it is held or done")
    return job


@pytest.mark.parametrize("refused", PRIMITIVES, ids=" ".join)
@pytest.mark.parametrize("place", ["outbox", "inbox"])
def test_operations_refused_by_a_share_are_replaced_or_hold_before_the_charge(
    tmp_path: Path, refused: tuple[str, ...], place: str
) -> None:
    async def steps() -> None:
        with Share(tmp_path / place) as share:
            async with WorkerDriver(tmp_path, on_conflict="overwrite") as driver:
                for number in REFUSALS:
                    if (number, refused) == (errno.ENOSYS, ("opendir",)):
                        continue  # the kernel takes it for a server that needs no handles, for good
                    before, name = paid(driver), f"{errno.errorcode[number]}.wav"
                    write_wav((share.far if place == "inbox" else driver.inbox) / name, pitch=200 + number)
                    share.refuse(number, *refused)
                    tried_again(driver)
                    (job_id,) = await driver.take(name)
                    job = await rested(driver, job_id)
                    if job.state is State.HELD:
                        assert (job.stage, paid(driver)) == (Stage.SPLIT, before), (name, job.hold_reason)
                        assert str(driver.root / place) in (job.hold_reason or "")
                        assert "Nothing was charged" in (job.hold_reason or "")
                    share.answer()
                    driver.worker.holds.probe_folders_now()
                    await driver.until_job("it resumes", job_id, state=State.DONE)
                    assert paid(driver) == before + 1
                    assert {f"{name[:-4]}/no_vocals.wav", f"{name[:-4]}/vocals.wav"} <= set(driver.seen())
                tried_again(driver)  # what could not be deleted then is deleted by the next trial
                (job_id,) = await driver.drop("last.wav", pitch=999.0)
                await driver.until_job("it is delivered", job_id, state=State.DONE)
                assert driver.litter() == []

    story(steps)


@pytest.mark.parametrize("number", [errno.EIO, errno.EOPNOTSUPP, errno.EACCES])
def test_an_outbox_that_can_only_rename_gets_its_marker_and_its_results(tmp_path: Path, number: int) -> None:
    """As on `rclone mount --vfs-cache-mode writes`."""

    async def steps() -> None:
        with Share(tmp_path / "outbox") as share:
            share.refuse(number, "rename2", "link", "chmod")
            share.refuse(errno.EINVAL, "fsync", "fsyncdir")
            async with WorkerDriver(tmp_path, manifest=True) as driver:
                await driver.drop("ep1.wav")
                await driver.until_job("it is delivered", state=State.DONE)
                assert driver.seen() == ["ep1/lalald.json", "ep1/no_vocals.wav", "ep1/vocals.wav"]
                assert paid(driver) == 1
                assert read_marker(str(driver.outbox)) is not None
                assert driver.litter() == []

    story(steps)


def test_an_outbox_that_cannot_rename_holds_before_the_charge_and_says_so(tmp_path: Path) -> None:
    async def steps() -> None:
        with Share(tmp_path / "outbox") as share:
            share.refuse(errno.EIO, "rename2", "link", "rename")
            async with WorkerDriver(tmp_path) as driver:
                await driver.drop("ep1.wav")
                job = await driver.until_job("it is held", state=State.HELD, hold=Hold.MOUNT, stage=Stage.SPLIT)
                assert "cannot rename a file" in (job.hold_reason or "")
                assert "Input/output error" in (job.hold_reason or "")
                assert ".lalald" not in (job.hold_reason or "")
                assert paid(driver) == 0
                share.answer()
                await driver.until_job("it goes on without being asked", state=State.DONE)
                assert driver.litter() == []

    story(steps)


def test_a_rename_that_is_reported_but_not_done_holds_before_the_charge(tmp_path: Path) -> None:
    async def steps() -> None:
        with Share(tmp_path / "outbox") as share:
            share.lie("rename", "rename2")
            async with WorkerDriver(tmp_path) as driver:
                await driver.drop("ep1.wav")
                await driver.until_job("it is held", state=State.HELD, hold=Hold.MOUNT, stage=Stage.SPLIT)
                assert paid(driver) == 0

    story(steps)


@pytest.mark.parametrize("refused", FALLBACKS)
@pytest.mark.parametrize("policy", ["rename", "overwrite", "skip"])
def test_every_policy_works_with_every_fallback_and_replaces_only_what_it_may(
    tmp_path: Path, refused: tuple[str, ...], policy: str
) -> None:
    async def steps() -> None:
        with Share(tmp_path / "outbox") as share:
            share.refuse(errno.EPERM, *refused)
            (tmp_path / "outbox/ep1").mkdir()
            (tmp_path / "outbox/ep1/vocals.wav").write_bytes(b"another program's")
            async with WorkerDriver(tmp_path, on_conflict=policy) as driver:
                await driver.drop("ep1.wav")
                await driver.until_job("it is delivered", state=State.DONE)
                kept = (driver.outbox / "ep1/vocals.wav").read_bytes() == b"another program's"
                assert kept is (policy != "overwrite")
                expected = {"rename": ["ep1 (2)/no_vocals.wav", "ep1 (2)/vocals.wav", "ep1/vocals.wav"]}
                assert driver.seen() == expected.get(policy, ["ep1/no_vocals.wav", "ep1/vocals.wav"])
                assert paid(driver) == 1
                assert driver.litter() == []

    story(steps)


@pytest.mark.parametrize("place", ["outbox", "inbox"])
def test_a_right_that_vanishes_after_the_charge_holds_as_permission_and_names_no_hidden_file(
    tmp_path: Path, place: str
) -> None:
    async def steps() -> None:
        with Share(tmp_path / place) as share:
            async with WorkerDriver(tmp_path) as driver:
                fault, stage = ("download", Stage.DOWNLOAD) if place == "outbox" else ("delete", Stage.DELETE)
                driver.sandbox.faults(f"{fault}:503*0")
                await driver.drop("ep1.wav")
                await driver.until_job("it is paid", stage=stage)
                share.refuse(errno.EACCES, "create", "mknod", "mkdir", "rename", "rename2", "link", "tmpfile")
                driver.sandbox.faults()
                job = await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION)
                assert str(tmp_path / place) in (job.hold_reason or "")
                assert "0:0" in (job.hold_reason or "")
                assert ".lalald" not in (job.hold_reason or "")
                assert "mounted" not in (job.hold_reason or "")
                share.answer()
                await driver.until_job("it goes on without being asked", state=State.DONE)
                assert paid(driver) == 1
                assert driver.litter() == []

    story(steps)


@pytest.mark.parametrize("policy", ["move", "delete"])
@pytest.mark.parametrize("below", ["", "podcasts/"])
def test_a_source_in_a_read_only_folder_is_not_paid_for(tmp_path: Path, policy: str, below: str) -> None:
    async def steps() -> None:
        place = tmp_path / "inbox" / below
        mount_disk(place)
        async with WorkerDriver(tmp_path, on_success=policy) as driver:
            driver.sandbox.faults("upload:503*0")
            await driver.drop(f"{below}ep1.wav")
            make_read_only(place)
            driver.sandbox.faults()
            job = await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION, stage=Stage.SPLIT)
            for words in (str(place).rstrip("/"), "0:0", "Read-only", "Mount it for writing", "Nothing was charged"):
                assert words in (job.hold_reason or ""), job.hold_reason
            assert paid(driver) == 0
            make_read_only(place, writable_again=True)
            await driver.until_job("it goes on without being asked", state=State.DONE)
            assert paid(driver) == 1

    story(steps)


def test_a_source_that_is_kept_is_paid_for_in_a_read_only_inbox(tmp_path: Path) -> None:
    async def steps() -> None:
        mount_disk(tmp_path / "inbox")
        async with WorkerDriver(tmp_path, on_success="keep") as driver:
            driver.sandbox.faults("upload:503*0")
            await driver.drop("ep1.wav")
            make_read_only(driver.inbox)
            driver.sandbox.faults()
            await driver.until_job("it is done", state=State.DONE)

    story(steps)


def test_a_failed_folder_that_may_not_be_written_counts_before_the_charge(tmp_path: Path) -> None:
    async def steps() -> None:
        failed = tmp_path / "elsewhere"
        mount_disk(failed)
        async with WorkerDriver(tmp_path, failed_dir=str(failed)) as driver:
            driver.sandbox.faults("upload:503*0")
            await driver.drop("ep1.wav")
            make_read_only(failed)
            driver.sandbox.faults()
            job = await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION, stage=Stage.SPLIT)
            assert str(failed) in (job.hold_reason or "")
            assert paid(driver) == 0
            make_read_only(failed, writable_again=True)
            await driver.until_job("it resumes", state=State.DONE)

    story(steps)


def chattr(change: str, path: Path) -> None:
    done = subprocess.run(["chattr", change, path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no immutable files here: {done.stderr.strip()}")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_immutable_source_is_not_paid_for(tmp_path: Path, what: str) -> None:
    (tmp_path / "inbox/podcasts").mkdir(parents=True)
    bound = tmp_path / "inbox/podcasts" / ("ep1.wav" if what == "file" else "")

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("upload:503*0")
            await driver.drop("podcasts/ep1.wav")
            await asyncio.to_thread(chattr, "+i", bound)
            try:
                driver.sandbox.faults()
                job = await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION, stage=Stage.SPLIT)
                assert str(bound).rstrip("/") in (job.hold_reason or "")
                assert paid(driver) == 0
            finally:
                await asyncio.to_thread(chattr, "-i", bound)
            await driver.until_job("it resumes", state=State.DONE)

    run(scenario())


def test_a_release_runs_the_folder_test_at_once(tmp_path: Path) -> None:
    async def steps() -> None:
        with Share(tmp_path / "outbox") as share:
            share.refuse(errno.EACCES, "mkdir")
            async with WorkerDriver(tmp_path) as driver:
                await driver.drop("ep1.wav")
                await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION)
                for need in list(driver.worker.holds.folders.schedule._pauses):
                    driver.worker.holds.folders.schedule.postpone(need, float("inf"))
                share.answer()
                await driver.ask(Request.RELEASE, 1)
                await driver.until_job("it resumes", state=State.DONE)

    story(steps)


@dataclass(frozen=True, slots=True)
class CountedTrial(SourceMoveTest):
    """Each try leaves a file."""

    def __call__(self, _folders: object) -> None:
        (Path(self.folder) / f"{len(os.listdir(self.folder))}").touch()


def test_a_folder_test_is_valid_for_ten_minutes_until_a_remount_or_a_failure(tmp_path: Path) -> None:
    async def steps() -> None:
        counted, other = tmp_path / "counted", tmp_path / "other"
        counted.mkdir()
        mount_disk(other)
        async with WorkerDriver(tmp_path) as driver:
            preflight, trial = driver.context.preflight, CountedTrial(str(other), str(counted), ())

            async def tries() -> int:
                await preflight.attempt(trial)
                return len(os.listdir(counted))

            assert [await tries(), await tries()] == [1, 1]
            before = driver.clock.monotonic()
            await driver.until(lambda: driver.clock.monotonic() - before > 610.0, "ten minutes have passed")
            assert [await tries(), await tries()] == [2, 2]
            mount_disk(tmp_path / "unrelated")
            assert await tries() == 2
            make_read_only(other)
            assert [await tries(), await tries()] == [3, 3]
            (job_id,) = await driver.drop("ep1.wav")
            job = replace(await driver.job(job_id), inbox=str(other))
            preflight.invalidate(job)
            assert [await tries(), await tries()] == [4, 4]
            await driver.rest()

    in_own_mounts(lambda: run(steps(), speed=300.0))


def test_many_files_of_a_folder_need_one_test(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await driver.drop(*(f"ep{number}.wav" for number in range(30)))
            await driver.rest()
            assert len(driver.context.preflight._succeeded) == 2
            assert driver.litter() == []

    run(scenario())
