"""Who reads events, and how far each has come. An entry's cursor starts when it is first configured."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import EventKind
from lalald.store.events.events import fact_from

PAGE = ""  # the page reads events, but has nothing to be sent
EVENT_COLUMNS = "id, uid, subject, cause, kind, at, count, is_problem, data"


@dataclass(frozen=True, slots=True)
class Selection:
    """The events that an entry wants: `kinds`, and with `problems` every problem and its end."""

    kinds: frozenset[EventKind]
    problems: bool = False

    def condition(self, table: str = "e") -> str:
        kinds = ", ".join(f"'{kind}'" for kind in sorted(self.kinds))
        return f"({table}.kind IN ({kinds}) OR {table}.is_problem)" if self.problems else f"{table}.kind IN ({kinds})"


class RemovedEntry(NamedTuple):
    """An entry that is not configured any more; `unsent`: how many of the events that it wanted were never sent to it."""

    name: str
    unsent: int


class Reader(NamedTuple):
    """How far an entry has come. `batch_upto`: messages for events up to there are being sent, those of `batch_sent` are.

    `tries` of the event `trying` have begun. `dropped`: how many events were never sent, the last at `dropped_at`.
    """

    name: str
    cursor: int
    batch_upto: int | None
    batch_sent: tuple[str, ...]
    trying: int | None
    tries: int
    failing_since: float | None
    trouble: str | None
    dropped: int
    dropped_at: float | None
    dropped_reason: str | None
    sent_at: float | None


class EventQueue:
    """Each method runs within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def configure(self, entries: Mapping[str, Selection], *, page: bool) -> list[RemovedEntry]:
        """These entries are configured now. A new one starts with what happens from now on; those gone are forgotten.

        Returns the latter, as far as something was to be sent to them.
        """
        wanted = [*entries, *([PAGE] if page else [])]
        marks = ", ".join("?" * len(wanted))
        removed = self._removed(set(entries))
        self.connection.execute(f"DELETE FROM event_readers WHERE name NOT IN ({marks})", wanted)
        if not wanted:
            for table in ("events", "pending_events", "reported_holds"):
                self.connection.execute(f"DELETE FROM {table}")
        self.connection.executemany(
            "INSERT OR IGNORE INTO event_readers (name, cursor) VALUES (?, ?)",
            [(name, self.newest_id()) for name in wanted],
        )
        self.connection.executemany(
            "UPDATE event_readers SET kinds = ?, problems = ? WHERE name = ?",
            [(json.dumps(sorted(one.kinds)), one.problems, name) for name, one in entries.items()],
        )
        return removed

    def _removed(self, configured: Collection[str]) -> list[RemovedEntry]:
        """Entries that are not configured now and have something unsent."""
        gone = [reader for reader in self.readers() if reader.name not in configured]
        return [RemovedEntry(reader.name, unsent) for reader in gone if (unsent := self._unsent(reader))]

    def _unsent(self, reader: Reader) -> int:
        """How many events an entry has not dealt with yet."""
        query = (
            f"SELECT count(*) FROM events e WHERE e.id > ? AND {self._selection(reader.name).condition()}"
            " AND NOT (e.id <= ? AND e.cause IN (SELECT value FROM json_each(?)))"
        )
        bounds = (reader.cursor, reader.batch_upto or 0, json.dumps(reader.batch_sent))
        return int(self.connection.execute(query, bounds).fetchone()[0])

    def _selection(self, name: str) -> Selection:
        """As it was configured; of an entry that no version which stores it has used, the default: problems."""
        kinds, problems = self.connection.execute(
            "SELECT kinds, problems FROM event_readers WHERE name = ?", (name,)
        ).fetchone()
        return Selection(frozenset(map(EventKind, json.loads(kinds or "[]"))), bool(problems))

    def newest_id(self) -> int:
        """The id of the newest event there ever was."""
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def reader(self, name: str) -> Reader | None:
        row = self.connection.execute(f"{_READERS} WHERE name = ?", (name,)).fetchone()
        return None if row is None else _reader(row)

    def readers(self) -> list[Reader]:
        """Every entry, but not the page."""
        return [_reader(row) for row in self.connection.execute(f"{_READERS} WHERE name != ? ORDER BY name", (PAGE,))]

    def next_events(self, selection: Selection, after: int, limit: int) -> list[Event]:
        query = f"SELECT {EVENT_COLUMNS} FROM events e WHERE e.id > ? AND {selection.condition()} ORDER BY e.id LIMIT ?"
        return [event_from(row) for row in self.connection.execute(query, (after, limit))]

    # how far an entry has come

    def begin_try(self, name: str, event_id: int) -> int:
        """An event is about to be given to an entry. How often that was begun, this time included."""
        (tries,) = self.connection.execute(
            "UPDATE event_readers SET tries = iif(trying = :id, tries, 0) + 1, trying = :id WHERE name = :name RETURNING tries",
            {"id": event_id, "name": name},
        ).fetchone() or (1,)
        return int(tries)

    def take_back_try(self, name: str) -> None:
        """The try that was begun last did not come about. Those before it, which were cut off, still count."""
        self.connection.execute("UPDATE event_readers SET tries = tries - 1 WHERE name = ? AND tries > 0", (name,))

    def advance(self, name: str, upto: int, *, sent_at: float | None = None) -> None:
        """Every event up to this one is dealt with. `sent_at`: something was sent, and the entry works."""
        self.connection.execute(
            "UPDATE event_readers SET cursor = max(cursor, :upto), batch_upto = NULL, batch_sent = NULL, trying = NULL, tries = 0"
            f"{_works(sent_at)} WHERE name = :name",
            {"upto": upto, "name": name, "sent_at": sent_at},
        )

    def begin_batch(self, name: str, upto: int | None) -> None:
        """Messages for events up to `upto` are about to be sent; None: nothing of them was."""
        self.connection.execute(
            "UPDATE event_readers SET batch_upto = ?, batch_sent = NULL WHERE name = ?", (upto, name)
        )

    def causes_dealt_with(self, name: str, upto: int, causes: Sequence[str], *, sent_at: float | None = None) -> None:
        """Of the messages for events up to `upto` those of these causes were sent, or will never be."""
        self.connection.execute(
            f"UPDATE event_readers SET batch_upto = :upto, batch_sent = :sent{_works(sent_at)} WHERE name = :name",
            {"upto": upto, "sent": json.dumps(list(causes)), "name": name, "sent_at": sent_at},
        )

    def note_trouble(self, name: str, trouble: str, now: float) -> float:
        """The entry fails, and why. Since when it does."""
        (since,) = self.connection.execute(
            "UPDATE event_readers SET failing_since = coalesce(failing_since, ?), trouble = ? WHERE name = ? RETURNING failing_since",
            (now, trouble, name),
        ).fetchone() or (now,)
        return float(since)

    def forget_trouble(self, name: str) -> None:
        """The entry's receiver answers again, though nothing was sent."""
        self.connection.execute("UPDATE event_readers SET failing_since = NULL, trouble = NULL WHERE name = ?", (name,))

    def count_dropped(self, name: str, count: int, reason: str, now: float) -> None:
        """So many events are never sent to the entry."""
        self.connection.execute(
            "UPDATE event_readers SET dropped = dropped + ?, dropped_at = ?, dropped_reason = ? WHERE name = ?",
            (count, now, reason, name),
        )

    def lost_after(self, cursor: int) -> int:
        """How many events after this one the limit of the table took away: nothing else deletes what is not dealt with."""
        (oldest,) = self.connection.execute("SELECT min(id) FROM events").fetchone()
        return 0 if oldest is None else max(0, int(oldest) - 1 - cursor)

    def older_than(self, selection: Selection, after: int, before: float) -> tuple[int, int]:
        """Of the events not dealt with, those that happened before a moment: the id of the last one, and how many."""
        (upto, count) = self.connection.execute(
            f"SELECT max(e.id), count(*) FROM events e WHERE e.id > ? AND e.at < ? AND {selection.condition()}",
            (after, before),
        ).fetchone()
        return int(upto or after), int(count)


def _works(sent_at: float | None) -> str:
    """The columns that say that the entry works, where something was sent."""
    return "" if sent_at is None else ", sent_at = :sent_at, failing_since = NULL, trouble = NULL"


_READERS = f"SELECT {', '.join(Reader._fields)} FROM event_readers"


def _reader(row: Sequence[Any]) -> Reader:
    reader = Reader(*row)
    return reader._replace(batch_sent=tuple(json.loads(row[3])) if row[3] else ())


def event_from(row: Sequence[Any]) -> Event:
    """An event from the columns `EVENT_COLUMNS`."""
    return Event(int(row[0]), str(row[1]), fact_from(row[2:]))
