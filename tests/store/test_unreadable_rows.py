"""A value in one job's row that means nothing to this program: that job is set aside and reported, every other goes on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store.database import FILE_NAME
from tests.conftest import MakeHome
from tests.support.running import Home, tree, until, write_wav

KINDS = [  # table, column, a value as SQL
    ("jobs", "hold_source", "'of a later version'"),
    ("jobs", "failure_kind", "'of a later version'"),
    ("jobs", "warning", "CAST(x'ff' AS TEXT)"),
    ("jobs", "request_terms", "'{'"),
    ("jobs", "stage", "'mix'"),
    ("jobs", "state", "'asleep'"),
    ("tasks", "presets", "'{\"stem\": '"),
    ("tasks", "failure", "'unheard of'"),
    ("tasks", "hold", "'the moon'"),
    ("tasks", "stage", "'mix'"),
]
GOOD = 3


@contextmanager
def database(home: Home) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(home.state / FILE_NAME)) as connection:
        yield connection
        connection.commit()


def paid(home: Home) -> int:
    with database(home) as connection:
        (count,) = connection.execute("SELECT count(*) FROM tasks WHERE task_id IS NOT NULL").fetchone()
    return int(count)


def delivered(home: Home) -> set[str]:
    return {path.split("/", maxsplit=1)[0] for path in tree(home.outbox) if not path.startswith(".")}


def key(table: str) -> str:
    return "id" if table == "jobs" else "job_id"


def spoil(home: Home, ids: list[int]) -> list[object]:
    """What stood there before."""
    before: list[object] = []
    with database(home) as connection:
        for job_id, (table, column, value) in zip(ids, KINDS, strict=True):
            where = f"{table} WHERE {key(table)} = ?"
            before += connection.execute(f"SELECT {column} FROM {where}", (job_id,)).fetchone()
            connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {key(table)} = ?", (job_id,))
    return before


def repair(home: Home, ids: list[int], before: list[object]) -> None:
    with database(home) as connection:
        for job_id, (table, column, _), value in zip(ids, KINDS, before, strict=True):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key(table)} = ?", (value, job_id))


def test_unreadable_paid_jobs_stop_no_other_and_resume_once_readable(make_home: MakeHome) -> None:
    with Sandbox(Options(processing_seconds=6.0, checks_per_minute=600)) as sandbox:
        home = make_home(sandbox.url, checks_per_minute=600)
        names = {f"{number:02}" for number in range(len(KINDS) + GOOD)}
        for name in names:
            write_wav(home.root / "made" / f"{name}.wav", 0.5, pitch=200 + 10 * int(name))
        home.start()
        for name in names:
            (home.root / "made" / f"{name}.wav").rename(home.inbox / f"{name}.wav")
        until(lambda: paid(home) == len(names), "all are paid for")
        home.kill()
        jobs = home.jobs()
        ids = sorted(job["id"] for job in jobs)[: len(KINDS)]
        good = {job["path"][:2] for job in jobs if job["id"] not in ids}
        before = spoil(home, ids)

        home.start()
        until(lambda: delivered(home) == good, "the others were delivered")
        until(lambda: len(home.logged("job.unreadable")) == len(ids), "each of them is reported")
        status = home.command("status", "--json")
        output = json.loads(status.stdout)
        assert status.returncode == 1
        assert [job["id"] for job in output["unreadable_jobs"]] == ids
        assert "jobs_unreadable" in [item["code"] for item in output["needs_attention"]]
        assert {job["path"][:2] for job in home.jobs()} == good
        assert home.command("show", str(ids[0])).returncode == 1
        assert sum(output["jobs"].values()) == GOOD
        home.stop()

        repair(home, ids, before)
        home.start()
        until(lambda: delivered(home) == names, "what was paid is delivered")
        home.rest()
        assert home.command("status").returncode == 0
        home.stop()
        assert len(sandbox.state()["charges"]) == len(names)
