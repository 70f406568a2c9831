"""Finished files that are not processed although they may have been dropped for that, for `status`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from lalald.store.file_types import SkipReason
from lalald.store.rows import name_from, stored_name

# Not those of `existing: skip`: a person has chosen that.
_REPORTED = (SkipReason.NO_RULE, SkipReason.EMPTY, SkipReason.CHANGED)


class SkippedFiles(NamedTuple):
    """Files that are skipped for one reason. `example`: path of one of them within its inbox."""

    code: SkipReason
    files: int
    example: str


def skipped_files(connection: sqlite3.Connection, inboxes: Sequence[str]) -> list[SkippedFiles]:
    """Of these inboxes: what was dropped and has no job, by reason."""
    found = (_skipped_for(reason, connection, [*map(stored_name, inboxes)]) for reason in _REPORTED)
    return [skipped for skipped in found if skipped is not None]


def _skipped_for(
    reason: SkipReason, connection: sqlite3.Connection, inboxes: list[str | bytes | None]
) -> SkippedFiles | None:
    marks = ", ".join("?" * len(inboxes))
    where = f"FROM files WHERE inbox IN ({marks}) AND skip_reason = ?"
    (number,) = connection.execute(f"SELECT count(*) {where}", [*inboxes, reason]).fetchone()
    if not number:
        return None
    row = connection.execute(f"SELECT folder, name {where} LIMIT 1", [*inboxes, reason]).fetchone()
    folder, name = map(name_from, row)
    return SkippedFiles(reason, number, f"{folder}/{name}" if folder else name)
