"""Failed files: dragged back, repaired in place, removed, dismissed, or retried."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from lalald.daemon.queued_requests import QueuedRequests
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.sandbox.server import Sandbox
from lalald.store.request_writer import Kind, Requests
from tests.conftest import MakeHome
from tests.support.running import tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run


async def failed(driver: WorkerDriver, fault: str = "upload:422*1") -> Job:
    driver.sandbox.faults(fault)
    await driver.drop("ep1.wav")
    (job,) = await driver.rest()
    assert (job.state, tree(driver.inbox)) == (State.FAILED, ["failed/ep1.wav", "failed/ep1.wav.error.txt"])
    return job


@pytest.mark.parametrize("copied", [False, True])
def test_the_error_note_is_removed_when_the_file_is_dragged_back(
    sandbox: Sandbox, make_home: MakeHome, copied: bool
) -> None:
    home = make_home(sandbox.url)
    sandbox.faults("upload:422*1")
    home.start()
    content = write_wav(home.inbox / "sub" / "ep1.wav")
    lies = home.inbox / "failed" / "sub" / "ep1.wav"
    until(lambda: home.jobs()[0]["file"] == str(lies), "it failed")
    if copied:
        (home.root / "making").write_bytes(content)
        (home.root / "making").rename(home.inbox / "other.wav")
    else:
        lies.rename(home.inbox / "other.wav")
    until(lambda: "done/other.wav" in tree(home.inbox), "it was processed")
    left = ["failed/sub/ep1.wav", "failed/sub/ep1.wav.error.txt"] if copied else []
    assert tree(home.inbox) == ["done/other.wav", *left]


@pytest.mark.parametrize("fault", ["upload:422*1", "split:422*1", "split:task_error*1"])
def test_a_failed_file_repaired_in_place_is_processed_as_it_is_now(tmp_path: Path, fault: str) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await failed(driver, fault)
            repaired = write_wav(driver.inbox / "failed" / "ep1.wav", seconds=0.2, pitch=500)
            await driver.ask(Request.RETRY, 1)
            job = await driver.until_job("it is processed", state=State.DONE)
            assert (job.size, tree(driver.inbox)) == (len(repaired), ["done/ep1.wav"])
            sources = {source["size"] for source in driver.sandbox.state()["sources"]}
            assert len(repaired) in sources, sources

    run(scenario())


def test_retrying_a_removed_failed_file_ends_its_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await failed(driver)
            (driver.inbox / "failed" / "ep1.wav").unlink()
            await driver.ask(Request.RETRY, 1)
            job = await driver.until_job("there is nothing to carry", state=State.CANCELLED)
            assert (job.error, tree(driver.inbox)) == ("the file was removed before anything was spent on it", [])

    run(scenario())


def test_a_failed_file_in_an_unavailable_folder_is_waited_for(tmp_path: Path) -> None:
    """A folder elsewhere that is not mounted is not empty."""

    async def scenario() -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        async with WorkerDriver(tmp_path, failed_dir=str(elsewhere)) as driver:
            driver.sandbox.faults("upload:422*1")
            await driver.drop("ep1.wav")
            await driver.until_job("it is put there", state=State.FAILED, moved_to=str(elsewhere / "ep1.wav"))
            elsewhere.rename(tmp_path / "mounted")
            elsewhere.mkdir()
            await driver.ask(Request.RETRY, 1)
            held = await driver.until_job("it waits", state=State.HELD)
            assert "elsewhere" in (held.hold_reason or "")
            await asyncio.sleep(60.0)  # of the loop's time: probes come and go
            assert len(driver.journal.of("job.held")) == 1
            elsewhere.rmdir()
            (tmp_path / "mounted").rename(elsewhere)
            await driver.until_job("it resumes", state=State.DONE)

    run(scenario())


async def held_for(driver: WorkerDriver, path: Path) -> Job | None:
    job = await driver.job()
    return job if job.state is State.HELD and str(path) in (job.hold_reason or "") else None


def test_a_file_in_the_way_of_results_or_sources_holds_the_job_and_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            in_the_way = driver.outbox / "podcasts", driver.inbox / "done"
            for path in in_the_way:
                path.write_bytes(b"a file that has the name of a folder")
            await driver.drop("podcasts/ep1.wav")
            for path in in_the_way:
                await driver.until_job(
                    "it is held before the charge", state=State.HELD, hold=Hold.DISK, stage=Stage.SPLIT
                )
                held = await driver.until(partial(held_for, driver, path), "the reason names what is in the way")
                assert not held.paid
                path.unlink()
            await driver.until_job("it resumes", state=State.DONE)
            assert tree(driver.outbox) == ["podcasts/ep1/no_vocals.wav", "podcasts/ep1/vocals.wav"]
            assert tree(driver.inbox) == ["done/podcasts/ep1.wav"]
            assert len(driver.journal.of("job.held")) <= 4, "what is tried in vain is not said each time"

    run(scenario())


def test_a_failed_job_can_be_dismissed_and_retried(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            before = await failed(driver)
            await driver.ask(Request.CANCEL, 1)
            job = await driver.until_job("it has not failed", state=State.CANCELLED)
            assert (job.error, job.moved_to) == (before.error, before.moved_to)
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("and goes on", state=State.DONE)
            assert tree(driver.inbox) == ["done/ep1.wav"]

    run(scenario())


def test_a_retried_job_no_longer_counts_as_failed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await failed(driver)

            def ask() -> None:
                with Requests.open(driver.state) as asked:
                    asked.ask(Kind.REDO, "1")

            await asyncio.to_thread(ask)
            await QueuedRequests(driver.worker, {}).handle()
            await driver.until_job("its file is processed", 2, state=State.DONE)
            job = await driver.job()
            assert (job.state, job.moved_to) == (State.CANCELLED, None)
            assert (job.error or "").endswith("It is processed again as job 2.")
            assert tree(driver.inbox) == ["done/ep1.wav"]

    run(scenario())
