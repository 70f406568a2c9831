"""The disk of the outbox fills up while results arrive: they wait for room, are visible only when complete, and are paid once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lalald.filesystem.files import RESERVED_FREE_BYTES
from lalald.jobs.states import Hold, Stage, State
from tests.support.private_mounts import Filler, in_own_mounts, mount_disk
from tests.support.worker_driver import WorkerDriver, run

TRACKS = ["ep1/no_vocals.wav", "ep1/vocals.wav"]
MANIFEST = "ep1/lalald.json"
PAGE_BYTES = 4096
PROBES_SECONDS = 35.0  # three probes


def visible(driver: WorkerDriver) -> list[str]:
    return [name for name in driver.seen() if not any(part.startswith(".") for part in name.split("/"))]


async def goes_on(driver: WorkerDriver, filler: Filler) -> None:
    filler.empty()
    await driver.until_job("there is room", state=State.DONE)
    assert driver.seen() == [MANIFEST, *TRACKS]
    assert sum(driver.charges().values()) == 1
    assert driver.litter() == []


def test_a_disk_that_is_full_before_the_second_track_has_arrived(tmp_path: Path) -> None:
    in_own_mounts(lambda: run(_full(tmp_path)))


async def _full(root: Path) -> None:
    mount_disk(root / "outbox", "20m")
    filler = Filler(root / "outbox")
    async with WorkerDriver(root, manifest=True) as driver:
        driver.sandbox.faults("download:hang*0,match=no_vocals")
        await driver.drop("ep1.wav", seconds=2.0)
        await driver.until(lambda: any(name.endswith(".whole") for name in driver.staging()), "one track is whole")
        filler.fill()
        driver.sandbox.faults()
        await driver.until_job("it is held", state=State.HELD, hold=Hold.DISK, stage=Stage.DOWNLOAD)
        await asyncio.sleep(PROBES_SECONDS)
        assert len(driver.journal.of("job.held")) == 1, "logged once, and not at every probe"
        assert visible(driver) == []
        await goes_on(driver, filler)
        assert driver.counts()["download"] == 3, "what has arrived is not fetched again"


def test_a_charge_needs_all_the_room_that_its_delivery_needs(tmp_path: Path) -> None:
    """Seen: the split asked for less than the download, so results were paid, and then waited for room."""
    in_own_mounts(lambda: run(_nearly_full(tmp_path)))


async def _nearly_full(root: Path) -> None:
    mount_disk(root / "outbox", "20m")
    filler = Filler(root / "outbox")
    filler.fill(RESERVED_FREE_BYTES)
    async with WorkerDriver(root, manifest=True) as driver:
        await driver.drop("ep1.wav", seconds=2.0)
        await driver.until_job("it is held", state=State.HELD, hold=Hold.DISK, stage=Stage.SPLIT)
        assert driver.charges() == {}
        await goes_on(driver, filler)


@pytest.mark.parametrize(("room_bytes", "seen"), [(PAGE_BYTES, []), (16 * PAGE_BYTES, TRACKS)])
def test_a_disk_within_the_outbox_that_has_no_room_for_a_track_or_for_the_manifest(
    tmp_path: Path, room_bytes: int, seen: list[str]
) -> None:
    in_own_mounts(lambda: run(_full_within(tmp_path, room_bytes, seen)))


async def _full_within(root: Path, room_bytes: int, seen: list[str]) -> None:
    mount_disk(root / "outbox/ep1", "1m")
    filler = Filler(root / "outbox/ep1")
    filler.fill(room_bytes)
    async with WorkerDriver(root, manifest=True) as driver:
        await driver.drop("ep1.wav", seconds=2.0)
        await driver.until_job("it is held", state=State.HELD, hold=Hold.DISK, stage=Stage.DOWNLOAD)
        assert visible(driver) == seen
        await goes_on(driver, filler)
        assert driver.counts()["download"] == 2, "what has arrived is not fetched again"
