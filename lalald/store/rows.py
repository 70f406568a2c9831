"""Jobs as rows and back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from lalald.jobs import Handling, Hold, Job, Request, Stage, State, Task, Track

JOB_COLUMNS = tuple(name for name in Job.__slots__ if name not in ("handling", "tasks", "request", "revision"))
TASK_COLUMNS = tuple(name for name in Task.__slots__ if name != "tracks")
TRACK_COLUMNS = Track.__slots__

_NAMES = frozenset({"inbox", "path", "location", "origin", "outbox"})


def stored_name(name: str | None) -> str | bytes | None:
    """A file's name for SQLite: text, or its bytes where it is not UTF-8."""
    if name is None or name.isascii():
        return name
    raw = os.fsencode(name)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def stored_name_always(name: str) -> str | bytes:
    """`stored_name` of a name that is there."""
    stored = stored_name(name)
    assert stored is not None  # noqa: S101 - narrows the type
    return stored


def name_from(stored: str | bytes) -> str:
    return os.fsdecode(stored)


def values(columns: Iterable[str], row: Job | Task | Track) -> list[Any]:
    """A dataclass's fields as SQLite takes them."""
    found = []
    for column in columns:
        value = getattr(row, column)
        if column in _NAMES:
            value = stored_name(value)
        elif isinstance(value, Mapping):
            value = json.dumps(dict(value), sort_keys=True)
        found.append(value)
    return found


def job_from(row: sqlite3.Row, handling: Handling, tasks: tuple[Task, ...]) -> Job:
    facts: dict[str, Any] = {column: row[column] for column in JOB_COLUMNS}
    facts["path"] = name_from(facts["path"])
    facts["inbox"] = name_from(facts["inbox"])
    facts["location"] = None if facts["location"] is None else name_from(facts["location"])
    facts["stage"] = Stage(facts["stage"])
    facts["state"] = State(facts["state"])
    facts["hold"] = Hold(facts["hold"]) if facts["hold"] else None
    facts["request"] = Request(row["request"]) if row["request"] else None
    for flag in ("released", "filed", "redo"):
        facts[flag] = bool(facts[flag])
    return Job(revision=row["revision"], handling=handling, tasks=tasks, **facts)


def task_from(row: sqlite3.Row, tracks: tuple[Track, ...]) -> Task:
    facts: dict[str, Any] = {column: row[column] for column in TASK_COLUMNS}
    facts["presets"] = json.loads(facts["presets"])
    facts["stage"] = Stage(facts["stage"])
    facts["waits_for"] = Hold(facts["waits_for"]) if facts["waits_for"] else None
    return Task(tracks=tracks, **facts)


def track_from(row: sqlite3.Row) -> Track:
    facts: dict[str, Any] = {column: row[column] for column in TRACK_COLUMNS}
    facts["wanted"] = bool(facts["wanted"])
    facts["delivered"] = bool(facts["delivered"])
    for name in ("path", "origin"):
        facts[name] = None if facts[name] is None else name_from(facts[name])
    return Track(**facts)
