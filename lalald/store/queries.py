"""Read-only queries for the command line, reports and the page; they load no more than is shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from lalald.errors import LalaldError
from lalald.jobs.job import Job
from lalald.jobs.spending.prices import minutes as cost
from lalald.jobs.states import Stage, State
from lalald.store import database
from lalald.store.duplicates_query import Duplicates
from lalald.store.known_files import KnownFiles
from lalald.store.report_types import (
    Charge,
    Counts,
    Fact,
    FolderReport,
    HoldReport,
    InboxReport,
    JobReport,
)
from lalald.store.rows import JobRows, UnreadableJob, jobs_where, name_from
from lalald.store.tables.job_places import newest_job_at
from lalald.store.tables.set_aside_files import SetAsideFiles
from lalald.store.tables.unreadable_jobs import UnreadableJobs

STOPPED_STEPS = "stopped_steps"  # a fact: steps at which every job met the same exception
_AT_ONCE = 500
_UNPAID = "tasks.stage = 'split' AND tasks.task_id IS NULL AND tasks.requested_at IS NULL AND tasks.error IS NULL"
_TO_PAY = (  # unless the earlier job with this content gives its tasks, and no person agreed to pay again
    f"{_UNPAID} AND NOT (jobs.duplicate_accepted = 0 AND EXISTS (SELECT 1 FROM tasks AS earlier JOIN jobs AS first"
    " ON first.id = earlier.job_id WHERE first.id = jobs.duplicate_of AND first.state IN ('waiting', 'held', 'done')"
    " AND earlier.error IS NULL AND earlier.mode = tasks.mode AND earlier.presets = tasks.presets))"
)
_LOST = "SELECT 1 FROM tasks WHERE tasks.job_id = jobs.id AND tasks.stage = 'split' AND tasks.requested_at IS NOT NULL"
_ENDED = "jobs.state IN ('failed', 'cancelled')"  # as in the index: SQLite does not infer it
_TRANSFERS = "state = 'waiting' AND stage IN ('upload', 'download') AND progress IS NOT NULL"
_CHECKS = (
    "tasks JOIN jobs ON jobs.id = tasks.job_id WHERE tasks.stage = 'check' AND tasks.error IS NULL"
    " AND tasks.incomplete_since IS NULL AND jobs.state = 'waiting' AND jobs.stage = 'check'"
)


class Reports:
    """Read-only queries of the database of a state folder. `skipped`: jobs that `jobs` and `unpaid` found and could not read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.skipped: dict[int, UnreadableJob] = {}

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Raises StoreError where there is no database, or one that cannot be read."""
        return cls(database.connect(state_dir, read_only=True))

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        folder = database.folder_of(self.connection) if isinstance(error, sqlite3.Error) else None
        self.close()
        if isinstance(error, sqlite3.Error):
            raise database.translated(error, "the database", folder) from error

    def job(self, job_id: int) -> JobReport | None:
        """Raises LalaldError if its row cannot be read."""
        found = self._rows("jobs.id = ?", (job_id,), 1)
        if found.unreadable:
            words = f"job {job_id} cannot be read from the database ({found.unreadable[0].error}); no change was made."
            raise LalaldError(words, hint="Other jobs are not affected; `lalald status` says what to do.")
        return JobReport(*found.jobs[0]) if found.jobs else None

    def jobs(
        self, *, stage: Stage | None = None, states: Sequence[State] = (), limit: int | None = None
    ) -> Iterator[JobReport]:
        """The newest `limit` jobs, oldest of them first; `states`: only those in one of them."""
        where, parameters = _condition(stage, states)
        last = 0
        if limit is not None:
            newest = f"SELECT id FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?"
            (first,) = self.connection.execute(f"SELECT min(id) FROM ({newest})", (*parameters, limit)).fetchone()
            last = (first or 0) - 1
        yield from self._paged(where, parameters, last)

    def count(self, *, stage: Stage | None = None, states: Sequence[State] = ()) -> int:
        where, parameters = _condition(stage, states)
        (count,) = self.connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", parameters).fetchone()
        return int(count)

    def counts(self) -> Counts:
        """How many jobs there are by state and stage, from indices only, except for running transfers."""
        stages = self._grouped("SELECT stage, count(*) FROM jobs WHERE state = 'waiting' GROUP BY stage")
        ended = self._grouped("SELECT state, count(*) FROM jobs WHERE state IN ('failed', 'cancelled') GROUP BY state")
        (held,) = self.connection.execute("SELECT count(*) FROM jobs WHERE state = 'held'").fetchone()
        (total,) = self.connection.execute(
            "SELECT (SELECT count(*) FROM jobs) - (SELECT count(*) FROM unreadable_jobs)"
        ).fetchone()
        running = self._grouped(f"SELECT stage, count(*) FROM jobs WHERE {_TRANSFERS} GROUP BY stage")
        running |= self._grouped(f"SELECT 'check', count(DISTINCT job_id) FROM {_CHECKS}")
        unfinished = sum(stages.values())
        failed, cancelled = ended.get("failed", 0), ended.get("cancelled", 0)
        states = {
            "waiting": unfinished - sum(running.values()), "running": sum(running.values()), "held": held, "failed": failed,
            "cancelled": cancelled, "done": total - unfinished - held - failed - cancelled,
        }  # fmt: skip
        return Counts(states, stages, running)

    def _grouped(self, query: str) -> dict[str, int]:
        return {row[0]: row[1] for row in self.connection.execute(query)}

    def under_way(self, limit: int) -> list[JobReport]:
        """Jobs whose stage is under way: transfers, then those that the service works on, oldest first."""
        query = f"SELECT id FROM jobs WHERE {_TRANSFERS} ORDER BY id LIMIT ?"
        found = [row[0] for row in self.connection.execute(query, (limit,))]
        query = f"SELECT DISTINCT job_id FROM {_CHECKS} ORDER BY job_id LIMIT ?"
        found += [row[0] for row in self.connection.execute(query, (limit - len(found),))]
        marks = ", ".join("?" * len(found))
        reports = {report.job.id: report for report in self._reports(f"jobs.id IN ({marks})", found, limit)}
        return [reports[job_id] for job_id in found if job_id in reports]

    def holds(self) -> list[HoldReport]:
        """What held jobs wait for, most jobs first."""
        costs = self._held_costs()
        facts = "count(*) AS jobs, min(held_at) AS since, min(id) AS first FROM jobs WHERE state = 'held'"
        rows = self.connection.execute(
            f"SELECT hold, 0 AS still, {facts} AND hold != 'lost_task' GROUP BY hold"
            f" UNION ALL SELECT hold, NOT EXISTS ({_LOST}) AS still, {facts} AND hold = 'lost_task' GROUP BY still"
            " ORDER BY jobs DESC, hold, still"
        ).fetchall()
        reports = []
        for hold, still, jobs, since, first in rows:
            (reason,) = self.connection.execute("SELECT hold_reason FROM jobs WHERE id = ?", (first,)).fetchone()
            price = (0.0, 0) if still else costs.get(hold, (0.0, 0))
            reports.append(HoldReport(hold, jobs, since, reason, first, *price, bool(still)))
        return reports

    def waiting_minutes(self) -> float:
        """Minutes that waiting jobs will be charged, as far as their durations are known."""
        return self._price_of("jobs.state = 'waiting'")

    def _price_of(self, jobs: str) -> float:
        rows = self.connection.execute(
            "SELECT tasks.mode, tasks.presets, total(jobs.duration) FROM jobs JOIN tasks ON tasks.job_id = jobs.id"
            f" WHERE {jobs} AND {_TO_PAY} AND json_valid(tasks.presets) GROUP BY tasks.mode, tasks.presets"
        )
        return sum(cost(seconds, mode, json.loads(presets)) for mode, presets, seconds in rows)

    def _held_costs(self) -> dict[str, tuple[float, int]]:
        """By hold: minutes that its jobs' unpaid tasks will cost, and how many jobs have an unknown duration."""
        unknown = self._grouped(
            "SELECT hold, count(*) FROM jobs WHERE state = 'held' AND duration IS NULL AND stage IN ('upload', 'split')"
            " GROUP BY hold"
        )
        costs = {hold: (0.0, jobs) for hold, jobs in unknown.items()}
        for hold, mode, presets, seconds in self.connection.execute(
            "SELECT jobs.hold, tasks.mode, tasks.presets, total(jobs.duration)"
            f" FROM jobs JOIN tasks ON tasks.job_id = jobs.id WHERE jobs.state = 'held' AND {_UNPAID}"
            " AND json_valid(tasks.presets) GROUP BY jobs.hold, tasks.mode, tasks.presets"
        ):
            minutes, jobs = costs.get(hold, (0.0, 0))
            costs[hold] = (minutes + cost(seconds, mode, json.loads(presets)), jobs)
        return costs

    def finished(self, limit: int) -> list[JobReport]:
        """Done jobs, the last one first."""
        return self._reports("jobs.state = 'done'", (), limit, order="jobs.finished_at DESC")

    def waiting_price(self) -> tuple[float, int]:
        """Minutes that jobs waiting to be uploaded or started will be charged, and how many have an unknown duration."""
        waits = "jobs.state = 'waiting' AND jobs.stage IN ('upload', 'split') AND jobs.progress IS NULL"
        paying = f"SELECT 1 FROM tasks WHERE tasks.job_id = jobs.id AND {_TO_PAY}"
        (unknown,) = self.connection.execute(
            f"SELECT count(*) FROM jobs WHERE {waits} AND duration IS NULL AND EXISTS ({paying})"
        ).fetchone()
        return self._price_of(waits), int(unknown)

    def charges(self, job_id: int) -> list[Charge]:
        """The charges of a job, oldest first; a task that was started again has several."""
        query = "SELECT task_number, task_id, minutes, at FROM charges WHERE job_id = ? ORDER BY at, task_number"
        return [Charge(*row) for row in self.connection.execute(query, (job_id,))]

    def failures(self, limit: int) -> list[JobReport]:
        """Failed jobs, newest first."""
        return self._reports(f"{_ENDED} AND jobs.state = 'failed'", (), limit, order="jobs.id DESC")

    def incomplete(self, limit: int) -> list[JobReport]:
        """Jobs with tasks that succeeded without all of their tracks, oldest first."""
        where = "SELECT job_id FROM tasks WHERE stage = 'check' AND error IS NULL AND incomplete_since IS NOT NULL"
        return self._reports(f"jobs.id IN ({where}) AND jobs.state IN ('waiting', 'held')", (), limit)

    def unpaid(self) -> Iterator[JobReport]:
        """Waiting and held jobs with a task that is not paid yet, oldest first."""
        return self._paged("jobs.state IN ('waiting', 'held') AND jobs.stage IN ('upload', 'split')", (), 0)

    def _paged(self, where: str, parameters: Sequence[Any], last: int) -> Iterator[JobReport]:
        """All matching jobs after the job `last`, page by page; unreadable ones are skipped."""
        while True:
            found = self._rows(f"jobs.id > ? AND {where}", (last, *parameters), _AT_ONCE)
            self.skipped |= {job.job_id: job for job in found.unreadable}
            yield from (JobReport(*row) for row in found.jobs)
            ids = [job.id for job, _ in found.jobs] + [job.job_id for job in found.unreadable]
            if not ids:
                return
            last = max(ids)

    def inboxes(self) -> list[InboxReport]:
        rows = self.connection.execute(
            "SELECT path, available, reason, watch, watch_reason, iif(available, NULL, updated_at) FROM inboxes ORDER BY path"
        )
        return [
            InboxReport(name_from(path), None if available is None else bool(available), *details)
            for path, available, *details in rows
        ]

    def folders(self) -> list[FolderReport]:
        rows = self.connection.execute(
            "SELECT path, reason, iif(reason IS NULL, NULL, updated_at) FROM folders ORDER BY path"
        )
        return [FolderReport(name_from(path), reason is None, reason, since) for path, reason, since in rows]

    def set_aside_files(self) -> SetAsideFiles:
        """Files whose inspection failed; only its queries work here."""
        return SetAsideFiles(self.connection)

    def unreadable_jobs(self) -> UnreadableJobs:
        """Jobs that were set aside since their rows cannot be read; only its queries work here."""
        return UnreadableJobs(self.connection)

    def known_files(self) -> KnownFiles:
        """The known files of the inboxes; only its queries work here."""
        return KnownFiles(self.connection)

    def job_at(self, path: str) -> JobReport | None:
        """The newest job whose file is, or was, at this absolute path. Raises LalaldError if its row cannot be read."""
        job_id = newest_job_at(self.connection, path)
        return None if job_id is None else self.job(job_id)

    def may_have_duplicate(self, job: Job) -> bool:
        """Whether an earlier job has a file of the same size and a task in common: only then its bytes need to be compared."""
        return Duplicates(self.connection).may_have_duplicate(job)

    def duplicates(self, job: Job) -> list[Job]:
        """Jobs with the same bytes and a task in common, done ones first."""
        return Duplicates(self.connection).duplicates(job)

    def unreadable_payer(self, job: Job) -> int | None:
        """The id of a job with the same bytes that paid for a task of this one, and whose row cannot be read; else None."""
        return Duplicates(self.connection).unreadable_payer(job)

    def asked(self) -> int:
        """How many requests the daemon has not carried out yet."""
        (of_jobs,) = self.connection.execute("SELECT count(*) FROM jobs WHERE request IS NOT NULL").fetchone()
        (of_the_daemon,) = self.connection.execute("SELECT count(*) FROM requests").fetchone()
        return int(of_jobs) + int(of_the_daemon)

    def spent_since(self, since: float) -> float:
        """Minutes charged since that moment."""
        (found,) = self.connection.execute("SELECT total(minutes) FROM charges WHERE at >= ?", (since,)).fetchone()
        return float(found)

    def fact(self, name: str) -> Fact | None:
        row = self.connection.execute("SELECT json, at FROM daemon_state WHERE name = ?", (name,)).fetchone()
        return Fact(json.loads(row[0]), row[1]) if row else None

    def _reports(self, where: str, parameters: Sequence[Any], limit: int, order: str = "jobs.id") -> list[JobReport]:
        return [JobReport(*row) for row in self._rows(where, parameters, limit, order).jobs]

    def _rows(self, where: str, parameters: Sequence[Any], limit: int, order: str = "jobs.id") -> JobRows:
        try:
            return jobs_where(self.connection, f"WHERE {where} ORDER BY {order} LIMIT ?", (*parameters, limit))
        except sqlite3.Error as error:
            raise database.translated(error, "the database", database.folder_of(self.connection)) from error


def _condition(stage: Stage | None, states: Sequence[State]) -> tuple[str, list[str]]:
    """States are literals in the query: only then SQLite can use the indices of failed and held jobs."""
    parts, parameters = ["1"], []
    if states:
        listed = " OR ".join(f"jobs.state = '{State(state)}'" for state in states)
        parts.append(f"({listed})")
        if set(states) <= {State.FAILED, State.CANCELLED}:
            parts.append(_ENDED)
    if stage is not None:
        parts.append("jobs.stage = ?")
        parameters.append(str(stage))
    return " AND ".join(parts), parameters
