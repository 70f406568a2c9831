"""What the program decides by is a code, not the words of a note; rows that only have the words are migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lalald.store import KnownFile, SkipReason, Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.jobs.test_transitions import SETTINGS

WAS_THERE = "it lay in the inbox before lalald first looked there"
OLD_NOTES = {  # as every earlier version wrote them
    "existing.wav": f"existing: skip: {WAS_THERE}",
    "changed.wav": "changed: skip: its content changed after it was taken",
    "old.txt": f"no rule takes it; {WAS_THERE}",
    "new.txt": "no rule takes it",
}


@pytest.fixture
def migrated(tmp_path: Path) -> Store:
    """A database of the version before the codes, with a row of each kind, opened by this one."""
    before = next(number for number, script in enumerate(MIGRATIONS) if "ADD COLUMN skip_reason" in script)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, before)
        for name, note in OLD_NOTES.items():
            old.execute("INSERT INTO files VALUES ('/in', '', ?, 5, 7, NULL, ?)", (name, note))
        old.execute("INSERT INTO files VALUES ('/in', '', 'job.wav', 5, 7, 3, NULL)")
    return Store.open(tmp_path)


def test_the_reasons_of_earlier_versions_become_codes(migrated: Store) -> None:
    with closing(migrated):
        found = migrated.known_in("/in", "")
    assert {name: (known.skip_reason, known.found_at_first_scan) for name, known in found.items()} == {
        "existing.wav": (SkipReason.EXISTING, True),
        "changed.wav": (SkipReason.CHANGED, False),
        "old.txt": (SkipReason.NO_RULE, True),
        "new.txt": (SkipReason.NO_RULE, False),
        "job.wav": (None, False),
    }
    assert {name: known.note for name, known in found.items()} == {**OLD_NOTES, "job.wav": None}


def test_every_column_of_a_known_file_is_read_alike(migrated: Store) -> None:
    with closing(migrated):
        known = KnownFile(5, 7, None, OLD_NOTES["existing.wav"], SkipReason.EXISTING, True)
        assert migrated.known_in("/in", "")["existing.wav"] == known
        assert migrated.known_at("/in", ["existing.wav"]) == {"existing.wav": known}
        assert dict(migrated.files_without_job("/in", "", 10))["existing.wav"] == known


def test_a_cancelled_task_and_a_file_that_stayed_are_known_by_columns(tmp_path: Path) -> None:
    before = next(number for number, script in enumerate(MIGRATIONS) if "ADD COLUMN archive_error" in script)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, before)
        old.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
        warnings = (
            None,
            "odd tracks",
            "odd tracks; the file stays where it is: no room",
            "the file stays where it is: away",
        )
        for job_id, warning in enumerate(warnings, start=1):
            old.execute(
                "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at,"
                " updated_at, warning) VALUES (?, '/in', 'a.wav', 1, 1, 1, 'r', 1, 'check', 'failed', 'x', 0, 0, ?)",
                (job_id, warning),
            )
            error = (
                "it was cancelled"
                if job_id == 1
                else "the task was cancelled on the service; its minutes were charged."
            )
            old.execute(
                "INSERT INTO tasks (job_id, number, mode, presets, stage, error, failure)"
                " VALUES (?, 1, 'demuser', '{}', 'check', ?, 'cancelled')",
                (job_id, error),
            )
    with closing(Store.open(tmp_path)) as store:
        jobs = store.jobs_by_id(range(1, 5))
    assert [(job.warning, job.archive_error) for job in jobs] == [
        (None, None),
        ("odd tracks", None),
        ("odd tracks", "no room"),
        (None, "away"),
    ]
    assert [job.tasks[0].cancelled for job in jobs] == [True, False, False, False]
