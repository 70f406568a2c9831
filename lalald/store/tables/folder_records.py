"""State of the inboxes and of other configured folders: markers, availability, how each inbox is watched."""

from __future__ import annotations

import sqlite3

from lalald.jobs.event_facts import folder_fact
from lalald.jobs.event_kinds import EventKind
from lalald.store.events.events import Events
from lalald.store.rows import name_from, stored_name, stored_name_always


class FolderRecords:
    def __init__(self, connection: sqlite3.Connection, events: Events) -> None:
        self.connection = connection
        self.events = events

    def inbox_seen(self, inbox: str) -> bool:
        row = self.connection.execute(
            "SELECT first_seen_at FROM inboxes WHERE path = ?", (stored_name(inbox),)
        ).fetchone()
        return row is not None and row[0] is not None

    def mark_inbox_seen(self, inbox: str, marker: str | None, now: float) -> None:
        """Record the first scan of an inbox; `marker` distinguishes its folder from another at the same path."""
        self.connection.execute(
            "INSERT INTO inboxes (path, first_seen_at, marker) VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " first_seen_at = coalesce(first_seen_at, excluded.first_seen_at), marker = excluded.marker",
            (stored_name(inbox), now, marker),
        )

    def mark_inbox_accepted(self, inbox: str, marker: str | None) -> None:
        """Record that another folder is the right one from now on: its first scan is to come."""
        self.connection.execute(
            "INSERT INTO inboxes (path, marker) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET"
            " first_seen_at = NULL, marker = excluded.marker",
            (stored_name(inbox), marker),
        )

    def inbox_marker(self, inbox: str) -> str | None:
        row = self.connection.execute("SELECT marker FROM inboxes WHERE path = ?", (stored_name(inbox),)).fetchone()
        return row[0] if row else None

    def set_inbox_state(
        self, inbox: str, *, available: bool, reason: str, watch: str, watch_reason: str, now: float
    ) -> None:
        """Save an inbox's state for `status`: whether it is available, since when, and how it is watched."""
        self.connection.execute(
            "INSERT INTO inboxes (path, available, reason, watch, watch_reason, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET available = excluded.available, reason = excluded.reason,"
            " watch = excluded.watch, watch_reason = excluded.watch_reason,"
            " updated_at = iif(available IS excluded.available, updated_at, excluded.updated_at)",
            (stored_name_always(inbox), available, reason, watch, watch_reason, now),
        )
        if available:
            self.events.end(folder_fact(EventKind.INBOX_BACK, inbox, None, now))
        else:
            self.events.begin(folder_fact(EventKind.INBOX_UNAVAILABLE, inbox, reason, now))

    def folder_markers(self) -> dict[str, str | None]:
        """The marker of each folder that was ever checked, other than inboxes."""
        return {name_from(row[0]): row[1] for row in self.connection.execute("SELECT path, marker FROM folders")}

    def set_folder(self, folder: str, *, marker: str | None, reason: str | None, now: float) -> None:
        """Save a folder's marker, and why it is unavailable (None: it is available)."""
        self.connection.execute(
            "INSERT INTO folders (path, marker, reason, updated_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET marker = excluded.marker, reason = excluded.reason,"
            " updated_at = iif((reason IS NULL) = (excluded.reason IS NULL), updated_at, excluded.updated_at)",
            (stored_name(folder), marker, reason, now),
        )
        if reason is None:
            self.events.end(folder_fact(EventKind.FOLDER_BACK, folder, None, now))
        else:
            self.events.begin(folder_fact(EventKind.FOLDER_UNAVAILABLE, folder, reason, now))
