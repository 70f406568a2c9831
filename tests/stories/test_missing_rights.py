"""Folders without write rights, at each stage that needs them: the job waits with a reason and resumes automatically."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lalald.jobs.states import Hold, Stage, State
from tests.support.private_mounts import in_own_mounts, make_read_only, mount_disk, move_mount
from tests.support.running import tree
from tests.support.worker_driver import WorkerDriver, run

PROBES_SECONDS = 35.0  # three probes


@pytest.mark.parametrize(
    ("place", "stage", "policy"),
    [
        ("outbox", Stage.SPLIT, "move"),
        ("outbox", Stage.DOWNLOAD, "move"),
        ("inbox", Stage.ARCHIVE, "move"),
        ("inbox", Stage.ARCHIVE, "delete"),
        ("elsewhere", Stage.ARCHIVE, "move"),
    ],
)
def test_a_folder_that_is_read_only_is_waited_for(tmp_path: Path, place: str, stage: Stage, policy: str) -> None:
    in_own_mounts(lambda: run(_waited_for(tmp_path, place, stage, policy)))


async def _waited_for(root: Path, place: str, stage: Stage, policy: str) -> None:
    mount_disk(root / place, "40m")
    filed = {"done_dir": str(root / place)} if place == "elsewhere" else {}
    async with WorkerDriver(root, on_success=policy, **filed) as driver:
        before = {Stage.SPLIT: "upload", Stage.DOWNLOAD: "check", Stage.ARCHIVE: "delete"}[stage]
        driver.sandbox.faults(f"{before}:503*0")
        await driver.drop("ep1.wav")
        await driver.until(lambda: driver.counts().get(before), "it is tried")
        make_read_only(root / place)
        driver.sandbox.faults()
        held = await driver.until_job("it is held", state=State.HELD, hold=Hold.PERMISSION, stage=stage)
        assert "read-only" in (held.hold_reason or "").casefold()
        assert "0:0" in (held.hold_reason or "")
        await asyncio.sleep(PROBES_SECONDS)
        assert len(driver.journal.of("job.held")) == 1, "logged once, and not at every probe"
        assert len(driver.charges()) == (0 if stage is Stage.SPLIT else 1)
        make_read_only(root / place, writable_again=True)
        await driver.until_job("it resumes", state=State.DONE)
        assert tree(driver.outbox) == ["ep1/no_vocals.wav", "ep1/vocals.wav"]
        assert "ep1.wav" not in tree(driver.inbox)
        assert sum(driver.charges().values()) == 1
        assert driver.litter() == []


def test_a_read_only_inbox_works_and_is_waited_for_while_unavailable(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_read_only_inbox(tmp_path)))


async def _read_only_inbox(root: Path) -> None:
    mount_disk(root / "inbox")
    async with WorkerDriver(root, on_success="keep", on_failure="keep") as driver:
        driver.sandbox.faults("upload:503*0")
        await driver.drop("ep1.wav")
        make_read_only(driver.inbox)
        move_mount(driver.inbox, root / "away")
        driver.sandbox.faults()
        await driver.until_job("it is held", state=State.HELD, hold=Hold.MOUNT, stage=Stage.UPLOAD)
        await asyncio.sleep(PROBES_SECONDS)
        assert len(driver.journal.of("job.held")) == 1, "logged once, and not at every probe"
        move_mount(root / "away", driver.inbox)
        await driver.until_job("it is back", state=State.DONE)
        assert tree(driver.inbox) == ["ep1.wav"]
        assert sum(driver.charges().values()) == 1
