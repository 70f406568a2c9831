"""Sources that are changed, replaced, truncated or removed during each stage of their job."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lalald.filesystem.markers import write_marker
from lalald.jobs.states import Stage, State
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.conftest import MakeHome
from tests.support.running import tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run

Change = Callable[[Path], object]
LARGE_BYTES = 12_000_000  # more than the sockets of both ends take while nothing reads


def replaced(path: Path) -> None:
    """As editors save: another file takes the name."""
    write_wav(path, seconds=0.3, pitch=999)


def rewritten(path: Path) -> None:
    """In place, to the same length."""
    with path.open("r+b") as file:
        file.write(bytes(100))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 5))  # clocks are coarser than this test is quick


def truncated(path: Path) -> None:
    os.truncate(path, 100)


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def removed(path: Path) -> None:
    path.unlink()


CHANGES: dict[str, Change] = {
    f"{change.__name__}.wav": change for change in (replaced, rewritten, truncated, appended, removed)
}


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[WorkerDriver]:
    """An inbox that intake has seen: it has a marker, by which a folder that its last file left is told from a mount point."""
    async with WorkerDriver(root) as driver:
        write_marker(str(driver.inbox), None)
        yield driver


def change_all(driver: WorkerDriver) -> dict[str, bytes]:
    """What lies in the inbox afterwards."""
    for name, change in CHANGES.items():
        change(driver.inbox / name)
    return contents(driver.inbox)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def sources_left(driver: WorkerDriver) -> list[object]:
    return [source for source in driver.sandbox.state()["sources"] if source["deleted_at"] is None]


async def dropped(driver: WorkerDriver, left: dict[str, bytes]) -> None:
    """Nothing was spent, nothing is left on the service, every file is unchanged, and is inspected again."""
    driver.sandbox.faults()
    for job in await driver.rest():
        word = "removed" if job.path == "removed.wav" else "changed"
        assert job.state is State.CANCELLED
        assert f"{word} before anything was spent on it" in (job.error or "")
    assert driver.charges() == {}
    assert sources_left(driver) == []
    assert driver.looked_again == [str(driver.inbox)] * len(CHANGES)
    known = await driver.store.run(lambda store: store.known_in(str(driver.inbox), ""))
    assert (known, contents(driver.inbox), driver.seen(), driver.litter()) == ({}, left, [], [])


def test_a_file_changed_before_the_upload_becomes_a_new_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as driver:
            driver.sandbox.faults("upload:503*0")
            await driver.drop(*CHANGES)
            await driver.until(lambda: driver.counts().get("upload"), "it is tried")
            await dropped(driver, change_all(driver))

    run(scenario())


def test_a_file_changed_during_the_upload_discards_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as driver:
            for name, change in CHANGES.items():
                driver.sandbox.faults("upload:hang*0")
                (job_id,) = await driver.drop(name, padding_bytes=LARGE_BYTES)

                def under_way(job_id: int = job_id) -> bool:
                    return any(
                        0 < transfer.progress < size for transfer, size in driver.context.transfers.get(job_id, [])
                    )

                await driver.until(under_way, "a part is sent")
                change(driver.inbox / name)
                driver.sandbox.faults()
                await driver.until_job("it ends", job_id, state=State.CANCELLED)
            await dropped(driver, contents(driver.inbox))

    run(scenario())


def test_a_file_changed_between_upload_and_split_discards_the_upload(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as driver:
            driver.outbox.rename(tmp_path / "away")
            await driver.drop(*CHANGES)
            for job in await driver.rest():
                assert (job.state, job.stage) == (State.HELD, Stage.SPLIT)
            left = change_all(driver)
            (tmp_path / "away").rename(driver.outbox)
            await driver.until(lambda: len(driver.looked_again) == len(CHANGES), "they go on")
            await dropped(driver, left)
            assert driver.counts()["delete"] == len(CHANGES)

    run(scenario())


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DELETE], ids=str)
def test_once_a_charge_may_have_begun_the_file_no_longer_matters(tmp_path: Path, stage: Stage) -> None:
    """Paid once, for what was uploaded; what has its name now is another file and stays."""

    async def all_at(driver: WorkerDriver) -> bool:
        asked = [job.stage is stage and job.paid for job in await driver.jobs()]
        return all(asked) and bool(driver.counts().get(str(stage)))

    async def scenario() -> None:
        async with watched(tmp_path) as driver:
            driver.sandbox.faults(f"{stage}:503*0", *(["batch:503*0"] if stage is Stage.SPLIT else []))
            await driver.drop(*CHANGES)
            await driver.until(lambda: all_at(driver), "all owe that stage")
            left = change_all(driver)
            driver.sandbox.faults()
            for job in await driver.rest():
                content = driver.contents[job.path]
                result = driver.outbox / job.path.removesuffix(".wav") / "vocals.wav"
                assert result.read_bytes() == track_bytes(content, "vocals", job.path)
                word = "removed before" if job.path == "removed.wav" else "was not touched"
                assert (job.state, word in (job.warning or "")) == (State.DONE, True)
            assert list(driver.charges().values()) == [1] * len(CHANGES)
            assert sources_left(driver) == []
            assert (contents(driver.inbox), driver.litter()) == (left, [])

    run(scenario())


@pytest.mark.parametrize("policy", ["process", "skip"])
def test_a_file_replaced_during_its_upload_becomes_a_new_job_and_is_paid_once(
    sandbox: Sandbox, make_home: MakeHome, policy: str
) -> None:
    rules = [{"name": "stems", "mode": "demuser", "duplicates": "process"}]
    home = make_home(sandbox.url, rules, inbox={"changed": policy, "on_success": "keep"})
    sandbox.faults("upload:hang*0")
    home.start()
    write_wav(home.inbox / "ep1.wav", pitch=300)
    until(lambda: sandbox.state()["counts"].get("upload"), "it is on its way")
    newer = write_wav(home.inbox / "ep1.wav", pitch=400)
    if policy == "process":
        until(lambda: len(home.jobs()) == 2, "the newer one is registered too")
    else:
        until(lambda: home.logged("file.skipped"), "the newer one is seen")
    sandbox.faults()
    until(lambda: sandbox.state()["charges"], "the newer one is paid")
    home.rest()
    home.command("rescan")
    assert sorted(job["state"] for job in home.rest()) == ["cancelled", "done"]
    assert [charge["sha256"] for charge in sandbox.state()["charges"]] == [hashlib.sha256(newer).hexdigest()]
