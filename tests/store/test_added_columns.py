"""Rows of the version before a column was added are read with its default, or with what the row already says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from lalald.jobs.states import Stage, State
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.jobs.test_transitions import HANDLING


@contextmanager
def database_before(folder: Path, addition: str) -> Iterator[sqlite3.Connection]:
    """A database of the last version without this column, with the settings that jobs refer to."""
    version = next(number for number, script in enumerate(MIGRATIONS) if addition in script)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, version)
        old.execute("INSERT INTO job_settings (id, json) VALUES (1, ?)", (HANDLING.to_json(),))
        yield old


def test_a_job_of_the_version_before_has_had_no_source_that_the_service_did_not_know(tmp_path: Path) -> None:
    with database_before(tmp_path, "ADD COLUMN uploads_unknown") as old:
        old.execute(
            "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, settings, stage, state, source_id, task_fingerprint,"
            " created_at, updated_at) VALUES (1, '/in', 'a.wav', 1, 1, 1, 'r', 1, 'split', 'waiting', 's', 'x', 0, 0)"
        )
    with closing(Store.open(tmp_path)) as store:
        job = store.job(1)
        assert job is not None
        assert (job.stage, job.state, job.source_id, job.uploads_unknown) == (Stage.SPLIT, State.WAITING, "s", 0)
        store.save(job, replace(job, uploads_unknown=1))
        assert store.jobs_of([1])[0].uploads_unknown == 1
