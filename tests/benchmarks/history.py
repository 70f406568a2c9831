"""A store with a long history: one job carried for real, and its rows as often as wanted."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.benchmarks.place import Tail, prepared
from tests.support.running import Home

_NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
_OF_A_CLONE = {
    "jobs": {"id": "id + n", "path": "n || '/' || path", "sha256": "sha256 || n", "size": "size + n"},
    "tasks": {"job_id": "job_id + n", "task_id": "task_id || n"},
    "tracks": {"job_id": "job_id + n", "path": "n || '/' || path"},
    "charges": {"job_id": "job_id + n", "task_id": "task_id || n"},
}


def carry_one(home: Home) -> None:
    """A job that is done, by a daemon that has ended."""
    home.start()
    path = prepared(home.root, 1)[0]
    path.rename(home.inbox / "first.wav")
    Tail(home, "job.done").until(1, 30.0)
    home.stop()


def multiply(home: Home, count: int, **changes: dict[str, str]) -> None:
    """The newest job's rows `count` times more; `changes` are SQL expressions for columns of a table's clones."""
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection, connection:
        (newest,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
        for table, of_a_clone in _OF_A_CLONE.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            new = {**of_a_clone, **changes.get(table, {})}
            chosen = ", ".join(new.get(column, column) for column in columns)
            key = "id" if table == "jobs" else "job_id"
            connection.execute(
                f"{_NUMBERS} INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}, numbers WHERE {key} = ?",
                (count, newest),
            )
