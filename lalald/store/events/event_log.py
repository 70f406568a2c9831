"""The events as the page shows them, newest first, in pages by id."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import EventKind
from lalald.store.events.events import fact_from

MOST_IN_A_PAGE = 500


class EventLog:
    """Read-only questions; no transaction is open between two of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def page(self, *, before: int | None = None, limit: int = 100, kinds: Collection[EventKind] = ()) -> list[Event]:
        """The newest events before the one with this id, newest first; `kinds`: only of these."""
        where, parameters = ["id < ?"] if before is not None else ["1"], [before] if before is not None else []
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
        rows = self.connection.execute(
            "SELECT id, uid, subject, cause, kind, at, count, is_problem, data FROM events"
            f" WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
            (*parameters, *kinds, min(limit, MOST_IN_A_PAGE)),
        )
        return [Event(row[0], row[1], fact_from(row[2:])) for row in rows.fetchall()]
