"""Files that do not state their length: the service's figure decides before anything is charged."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lalald.config import Minutes
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import bring_to
from tests.support import sounds
from tests.support.worker_driver import WorkerDriver, run

PROBED_SECONDS = 70.0  # held jobs are asked about every minute


async def _drop_unknown(driver: WorkerDriver, *names: str) -> list[int]:
    for name in names:
        (driver.inbox / name).write_bytes(sounds.mp3(2, (32, 320)) + name.encode())
    return await driver.take(*names)


def _uploads(driver: WorkerDriver) -> int:
    return driver.counts().get("upload", 0)


def test_an_unknown_length_is_uploaded_and_the_services_figure_decides(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_file=10)) as driver:
            driver.sandbox.set_durations({"long.mpg": 3600, "short.mpg": 90})
            await _drop_unknown(driver, "short.mpg")
            assert (await driver.rest())[0].minutes == 1.5
            await _drop_unknown(driver, "long.mpg")
            held = (await driver.rest())[1]
            assert (held.stage, held.hold_source, held.minutes) == (Stage.SPLIT, HoldSource.PER_FILE, 0.0)
            assert held.hold_reason == "needs 60.0 minutes, minutes.per_file allows 10"
            assert driver.charges().total() == 1

    run(scenario())


def test_while_one_of_unknown_length_is_held_for_minutes_no_other_is_uploaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_minutes(5)
            driver.sandbox.set_durations({"*.mpg": 600})
            await _drop_unknown(driver, "first.mpg")
            await driver.until_job("the service says that it lasts 10 minutes", state=State.HELD, stage=Stage.SPLIT)
            await _drop_unknown(driver, "second.mpg", "third.mpg")
            second, third = (await driver.rest())[1:]
            assert {second.hold_source, third.hold_source} == {HoldSource.UNKNOWN}
            assert second.hold_reason is not None
            assert "like that of job 1, which is held for minutes" in second.hold_reason
            await asyncio.sleep(3 * PROBED_SECONDS)
            assert _uploads(driver) == 1, "and no probe sends them"
            await driver.drop("known.wav")
            await driver.until_job("one that states its length resumes", 4, state=State.DONE)
            driver.sandbox.set_minutes(100)
            for job_id in range(1, 5):
                await driver.until_job("a top-up resumes them all", job_id, state=State.DONE)

    run(scenario())


def test_the_release_of_a_file_that_waits_behind_another_uploads_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_minutes(5)
            driver.sandbox.set_durations({"first.mpg": 600, "second.mpg": 60})
            await _drop_unknown(driver, "first.mpg")
            await driver.until_job("it does not fit", state=State.HELD, stage=Stage.SPLIT)
            await _drop_unknown(driver, "second.mpg")
            await driver.until_job("it waits behind", 2, state=State.HELD, hold_source=HoldSource.UNKNOWN)
            await driver.ask(Request.RELEASE, 2)
            assert (await driver.until_job("it fits", 2, state=State.DONE)).minutes == 1.0
            assert (await driver.job()).state is State.HELD

    run(scenario())


@pytest.mark.parametrize(
    ("limits", "left", "source"),
    [
        (Minutes(), 0.0, HoldSource.LEFT),
        (Minutes(reserve=50), 50.0, HoldSource.LEFT),
        (Minutes(per_day=1), 100.0, HoldSource.PER_DAY),
    ],
)
def test_files_of_unknown_length_are_not_uploaded_while_nothing_may_be_spent(
    tmp_path: Path, limits: Minutes, left: float, source: HoldSource
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=limits) as driver:
            uploads = 0
            if source is HoldSource.PER_DAY:
                await driver.drop("spends the day.wav", seconds=60)
                uploads = len(await driver.rest())
            driver.sandbox.set_minutes(left)
            driver.context.budget.invalidate()
            (job_id,) = await _drop_unknown(driver, "film.mpg")
            held = await driver.until_job("nothing may be spent", job_id, state=State.HELD, hold=Hold.MINUTES)
            assert held.hold_source is source
            assert "is not uploaded" in (held.hold_reason or "")
            await asyncio.sleep(2 * PROBED_SECONDS)
            assert _uploads(driver) == uploads

    run(scenario())


def test_a_lower_bound_that_does_not_fit_holds_before_the_upload(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_file=0.5)) as driver:
            (driver.inbox / "long.mp3").write_bytes(sounds.mp3(60, (320, 320, 320, 256)))
            (job_id,) = await driver.take("long.mp3")
            held = await driver.until_job("it lasts half a minute at the least", state=State.HELD, hold=Hold.MINUTES)
            assert held.hold_source is HoldSource.PER_FILE
            assert held.hold_reason == "needs at least 1.0 minutes, minutes.per_file allows 0.5"
            assert _uploads(driver) == 0
            await driver.ask(Request.RELEASE, job_id)
            asked = await driver.until_job("uploaded, it has a price to ask about", state=State.HELD, stage=Stage.SPLIT)
            assert asked.hold_reason == "needs 1.0 minutes, minutes.per_file allows 0.5"
            await driver.ask(Request.RELEASE, job_id)
            assert (await driver.until_job("and that was agreed to", state=State.DONE)).minutes == 1.0

    run(scenario())


@pytest.mark.parametrize(("seconds", "fits"), [(60, True), (1200, False)])
def test_the_release_of_a_file_that_states_too_much_lets_the_services_figure_decide(
    tmp_path: Path, seconds: int, fits: bool
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_minutes(5)
            driver.sandbox.set_durations({"*.m4a": seconds})
            (driver.inbox / "a.m4a").write_bytes(sounds.m4a(header=600, table=600, movie=600))
            await driver.take("a.m4a")
            held = await driver.until_job("10 minutes do not fit", state=State.HELD, hold_source=HoldSource.LEFT)
            assert (held.stage, held.duration, _uploads(driver)) == (Stage.UPLOAD, 600, 0)
            await driver.ask(Request.RELEASE, held.id)
            if fits:
                assert (await driver.until_job("it was one minute", state=State.DONE)).minutes == 1.0
            else:
                again = await driver.until_job("it is more", state=State.HELD, stage=Stage.SPLIT)
                assert (again.hold_source, again.duration, again.upload_waived) == (HoldSource.LEFT, seconds, False)
            assert _uploads(driver) == 1

    run(scenario())


@pytest.mark.parametrize("seconds", [0, -5, 3_600_001])
def test_an_impossible_length_is_rejected(tmp_path: Path, seconds: int) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_durations({"*": seconds})
            await driver.drop("a.wav")
            (job,) = await driver.rest()
            assert (job.state, job.minutes, _uploads(driver)) == (State.FAILED, 0.0, 2)
            assert "which is impossible, also after a second upload. Nothing was spent." in (job.error or "")
            assert driver.charges().total() == 0
            driver.sandbox.set_durations({})
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("it has a length now", state=State.DONE)

    run(scenario())


def test_a_file_with_an_impossible_length_is_uploaded_once_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_durations({"*": 0})
            await driver.drop("a.wav")
            await driver.until_job("it is to be uploaded again", uploads_without_figure=1)
            driver.sandbox.set_durations({})
            job = await driver.until_job("and that has a length", state=State.DONE)
            assert (job.uploads_without_figure, _uploads(driver)) == (0, 2)

    run(scenario())


def test_a_length_guessed_by_an_older_version_is_measured_again(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    bring_to(connection, 0, 6)
    connection.execute("INSERT INTO handlings (id, json) VALUES (1, '{}')")
    rows = [("guessed.wav", "upload", None), ("uploaded.wav", "split", "source")]
    connection.executemany(
        "INSERT INTO jobs (inbox, path, size, mtime_ns, inode, rule, handling, stage, source_id, state, hold, hold_source,"
        " recipe, duration, created_at, updated_at) VALUES ('/in', ?, 1, 1, 1, 'r', 1, ?, ?, 'held', 'minutes', 'left',"
        " '', 0.19, 1, 1)",
        rows,
    )
    connection.close()
    with closing(Store.open(tmp_path)) as store:
        found = store.connection.execute(
            "SELECT duration, least_duration, upload_waived FROM jobs ORDER BY id"
        ).fetchall()
    assert found == [(None, None, 0), (0.19, None, 0)]
