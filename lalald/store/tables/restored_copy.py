"""A database that was restored from a copy does not know what was paid for after the copy was made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from lalald.store.backup import COPIED
from lalald.store.rows import stored_name
from lalald.store.tables.daemon_state import DaemonState

RESTORED = "restored_copy"  # in the saved state: the inboxes whose next scan holds what it does not know
_MAY_BE_PAID = (
    "SELECT id FROM jobs WHERE (state = 'waiting' OR state = 'held' AND hold NOT IN ('first_scan', 'duplicate', 'lost_task'))"
    " AND EXISTS (SELECT 1 FROM tasks WHERE tasks.job_id = jobs.id AND tasks.stage = 'split' AND tasks.error IS NULL)"
)


def held_because(copied_at: float) -> str:
    """Why a file or job waits for a person. `copied_at`: Unix time."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(copied_at))
    return f"the database was restored from a copy of {when}: this may have been processed, and paid for, since then"


class RestoredCopy:
    """What a restored copy cannot know: files that it does not have, and tasks that were not started when it was made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._state = DaemonState(connection)

    def begin(self, inboxes: Sequence[str], now: float) -> float | None:
        """When the copy was made that this database was until now, else None.

        Every inbox gets another first scan, which holds what is not known.
        """
        copied_at = self._state.get(COPIED)
        if not isinstance(copied_at, float):
            return None
        self._state.forget(COPIED)
        self._state.set(RESTORED, {"copied_at": copied_at, "inboxes": list(inboxes)}, now)
        self.connection.executemany(
            "UPDATE inboxes SET first_seen_at = NULL WHERE path = ?", [(stored_name(inbox),) for inbox in inboxes]
        )
        return copied_at

    def possibly_paid(self) -> list[int]:
        """Jobs that would go on to a charge without asking anyone."""
        return [job_id for (job_id,) in self.connection.execute(_MAY_BE_PAID)]

    def copied_at(self, inbox: str) -> float | None:
        """When the copy was made, as long as the scan after it was restored lasts; None for every other scan."""
        facts: Any = self._state.get(RESTORED)
        return facts["copied_at"] if facts and inbox in facts["inboxes"] else None

    def note_scanned(self, inbox: str, now: float) -> None:
        """That scan is over."""
        facts: Any = self._state.get(RESTORED)
        if not facts:
            return
        others = [other for other in facts["inboxes"] if other != inbox]
        if others:
            self._state.set(RESTORED, {**facts, "inboxes": others}, now)
        else:
            self._state.forget(RESTORED)
