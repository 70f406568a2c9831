"""The disk of the state folder is full: nothing is lost, nothing is charged that cannot be saved, and work resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.jobs.states import Stage, State
from tests.support.private_mounts import Filler, in_own_mounts, mount_disk
from tests.support.worker_driver import WorkerDriver, run

ROOM = "16m"  # a write-ahead log grows to 4 MB before it starts over
FAULTS = {
    Stage.UPLOAD: "upload:503*0",
    Stage.SPLIT: "split:503*0",
    Stage.CHECK: "check:503*0",
    Stage.DOWNLOAD: "download:503*0",
    Stage.DELETE: "delete:503*0",
}


@pytest.mark.parametrize("stage", FAULTS, ids=str)
def test_a_full_state_folder_is_waited_for_at_every_stage(tmp_path: Path, stage: Stage) -> None:
    in_own_mounts(lambda: run(_waited_for(tmp_path, stage)))


async def _waited_for(root: Path, stage: Stage) -> None:
    mount_disk(root / "state", ROOM)
    filler = Filler(root / "state")
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults(FAULTS[stage])
        await driver.drop("ep1.wav")
        await driver.until_job("it owes that stage", stage=stage)
        filler.fill()
        asked = driver.counts().get(str(stage), 0)
        driver.sandbox.faults()
        await driver.until(lambda: driver.troubles, "another program wants to write")
        assert (await driver.job()).stage is stage, "questions are answered meanwhile"
        assert driver.counts().get(str(stage), 0) <= asked + 2, "nothing is done again that could not be written"
        filler.empty()
        await driver.until_job("there is room again", state=State.DONE)
        assert sum(driver.charges().values()) == 1
        assert [trouble is None for trouble in driver.troubles] == [False, True], "said once"


def test_nothing_is_charged_while_its_key_cannot_be_saved(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_not_charged(tmp_path)))


async def _not_charged(root: Path) -> None:
    mount_disk(root / "state", ROOM)
    filler = Filler(root / "state")
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults("upload:hang*0")
        await driver.drop("ep1.wav", "ep2.wav")
        filler.fill()
        driver.sandbox.faults()
        await driver.until(lambda: driver.troubles, "the sources cannot be saved")
        assert "split" not in driver.counts()
        assert "batch" not in driver.counts()
        filler.empty()
        await driver.rest()
        assert sorted(driver.charges().values()) == [1, 1]


def test_the_id_of_a_started_task_is_kept_until_it_can_be_saved(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_id_kept(tmp_path)))


async def _id_kept(root: Path) -> None:
    mount_disk(root / "state", ROOM)
    filler = Filler(root / "state")
    async with WorkerDriver(root) as driver:
        driver.sandbox.faults("split:delay,wait_seconds=0.3")
        await driver.drop("ep1.wav")

        async def asked() -> bool:
            return any(task.requested_at is not None for task in (await driver.job()).tasks)

        await driver.until(asked, "the key is saved, the request is on its way")
        filler.fill()
        await driver.until(driver.charges, "the task started")
        await driver.until(lambda: driver.troubles, "its id cannot be saved")

        assert (await driver.job()).tasks[0].task_id is None
        filler.empty()
        done = await driver.until_job("it can", state=State.DONE)
        assert done.tasks[0].task_id is not None
        assert driver.counts()["split"] == 1
        assert sum(driver.charges().values()) == 1
