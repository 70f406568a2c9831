"""Find a job by the place of its file."""

from __future__ import annotations

import sqlite3

from lalald.store.rows import name_from, stored_name


def newest_job_at(connection: sqlite3.Connection, path: str) -> int | None:
    """The id of the newest job whose file is, or was, at this absolute path; None if there is none."""
    (moved,) = connection.execute("SELECT max(id) FROM jobs WHERE moved_to = ?", (stored_name(path),)).fetchone()
    if moved is not None:
        return int(moved)
    for (inbox,) in connection.execute("SELECT DISTINCT inbox FROM jobs").fetchall():
        root = name_from(inbox).rstrip("/") + "/"
        within = stored_name(path.removeprefix(root))
        query = "SELECT max(id) FROM jobs WHERE inbox = ? AND path = ?"
        if path.startswith(root) and (found := connection.execute(query, (inbox, within)).fetchone()[0]) is not None:
            return int(found)
    return None
