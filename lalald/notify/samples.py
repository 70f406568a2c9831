"""Samples of events, for `lalald notify --test`: what would be sent, about a file that does not exist."""

from __future__ import annotations

import uuid
from typing import Any

from lalald.config.model import NotifyEntry
from lalald.jobs.event_facts import LICENSE, MINUTES, SERVICE, Event, Fact
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.states import Hold
from lalald.notify.expiring_results import WARNED_SECONDS
from lalald.store.events.causes import Cause

_INBOX, _OUTBOX, _PATH = "/inbox", "/outbox", "test/song.mp3"
_JOB: dict[str, Any] = {"id": 0, "inbox": _INBOX, "path": _PATH, "rule": "test", "stage": "split", "minutes": 0.0}
_TRACKS = [
    {"type": "stem", "label": label, "path": f"{_OUTBOX}/test/song/{label}.mp3"} for label in ("vocals", "no_vocals")
]
_DONE = {
    "job": {**_JOB, "stage": "done", "minutes": 3.5},
    "source": f"{_INBOX}/done/{_PATH}",
    "output": f"{_OUTBOX}/test/song",
    "tracks": _TRACKS,
}
_FOLDER = {"folder": _INBOX, "reason": "this is a test"}
_REASON = {"reason": "this is a test"}
_DATA: dict[EventKind, tuple[str, dict[str, Any]]] = {
    EventKind.JOB_DONE: ("job 0", _DONE),
    EventKind.JOB_FAILED: (
        "job 0",
        {
            "job": _JOB,
            "error": "this is a test",
            "failure": "unsupported",
            "codes": [],
            "paid": False,
            "paid_again": 0.0,
        },
    ),
    EventKind.JOB_HELD: (
        f"hold {Hold.MINUTES}",
        {"hold": str(Hold.MINUTES), "source_of_hold": "left", "stalled": False, **_REASON, "jobs": [_JOB]},
    ),
    EventKind.HOLD_CLEARED: (f"hold {Hold.MINUTES}", {"hold": str(Hold.MINUTES)}),
    EventKind.INBOX_UNAVAILABLE: (f"inbox {_INBOX}", _FOLDER),
    EventKind.INBOX_BACK: (f"inbox {_INBOX}", {**_FOLDER, "reason": None}),
    EventKind.FOLDER_UNAVAILABLE: (f"folder {_OUTBOX}", {**_FOLDER, "folder": _OUTBOX}),
    EventKind.FOLDER_BACK: (f"folder {_OUTBOX}", {"folder": _OUTBOX, "reason": None}),
    EventKind.SERVICE_DOWN: (SERVICE, _REASON),
    EventKind.SERVICE_BACK: (SERVICE, {}),
    EventKind.LICENSE_MISSING: (LICENSE, _REASON),
    EventKind.LICENSE_REFUSED: (LICENSE, _REASON),
    EventKind.MINUTES_LOW: (MINUTES, {"left": 12.5}),
    EventKind.RESULTS_EXPIRING: (
        "job 0",
        {"job": {**_JOB, "stage": "download", "minutes": 3.5}, "paid": True, **_REASON},
    ),
    EventKind.DAEMON_STARTED: ("daemon", {}),
}


def sample_event(kind: EventKind, now: float) -> Event:
    """A receiver can tell it by `test` in its data."""
    subject, data = _DATA[kind]
    expires = {"expires_at": now + WARNED_SECONDS} if kind is EventKind.RESULTS_EXPIRING else {}
    fact = Fact.of(kind, subject, now, {**data, **expires, "test": True})
    return Event(0, f"test_{uuid.uuid4().hex}", fact)


def sample_cause(event: Event) -> Cause:
    fact = event.fact
    return Cause(fact.cause, fact.kind, 1, fact.at, fact.at, fact.data.get("job", {}).get("minutes", 0.0), (event,))


def kind_to_try(entry: NotifyEntry) -> EventKind:
    """A kind of event that the entry receives."""
    if entry.problems or EventKind.JOB_FAILED in entry.kinds:
        return EventKind.JOB_FAILED
    return next(kind for kind in EventKind if kind in entry.kinds)
