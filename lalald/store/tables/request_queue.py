"""Queued requests for the daemon itself."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lalald.store.rows import name_from


class QueuedRequest(NamedTuple):
    number: int
    kind: str
    argument: str | None


class RequestQueue:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def all(self) -> list[QueuedRequest]:
        """Queued requests for the daemon itself, oldest first: number, kind and argument of each."""
        rows = self.connection.execute("SELECT id, kind, argument FROM requests ORDER BY id").fetchall()
        return [QueuedRequest(number, kind, argument and name_from(argument)) for number, kind, argument in rows]

    def drop(self, number: int) -> None:
        """Remove a queued request that was handled."""
        self.connection.execute("DELETE FROM requests WHERE id = ?", (number,))
