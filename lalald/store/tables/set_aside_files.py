"""Files whose inspection failed with an unexpected exception, for `status` and `explain`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from lalald.store.rows import name_from, stored_name


class SetAsideFile(NamedTuple):
    """A file that is inspected again with growing pauses, why, and since when."""

    inbox: str
    path: str
    error: str
    since: float
    is_old: bool  # it was there before the first scan


class SetAsideFiles:
    """Each method runs within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def note(self, inbox: str, path: str, error: str, *, is_old: bool, now: float) -> None:
        self.connection.execute(
            "INSERT INTO set_aside_files (inbox, path, error, since, is_old) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (inbox, path) DO UPDATE SET error = excluded.error, is_old = is_old OR excluded.is_old",
            (stored_name(inbox), stored_name(path), error, now, is_old),
        )

    def forget(self, inbox: str, paths: Iterable[str]) -> None:
        self.connection.executemany(
            "DELETE FROM set_aside_files WHERE inbox = ? AND path = ?",
            [(stored_name(inbox), stored_name(path)) for path in paths],
        )

    def of(self, inbox: str) -> list[SetAsideFile]:
        rows = self.connection.execute(
            "SELECT inbox, path, error, since, is_old FROM set_aside_files WHERE inbox = ? ORDER BY since, path",
            (stored_name(inbox),),
        )
        return [SetAsideFile(name_from(row[0]), name_from(row[1]), row[2], row[3], bool(row[4])) for row in rows]

    def at(self, inbox: str, path: str) -> SetAsideFile | None:
        row = self.connection.execute(
            "SELECT error, since, is_old FROM set_aside_files WHERE inbox = ? AND path = ?",
            (stored_name(inbox), stored_name(path)),
        ).fetchone()
        return None if row is None else SetAsideFile(inbox, path, row[0], row[1], bool(row[2]))
