"""Why a file has no job goes by a code, not by the words of its note; rows that only have the words are migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lalald.store import Known, SkipReason, Store
from lalald.store.database import FILE_NAME, MIGRATIONS, bring_to

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
        known = Known(5, 7, None, OLD_NOTES["existing.wav"], SkipReason.EXISTING, True)
        assert migrated.known_in("/in", "")["existing.wav"] == known
        assert migrated.known_at("/in", ["existing.wav"]) == {"existing.wav": known}
        assert dict(migrated.left_alone("/in", "", 10))["existing.wav"] == known
