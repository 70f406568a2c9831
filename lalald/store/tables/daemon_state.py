"""Values that the daemon saves by name, as JSON."""

from __future__ import annotations

import json
import sqlite3


class DaemonState:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def get(self, name: str) -> object:
        """The saved value of this name, or None."""
        row = self.connection.execute("SELECT json FROM daemon_state WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def forget(self, name: str) -> None:
        self.connection.execute("DELETE FROM daemon_state WHERE name = ?", (name,))

    def set(self, name: str, value: object, now: float) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO daemon_state (name, json, at) VALUES (?, ?, ?)", (name, json.dumps(value), now)
        )
