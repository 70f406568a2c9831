"""Events are written in the transaction of the fact that they are about: each is there exactly once, whatever crashes.

Nothing is written without a reader: an entry of `notify`, or the page. An event that has to wait, since its
condition must last for a while or the same was said a moment ago, is pending; it is forgotten if the condition ends first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lalald.jobs.event_facts import (
    LICENSE,
    MINUTES,
    SERVICE,
    Fact,
    cleared,
    done,
    failed,
    held,
    held_by,
    hold_subject,
    job_subject,
    plain_fact,
)
from lalald.jobs.event_kinds import BEGINS, ENDS, EventKind
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource, State
from lalald.store.rows import name_from, stored_name

AGAIN_SECONDS = 300.0  # between two events of the same kind about the same subject
HELD_QUIET_SECONDS = 1.0  # after the last job held by a cause
HELD_LONGEST_SECONDS = 60.0  # after the first one
CLEARED_SECONDS = 60.0  # a hold that a probe ended may come back within this time
SERVICE_DOWN_SECONDS = 900.0  # until it is worth a word
MOST_EVENTS = 200_000
_LIMITED_EVERY = 1000  # events
_NAMED = 10  # jobs in one event
_LONGEST_WAIT_SECONDS = 3600.0  # more than any event waits: a later due time is the mark of a stepped clock
_TRIED_BY_PROBES = frozenset({Hold.MINUTES, Hold.DISK, Hold.MOUNT, Hold.PERMISSION, Hold.LINK})
_BEGIN_KINDS, _END_KINDS = (", ".join(f"'{kind}'" for kind in sorted(kinds)) for kinds in (BEGINS, ENDS))
_COLUMNS = "subject, cause, kind, at, count, is_problem, data"


class Events:
    """Each method runs within the transaction of the fact. `was_written`: since the caller reset it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.was_written = False

    @property
    def are_wanted(self) -> bool:
        return self.connection.execute("SELECT 1 FROM event_readers LIMIT 1").fetchone() is not None

    # jobs

    def job_changed(self, before: Job, after: Job, at: float) -> None:
        """The row of a job changes from one to the other."""
        if (before.state, before.hold, before.stage) == (after.state, after.hold, after.stage) or not self.are_wanted:
            return
        if after.state is not before.state:
            self._job_ended(after, at)
        if after.state is State.HELD and after.hold is not None:
            self._job_held(after, after.hold, at)
        is_past_hold = after.state is not State.HELD or after.hold is not before.hold
        if before.state is State.HELD and before.hold is not None and is_past_hold:
            self.hold_may_have_ended(before.hold, at)
        if after.stage is not before.stage:
            self.connection.execute("DELETE FROM reported_holds WHERE job_id = ?", (after.id,))

    def job_failed(self, job: Job, at: float) -> None:
        """A job failed of which nothing else was changed."""
        if self.are_wanted:
            self._publish(failed(job, at))

    def jobs_held(
        self,
        hold: Hold,
        reason: str | None,
        jobs: Sequence[Mapping[str, Any]],
        at: float,
        source: HoldSource | None = None,
    ) -> None:
        """New jobs are held from their first moment on: `id`, `inbox` and `path` of each."""
        if jobs and self.are_wanted:
            fact = held_by(hold, source, reason, jobs[0], at)
            self._gather_held(_with_jobs(fact, jobs[:_NAMED], len(jobs)))

    def hold_may_have_ended(self, hold: Hold, at: float) -> None:
        """One job or more are not held by it any more; whether any is left is asked here."""
        if hold is Hold.LICENSE or not self.are_wanted:
            return
        left = self.connection.execute("SELECT 1 FROM jobs WHERE state = 'held' AND hold = ? LIMIT 1", (hold,))
        if left.fetchone() is None:
            self.end(cleared(hold_subject(hold), hold, at), CLEARED_SECONDS)

    def _job_ended(self, job: Job, at: float) -> None:
        if job.state is State.FAILED:
            self._publish(failed(job, at))
        elif job.state is State.DONE:
            fact = done(job, at)
            ends_problem = self._last_kind(job_subject(job.id)) in (EventKind.JOB_FAILED, EventKind.RESULTS_EXPIRING)
            self._publish(_as_problem(fact) if ends_problem else fact)

    def _job_held(self, job: Job, hold: Hold, at: float) -> None:
        """License problems have their own events; a job that is held again right after a probe is not reported again."""
        if hold is Hold.LICENSE:
            return
        fact = held(job, hold, at)
        if hold in _TRIED_BY_PROBES:
            row = self.connection.execute("SELECT cause FROM reported_holds WHERE job_id = ?", (job.id,)).fetchone()
            self.connection.execute("INSERT OR REPLACE INTO reported_holds VALUES (?, ?)", (job.id, fact.cause))
            if row is not None and row[0] == fact.cause and self._is_on(fact):
                self._forget_pending(fact.subject, _END_KINDS)
                return
        self._gather_held(fact)

    def _gather_held(self, fact: Fact) -> None:
        """Jobs held by one cause become one event: once none was added for a moment, and not more often than every 5 minutes."""
        self._forget_pending(fact.subject, _END_KINDS)
        key = stored_name(fact.subject), stored_name(fact.cause)
        row = self.connection.execute(
            f"SELECT {_COLUMNS} FROM pending_events WHERE subject = ? AND cause = ?", key
        ).fetchone()
        quiet_at = fact.at + HELD_QUIET_SECONDS
        if row is not None:
            first = fact_from(row)
            jobs = [*first.data["jobs"], *fact.data["jobs"]][:_NAMED]
            quiet_at = max(first.at, min(quiet_at, first.at + HELD_LONGEST_SECONDS))
            fact = _with_jobs(first, jobs, first.count + fact.count)
        self._wait(fact, max(quiet_at, self._not_before(fact)))

    def touch(self) -> None:
        """A task has started: when its results expire is to be known."""
        self.was_written = self.was_written or self.are_wanted

    # conditions

    def license_is(self, trouble: EventKind | None, reason: str | None, at: float) -> None:
        """The key is missing or refused; None: it is accepted."""
        if trouble is None:
            self.end(cleared(LICENSE, Hold.LICENSE, at))
        else:
            self.begin(plain_fact(trouble, LICENSE, at, reason))

    def service_is(self, trouble: str | None, at: float) -> None:
        """The service does not answer as it should; None: it is known that it does."""
        if trouble is None:
            self.end(plain_fact(EventKind.SERVICE_BACK, SERVICE, at))
        else:
            self.begin(plain_fact(EventKind.SERVICE_DOWN, SERVICE, at, trouble), SERVICE_DOWN_SECONDS)

    def minutes_are_low(self, left: float, at: float) -> None:
        self.happened(Fact.of(EventKind.MINUTES_LOW, MINUTES, at, {"left": round(left, 3)}))

    def begin(self, fact: Fact, after_seconds: float = 0.0) -> None:
        """The condition is there; it becomes an event once it has lasted so long. One that is known to be there is none."""
        if not self.are_wanted:
            return
        self._forget_pending(fact.subject, _END_KINDS)
        if not self._is_on(fact):
            self._publish_at(fact, max(fact.at + after_seconds, self._not_before(fact)))

    def end(self, fact: Fact, after_seconds: float = 0.0) -> None:
        """The condition is over; one of whose begin nothing was said ends without a word."""
        if not self.are_wanted:
            return
        self._forget_pending(fact.subject, _BEGIN_KINDS)
        if self._last_kind(fact.subject) in BEGINS and not self._is_pending(fact.subject, _END_KINDS):
            self._publish_at(fact, max(fact.at + after_seconds, self._not_before(fact)))

    def happened(self, fact: Fact) -> None:
        """Something that neither lasts nor ends."""
        if self.are_wanted:
            self._publish(fact)

    def publish_due(self, now: float, *, holds_at_once: bool = False) -> float | None:
        """What has waited long enough becomes an event. When the next is due, None where nothing waits.

        `holds_at_once`: no more jobs will be held.
        """
        due = self.connection.execute(
            f"SELECT {_COLUMNS}, due_at FROM pending_events WHERE due_at <= ? OR due_at > ? OR (? AND kind = '{EventKind.JOB_HELD}')"
            " ORDER BY due_at, at",
            (now, now + _LONGEST_WAIT_SECONDS, holds_at_once),
        ).fetchall()
        for row in due:
            self.connection.execute("DELETE FROM pending_events WHERE subject = ? AND cause = ?", row[:2])
            fact = fact_from(row[:-1])
            self._publish(replace(fact, at=min(row[-1], now)) if fact.kind is EventKind.JOB_HELD else fact)
        (next_at,) = self.connection.execute("SELECT min(due_at) FROM pending_events").fetchone()
        return None if next_at is None else float(next_at)

    def has_event(self, subject: str, kind: EventKind, since: float) -> bool:
        """Whether there was one about a subject."""
        query = "SELECT 1 FROM events WHERE subject = ? AND kind = ? AND at >= ? LIMIT 1"
        return self.connection.execute(query, (stored_name(subject), kind, since)).fetchone() is not None

    def trim(self, before: float) -> int:
        """Deletes events older than this that every entry has dealt with, but for those that began what is not over."""
        return self.connection.execute(
            "DELETE FROM events WHERE at < ? AND id <= (SELECT coalesce(min(cursor), 1e18) FROM event_readers WHERE name != '')"
            f" AND NOT (kind IN ({_BEGIN_KINDS}) AND subject NOT LIKE 'job %'"
            " AND id = (SELECT max(id) FROM events later WHERE later.subject = events.subject))",
            (before,),
        ).rowcount

    # rows

    def _publish_at(self, fact: Fact, due_at: float) -> None:
        if due_at <= fact.at:
            self._publish(fact)
        else:
            self._wait(fact, due_at)

    def _wait(self, fact: Fact, due_at: float) -> None:
        self.was_written = True
        self.connection.execute(
            f"INSERT OR REPLACE INTO pending_events ({_COLUMNS}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*_values(fact), due_at),
        )

    def _publish(self, fact: Fact) -> None:
        self.was_written = True
        cursor = self.connection.execute(f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", _values(fact))
        event_id = int(cursor.lastrowid or 0)
        if event_id % _LIMITED_EVERY == 0:
            self.connection.execute("DELETE FROM events WHERE id <= ?", (event_id - MOST_EVENTS,))

    def _forget_pending(self, subject: str, kinds: str) -> None:
        self.connection.execute(
            f"DELETE FROM pending_events WHERE subject = ? AND kind IN ({kinds})", (stored_name(subject),)
        )

    def _is_pending(self, subject: str, kinds: str) -> bool:
        query = f"SELECT 1 FROM pending_events WHERE subject = ? AND kind IN ({kinds}) LIMIT 1"
        return self.connection.execute(query, (stored_name(subject),)).fetchone() is not None

    def _is_on(self, fact: Fact) -> bool:
        """Whether the condition is known to be there, or waits to be said."""
        return self._is_pending(fact.subject, f"'{fact.kind}'") or self._last_kind(fact.subject) == fact.kind

    def _last_kind(self, subject: str) -> str | None:
        row = self.connection.execute(
            "SELECT kind FROM events WHERE subject = ? ORDER BY id DESC LIMIT 1", (stored_name(subject),)
        ).fetchone()
        return None if row is None else str(row[0])

    def _not_before(self, fact: Fact) -> float:
        """When the same may be said again."""
        row = self.connection.execute(
            "SELECT at FROM events WHERE subject = ? AND cause = ? AND kind = ? ORDER BY id DESC LIMIT 1",
            (stored_name(fact.subject), stored_name(fact.cause), fact.kind),
        ).fetchone()
        return float("-inf") if row is None or row[0] > fact.at else float(row[0]) + AGAIN_SECONDS


def fact_from(row: Sequence[Any]) -> Fact:
    """A fact from the columns `_COLUMNS`."""
    subject, cause, kind, at, count, is_problem, data = row
    return Fact(
        EventKind(kind),
        name_from(subject),
        name_from(cause),
        at,
        json.loads(data),
        count=count,
        is_problem=bool(is_problem),
    )


def _values(fact: Fact) -> tuple[Any, ...]:
    data = json.dumps(dict(fact.data), separators=(",", ":"))  # ASCII: a surrogate stays what it is
    subject, cause = stored_name(fact.subject), stored_name(fact.cause)
    return subject, cause, fact.kind, fact.at, fact.count, fact.is_problem, data


def _with_jobs(fact: Fact, jobs: Sequence[Mapping[str, Any]], count: int) -> Fact:
    return replace(fact, data={**fact.data, "jobs": [dict(job) for job in jobs]}, count=count)


def _as_problem(fact: Fact) -> Fact:
    """The end of a problem belongs to the problems."""
    return replace(fact, is_problem=True)
