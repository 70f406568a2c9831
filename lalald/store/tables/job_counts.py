"""How many jobs wait, are held, or are late."""

from __future__ import annotations

import sqlite3

from lalald.jobs.states import Hold

_HOLDS = frozenset(Hold)  # a row may have another value
_HAS_UNDELIVERED = (  # a living task of which not everything that the service gave is delivered
    "SELECT 1 FROM tasks t WHERE t.job_id = jobs.id AND t.error IS NULL AND t.stage != 'done' AND (t.stage != 'check'"
    " OR t.incomplete_since IS NULL OR EXISTS (SELECT 1 FROM tracks WHERE tracks.job_id = t.job_id"
    " AND tracks.task_number = t.number AND tracks.wanted AND NOT tracks.delivered AND tracks.url != ''))"
)


class JobCounts:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def by_hold(self) -> dict[Hold, int]:
        """How many jobs are held, by hold."""
        rows = self.connection.execute("SELECT hold, count(*) FROM jobs WHERE state = 'held' GROUP BY hold")
        return {Hold(hold): count for hold, count in rows if hold in _HOLDS}

    def waiting(self, now: float) -> int:
        """Jobs that have not ended and do not wait for a held job."""
        (count,) = self.connection.execute(
            "SELECT (SELECT count(*) FROM jobs INDEXED BY jobs_oldest WHERE state = 'waiting')"
            " - (SELECT count(*) FROM jobs INDEXED BY jobs_duplicate_of JOIN jobs earlier ON earlier.id = jobs.duplicate_of"
            " WHERE jobs.duplicate_of IS NOT NULL AND jobs.state = 'waiting' AND jobs.stage = 'upload' AND earlier.state = 'held')"
            " + (SELECT count(*) FROM jobs INDEXED BY jobs_unarchived WHERE state = 'failed' AND archived = 0 AND due_at <= ?)",
            (now,),
        ).fetchone()
        return int(count)

    def late(self) -> int:
        """Waiting jobs that only wait for tracks that the service has not given yet."""
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM jobs WHERE state = 'waiting' AND stage = 'check' AND NOT EXISTS ({_HAS_UNDELIVERED})"
        ).fetchone()
        return int(count)

    def by_stage(self) -> dict[str, int]:
        """How many jobs wait, by stage, and how many are held."""
        rows = self.connection.execute(
            "SELECT stage, count(*) FROM jobs INDEXED BY jobs_oldest WHERE state = 'waiting' GROUP BY stage"
            " UNION ALL SELECT state, count(*) FROM jobs INDEXED BY jobs_held WHERE state = 'held' GROUP BY state"
        )
        return {row[0]: row[1] for row in rows}
