"""Rate and time left of transfers: measured, kept in the store while bytes move, and shown."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.jobs.states import Stage
from lalald.jobs.task import Task
from lalald.jobs.transfer_progress import RateMeter, TransferProgress
from lalald.sandbox.server import Sandbox
from lalald.store.database import connect
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.conftest import MakeHome
from tests.support.filled_store import NOW, FilledStore
from tests.support.running import until, write_wav


class SteppedClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def meter(clock: SteppedClock) -> RateMeter:
    return RateMeter(clock)


def test_the_rate_is_that_of_the_last_seconds(meter: RateMeter, clock: SteppedClock) -> None:
    assert meter.measure(1, 0) is None, "one look tells nothing"
    rates = []
    for moved in [*range(100, 1001, 100), *[1000] * 40]:
        clock.now += 1.0
        rates.append(meter.measure(1, moved))
    assert rates[9] == pytest.approx(100.0)
    assert rates[-1] == 0.0, "it stalls"
    assert min(filter(None, rates)) < 20.0, "not at once, but soon"


def test_a_transfer_that_begins_again_is_measured_from_there(meter: RateMeter, clock: SteppedClock) -> None:
    for moved in (0, 500, 1000):
        meter.measure(1, moved)
        clock.now += 1.0
    assert meter.measure(1, 0) is None
    clock.now += 2.0
    assert meter.measure(1, 100) == 50.0


def test_jobs_are_measured_apart_and_forgotten_when_they_are_over(meter: RateMeter, clock: SteppedClock) -> None:
    meter.measure(1, 0)
    meter.measure(2, 0)
    clock.now += 2.0
    assert (meter.measure(1, 10), meter.measure(2, 2000)) == (5.0, 1000.0)
    meter.forget_all_but([2])
    assert meter.measure(1, 20) is None
    assert meter.measure(2, 2000) == 1000.0


@pytest.mark.parametrize(
    ("progress", "share", "left"),
    [
        (TransferProgress(25, 100, 5.0), 0.25, 15.0),
        (TransferProgress(25, 100, 0.0), 0.25, None),
        (TransferProgress(25, 100), 0.25, None),
        (TransferProgress(120, 100, 5.0), 1.0, 0.0),  # an estimated size
        (TransferProgress(0, 0, 5.0), 0.0, 0.0),
    ],
)
def test_time_left_follows_from_rate_and_size(progress: TransferProgress, share: float, left: float | None) -> None:
    assert (progress.share, progress.seconds_left) == (share, left)


def checked(**facts: float | None) -> Task:
    return Task(1, None, "voice_clean", {"stem": "voice"}, stage=Stage.CHECK, task_id="t", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "left"),
    [
        (checked(started_at=NOW - 60, progressed_at=NOW, progress=25), 180.0),
        (checked(started_at=NOW - 70, progressed_at=NOW - 10, progress=25), 170.0),
        (checked(started_at=NOW - 700, progressed_at=NOW - 640, progress=25), 0.0),  # later than its pace promised
        (checked(started_at=NOW - 60, progressed_at=NOW, progress=0), None),
        (checked(started_at=NOW - 60, progressed_at=NOW - 60, progress=25), None),
        (checked(started_at=NOW - 60, progress=25), None),
    ],
)
def test_time_left_of_processing_goes_by_its_pace_so_far(tmp_path: Path, task: Task, left: float | None) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        job = filled_store.take(store, "podcasts/a.mp3")
    report = JobReport(replace(job, stage=Stage.CHECK).with_task(task))
    assert report.seconds_left(NOW) == left


def test_a_real_upload_and_download_have_a_rate_and_leave_none(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, transfers={"upload_rate": "100KB", "download_rate": "100KB"})
    home.start()
    write_wav(home.inbox / "song.wav", seconds=30.0)  # 480 KB: about 5 s each way

    def running(stage: str) -> dict[str, float] | None:
        told = json.loads(home.command("status", "--json").stdout)
        return next((one for one in told["under_way"] if one["stage"] == stage and one["rate"]), None)

    for stage in ("upload", "download"):
        told = until(lambda stage=stage: running(stage), f"the {stage} has a rate", pause_seconds=0.5)  # type: ignore[misc] # bound here
        assert 20_000 < told["rate"] < 300_000, "about the limit; the first second may be faster"
        assert 0 < told["progress"] < 100
        assert 0 <= told["seconds_left"] < 30
    until(lambda: [job["state"] for job in home.jobs()] == ["done"], "it is done", pause_seconds=0.5)
    told = json.loads(home.command("status", "--json").stdout)
    assert told["under_way"] == []
    (finished,) = told["finished"]
    assert (finished["path"], finished["folder"], finished["minutes"]) == ("song.wav", f"{home.outbox}/song", 0.5)
    (job,) = home.jobs()
    assert job["uploaded_at"] <= job["delivered_at"] <= job["finished_at"] == finished["finished_at"]
    assert home.stop() == 0


def test_done_jobs_of_an_older_database_are_finished_when_they_were_last_updated(tmp_path: Path) -> None:
    before = next(number for number, script in enumerate(MIGRATIONS) if "finished_at" in script)
    filled_store = FilledStore(tmp_path)
    filled_store.state.mkdir()
    connection = sqlite3.connect(filled_store.state / "lalald.sqlite3", isolation_level=None)
    bring_to(connection, 0, before)
    connection.execute("INSERT INTO handlings VALUES (1, ?)", (filled_store.settings().to_json(),))
    for job_id, stage, state, updated_at in (
        (1, "done", "done", NOW),
        (2, "done", "done", NOW - 5),
        (3, "upload", "failed", NOW),
    ):
        connection.execute(
            "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at, updated_at)"
            " VALUES (?, '/in', 'a.mp3', 1, 1, 1, 'remix', 1, ?, ?, '', 1, ?)",
            (job_id, stage, state, updated_at),
        )  # fmt: skip
    connection.close()
    connect(filled_store.state).close()
    with Reports.open(filled_store.state) as reports:
        assert [(one.job.id, one.job.finished_at) for one in reports.finished(5)] == [(1, NOW), (2, NOW - 5)]
        (failed,) = reports.failures(5)
        assert failed.job.finished_at is None
