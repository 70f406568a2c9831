"""Rows of the version before a column was added are read with its default, or with what the row already says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from lalald.jobs.states import Hold, Stage, State
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.jobs.test_transitions import SETTINGS


@contextmanager
def database_before(folder: Path, addition: str) -> Iterator[sqlite3.Connection]:
    """A database of the last version without this column, with the settings that jobs refer to."""
    version = next(number for number, script in enumerate(MIGRATIONS) if addition in script)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, version)
        old.execute("INSERT INTO job_settings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
        yield old


def test_a_job_of_the_version_before_has_no_unknown_uploads(tmp_path: Path) -> None:
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
        assert store.jobs_by_id([1])[0].uploads_unknown == 1


REASONS = {  # of held jobs in /in, whose outbox is /out and whose failed folder is /elsewhere/failed
    "The folder /out is missing. Mount or create it.": "/out",
    "/in is empty. Is it mounted?": "/in",
    "/in/ep1.wav: Permission denied. lalald runs as 1000:1000 (uid:gid).": "/in",
    "lalald (uid:gid 5:5) cannot rename a file in /elsewhere/failed/a: No space left on device.": "/elsewhere/failed",
    "The folder /first is missing. Mount or create it.": "/first",  # the outbox of the job whose results it waits for
    "The folder /unknown is missing.": None,
}


def test_a_hold_of_the_version_before_is_about_the_folder_that_its_reason_names(tmp_path: Path) -> None:
    with database_before(tmp_path, "ADD COLUMN held_path") as old:
        settings = {
            2: replace(SETTINGS, outbox="/out", failed_dir="/elsewhere/failed"),
            3: replace(SETTINGS, outbox="/first"),
        }
        for number, one in settings.items():
            old.execute("INSERT INTO job_settings (id, json) VALUES (?, ?)", (number, one.to_json()))
        insert = (
            "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, settings, stage, state, hold, hold_reason, duplicate_of,"
            " task_fingerprint, created_at, updated_at) VALUES (?, '/in', 'a.wav', 1, 1, 1, 'r', ?, 'split', ?, ?, ?, 1, 'x', 0, 0)"
        )
        old.execute(insert, (1, 3, "done", None, None))
        for number, reason in enumerate(REASONS, 2):
            old.execute(insert, (number, 2, "held", "mount", reason))
            old.execute(
                "INSERT INTO tasks (job_id, number, mode, presets, stage, hold, hold_reason) VALUES (?, 1, 'demuser', '{}', 'split',"
                " 'mount', ?)",
                (number, reason),
            )
        old.execute(insert, (20, 2, "held", "lost_task", "its answer never reached /out"))
        old.execute(insert, (21, 4, "held", "disk", "/out has 5 bytes free"))
        old.execute("INSERT INTO job_settings (id, json) VALUES (4, '{')")
    with closing(Store.open(tmp_path)) as store:
        jobs = store.held_jobs(Hold.MOUNT)
        assert [job.held_path for job in jobs] == list(REASONS.values())
        assert [job.tasks[0].held_path for job in jobs] == list(REASONS.values())
        (lost,) = store.held_jobs(Hold.LOST_TASK)
        assert lost.held_path is None
        assert store.held_jobs(Hold.DISK) == [], "its settings cannot be read: it is set aside, and stops no migration"
