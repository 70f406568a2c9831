"""Due work: the due jobs of a stage in the order in which they run, and the running tasks to be checked.

Every query walks an index in its order and reads no more rows than it needs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lalald.jobs.backoff import LONGEST_BACKOFF_SECONDS
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.store.duplicates_query import Duplicates

# A due time further ahead than any wait was set before the clock was turned back: such a job is due.
LONGEST_WAIT_SECONDS = 3600.0 + LONGEST_BACKOFF_SECONDS

_NOT_IN = "id NOT IN (SELECT value FROM json_each(:but))"  # excluded by SQLite, so that excluded rows are not read
_DUE = "(+due_at <= :now OR +due_at > :never)"  # the plus keeps SQLite from sorting all that are due
_NO_REQUEST = "request IS NULL"  # the request loop alone continues with the others
# A cancel may wait for a service that does not answer; meanwhile paid results would expire.
_RUNNABLE = f"({_NO_REQUEST} OR (request = 'cancel' AND stage = 'download'))"
_OLDEST = ("jobs_oldest", "id")
_SMALLEST = ("jobs_smallest", "attempts, size, id")
_OF_THE_MODE = (
    " AND EXISTS (SELECT 1 FROM tasks t WHERE t.job_id = jobs.id AND t.stage = 'split' AND t.mode = :mode"
    " AND t.error IS NULL AND t.hold IS NULL)"
)

# A job that is held only because of another of its tasks is checked, too.
_CHECKED = (
    "FROM tasks t JOIN jobs j ON j.id = t.job_id WHERE t.stage = 'check' AND t.error IS NULL AND (j.state = 'waiting'"
    " OR (j.state = 'held' AND j.hold = 'lost_task') OR (j.state = 'held' AND t.incomplete_since IS NOT NULL"
    " AND EXISTS (SELECT 1 FROM tasks w WHERE w.job_id = j.id AND w.hold = j.hold)))"
)
_AT_ITS_OWN_PACE = "(t.hold IS NOT NULL OR t.incomplete_since IS NOT NULL)"


class RunningTask(NamedTuple):
    """A running task to be checked."""

    job_id: int
    number: int
    task_id: str
    due_at: float


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs that wait for one operation: all at a stage, or those with a task of a mode to start."""

    stage: Stage
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeWanted:
    """Which probe an open breaker allows: of any job, or only of one that was never tried."""

    any_job: bool
    untried_job: bool


@dataclass(frozen=True, slots=True)
class Demand:
    """What a stage pool can run: up to `jobs`, among them at most `retries` that failed before while others wait.

    `apart`: a request is for many jobs, and those that failed before do not share it with others. `probes`: by host with an open
    breaker; `limits`: by host with a recovering one. Jobs of these hosts are not among the others.
    """

    jobs: int
    retries: int
    apart: bool = False
    probes: Mapping[str, ProbeWanted] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueJobs:
    """Due jobs, probes of open breakers, the hosts of these breakers at which an untried job waits, and the seconds to the next due job."""

    jobs: list[Job]
    probes: list[Job]
    untried: frozenset[str]
    next_due_seconds: float | None


class DueQueries(Duplicates):
    """Queries for due work."""

    def due(self, queue: Queue, now: float, demand: Demand, but: Collection[int] = ()) -> DueJobs:
        """Due jobs: untried ones, oldest first; then those that failed before, by number of failures, then by size."""
        question = _Question(queue, now, frozenset(but))
        probes, untried = [], set()
        for host, wanted in demand.probes.items():
            untried_waits = bool(self._due_ids(question, 1, tried=False, host=host))
            if untried_waits:
                untried.add(host)
            if wanted.any_job or (untried_waits and wanted.untried_job):
                probes += self._due_ids(question, 1, tried=None, host=host)
        others = question.without_hosts({*demand.probes, *demand.limits})
        taken = self._mixed(others, demand.jobs, demand)
        for host, limit in demand.limits.items():
            left = min(limit, demand.jobs - len(taken))
            taken += self._mixed(question, left, demand, host=host) if left > 0 else []
        jobs = {job.id: job for job in self.jobs_by_id([*taken, *probes])}
        if unreadable := {*taken, *probes} - jobs.keys():  # they take no other job's turn
            return self.due(queue, now, demand, {*but, *unreadable})
        return DueJobs(
            [jobs[job_id] for job_id in taken],
            [jobs[job_id] for job_id in probes],
            frozenset(untried),
            self._next_due_seconds(queue.stage, now),
        )

    def _mixed(self, question: _Question, limit: int, demand: Demand, host: str | None = None) -> list[int]:
        """Untried jobs and some that failed before; for a request for many, only one kind."""
        fresh = self._due_ids(question, limit, tried=False, host=host)
        if not fresh:
            return self._due_ids(question, limit, tried=True, host=host)
        wait_on = demand.apart or len(fresh) >= limit
        retries = min(limit, demand.retries) if wait_on else limit - len(fresh)
        tried = self._due_ids(question, retries, tried=True, host=host)
        if demand.apart:
            return tried or fresh
        return [*fresh[: limit - len(tried)], *tried]

    def _due_ids(self, question: _Question, limit: int, *, tried: bool | None, host: str | None = None) -> list[int]:
        """`tried`: None for both kinds, the fewest failures first."""
        if limit <= 0:
            return []
        index, order = _OLDEST if tried is False else _SMALLEST
        attempts = {None: "", False: " AND attempts = 0", True: " AND attempts > 0"}[tried]
        hosts = "" if host is None else " AND download_host = :host"
        if host is None and question.hosts:
            hosts = " AND download_host NOT IN (SELECT value FROM json_each(:hosts))"
        mode = _OF_THE_MODE if question.queue.mode is not None else ""
        rows = self.connection.execute(
            f"SELECT id FROM jobs INDEXED BY {index} WHERE state = 'waiting' AND stage = :stage{attempts} AND {_DUE}{hosts}"
            f" AND {_RUNNABLE} AND {_NOT_IN}{mode} ORDER BY {order} LIMIT :limit",
            {**question.parameters, "limit": limit, "host": host},
        )
        return [job_id for (job_id,) in rows]

    def jobs_by_id(self, job_ids: Iterable[int]) -> list[Job]:
        """Those that exist and can be read, oldest first."""
        chosen = "WHERE jobs.id IN (SELECT value FROM json_each(?)) ORDER BY jobs.id"
        return self._jobs(chosen, (json.dumps([*job_ids]),))

    def waiting_at(self, queue: Queue, host: str, limit: int) -> int:
        """How many jobs wait for an operation at a host, due or not, or run it; counted up to `limit`."""
        mode = _OF_THE_MODE if queue.mode is not None else ""
        (count,) = self.connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_oldest WHERE state = 'waiting' AND stage = :stage"
            f" AND download_host = :host{mode} LIMIT :limit)",
            {"stage": queue.stage, "host": host, "limit": limit, "mode": queue.mode},
        ).fetchone()
        return int(count)

    def _next_due_seconds(self, stage: Stage, now: float) -> float | None:
        """Seconds until the next job at this stage becomes due; None if there is none."""
        (found,) = self.connection.execute(
            "SELECT min(due_at) FROM jobs WHERE state = 'waiting' AND stage = ? AND due_at > ?", (stage, now)
        ).fetchone()
        return None if found is None else float(found) - now

    def unarchived_failures(self, now: float, limit: int, but: Collection[int] = ()) -> DueJobs:
        """Failed jobs whose source is to be archived now, the longest due first."""
        rows = self.connection.execute(
            "SELECT id FROM jobs WHERE state = 'failed' AND archived = 0 AND (due_at <= ? OR due_at > ?)"
            f" AND {_NO_REQUEST}"
            " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at, id LIMIT ?",
            (now, now + LONGEST_WAIT_SECONDS, json.dumps([*but]), limit),
        )
        ids = [row[0] for row in rows]
        jobs = {job.id: job for job in self.jobs_by_id(ids)}
        if unreadable := {*ids} - jobs.keys():
            return self.unarchived_failures(now, limit, {*but, *unreadable})
        found = [jobs[job_id] for job_id in ids]
        (next_due_at,) = self.connection.execute(
            "SELECT min(due_at) FROM jobs INDEXED BY jobs_unarchived WHERE state = 'failed' AND archived = 0 AND due_at > ?",
            (now,),
        ).fetchone()
        return DueJobs(found, [], frozenset(), None if next_due_at is None else float(next_due_at) - now)

    def running_tasks(
        self, now: float, limit: int, *, but: Collection[str] = (), only: Collection[str] | None = None
    ) -> list[RunningTask]:
        """Tasks that the service is working on, the longest due first; held and incomplete ones are
        included only when they are due.

        Without the ids in `but`, or only those in `only`.
        """
        chosen = "NOT IN" if only is None else "IN"
        rows = self.connection.execute(
            f"SELECT t.job_id, t.number, t.task_id, coalesce(t.due_at, 0) {_CHECKED} AND"
            f" (NOT {_AT_ITS_OWN_PACE} OR coalesce(t.due_at, 0) <= ? OR t.due_at > ?)"
            f" AND t.task_id {chosen} (SELECT value FROM json_each(?)) ORDER BY t.due_at LIMIT ?",
            (now, now + LONGEST_WAIT_SECONDS, json.dumps([*(but if only is None else only)]), limit),
        )
        return [RunningTask(*row) for row in rows]

    def next_stuck_due_at(self) -> float | None:
        """When the next held or incomplete task is to be checked."""
        (found,) = self.connection.execute(
            f"SELECT min(coalesce(t.due_at, 0)) {_CHECKED} AND {_AT_ITS_OWN_PACE}"
        ).fetchone()
        return found if found is None else float(found)


@dataclass(frozen=True, slots=True)
class _Question:
    queue: Queue
    now: float
    but: frozenset[int]
    hosts: frozenset[str] = frozenset()  # that are passed over

    def without_hosts(self, hosts: Collection[str]) -> _Question:
        return _Question(self.queue, self.now, self.but, frozenset(hosts))

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "stage": self.queue.stage,
            "mode": self.queue.mode,
            "now": self.now,
            "never": self.now + LONGEST_WAIT_SECONDS,
            "but": json.dumps([*self.but]),
            "hosts": json.dumps([*self.hosts]),
        }
