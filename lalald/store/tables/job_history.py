"""Remove the details of old jobs."""

from __future__ import annotations

import sqlite3


class JobHistory:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def trim(self, before: float, ids: range) -> int:
        """Delete ended jobs older than `before`, among those with these ids, except jobs of known files and those that reuse
        needs.

        Reuse needs the newest done job of each content, and a paid and cancelled one if no later job of the content is done.
        Charges are never deleted.
        """
        return self.connection.execute(
            "DELETE FROM jobs NOT INDEXED WHERE id >= ? AND id < ? AND state IN ('done', 'cancelled') AND updated_at < ?"
            " AND id NOT IN (SELECT job_id FROM files WHERE job_id >= ? AND job_id < ?)"
            " AND (sha256 IS NULL OR (state = 'cancelled' AND minutes = 0) OR EXISTS (SELECT 1 FROM jobs later WHERE later.size = jobs.size"
            " AND later.task_fingerprint = jobs.task_fingerprint AND later.sha256 = jobs.sha256"
            " AND later.state = 'done' AND later.id > jobs.id))",
            (ids.start, ids.stop, before, ids.start, ids.stop),
        ).rowcount

    def newest_id(self) -> int:
        """The highest id of a job; 0 if there is none."""
        (newest,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone()
        return int(newest)
