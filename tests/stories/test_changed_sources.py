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
LARGE_BYTES = 12_000_000  # more than the sockets of both ends take while nobody reads


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
    async with WorkerDriver(root) as shop:
        write_marker(str(shop.inbox), None)
        yield shop


def change_all(shop: WorkerDriver) -> dict[str, bytes]:
    """What lies in the inbox afterwards."""
    for name, change in CHANGES.items():
        change(shop.inbox / name)
    return contents(shop.inbox)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def sources_left(shop: WorkerDriver) -> list[object]:
    return [source for source in shop.sandbox.state()["sources"] if source["deleted_at"] is None]


async def dropped(shop: WorkerDriver, left: dict[str, bytes]) -> None:
    """Nothing was spent, nothing is left on the service, every file is unchanged, and is inspected again."""
    shop.sandbox.faults()
    for job in await shop.rest():
        word = "removed" if job.path == "removed.wav" else "changed"
        assert job.state is State.CANCELLED
        assert f"{word} before anything was spent on it" in (job.error or "")
    assert shop.charges() == {}
    assert sources_left(shop) == []
    assert shop.looked_again == [str(shop.inbox)] * len(CHANGES)
    known = await shop.store.run(lambda store: store.known_in(str(shop.inbox), ""))
    assert (known, contents(shop.inbox), shop.seen(), shop.litter()) == ({}, left, [], [])


def test_a_file_changed_before_the_upload_becomes_a_new_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as shop:
            shop.sandbox.faults("upload:503*0")
            await shop.drop(*CHANGES)
            await shop.until(lambda: shop.counts().get("upload"), "it is tried")
            await dropped(shop, change_all(shop))

    run(scenario())


def test_a_file_changed_during_the_upload_discards_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as shop:
            for name, change in CHANGES.items():
                shop.sandbox.faults("upload:hang*0")
                (job_id,) = await shop.drop(name, padding_bytes=LARGE_BYTES)

                def under_way(job_id: int = job_id) -> bool:
                    return any(
                        0 < transfer.progress < size for transfer, size in shop.context.transfers.get(job_id, [])
                    )

                await shop.until(under_way, "a part is sent")
                change(shop.inbox / name)
                shop.sandbox.faults()
                await shop.until_job("it ends", job_id, state=State.CANCELLED)
            await dropped(shop, contents(shop.inbox))

    run(scenario())


def test_a_file_changed_between_upload_and_split_discards_the_upload(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as shop:
            shop.outbox.rename(tmp_path / "away")
            await shop.drop(*CHANGES)
            for job in await shop.rest():
                assert (job.state, job.stage) == (State.HELD, Stage.SPLIT)
            left = change_all(shop)
            (tmp_path / "away").rename(shop.outbox)
            await shop.until(lambda: len(shop.looked_again) == len(CHANGES), "they go on")
            await dropped(shop, left)
            assert shop.counts()["delete"] == len(CHANGES)

    run(scenario())


@pytest.mark.parametrize("stage", [Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DELETE], ids=str)
def test_once_a_charge_may_have_begun_the_file_no_longer_matters(tmp_path: Path, stage: Stage) -> None:
    """Paid once, for what was uploaded; what has its name now is somebody else's and stays."""

    async def all_at(shop: WorkerDriver) -> bool:
        asked = [job.stage is stage and job.paid for job in await shop.jobs()]
        return all(asked) and bool(shop.counts().get(str(stage)))

    async def scenario() -> None:
        async with watched(tmp_path) as shop:
            shop.sandbox.faults(f"{stage}:503*0", *(["batch:503*0"] if stage is Stage.SPLIT else []))
            await shop.drop(*CHANGES)
            await shop.until(lambda: all_at(shop), "all owe that stage")
            left = change_all(shop)
            shop.sandbox.faults()
            for job in await shop.rest():
                content = shop.contents[job.path]
                result = shop.outbox / job.path.removesuffix(".wav") / "vocals.wav"
                assert result.read_bytes() == track_bytes(content, "vocals", job.path)
                word = "removed before" if job.path == "removed.wav" else "was not touched"
                assert (job.state, word in (job.warning or "")) == (State.DONE, True)
            assert list(shop.charges().values()) == [1] * len(CHANGES)
            assert sources_left(shop) == []
            assert (contents(shop.inbox), shop.litter()) == (left, [])

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
        until(lambda: len(home.jobs()) == 2, "the newer one is taken too")
    else:
        until(lambda: home.logged("file.skipped"), "the newer one is seen")
    sandbox.faults()
    until(lambda: sandbox.state()["charges"], "the newer one is paid")
    home.rest()
    home.command("rescan")
    assert sorted(job["state"] for job in home.rest()) == ["cancelled", "done"]
    assert [charge["sha256"] for charge in sandbox.state()["charges"]] == [hashlib.sha256(newer).hexdigest()]
