"""An unavailable outbox is waited for: nothing is charged, and nothing is written to another folder at its path."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.errors import FolderUnavailableError
from lalald.filesystem.availability.known_folders import KnownFolders
from lalald.filesystem.markers import MARKER_NAME, read_marker, verify_folder
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.sandbox.server import Sandbox
from lalald.store import Store, StoreThread
from tests.conftest import MakeHome
from tests.support.running import own_disks, tree, until, write_wav
from tests.support.worker_driver import Journal, WorkerDriver, run

RESULTS = ["ep1/no_vocals.wav", "ep1/vocals.wav"]


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def swap_away(outbox: Path) -> Path:
    """As an unmount looks from above: an empty, writable folder in its place."""
    aside = outbox.with_name("the real outbox")
    outbox.rename(aside)
    outbox.mkdir()
    return aside


def swap_back(outbox: Path, aside: Path) -> None:
    outbox.rmdir()
    aside.rename(outbox)


async def held_for_the_mount(driver: WorkerDriver) -> Job:
    job = await driver.until_job("it is held", state=State.HELD)
    assert job.hold is Hold.MOUNT
    return job


async def at_download(driver: WorkerDriver) -> Job:
    """A job whose task has ended on the service, with the worker stopped before its tracks are fetched."""
    driver.sandbox.faults("download:503*0")
    await driver.drop("ep1.wav")
    job = await driver.until_job("its tracks are owed", stage=Stage.DOWNLOAD)
    await driver.end()
    driver.sandbox.faults()
    return job


def test_nothing_is_charged_while_the_outbox_is_another_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await driver.drop("first.wav")
            await driver.rest()
            aside = swap_away(driver.outbox)
            await driver.drop("ep1.wav")
            job = await driver.until_job("it is held", 2, state=State.HELD)
            assert (job.hold, job.stage, job.paid) == (Hold.MOUNT, Stage.SPLIT, False)
            assert "its marker .lalald is missing" in (job.hold_reason or "")
            assert f"lalald release {driver.outbox}" in (job.hold_reason or "")
            assert everything(driver.outbox) == []
            assert len(driver.charges()) == 1
            swap_back(driver.outbox, aside)
            await driver.until_job("it resumes automatically", 2, state=State.DONE)
            assert driver.seen() == ["ep1/no_vocals.wav", "ep1/vocals.wav", "first/no_vocals.wav", "first/vocals.wav"]
            assert [facts["folder"] for facts in driver.journal.of("folder.unavailable")] == [str(driver.outbox)]
            assert len(driver.journal.of("folder.available")) == 1

    run(scenario())


def test_paid_results_wait_for_their_outbox_through_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await at_download(driver)
            aside = swap_away(driver.outbox)
            await driver.begin()
            job = await held_for_the_mount(driver)
            assert job.stage is Stage.DOWNLOAD
            assert everything(driver.outbox) == []
            swap_back(driver.outbox, aside)
            await driver.until_job("it resumes automatically", state=State.DONE)
            assert driver.seen() == RESULTS
            assert len(driver.charges()) == 1

    run(scenario())


def test_a_new_outbox_is_used_once_it_is_accepted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await at_download(driver)
            aside = swap_away(driver.outbox)
            await driver.begin()
            await held_for_the_mount(driver)
            assert await driver.context.folders.accept(str(driver.outbox))
            driver.worker.holds.probe_folders_now()
            await driver.until_job("it resumes", state=State.DONE)
            assert driver.seen() == RESULTS
            assert read_marker(str(driver.outbox)) != read_marker(str(aside))
            await driver.end()
            await driver.begin()
            await driver.context.folders.check(str(driver.outbox))  # known after a restart, too

    run(scenario())


def test_a_marker_deleted_by_a_reader_of_the_outbox_is_written_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await driver.context.folders.check(str(driver.outbox))
            before = read_marker(str(driver.outbox))
            (driver.outbox / MARKER_NAME).unlink()
            await driver.drop("ep1.wav")
            await driver.until_job("it is delivered", state=State.DONE)
            assert read_marker(str(driver.outbox)) == before
            assert driver.journal.of("folder.unavailable") == []

    run(scenario())


def test_an_unresponsive_outbox_is_reported_once_and_used_when_it_answers(tmp_path: Path) -> None:
    answers = threading.Event()

    async def scenario() -> None:
        store = StoreThread(lambda: Store.open(tmp_path / "state"))
        await store.start()
        journal = Journal()
        with own_disks(slow_seconds=0.01, probe_seconds=0.04, probe=lambda _: answers.wait()) as disks:
            folders = KnownFolders({}, store.remember_folder, disks, Clock(), journal)
            try:
                held_up = [disks.run(str(tmp_path), answers.wait) for _ in range(4)]  # all its threads
                await asyncio.gather(*held_up, return_exceptions=True)
                for _ in range(3):
                    with pytest.raises(FolderUnavailableError, match=r"has not answered for 0\.05 seconds"):
                        await folders.check(str(tmp_path))
                assert len(journal.of("folder.unavailable")) == 1
            finally:
                answers.set()
            async with asyncio.timeout(10.0):
                while folders.unavailable:
                    with suppress(FolderUnavailableError):
                        await folders.check(str(tmp_path))
                    await asyncio.sleep(0)  # lets abandoned work end
        await store.stop()

    asyncio.run(scenario())


def test_a_folder_accepted_during_a_check_stays_accepted(tmp_path: Path) -> None:
    begun, accepted = asyncio.Event(), asyncio.Event()

    class Late(MountPools):
        """Tells what was found only after the folder was accepted."""

        async def run_shared(self, folder: str, function: Callable[..., Any], *arguments: Any) -> Any:
            begun.set()
            try:
                return await super().run_shared(folder, function, *arguments)
            finally:
                await accepted.wait()

    async def scenario() -> None:
        store = StoreThread(lambda: Store.open(tmp_path / "state"))
        await store.start()
        disks = Late()
        folders = KnownFolders({str(tmp_path): "another marker"}, store.remember_folder, disks, Clock(), Journal())
        look_under_way = asyncio.create_task(folders.check(str(tmp_path)))
        await begun.wait()
        assert await folders.accept(str(tmp_path))
        accepted.set()
        assert await look_under_way > 0, "it is repeated for the folder that was accepted"
        assert folders.unavailable == []
        disks.stop()
        await store.stop()

    asyncio.run(scenario())


def test_an_outbox_missing_at_the_start_is_reported_and_used_when_it_appears(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    home.outbox.rmdir()
    home.start()
    output = until(lambda: status(home.command("status", "--json"))["outboxes"][0]["reason"], "status tells it")
    assert "is missing" in output
    assert "lalald does not create configured folders" in output
    assert f"{home.outbox} is missing" in " ".join(home.command("status").stdout.split())
    write_wav(home.inbox / "ep1.wav")
    (job,) = home.rest()
    assert (job["state"], job["hold"], job["stage"]) == ("held", "mount", "split")
    home.outbox.mkdir()
    until(lambda: tree(home.outbox) == RESULTS, "it is delivered", 30)
    assert status(home.command("status", "--json"))["outboxes"] == [
        {"path": str(home.outbox), "available": True, "reason": None, "since": None}
    ]


def status(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


def test_release_accepts_a_new_outbox(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    until((home.outbox / MARKER_NAME).exists, "the outbox is known")
    swap_away(home.outbox)
    write_wav(home.inbox / "ep1.wav")
    (job,) = home.rest()
    assert job["hold"] == "mount"
    done = home.command("release", str(home.outbox))
    assert (done.returncode, done.stdout) == (0, f"{home.outbox}: accepted the folder that is there now\n")
    until(lambda: tree(home.outbox) == RESULTS, "it is delivered", 30)


def test_a_real_unmount_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await asyncio.to_thread(mount, "mount", "-t", "tmpfs", "-o", "size=4m", "none", str(driver.outbox))
            try:
                await driver.context.folders.check(str(driver.outbox))
            finally:
                await asyncio.to_thread(mount, "umount", str(driver.outbox))
            await driver.drop("ep1.wav")
            await held_for_the_mount(driver)
            assert everything(driver.outbox) == []

    run(scenario())


def mount(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")


def test_two_simultaneous_first_checks_agree_on_one_marker(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def first_look(folder: Path) -> str | None:
        both.wait()
        return verify_folder(str(folder), None).marker

    with ThreadPoolExecutor(2) as threads:
        for attempt in range(50):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            markers = set(threads.map(first_look, [folder, folder]))
            assert markers == {read_marker(str(folder))}
            assert [path.name for path in folder.iterdir()] == [MARKER_NAME]


def test_a_done_folder_outside_the_inbox_is_monitored_and_accepted(
    sandbox: Sandbox, make_home: MakeHome, tmp_path: Path
) -> None:
    done = tmp_path / "filed"
    done.mkdir()
    home = make_home(sandbox.url, inbox={"done_dir": str(done)})
    home.start()
    until((done / MARKER_NAME).exists, "it is known before the first file comes")
    swap_away(done)
    until(lambda: home.logged("folder.unavailable"), "it is missed before the next job asks for it")
    write_wav(home.inbox / "ep1.wav")
    (job,) = home.rest()
    assert (job["state"], job["hold"], job["stage"]) == ("held", "mount", "split"), "nothing is paid meanwhile"
    assert everything(done) == []
    (output,) = status(home.command("status", "--json"))["archive_folders"]
    assert (output["path"], output["available"]) == (str(done), False)
    assert f"{done}: its marker .lalald is missing" in " ".join(home.command("status").stdout.split())
    assert home.command("release", str(done)).returncode == 0
    until(lambda: tree(done) == ["ep1.wav"], "it is filed away", 30)
