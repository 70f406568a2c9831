"""The requests of the page's buttons, and the daemon's verdicts. Each key acts once, and is kept for a day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lalald.store.page.verdicts import LATEST
from lalald.store.queries import Reports
from lalald.store.request_writer import Requests

KEPT_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """One job of a request. `code`: `asked` until the daemon has acted, then its verdict. `body_sha256`: of the whole request."""

    key: str
    job_id: int
    action: str
    body_sha256: str
    is_accepted: bool
    code: str
    message: str
    new_job: int | None = None

    def facts(self) -> dict[str, Any]:
        return {
            "id": self.job_id,
            "accepted": self.is_accepted,
            "code": self.code,
            "message": self.message,
            "quote": None,
            "new_job": self.new_job,
        }


_COLUMNS = "key, job_id, action, body_sha256, is_accepted, code, message, new_job"


def recorded_with(reports: Reports, key: str) -> list[RecordedAction]:
    """The actions recorded with a key; empty for a new key."""
    rows = reports.connection.execute(f"SELECT {_COLUMNS} FROM recorded_actions WHERE key = ? ORDER BY place", (key,))
    return [_from_row(row) for row in rows]


def record_actions(requests: Requests, actions: Iterable[RecordedAction], now: float) -> None:
    """In the transaction that queues the requests."""
    requests.connection.execute("DELETE FROM recorded_actions WHERE requested_at < ?", (now - KEPT_SECONDS,))
    requests.connection.executemany(
        f"INSERT INTO recorded_actions ({_COLUMNS}, place, requested_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                one.key,
                one.job_id,
                one.action,
                one.body_sha256,
                one.is_accepted,
                one.code,
                one.message,
                one.new_job,
                place,
                now,
            )
            for place, one in enumerate(actions)
        ],
    )


def acted_since(reports: Reports, since: float) -> tuple[dict[str, Sequence[dict[str, Any]]], float]:
    """Verdicts since that moment by key, and the moment up to which they were read."""
    rows = reports.connection.execute(
        f"SELECT {_COLUMNS}, acted_at FROM recorded_actions WHERE acted_at > ? ORDER BY acted_at", (since,)
    ).fetchall()
    found: dict[str, list[dict[str, Any]]] = {}
    for *columns, acted_at in rows:
        one = _from_row(columns)
        found.setdefault(one.key, []).append(one.facts())
        since = max(since, acted_at)
    return dict(found), since


def _from_row(row: Sequence[Any]) -> RecordedAction:
    key, job_id, action, body_sha256, is_accepted, code, message, new_job = row
    return RecordedAction(key, job_id, action, body_sha256, bool(is_accepted), code, message, new_job)


def latest_ids(reports: Reports, job_ids: Sequence[int]) -> dict[int, int]:
    """The newest job of the same file, for each job: a file that was processed again is not offered for the same price once more."""
    rows = reports.connection.execute(
        f"SELECT jobs.id, ({LATEST}) FROM jobs WHERE jobs.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(job_ids)),),
    )
    return dict(rows.fetchall())
