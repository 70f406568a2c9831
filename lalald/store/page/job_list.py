"""Pages of the list of jobs, newest first, however many there are."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lalald.filesystem.names import fold
from lalald.jobs.states import Hold, State
from lalald.store.report_types import JobReport
from lalald.store.rows import jobs_where, stored_name

RUNNING = "running"  # a waiting job whose stage is under way
STATES = (RUNNING, *(str(state) for state in State))
_CHECKED = (
    "SELECT 1 FROM tasks WHERE tasks.job_id = jobs.id AND tasks.stage = 'check' AND tasks.error IS NULL"
    " AND tasks.task_id IS NOT NULL AND tasks.incomplete_since IS NULL"
)
_RUNNING = f"(jobs.progress IS NOT NULL OR (jobs.stage = 'check' AND EXISTS ({_CHECKED})))"
_IS_ASCII = "(typeof(jobs.path) = 'text' AND length(jobs.path) = length(CAST(jobs.path AS BLOB)))"
_ENDED = "jobs.state IN ('failed', 'cancelled')"  # as in the index: SQLite does not infer it


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Only jobs that have all of this; None and empty: any. `states`: of STATES. `since` and `until`: when the job was created."""

    states: frozenset[str] = frozenset()
    hold: Hold | None = None
    rule: str | None = None
    inbox: str | None = None
    text: str = ""
    since: float | None = None
    until: float | None = None


def newest_jobs(connection: sqlite3.Connection, chosen: JobFilter, before: int | None, limit: int) -> list[JobReport]:
    """The newest jobs with an id below `before`; what cannot be read is passed over."""
    if not chosen.text.isascii():
        connection.create_function("folded", 1, _folded, deterministic=True)
    conditions = list(_conditions(chosen, before))
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    parameters = [value for _, values in conditions for value in values]
    rows = connection.execute(f"SELECT id FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?", (*parameters, limit))
    return jobs_by_id(connection, [row[0] for row in rows])


def jobs_by_id(connection: sqlite3.Connection, ids: Sequence[int]) -> list[JobReport]:
    """Those that are there and can be read, newest first."""
    chosen = "WHERE jobs.id IN (SELECT value FROM json_each(?)) ORDER BY jobs.id DESC"
    return [JobReport(*row) for row in jobs_where(connection, chosen, (json.dumps(list(ids)),)).jobs]


_Condition = tuple[str, tuple[object, ...]]


def _conditions(chosen: JobFilter, before: int | None) -> Iterator[_Condition]:
    if before is not None:
        yield "jobs.id < ?", (before,)
    if chosen.states:
        yield _states(chosen.states), ()
    if chosen.hold is not None:
        yield "jobs.state = 'held' AND jobs.hold = ?", (chosen.hold,)
    if chosen.rule is not None:
        yield "jobs.rule = ?", (chosen.rule,)
    if chosen.inbox is not None:
        yield "jobs.inbox = ?", (stored_name(chosen.inbox),)
    if chosen.since is not None:
        yield "jobs.created_at >= ?", (chosen.since,)
    if chosen.until is not None:
        yield "jobs.created_at < ?", (chosen.until,)
    if chosen.text:
        yield _text(chosen.text)


def _states(states: frozenset[str]) -> str:
    """The states stand in the query itself: only so may SQLite use the indices of held and ended jobs."""
    parts = [f"jobs.state = '{State(state)}'" for state in sorted(states - {RUNNING, State.WAITING})]
    if {RUNNING, State.WAITING} <= states:
        parts.append("jobs.state = 'waiting'")
    elif RUNNING in states:
        parts.append(f"(jobs.state = 'waiting' AND {_RUNNING})")
    elif State.WAITING in states:
        parts.append(f"(jobs.state = 'waiting' AND NOT {_RUNNING})")
    condition = f"({' OR '.join(parts)})"
    return f"{condition} AND {_ENDED}" if states <= {State.FAILED, State.CANCELLED} else condition


def _text(text: str) -> _Condition:
    """`#12` is a job's number; SQLite itself compares without case in ASCII only."""
    digits = text.removeprefix("#")
    if text.startswith("#") and digits.isascii() and digits.isdigit() and len(digits) < 19:
        return "jobs.id = ?", (int(digits),)
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return "jobs.path LIKE ? ESCAPE '\\'", (f"%{escaped}%",)
    found_in = f"CASE WHEN {_IS_ASCII} THEN instr(lower(jobs.path), ?) ELSE instr(folded(jobs.path), ?) END"
    return f"{found_in} > 0", (_folded(text), _folded(text))


def _folded(path: str | bytes) -> str:
    """As `fold`, in a third of its time where the path is in the normal form that most are in."""
    text = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    folded = text.casefold()
    return folded if unicodedata.is_normalized("NFC", folded) else fold(text)


def newest_of_file(connection: sqlite3.Connection, inbox: str, path: str, size: int | None) -> int | None:
    """The newest job of a file of that name, and of that size if one is given."""
    (found,) = connection.execute(
        "SELECT max(id) FROM jobs WHERE inbox = :inbox AND path = :path AND (:size IS NULL OR size = :size)",
        {"inbox": stored_name(inbox), "path": stored_name(path), "size": size},
    ).fetchone()
    return None if found is None else int(found)
