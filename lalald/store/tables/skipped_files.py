"""Finished files that no rule takes, for `status`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from lalald.store.file_types import SkipReason
from lalald.store.rows import name_from, stored_name


class SkippedFiles(NamedTuple):
    files: int
    example: str | None  # path of one of them within its inbox


NO_FILES = SkippedFiles(0, None)


def skipped_files(connection: sqlite3.Connection, inboxes: Sequence[str]) -> SkippedFiles:
    """Of these inboxes: what was dropped and has no job, since its type or name suits no rule."""
    marks = ", ".join("?" * len(inboxes))
    where = f"FROM files WHERE inbox IN ({marks}) AND job_id IS NULL AND skip_reason = ?"
    values = [*map(stored_name, inboxes), SkipReason.NO_RULE]
    (number,) = connection.execute(f"SELECT count(*) {where}", values).fetchone()
    if not number:
        return NO_FILES
    folder, name = map(name_from, connection.execute(f"SELECT folder, name {where} LIMIT 1", values).fetchone())
    return SkippedFiles(number, f"{folder}/{name}" if folder else name)
