"""Jobs with unknown values in their rows: set aside in the database, so that they stop no other job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lalald.store.rows import UnreadableJob, jobs_where

STATE = "unreadable"  # only in rows; queries for jobs in a real state skip them


class UnreadableJobs:
    """Each method runs within the caller's transaction. Nothing but the state is changed, and that is kept."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def set_aside(self, jobs: Iterable[UnreadableJob]) -> list[UnreadableJob]:
        """Set these jobs aside; returns those that were not before. A request in such a row is removed."""
        new = [job for job in jobs if self._note(job)]
        self.connection.executemany(
            f"UPDATE jobs SET state = '{STATE}', request = NULL, request_terms = NULL, progress = NULL,"
            " revision = revision + 1 WHERE id = ?",
            [(job.job_id,) for job in new],
        )
        return new

    def _note(self, job: UnreadableJob) -> bool:
        noted = self.connection.execute(
            "INSERT OR IGNORE INTO unreadable_jobs (job_id, state, error) SELECT id, state, ? FROM jobs WHERE id = ?",
            (job.error.encode(errors="replace").decode(), job.job_id),
        )
        return noted.rowcount > 0

    def read_again(self) -> list[UnreadableJob]:
        """Restore jobs that can be read now, by a newer version for example. Returns those that still cannot."""
        left = []
        for job_id, state in self.connection.execute("SELECT job_id, state FROM unreadable_jobs").fetchall():
            restore = (
                f"UPDATE jobs SET state = ? WHERE id = ? AND state = '{STATE}'"  # unless a user repaired the state, too
            )
            self.connection.execute(restore, (state, job_id))
            self.connection.execute("DELETE FROM unreadable_jobs WHERE job_id = ?", (job_id,))
            left += jobs_where(self.connection, "WHERE jobs.id = ?", (job_id,)).unreadable
        self.set_aside(left)
        return left

    def all(self) -> list[UnreadableJob]:
        rows = self.connection.execute("SELECT job_id, error FROM unreadable_jobs ORDER BY job_id")
        return [UnreadableJob(*row) for row in rows]
