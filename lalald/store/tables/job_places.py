"""Find a job by the place of its file, and the place by the job."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

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


def dropped_paths(connection: sqlite3.Connection, job_ids: Collection[int]) -> dict[int, str]:
    """The paths, within their inboxes, at which the files of these jobs were dropped; jobs without a row are left out."""
    marks = ", ".join("?" * len(job_ids))
    rows = connection.execute(f"SELECT id, path FROM jobs WHERE id IN ({marks})", tuple(job_ids))
    return {job_id: name_from(path) for job_id, path in rows}
