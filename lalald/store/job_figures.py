"""Figures for metrics: jobs by state and rule, minutes charged, transfers, seconds per stage."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

# Each stage ends with a moment that is kept: the upload's end, the first task's start, the delivery, the end of the job.
_STAGES = (
    ("upload", "uploaded_at - created_at"),
    ("split", "(SELECT min(started_at) FROM tasks WHERE tasks.job_id = jobs.id) - uploaded_at"),
    ("check_and_download", "delivered_at - (SELECT min(started_at) FROM tasks WHERE tasks.job_id = jobs.id)"),
    ("delete_and_archive", "finished_at - delivered_at"),
)


class JobCount(NamedTuple):
    rule: str
    state: str
    jobs: int


class ChargedSum(NamedTuple):
    """`rule` is empty for charges of an old version."""

    rule: str
    mode: str
    minutes: float


class TransferSum(NamedTuple):
    """Jobs with transfers, and the sum of their bytes per second."""

    stage: str
    jobs: int
    rate: float


class StageSeconds(NamedTuple):
    """Durations of a stage, over the jobs that ran it."""

    stage: str
    jobs: int
    mean: float
    longest: float


class JobFigures:
    """Read-only queries."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def by_rule(self) -> list[JobCount]:
        query = "SELECT rule, state, count(*) FROM jobs WHERE state != 'unreadable' GROUP BY rule, state ORDER BY rule, state"
        return [JobCount(*row) for row in self.connection.execute(query)]

    def charged(self) -> list[ChargedSum]:
        """Since the first charge: the sums never fall."""
        query = "SELECT coalesce(rule, ''), mode, sum(minutes) FROM charges GROUP BY 1, 2 ORDER BY 1, 2"
        return [ChargedSum(*row) for row in self.connection.execute(query)]

    def transfers(self) -> list[TransferSum]:
        query = (
            "SELECT stage, count(*), total(transfer_rate) FROM jobs"
            " WHERE state = 'waiting' AND stage IN ('upload', 'download') AND progress IS NOT NULL GROUP BY stage"
        )
        return [TransferSum(*row) for row in self.connection.execute(query)]

    def finished_since(self, since: float) -> int:
        (count,) = self.connection.execute(
            "SELECT count(*) FROM jobs WHERE state = 'done' AND finished_at >= ?", (since,)
        ).fetchone()
        return int(count)

    def stage_seconds(self, since: float) -> list[StageSeconds]:
        """Of jobs done since then, without stages that a job skipped or during which the clock was turned back."""
        found = []
        for stage, seconds in _STAGES:
            jobs, mean, longest = self.connection.execute(
                f"SELECT count(*), avg(seconds), max(seconds) FROM (SELECT {seconds} AS seconds FROM jobs"
                " WHERE state = 'done' AND finished_at >= ?) WHERE seconds >= 0",
                (since,),
            ).fetchone()
            if jobs:
                found.append(StageSeconds(stage, jobs, mean, longest))
        return found
