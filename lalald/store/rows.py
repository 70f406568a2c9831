"""Convert jobs to rows and rows to jobs."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job, JobSettings, RequestTerms
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State, TaskFailure
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Task, Track
from lalald.jobs.transfer_progress import TransferProgress

_TRANSFER_COLUMNS = 4  # progress, transfer_done, transfer_total, transfer_rate
_KEPT_BY_THE_STORE = ("id", "settings", "tasks", "request", "request_terms", "revision", "minutes")
JOB_COLUMNS = tuple(name for name in Job.__slots__ if name not in _KEPT_BY_THE_STORE)
TASK_COLUMNS = tuple(name for name in Task.__slots__ if name != "tracks")
TRACK_COLUMNS = Track.__slots__

_NAMES = frozenset({"inbox", "path", "moved_to", "copy_from", "held_path"})


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
    """`stored_name` of a name that is not None."""
    stored = stored_name(name)
    assert stored is not None  # noqa: S101 - narrows the type
    return stored


def name_from(stored: str | bytes) -> str:
    return os.fsdecode(stored)


def values(columns: Iterable[str], row: Job | Task | Track) -> list[Any]:
    """A dataclass's fields as values for SQLite."""
    found = []
    for column in columns:
        value = getattr(row, column)
        if column in _NAMES:
            value = stored_name(value)
        elif column == "presets":
            value = json.dumps(dict(value), sort_keys=True)
        elif column == "tag_notes":
            value = " ".join(value)
        found.append(value)
    return found


class UnreadableJob(NamedTuple):
    """A job with an unknown value in one of its rows."""

    job_id: int
    error: str


class JobRows(NamedTuple):
    """Jobs, each with its running transfers, and those that cannot be read."""

    jobs: list[tuple[Job, TransferProgress | None]]
    unreadable: list[UnreadableJob]


def jobs_where(connection: sqlite3.Connection, where: str, parameters: Sequence[Any]) -> JobRows:
    """Read jobs in two statements; if a row cannot be read, read them one by one, so that the others can be."""
    try:
        return JobRows(_whole_jobs(connection, where, parameters), [])
    except Exception as error:
        if not _is_about_a_value(error):
            raise
    ids = [row[0] for row in connection.execute(f"SELECT jobs.id {_FROM} {where}", parameters)]
    found = JobRows([], [])
    for job_id in ids:
        try:
            found.jobs.extend(_whole_jobs(connection, "WHERE jobs.id = ?", (job_id,)))
        except Exception as error:
            if not _is_about_a_value(error):
                raise
            found.unreadable.append(UnreadableJob(job_id, f"{type(error).__name__}: {error}"))
    return found


def _is_about_a_value(error: Exception) -> bool:
    """Whether an error is about a value in a row: errors of the database have a code, text that is not UTF-8 is an error without one."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) is None
    return not isinstance(error, MemoryError)


def _whole_jobs(
    connection: sqlite3.Connection, where: str, parameters: Sequence[Any]
) -> list[tuple[Job, TransferProgress | None]]:
    rows = connection.execute(f"{_JOBS} {where}", parameters).fetchall()
    tasks = _tasks(connection, [row[0] for row in rows]) if rows else {}
    return [
        (Job(*_read(row[:-_TRANSFER_COLUMNS], _JOB_READERS, tuple(tasks.get(row[0], ())))), _transfer(row))
        for row in rows
    ]


def _transfer(row: Sequence[Any]) -> TransferProgress | None:
    share, done, total, rate = row[-_TRANSFER_COLUMNS:]
    return None if share is None else TransferProgress(done or 0, total or 0, rate)


def _tasks(connection: sqlite3.Connection, job_ids: Sequence[int]) -> dict[int, list[Task]]:
    tasks: dict[int, list[Task]] = {}
    rows = connection.execute(_TASKS, (json.dumps(job_ids),))
    for (job_id, *facts), tracks in groupby(rows, key=_TASK_PART):
        found = tuple(Track(*_read(row[_TRACKS_FROM:-1], _TRACK_READERS)) for row in tracks if row[-1] is not None)
        tasks.setdefault(job_id, []).append(Task(*_read(facts, _TASK_READERS, found)))
    return tasks


_Readers = tuple[tuple[int, Callable[[Any], Any]], ...]


def _read(facts: Sequence[Any], readers: _Readers, *parts: Any) -> list[Any]:
    """The columns of a row, converted, in the order of the dataclass: access by name would take twice the time."""
    found = [*facts, *parts]
    for place, reader in readers:
        if found[place] is not None:
            found[place] = reader(found[place])
    return found


_TRUTHS = (
    "upload_waived",
    "per_file_waived",
    "per_day_waived",
    "duplicate_accepted",
    "archived",
    "ignore_duplicates",
    "wanted",
    "delivered",
    "cancelled",
)
_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NAMES, name_from),
    **dict.fromkeys(_TRUTHS, bool),
    "stage": Stage,
    "state": State,
    "hold": Hold,
    "hold_source": HoldSource,
    "request_terms": RequestTerms.from_json,
    "failure": TaskFailure,
    "failure_kind": FailureKind,
    "request": Request,
    "settings": JobSettings.from_json,
    "presets": json.loads,
    "tag_notes": lambda text: tuple(map(TagNote, text.split())),
}


def _readers(columns: Sequence[str]) -> _Readers:
    return tuple((place, _READERS[column]) for place, column in enumerate(columns) if column in _READERS)


_ALL_JOB_COLUMNS = Job.__slots__[:-1]  # but for the tasks
_JOB_READERS, _TASK_READERS, _TRACK_READERS = map(_readers, (_ALL_JOB_COLUMNS, TASK_COLUMNS, TRACK_COLUMNS))

_SELECTED = ", ".join("job_settings.json" if column == "settings" else f"jobs.{column}" for column in _ALL_JOB_COLUMNS)
_FROM = "FROM jobs JOIN job_settings ON job_settings.id = jobs.settings"
_JOBS = f"SELECT {_SELECTED}, jobs.progress, jobs.transfer_done, jobs.transfer_total, jobs.transfer_rate {_FROM}"

# A row for each track, and one for a task that has none; the place comes last, after the track's columns.
_TRACKS_FROM = 1 + len(TASK_COLUMNS)
_TASK_PART = itemgetter(slice(_TRACKS_FROM))
_TASKS = (
    f"SELECT tasks.job_id, {', '.join(f'tasks.{column}' for column in TASK_COLUMNS)},"
    f" {', '.join(f'tracks.{column}' for column in TRACK_COLUMNS)}, tracks.position"
    " FROM tasks LEFT JOIN tracks ON tracks.job_id = tasks.job_id AND tracks.task_number = tasks.number"
    " WHERE tasks.job_id IN (SELECT value FROM json_each(?)) ORDER BY tasks.job_id, tasks.number, tracks.position"
)
