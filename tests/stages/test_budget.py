"""The limits of the budget: what just fits is charged, what does not is held with consistent figures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.api import Started
from lalald.clock import Clock
from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource, Request, State
from lalald.sandbox.options import Options
from lalald.stages.precharge.budget import Budget
from lalald.stages.start_answers import outcome_of
from tests.support.worker_driver import PLENTY, WorkerDriver, run

SIX_SECONDS = 6.0  # 0.1 minutes


@pytest.mark.parametrize(
    ("limits", "left"), [(Minutes(per_day=0.3), 100.0), (Minutes(reserve=0.9), 1.2), (Minutes(per_file=0.1), 100.0)]
)
def test_files_that_use_a_limit_up_to_the_last_second_all_fit(tmp_path: Path, limits: Minutes, left: float) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=limits) as driver:
            driver.sandbox.set_minutes(left)
            await driver.drop("a.wav", "b.wav", "c.wav", seconds=SIX_SECONDS)
            assert [job.state for job in await driver.rest()] == [State.DONE] * 3
            await driver.drop("d.wav", seconds=SIX_SECONDS + 1)
            assert (await driver.rest())[-1].hold is Hold.MINUTES
            assert driver.charges().total() == 3

    run(scenario())


@pytest.mark.parametrize(
    ("limits", "spent", "words"),
    [
        (Minutes(), 0.0, "needs 12.4 minutes, 12.3 are free"),
        (Minutes(reserve=0.3), 0.0, "needs 12.4 minutes, 12.0 are free (0.3 kept in reserve)"),
        (Minutes(per_file=12.3), 0.0, "needs 12.4 minutes, minutes.per_file allows 12.3"),
        (
            Minutes(per_day=13), 0.67,
            "needs 12.4 minutes, minutes.per_day allows 13 and 0.7 are spent or reserved today",
        ),
    ],
)  # fmt: skip
def test_needed_minutes_are_rounded_up_and_free_minutes_down(
    tmp_path: Path, limits: Minutes, spent: float, words: str
) -> None:
    async def left() -> float:
        return 12.33 if spent == 0.0 else 1000.0

    async def spent_since(_: float) -> float:
        return spent

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            (job_id,) = await driver.drop("a.wav")
            job: Job = await driver.job(job_id)
            budget = Budget(limits, Clock(), left, spent_since)
            refusal = await budget.refusal(job, 12.34)
            assert refusal is not None
            assert refusal.reason == words
            assert refusal.hold_reason == words.replace(" are ", " were ").replace("today", "that day")

    run(scenario())


def test_minutes_above_the_daily_limit_are_charged_the_next_day(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_day=0.15)) as driver:
            await driver.drop("a.wav", "b.wav", seconds=SIX_SECONDS)
            (held,) = [job.id for job in await driver.rest() if job.hold is Hold.MINUTES]
            driver.clock.stepped_seconds += 86_400.0
            await driver.until_job("the next day has minutes of its own", held, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


def test_a_release_passes_the_limit_that_held_the_job_and_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(reserve=50, per_file=0.05, per_day=0.05)) as driver:
            driver.sandbox.set_minutes(50)
            await driver.drop("a.wav", seconds=SIX_SECONDS)
            (job,) = await driver.rest()
            assert job.hold_source is HoldSource.PER_FILE
            await driver.ask(Request.RELEASE, job.id)
            held = await driver.until_job("the reserve is not spent", hold_source=HoldSource.LEFT)
            assert "50 kept in reserve" in (held.hold_reason or "")
            driver.sandbox.set_minutes(51)
            await driver.until_job("the limit of a day is another question", hold_source=HoldSource.PER_DAY)
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("a top-up is all that it needs", state=State.DONE)

    run(scenario())


def test_reserved_minutes_that_a_job_does_not_need_are_freed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_day=0.25)) as driver:
            driver.sandbox.faults("upload:400*1", "upload:503*0,match=copy.wav")
            await driver.drop("a.wav", seconds=SIX_SECONDS, pitch=300)
            await driver.until_job("the first one fails", state=State.FAILED)
            await driver.drop("copy.wav", seconds=SIX_SECONDS, pitch=300)
            await driver.until_job("its copy is to be paid, and waits for the service", 2, attempts=1)
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("the copy reuses what was paid for the first", 2, state=State.DONE)
            await driver.drop("c.wav", seconds=SIX_SECONDS)
            await asyncio.wait_for(driver.until_job("there are minutes for another", 3, state=State.DONE), 600)
            assert driver.charges().total() == 2

    run(scenario())


def test_files_of_unknown_duration_that_are_started_together_do_not_exceed_a_day(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, default_duration_seconds=60)
        async with WorkerDriver(tmp_path, options=options, minutes=Minutes(per_day=1.5)) as driver:
            for number in range(6):
                (driver.inbox / f"film{number}.mkv").write_bytes(b"no header that is read" * (number + 1))
            driver.outbox.rename(tmp_path / "away")
            await driver.take(*(f"film{number}.mkv" for number in range(6)))
            assert {job.hold for job in await driver.rest()} == {Hold.MOUNT}, "they wait together"
            (tmp_path / "away").rename(driver.outbox)
            await driver.until(lambda: driver.charges().total(), "one of them fits")
            await asyncio.sleep(150)  # of time that flies: the others are asked about every minute
            assert driver.charges().total() == 1

    run(scenario())


def test_a_started_task_counts_as_reserved_until_its_charge_is_saved(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_day=0.15)) as driver:
            driver.sandbox.faults("upload:hang*0")
            (first, second) = await driver.drop("a.wav", "b.wav", seconds=SIX_SECONDS)
            job, other = replace(await driver.job(first), duration=SIX_SECONDS), await driver.job(second)
            driver.context.budget.release_reservation(second)
            assert (await driver.context.budget.admit(job, SIX_SECONDS)).refusal is None
            outcome_of(job, {1: Started("task")}, driver.context, frozenset())
            assert await driver.context.budget.refusal(other, 0.1) is not None

    run(scenario())


def test_a_possible_charge_before_a_restart_counts_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_day=0.15)) as driver:
            driver.sandbox.faults("split:503*0", "batch:503*0")
            await driver.drop("a.wav", seconds=SIX_SECONDS)
            await driver.until(lambda: driver.counts().get("split", 0), "it is requested without an answer")
            await driver.end()
            await driver.begin()
            await driver.drop("b.wav", seconds=SIX_SECONDS)
            await driver.until_job("there may be no minutes left for another", 2, state=State.HELD, hold=Hold.MINUTES)
            driver.sandbox.faults()
            await driver.until_job("the first goes on", state=State.DONE)
            assert driver.charges().total() == 1

    run(scenario())


def test_a_task_without_an_answer_counts_while_the_job_starts_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        asked = (("stem_separator", {"stem": "vocals"}), ("multistem", {"stem_list": ["drum", "bass"]}))
        async with WorkerDriver(tmp_path, minutes=Minutes(per_day=0.35), asked=asked) as driver:
            driver.sandbox.faults("upload:hang*0")
            (first, second) = await driver.drop("a.wav", "b.wav", seconds=SIX_SECONDS)
            job, other = await driver.job(first), await driver.job(second)
            job = job.with_task(replace(job.tasks[0], requested_at=1.0))
            budget = driver.context.budget
            budget.release_reservation(second)
            assert (await budget.admit(job, SIX_SECONDS)).refusal is None
            assert await budget.refusal(other, 0.05) is None
            refusal = await budget.refusal(other, 0.1)
            assert refusal is not None
            assert "0.3 are spent or reserved today" in refusal.reason

    run(scenario())


@pytest.mark.parametrize("on_lost_task", ["hold", "resubmit"])
def test_a_lost_task_is_charged_and_counts(tmp_path: Path, on_lost_task: str) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, on_lost_task=on_lost_task) as driver:
            driver.sandbox.faults("split:reset_after*1")
            await driver.drop("a.wav", seconds=SIX_SECONDS)
            if on_lost_task == "hold":
                held = await driver.until_job("its id never came", state=State.HELD, hold=Hold.LOST_TASK)
                assert held.minutes == pytest.approx(0.1)
                await driver.ask(Request.RELEASE, held.id)
            job = await driver.until_job("it is paid once more", state=State.DONE)
            assert driver.charges().total() == 2
            assert (job.minutes, job.minutes_before) == (pytest.approx(0.2), pytest.approx(0.1))
            assert await driver.store.run(lambda store: store.charges.spent_since(0.0)) == pytest.approx(0.2)

    run(scenario())
