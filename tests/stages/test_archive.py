"""Archiving between disks copies: what is to be charged meanwhile does not wait for it."""

from __future__ import annotations

from pathlib import Path

from lalald.jobs.states import Stage, State
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts
from tests.support.worker_driver import WorkerDriver, run


def test_copies_to_a_slow_done_folder_delay_no_charge(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Share(tmp_path / "done") as share:
            async with WorkerDriver(tmp_path, done_dir=str(share.folder)) as driver:
                (share.folder / "sub").mkdir()
                (driver.inbox / "sub").mkdir()
                share.stop_answering("fsyncdir")  # with which a copy ends, and no test
                copied = [f"{number}.wav" for number in range(1, 5)]
                await driver.drop(*copied)
                for number in range(1, 5):
                    await driver.until_job("its results are there, and it is copied", number, stage=Stage.ARCHIVE)
                await driver.drop("sub/5.wav")  # its folder is tested before it is charged
                await driver.until_job("it is charged and delivered", 5, stage=Stage.DELETE)
                share.answer()
                for job in await driver.rest():
                    assert (job.state, job.moved_to) == (State.DONE, str(share.folder / job.path))

    in_own_mounts(lambda: run(scenario()))
