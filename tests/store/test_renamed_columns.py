"""Databases of the version before the columns were renamed keep every value, of every kind of job."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State, TaskFailure
from lalald.jobs.task import Task, Track
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.queries import Reports
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.jobs.test_transitions import SETTINGS

BEFORE = next(number for number, script in enumerate(MIGRATIONS) if "RENAME COLUMN twin_id" in script)
NOT_UTF8 = b"/in/failed/caf\xe9.wav"
JOB = {
    "id": 2, "revision": 7, "inbox": "/in", "path": "song.wav", "size": 5, "mtime_ns": 6, "inode": 7, "rule": "r", "handling": 1,
    "stage": "download", "state": "failed", "location": NOT_UTF8, "filed": 1, "recipe": "abc", "twin_id": 1, "redo": 1,
    "request": "retry", "created_at": 1.0, "updated_at": 2.0, "failure_kind": "refused", "error": "refused",
    "request_seen": json.dumps({"hold": "minutes", "source": "per_file", "recipe": "abc", "minutes": 3.5}),
}  # fmt: skip
TASK = {
    "job_id": 2, "number": 1, "name": "lead", "mode": "demuser", "presets": "{}", "stage": "download", "idempotency_key": "k",
    "asked_at": 3.0, "task_id": "t", "started_at": 4.0, "minutes": 1.5, "progress": 100, "moved_at": 5.0, "due_at": 6.0,
    "links_asked": 2, "error": "dead", "failure": "dead_links", "waits_for": "minutes", "waits_reason": "why", "waits_source": "left",
}  # fmt: skip
TRACK = {
    "job_id": 2, "task_number": 1, "position": 0, "type": "stem", "label": "vocals", "url": "", "wanted": 1, "delivered": 0,
    "origin": "/out/earlier.mp3",
}  # fmt: skip


def insert(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of the version before, with job 1 that is done and job 2 that failed."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, BEFORE)
        insert(old, "handlings", {"id": 1, "json": SETTINGS.to_json()})
        insert(old, "facts", {"name": "minutes", "json": '{"left": 4.5}', "at": 8.0})
        done = {"stage": "done", "state": "done", "twin_id": None, "redo": 0, "request": None, "request_seen": None}
        insert(
            old, "jobs", JOB | done | {"id": 1, "location": "/in/done/song.wav", "error": None, "failure_kind": None}
        )
        insert(old, "jobs", JOB)
        insert(old, "tasks", TASK)
        insert(old, "tracks", TRACK)
    return tmp_path


def job_two(state: Path) -> Job:
    with closing(Store.open(state)) as store:
        job = store.job(2)
    assert job is not None
    return job


def test_every_renamed_column_of_a_job_keeps_its_value(state: Path) -> None:
    job = job_two(state)
    assert job.settings == SETTINGS
    assert job.moved_to == "/in/failed/caf\udce9.wav"
    assert (job.archived, job.ignore_duplicates, job.duplicate_of, job.task_fingerprint) == (True, True, 1, "abc")
    assert (job.request, job.request_terms) == (
        Request.RETRY,
        RequestTerms(Hold.MINUTES, HoldSource.PER_FILE, "abc", 3.5),
    )


def test_every_renamed_column_of_tasks_and_tracks_keeps_its_value(state: Path) -> None:
    assert job_two(state).tasks == (
        Task(
            1, "lead", "demuser", {}, Stage.DOWNLOAD, idempotency_key="k", requested_at=3.0, task_id="t", started_at=4.0, minutes=1.5,
            progress=100, progressed_at=5.0, due_at=6.0, link_renewals=2, error="dead", failure=TaskFailure.DEAD_LINKS,
            hold=Hold.MINUTES, hold_reason="why", hold_source=HoldSource.LEFT,
            tracks=(Track("stem", "vocals", "", copy_from="/out/earlier.mp3"),),
        ),
    )  # fmt: skip


def test_the_done_job_and_the_daemons_state_are_read_as_before(state: Path) -> None:
    with closing(Store.open(state)) as store:
        done = store.job(1)
        assert store.state.get("minutes") == {"left": 4.5}
    assert done is not None
    assert (done.state, done.moved_to, done.request_terms) == (State.DONE, "/in/done/song.wav", None)
    with Reports.open(state) as reports:
        found = reports.job_at("/in/done/song.wav")
    assert found is not None
    assert found.job.id == 1


def test_the_migrated_rows_are_found_by_the_queries_that_name_an_index(state: Path) -> None:
    with closing(Store.open(state)) as store:
        assert [one.job_id for one in store.possible_returns("/in", 5)] == [2]
        assert store.counts.waiting(0.0) == 0
        store.connection.execute("UPDATE jobs SET archived = 0, request = NULL WHERE id = 2")
        assert [job.id for job in store.unarchived_failures(0.0, 10).jobs] == [2]


def test_terms_that_are_no_json_stop_no_migration(state: Path) -> None:
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as old:
        old.execute("UPDATE jobs SET request_seen = '{' WHERE id = 2")
    with closing(Store.open(state)) as store:
        assert store.job(2) is None  # set aside, as before
        assert store.connection.execute("SELECT state FROM jobs WHERE id = 2").fetchone() == ("unreadable",)


@pytest.mark.parametrize("version", range(BEFORE))
def test_every_earlier_version_is_migrated(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, version)
    with closing(Store.open(tmp_path)) as migrated, closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        bring_to(new, 0, len(MIGRATIONS))
        schema = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        assert migrated.connection.execute(schema).fetchall() == new.execute(schema).fetchall()
