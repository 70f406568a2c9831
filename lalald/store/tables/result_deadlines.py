"""Jobs with results on the service that are not fetched yet: they expire 24 hours after the start of their tasks."""

from __future__ import annotations

import sqlite3

_WITH_RESULTS = (
    "FROM tasks JOIN jobs ON jobs.id = tasks.job_id WHERE tasks.task_id IS NOT NULL AND tasks.error IS NULL"
    " AND tasks.stage IN ('check', 'download') AND jobs.state IN ('waiting', 'held')"
)


class ResultDeadlines:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def jobs_with_results(self, after: float, upto: float) -> list[tuple[int, float]]:
        """Jobs that wait or are held with a task that was started within that time and whose results are not fetched; its start."""
        rows = self.connection.execute(
            f"SELECT tasks.job_id, min(tasks.started_at) {_WITH_RESULTS} AND tasks.started_at > ? AND tasks.started_at <= ?"
            " GROUP BY tasks.job_id ORDER BY 2",
            (after, upto),
        )
        return [(int(job_id), float(started_at)) for job_id, started_at in rows.fetchall()]

    def next_start_with_results(self, after: float) -> float | None:
        """The earliest start after that of a task whose results are not fetched."""
        (found,) = self.connection.execute(
            f"SELECT min(tasks.started_at) {_WITH_RESULTS} AND tasks.started_at > ?", (after,)
        ).fetchone()
        return None if found is None else float(found)
