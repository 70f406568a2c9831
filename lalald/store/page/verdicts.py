"""The daemon's verdicts on the page's requests. Each function runs within the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lalald.jobs.job import RequestTerms

ASKED = "asked"  # until the daemon has acted
DONE = "done"
REPLACED = "replaced"  # by a command, or by a cancel
LATEST = "SELECT max(other.id) FROM jobs other WHERE other.inbox = jobs.inbox AND other.path = jobs.path"
_PAST = {"release": "released", "retry": "retried"}


def note_acted(
    connection: sqlite3.Connection,
    key: str,
    job_id: int,
    *,
    code: str,
    message: str,
    now: float,
    new_job: int | None = None,
) -> None:
    """The daemon's verdict, in the transaction of what it did. One that it has given stays."""
    connection.execute(
        "UPDATE recorded_actions SET code = ?, message = ?, is_accepted = ?, new_job = ?, acted_at = ?"
        " WHERE key = ? AND job_id = ? AND code = ?",
        (code, message, code == "done", new_job, now, key, job_id, ASKED),
    )


def latest_id(connection: sqlite3.Connection, job_id: int) -> int | None:
    """The same for one job, None where there is no such job."""
    row = connection.execute(f"SELECT ({LATEST}) FROM jobs WHERE jobs.id = ?", (job_id,)).fetchone()
    return None if row is None else int(row[0])


def is_open(connection: sqlite3.Connection, key: str, job_id: int) -> bool:
    """Whether the daemon has not given its verdict yet."""
    row = connection.execute(
        "SELECT 1 FROM recorded_actions WHERE key = ? AND job_id = ? AND code = ?", (key, job_id, ASKED)
    ).fetchone()
    return row is not None


def note_done(connection: sqlite3.Connection, job_id: int, request: str, now: float) -> None:
    """The request in the job's row was carried out, in the same transaction; where it came from the page, its key says so."""
    connection.execute(
        "UPDATE recorded_actions SET code = 'done', acted_at = ?, message = 'Job ' || job_id || ' was ' || ? || '.'"
        " WHERE code = ? AND job_id = ? AND key = (SELECT json_extract(request_terms, '$.key') FROM jobs WHERE id = ?)",
        (now, _PAST.get(request, "changed"), ASKED, job_id, job_id),
    )


def note_replaced(connection: sqlite3.Connection, jobs: str, parameters: Sequence[object], now: float) -> None:
    """Another request replaces the page's in the rows of `jobs`, a condition: the daemon will not answer those any more."""
    connection.execute(
        "UPDATE recorded_actions SET code = ?, is_accepted = 0, acted_at = ?,"
        " message = 'Another request for job ' || job_id || ' has replaced this one.'"
        " WHERE code = ? AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = recorded_actions.job_id AND jobs.request IS NOT NULL"
        f" AND json_extract(jobs.request_terms, '$.key') = recorded_actions.key AND {jobs})",
        (REPLACED, now, ASKED, *parameters),
    )


def request_seen(connection: sqlite3.Connection, number: int) -> RequestTerms | None:
    """What a person was shown who asked something of the daemon itself."""
    row = connection.execute("SELECT seen FROM requests WHERE id = ?", (number,)).fetchone()
    return RequestTerms.from_json(row[0]) if row is not None and row[0] is not None else None


def note_redone(connection: sqlite3.Connection, seen: RequestTerms, job_id: int, new_job: int, now: float) -> None:
    """The file of a job is processed again, for the price that was shown and not for a higher one."""
    connection.execute("UPDATE jobs SET approved_minutes = ? WHERE id = ?", (seen.minutes, new_job))
    message = f"The file of job {job_id} is job {new_job} now."
    note_acted(connection, seen.key or "", job_id, code="done", message=message, now=now, new_job=new_job)
