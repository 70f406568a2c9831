"""Whose marker an inbox has: this database's, or that of another one, under which its files may have been paid for."""

from __future__ import annotations

import sqlite3
from typing import Any

from lalald.store.rows import stored_name
from lalald.store.tables.daemon_state import DaemonState

MARKERS = "markers"  # in the saved state: `own` and `foreign` ones
_MOST_OWN = 200  # an inbox that cannot be written plans another one at every start
_IS_ROW = "SELECT EXISTS (SELECT 1 FROM inboxes WHERE marker = :marker) OR EXISTS (SELECT 1 FROM folders WHERE marker = :marker)"
_HAS_FILES = (
    "SELECT EXISTS (SELECT 1 FROM files WHERE inbox = :inbox) OR EXISTS (SELECT 1 FROM jobs WHERE inbox = :inbox)"
)

WATCHED_BEFORE = (
    "another database used this folder before, so this may be processed, and paid for, already: check that the state folder is the"
    " right one and its disk is mounted; `lalald release ID` processes this file, `lalald release --all --hold first_scan` all such files"
)


class KnownMarkers:
    """A marker is this database's own from the moment when it is to be written, so that a crash does not make it another one's.

    A foreign one stays foreign: whatever was in its folder before may be paid for.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._state = DaemonState(connection)

    def plan(self, marker: str, now: float) -> None:
        """A marker is about to be written into an inbox."""
        self._add("own", marker, now)

    def is_foreign(self, inbox: str, marker: str | None) -> bool:
        """Whether another database watched the folder with this marker, which is at the path of this inbox.

        An earlier version did not save what it was about to write: a database that knows files of the inbox has written it.
        """
        if marker is None or self._is_own(marker):
            return False
        return marker in self._markers("foreign") or not self._ask(_HAS_FILES, inbox=stored_name(inbox))

    def note(self, inbox: str, marker: str | None, now: float) -> bool:
        """The inbox's first scan begins, in a folder with this marker. Whether that is foreign."""
        is_foreign = self.is_foreign(inbox, marker)
        self._add("foreign" if is_foreign else "own", marker, now)
        return is_foreign

    def note_accepted(self, marker: str | None, former: str | None, now: float) -> bool:
        """A person accepts the folder with this marker in place of the one with the `former`. Whether it is foreign."""
        is_foreign = marker is not None and not self._is_own(marker)
        self._add("foreign" if is_foreign else "own", marker, now)
        self._add("own", former, now)
        return is_foreign

    def _is_own(self, marker: str) -> bool:
        if marker in self._markers("foreign"):
            return False
        return marker in self._markers("own") or self._ask(_IS_ROW, marker=marker)

    def _ask(self, question: str, **values: str | bytes | None) -> bool:
        (answer,) = self.connection.execute(question, values).fetchone()
        return bool(answer)

    def _markers(self, kind: str) -> list[str]:
        facts: Any = self._state.get(MARKERS) or {}
        return list(facts.get(kind, []))

    def _add(self, kind: str, marker: str | None, now: float) -> None:
        """Save it, unless it is known as either."""
        known = {name: self._markers(name) for name in ("own", "foreign")}
        if marker is not None and not any(marker in markers for markers in known.values()):
            known[kind].append(marker)
            self._state.set(MARKERS, {**known, "own": known["own"][-_MOST_OWN:]}, now)
