"""What happened, by cause, without what is over: in pieces, since the store's thread has other work beside 200,000 events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import BEGINS, ENDS, EventKind
from lalald.store.events.event_queue import EVENT_COLUMNS, Selection, event_from
from lalald.store.rows import name_from

PIECE = 5_000  # ids of events that one question is about
_NAMED = 10  # events of a cause
_READ = 40  # of which some may be about the same job
_OF_A_JOB = ", ".join(f"'{kind}'" for kind in (EventKind.JOB_DONE, EventKind.JOB_FAILED, EventKind.RESULTS_EXPIRING))
_BEGIN_KINDS, _END_KINDS = (", ".join(f"'{kind}'" for kind in sorted(kinds)) for kinds in (BEGINS, ENDS))

# A message about what is over is not sent, nor the one that it is over.
_IS_OVER = (
    f"(e.kind IN ({_BEGIN_KINDS}) AND EXISTS (SELECT 1 FROM events x WHERE x.subject = e.subject AND x.id > e.id"
    f" AND x.id <= :upto AND x.kind IN ({_END_KINDS})))"
)
_ENDS_UNSENT = (
    f"(e.kind IN ({_END_KINDS}) AND NOT (e.kind = '{EventKind.JOB_DONE}' AND {{job_done}}) AND coalesce((SELECT b.id FROM events b"
    f" WHERE b.subject = e.subject AND b.id < e.id AND b.kind IN ({_BEGIN_KINDS}) AND {{begins}} ORDER BY b.id DESC LIMIT 1), 0) > :after)"
)
# A job counts once. If one of its events is not left out, neither are the earlier ends nor the later begins of its kind and cause.
_IS_COUNTED = (
    "EXISTS (SELECT 1 FROM events o WHERE o.subject = e.subject AND o.cause = e.cause AND o.kind = e.kind AND {others}"
    f" AND o.id > :after AND o.id <= :upto AND iif(e.kind IN ({_END_KINDS}), o.id < e.id, o.id > e.id))"
)


class Span(NamedTuple):
    """The events after one id, up to another."""

    after: int
    upto: int

    def pieces(self, ids: int = PIECE) -> Iterator[Span]:
        for start in range(self.after, self.upto, ids):
            yield Span(start, min(start + ids, self.upto))


class Tally(NamedTuple):
    """What happened by one cause (as it is stored), between which ids and moments, and the minutes charged for its jobs."""

    cause: str | bytes
    kind: str
    happened: int
    first_id: int
    last_id: int
    first_at: float
    last_at: float
    minutes: float

    def joined(self, other: Tally) -> Tally:
        """With what happened by the same cause later."""
        kind, happened = min(self.kind, other.kind), self.happened + other.happened
        first_at, last_at = min(self.first_at, other.first_at), max(self.last_at, other.last_at)
        minutes = self.minutes + other.minutes
        return Tally(self.cause, kind, happened, self.first_id, other.last_id, first_at, last_at, minutes)


@dataclass(frozen=True, slots=True)
class Cause:
    """Events of one cause: `count` of what happened, and the minutes charged for all of its jobs.

    `events` are the first ten, none where there are too many causes.
    """

    cause: str
    kind: EventKind
    count: int
    first_at: float
    last_at: float
    minutes: float
    events: tuple[Event, ...]

    @classmethod
    def of(cls, tally: Tally, events: tuple[Event, ...]) -> Cause:
        kind = EventKind(tally.kind)
        return cls(name_from(tally.cause), kind, tally.happened, tally.first_at, tally.last_at, tally.minutes, events)


def tallies(connection: sqlite3.Connection, selection: Selection, span: Span, piece: Span) -> list[Tally]:
    """What happened in a piece of a span, by cause."""
    is_counted = _IS_COUNTED.format(others=selection.condition("o"))
    rows = connection.execute(
        f"SELECT e.cause, min(e.kind), sum(CASE WHEN e.kind NOT IN ({_OF_A_JOB}) THEN e.count WHEN {is_counted} THEN 0 ELSE 1 END),"
        f" min(e.id), max(e.id), min(e.at), max(e.at), sum(CASE WHEN e.kind NOT IN ({_OF_A_JOB}) OR {is_counted} THEN 0.0"
        " ELSE coalesce(json_extract(e.data, '$.job.minutes'), 0.0) END)"
        f" FROM events e WHERE {_where_unsent(selection)} GROUP BY e.cause",
        {**span._asdict(), "piece_after": piece.after, "piece_upto": piece.upto},
    )
    return [Tally(*row) for row in rows]


def join(found: dict[str | bytes, Tally], later: Iterable[Tally]) -> None:
    """Add the tallies of a later piece."""
    for tally in later:
        before = found.get(tally.cause)
        found[tally.cause] = before.joined(tally) if before else tally


def first_events(connection: sqlite3.Connection, selection: Selection, span: Span, tally: Tally) -> tuple[Event, ...]:
    """The first ten events of a cause, each job once; what is about no single job stays as it is."""
    bounds = {"piece_after": tally.first_id - 1, "piece_upto": tally.last_id, "cause": tally.cause}
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events e WHERE {_where_unsent(selection)} AND e.cause = :cause ORDER BY e.id LIMIT {_READ}",
        {**span._asdict(), **bounds},
    )
    kept: dict[str | int, Event] = {}
    for event in map(event_from, rows):
        kept.setdefault(event.fact.subject if "job" in event.fact.data else event.id, event)
    return tuple(islice(kept.values(), _NAMED))


def _where_unsent(selection: Selection) -> str:
    """Of a piece; `:after` and `:upto` are those of the span."""
    job_done = "1" if EventKind.JOB_DONE in selection.kinds else "0"
    ends_unsent = _ENDS_UNSENT.format(job_done=job_done, begins=selection.condition("b"))
    is_wanted = selection.condition()
    return f"e.id > :piece_after AND e.id <= :piece_upto AND {is_wanted} AND NOT {_IS_OVER} AND NOT {ends_unsent}"
