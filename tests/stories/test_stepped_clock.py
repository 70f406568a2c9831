"""The wall clock is set by a day during each stage: the job is delivered and paid once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.jobs.states import Hold, Stage, State
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support import SUPPORT
from tests.support.running import Home, tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run

DAY_SECONDS = 86400.0


@pytest.mark.parametrize("stage", [Stage.UPLOAD, Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DELETE], ids=str)
@pytest.mark.parametrize("step_seconds", [DAY_SECONDS, -DAY_SECONDS], ids=["a day on", "a day back"])
def test_a_stepped_clock_delays_nothing_and_pays_nothing_twice(
    tmp_path: Path, stage: Stage, step_seconds: float
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(f"{stage}:503*0")
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.counts().get(str(stage), 0) > 1, "it is tried again and again")
            driver.clock.stepped_seconds = step_seconds
            driver.sandbox.faults()
            await driver.until_job("it resumes", state=State.DONE)
            assert sum(driver.charges().values()) == 1
            assert driver.seen() == ["ep1/no_vocals.wav", "ep1/vocals.wav"]

    run(scenario())


def test_refused_minutes_are_requested_again_although_the_clock_was_set_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:400*0,code=exceeded_duration")
            await driver.drop("ep1.wav")
            await driver.until_job("the service refuses it", state=State.HELD, hold=Hold.MINUTES)
            driver.sandbox.faults()
            driver.clock.stepped_seconds = -DAY_SECONDS
            await driver.until_job("it is asked again", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_an_unanswered_start_is_requested_again_before_it_counts_as_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:503*0")
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.counts().get("split", 0) > 1, "whether it started is not known")
            driver.clock.stepped_seconds = DAY_SECONDS
            asked = driver.counts()["split"]
            await driver.until(lambda: driver.counts()["split"] > asked + 1, "it is requested with its key")
            assert (await driver.job()).state is State.WAITING
            driver.sandbox.faults()
            await driver.until_job("it had not started", state=State.DONE)
            assert driver.counts()["upload"] == 1
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_a_source_that_expired_by_our_clock_alone_is_not_uploaded_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.outbox.rename(tmp_path / "away")
            await driver.drop("ep1.wav")
            await driver.until_job("the outbox is away", state=State.HELD, hold=Hold.MOUNT)
            driver.clock.stepped_seconds = DAY_SECONDS + 3600.0
            (tmp_path / "away").rename(driver.outbox)
            await driver.until_job("the outbox is back", state=State.DONE)
            assert driver.counts()["upload"] == 1
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_a_running_task_survives_a_stepped_clock_and_one_bad_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:stuck*0")
            await driver.drop("ep1.wav")
            running = await driver.until_job("it runs", stage=Stage.CHECK)
            asked = driver.counts().get("check", 0)
            driver.clock.stepped_seconds = DAY_SECONDS + 3600.0
            driver.sandbox.faults("check:server_error,detail=Failed to extract information about task")
            await driver.until(lambda: driver.counts().get("check", 0) > asked + 1, "it was checked")
            assert (await driver.job()).tasks[0].error is None
            driver.sandbox.decide(str(running.tasks[0].task_id), "success")
            await driver.until_job("it is delivered", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario(), speed=1200.0)


def test_failures_of_this_run_are_known_although_the_clock_was_set_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("upload:422*0")
            await driver.drop("ep1.wav")
            await driver.rest()
            assert driver.worker.failed_count == 1
            await driver.end()
            await driver.begin()
            driver.clock.stepped_seconds = -DAY_SECONDS
            await driver.drop("ep2.wav")
            await driver.rest()
            assert driver.worker.failed_count == 1, "of this run"

    run(scenario())


def turn(home: Home, seconds: float) -> None:
    """As a whole, for it is read all the time."""
    written = home.root / "turned by"
    new = written.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(written)


@pytest.mark.parametrize("step_seconds", [DAY_SECONDS, -DAY_SECONDS], ids=["a day on", "a day back"])
def test_jobs_at_each_stage_continue_with_a_stepped_clock(
    sandbox: Sandbox, make_home: MakeHome, step_seconds: float
) -> None:
    home = make_home(sandbox.url, checks_per_minute=600)
    home.daemon = (str(SUPPORT / "stepped_clock.py"), str(home.config), str(home.root / "turned by"))
    turn(home, 0.0)
    home.start()
    stages = ("delete", "download", "check", "split", "upload")
    sandbox.faults(*(f"{stage}:503*0,match={stage}.wav" for stage in stages))
    for pitch, stage in enumerate(stages, 200):
        write_wav(home.inbox / f"{stage}.wav", pitch=pitch)
        until(lambda stage=stage: tried(sandbox, stage), f"one is at its {stage}")  # type: ignore[misc] # bound here
    turn(home, step_seconds)
    sandbox.faults()
    until(lambda: tree(home.inbox) == sorted(f"done/{stage}.wav" for stage in stages), "all go on")
    assert {job["state"] for job in home.jobs()} == {"done"}
    assert home.stop() == 0

    turn(home, 0.0)
    home.start()
    write_wav(home.inbox / "late.wav", pitch=300)
    until((home.inbox / "done" / "late.wav").exists, "it goes on after the clock was repaired, too")
    assert home.stop() == 0
    assert len(sandbox.state()["charges"]) == len(stages) + 1, "each once"


def tried(sandbox: Sandbox, stage: str) -> bool:
    requests = sandbox.state()["requests"]
    return any(entry["operation"] == stage and entry["status"] == 503 for entry in requests)
