"""Cancels during faults of the service: they take effect once the service answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lalald.jobs.states import Request, Stage, State
from lalald.sandbox.options import Options
from tests.support.running import tree
from tests.support.worker_driver import HURRIED, PATIENT, PLENTY, WorkerDriver, run

RUNS_FOR_HOURS = Options(checks_per_minute=PLENTY, processing_seconds=36_000.0)


@pytest.mark.parametrize(
    "fault",
    [
        "429", "429,retry_after=7", "503*4", "500,code=internal_error", "html", "empty", "half", "missing", "null", "type",
        "extra", "unknown", "hang", "hang,done=true", "503,done=true", "html,done=true", "cut", "reset_before", "reset_during",
        "reset_after", "huge", "redirect,url=http://127.0.0.1:9/", "403",
    ],
)  # fmt: skip
def test_a_cancelled_file_stays_in_place_whatever_the_service_answers(fault: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        deadlines = HURRIED if "hang" in fault else PATIENT
        async with WorkerDriver(tmp_path, options=RUNS_FOR_HOURS, deadlines=deadlines) as driver:
            await driver.drop("ep1.wav")
            await driver.until_job("it runs", stage=Stage.CHECK)
            driver.sandbox.faults(f"cancel:{fault}")
            await driver.ask(Request.CANCEL, 1)
            job = await driver.until_job("it is cancelled", state=State.CANCELLED, request=None)
            assert job.error == "it was cancelled"
            assert tree(driver.inbox) == ["ep1.wav"]
            assert [task["status"] for task in driver.sandbox.state()["tasks"]] == ["cancelled"]
            assert driver.charges().total() == 1
            assert len(driver.journal.of("cancel.postponed")) <= 1

    run(scenario())


def test_an_outage_costs_cancels_one_probe_for_all_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=RUNS_FOR_HOURS) as driver:
            await driver.drop(*(f"ep{n}.wav" for n in range(40)), duplicates="process")

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.faults("cancel:503*0")
            await driver.ask(Request.CANCEL, *range(1, 41))
            await asyncio.sleep(3600)
            asked = driver.counts()["cancel"]
            assert 1 < asked < 3600, "with the shortest backoffs of all, half a second"
            assert len(driver.journal.of("cancel.postponed")) == 1
            driver.sandbox.faults()
            jobs = await driver.rest()
            assert {job.state for job in jobs} == {State.CANCELLED}

    run(scenario(), speed=2000.0)


def test_a_cancel_during_delivery_keeps_the_file_in_place(tmp_path: Path) -> None:
    """The finished part is delivered; nothing has failed."""

    async def scenario() -> None:
        asked = [("demuser", {"stem": "music"}), ("change_voice", {"voice_pack_id": "ALEX_KAYE"})]
        async with WorkerDriver(tmp_path, asked=asked) as driver:
            driver.sandbox.faults("change_voice:stuck*1")
            await driver.drop("ep1.wav")

            async def one_is_finished() -> bool:
                return [task.stage for task in (await driver.job()).tasks] == [Stage.DOWNLOAD, Stage.CHECK]

            await driver.until(one_is_finished, "one of two is finished")
            await driver.ask(Request.CANCEL, 1)
            (job,) = await driver.rest()
            assert job.state is State.CANCELLED
            assert job.error == "task 2 (change_voice): it was cancelled"
            assert (tree(driver.outbox), tree(driver.inbox)) == (["ep1/music.wav", "ep1/no_music.wav"], ["ep1.wav"])
            assert driver.journal.of("job.failed") == []
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("the other one is paid again", state=State.DONE)
            assert (driver.charges().total(), tree(driver.inbox)) == (3, ["done/ep1.wav"])

    run(scenario())
