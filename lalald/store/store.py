"""The daemon's side of the database: read due jobs, save outcomes by compare-and-set."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

from lalald.jobs.job import Job, JobSettings, RequestTerms
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.jobs.task import Task
from lalald.jobs.transfer_progress import TransferProgress
from lalald.store import database
from lalald.store.due import DueQueries
from lalald.store.events.event_queue import EventQueue
from lalald.store.file_types import NewFile
from lalald.store.known_files import split_path
from lalald.store.page import verdicts
from lalald.store.rows import (
    JOB_COLUMNS,
    UnreadableJob,
    name_from,
    stored_name,
    values,
)
from lalald.store.tables.arrived_folders import ArrivedFolders
from lalald.store.tables.charges import Charges
from lalald.store.tables.daemon_state import DaemonState
from lalald.store.tables.job_counts import JobCounts
from lalald.store.tables.job_history import JobHistory
from lalald.store.tables.job_places import newest_job_at
from lalald.store.tables.known_markers import KnownMarkers
from lalald.store.tables.request_queue import RequestQueue
from lalald.store.tables.restored_copy import RestoredCopy
from lalald.store.tables.result_deadlines import ResultDeadlines
from lalald.store.tables.task_writer import StaleError, TaskWriter
from lalald.store.tables.unreadable_jobs import UnreadableJobs

_DELIVERED = (Stage.DELETE, Stage.ARCHIVE, Stage.DONE)  # from this stage on the results are in the outbox


def _frees_duplicates(job: Job) -> bool:
    """Whether duplicates need not wait for the job: it is delivered, has ended, or waits for a user."""
    ended = job.stage in _DELIVERED or job.state in (State.FAILED, State.CANCELLED)
    return ended or (job.state is State.HELD and job.hold in (Hold.FIRST_SCAN, Hold.DUPLICATE))


class Store(DueQueries):
    """Every method runs within the caller's transaction; `StoreThread` opens and commits it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.state = DaemonState(connection)
        self.requests = RequestQueue(connection)
        self.counts = JobCounts(connection)
        self.charges = Charges(connection)
        self.deadlines = ResultDeadlines(connection)
        self.history = JobHistory(connection)
        self.restored = RestoredCopy(connection)
        self.markers = KnownMarkers(connection)
        self.tasks = TaskWriter(connection, self.events)

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Open the database of a state folder; create or migrate it if needed. Raises StoreError."""
        return cls(database.connect(state_dir))

    def close(self) -> None:
        self.connection.close()

    @cached_property
    def event_queue(self) -> EventQueue:
        """Who reads events, and how far each has come."""
        return EventQueue(self.connection)

    @cached_property
    def newly_unreadable(self) -> list[UnreadableJob]:
        """Set aside in this transaction; `StoreThread` empties it, and reports them after the commit."""
        return []

    def _note_unreadable(self, jobs: Sequence[UnreadableJob]) -> None:
        self.newly_unreadable.extend(UnreadableJobs(self.connection).set_aside(jobs))

    # jobs out

    def job(self, job_id: int) -> Job | None:
        found = self._jobs("WHERE jobs.id = ?", (job_id,))
        return found[0] if found else None

    def jobs_with_request(self, limit: int = 500) -> list[Job]:
        return self._jobs("WHERE jobs.request IS NOT NULL ORDER BY jobs.id LIMIT ?", (limit,))

    def held_jobs(self, hold: Hold, limit: int = 1000) -> list[Job]:
        return self._jobs("WHERE jobs.state = 'held' AND jobs.hold = ? ORDER BY jobs.id LIMIT ?", (hold, limit))

    def unknown_length_held(self, job_id: int) -> int | None:
        """The oldest job of unknown duration that is held for minutes and was uploaded or is older than this one."""
        (found,) = self.connection.execute(
            "SELECT min(id) FROM jobs WHERE state = 'held' AND hold = 'minutes' AND least_duration IS NOT NULL"
            " AND id <> ? AND (source_id IS NOT NULL OR id < ?)",
            (job_id, job_id),
        ).fetchone()
        return None if found is None else int(found)

    def set_aside_unknown_values(self) -> None:
        """Set aside jobs with an unknown stage, state or hold, which no other query finds."""
        known = {"stages": [*Stage], "states": [*State], "holds": [*Hold]}
        rows = self.connection.execute(
            "SELECT id FROM jobs WHERE state = 'held' AND coalesce(hold, '') NOT IN (SELECT value FROM json_each(:holds))"
            " UNION SELECT id FROM jobs WHERE stage NOT IN (SELECT value FROM json_each(:stages))"
            " UNION SELECT id FROM jobs WHERE state NOT IN (SELECT value FROM json_each(:states))"
            " UNION SELECT job_id FROM tasks WHERE stage NOT IN (SELECT value FROM json_each(:stages))",
            {name: json.dumps(found) for name, found in known.items()},
        )
        self.jobs_by_id([row[0] for row in rows])

    def reservations(self) -> list[tuple[str, str, int]]:
        """Outbox, path and job of every chosen name whose file is not in place yet."""
        rows = self.connection.execute(
            "SELECT job_settings.json, tracks.path, jobs.id FROM tracks JOIN jobs ON jobs.id = tracks.job_id"
            " JOIN job_settings ON job_settings.id = jobs.settings WHERE tracks.path IS NOT NULL AND NOT tracks.delivered"
            " AND jobs.stage = 'download'"
        )
        found = []
        for settings, path, job_id in rows.fetchall():
            try:
                found.append((JobSettings.from_json(settings).outbox, name_from(path), job_id))
            except (ValueError, TypeError, KeyError):
                self._jobs("WHERE jobs.id = ?", (job_id,))  # sets it aside
        return found

    # outcomes in

    def save(self, before: Job, after: Job) -> Job:
        """Write the changed columns if the row is unchanged since it was read. Returns the job with its new revision and any request.

        Raises StaleError if the row was changed meanwhile; nothing is written then.
        """
        changed = [column for column in JOB_COLUMNS if getattr(after, column) != getattr(before, column)]
        written = values(changed, after)
        if after.settings is not before.settings:
            changed.append("settings")
            written.append(self.settings_id(after.settings))
        assignments = "".join(f"{column} = ?, " for column in changed)  # every named column updates its indices
        row = self.connection.execute(
            f"UPDATE jobs SET {assignments}progress = NULL, revision = revision + 1"
            " WHERE id = ? AND revision = ? RETURNING revision, request, request_terms",
            (*written, before.id, before.revision),
        ).fetchone()
        if row is None:
            raise StaleError(f"job {before.id} was changed by another process")
        charged = self.tasks.save(before, after) if after.tasks != before.tasks else 0.0
        if after.moved_to != before.moved_to or after.state != before.state:
            self._forget_moved_file(after)
        if after.stage is Stage.DONE and after.archived and not before.archived and _left_its_place(after):
            ArrivedFolders(self.connection).note_archived(after.inbox, after.path)
        self._wake_others(before, after)
        request = Request(row[1]) if row[1] else None
        seen = RequestTerms.from_json(row[2]) if row[2] else None
        saved = replace(after, revision=row[0], request=request, request_terms=seen, minutes=before.minutes + charged)
        self.events.job_changed(before, saved, after.updated_at)
        return saved

    def set_aside(self, job_id: int, *, is_failed: bool, error: str, due_at: float, counted: bool, now: float) -> bool:
        """Write only state and error of a waiting job. Returns whether the job was waiting."""
        waits = (
            self.connection.execute(
                "UPDATE jobs SET state = ?, error = ?, attempts = attempts + ?, due_at = ?, archived = 0, progress = NULL,"
                " updated_at = ?, revision = revision + 1 WHERE id = ? AND state = 'waiting'",
                ("failed" if is_failed else "waiting", error, counted, due_at, now, job_id),
            ).rowcount
            > 0
        )
        if waits and is_failed and (job := self.job(job_id)) is not None:
            self.events.job_failed(job, now)
        return waits

    def _forget_moved_file(self, job: Job) -> None:
        """Forget a file that was moved out of its place in the inbox: another one of its name is a new drop."""
        if job.moved_to is not None:
            folder, name = split_path(job.path)
            self.connection.execute(
                "DELETE FROM files WHERE inbox = ? AND folder = ? AND name = ? AND job_id = ?",
                (stored_name(job.inbox), stored_name(folder), stored_name(name), job.id),
            )

    def _wake_others(self, before: Job, after: Job) -> None:
        """Make jobs due that wait for this one, or whose delete on the service waits for its downloads."""
        if (after.stage, after.state, after.hold) != (before.stage, before.state, before.hold):
            if _frees_duplicates(after):
                self.connection.execute(
                    "UPDATE jobs SET due_at = 0 WHERE duplicate_of = ? AND state = 'waiting'", (after.id,)
                )
            if after.duplicate_of is not None:
                self._wake_delete_of(after)
        if after.duplicate_of is not None and after.due_at != before.due_at and after.stage is Stage.UPLOAD:
            self._wake_if_awaited_job_ended(after)

    def _wake_if_awaited_job_ended(self, job: Job) -> None:
        """Make the job due again if the one that it waits for has ended meanwhile."""
        earlier = self.job(job.duplicate_of or 0)
        if earlier is None or _frees_duplicates(earlier):
            self.connection.execute("UPDATE jobs SET due_at = 0 WHERE id = ?", (job.id,))

    def _wake_delete_of(self, job: Job) -> None:
        """Make deletes due that waited for this duplicate's downloads."""
        sources = {job.duplicate_of, *(task.paid_by for task in job.tasks)} - {None}
        self.connection.executemany(
            "UPDATE jobs SET due_at = 0 WHERE id = ? AND state = 'waiting' AND stage = 'delete'",
            [(one,) for one in sources],
        )

    def drop_file(self, job: Job) -> None:
        """Forget the file at the job's place, so that it is inspected again, unless it belongs to another job."""
        self.connection.execute(
            "DELETE FROM files WHERE inbox = ? AND folder = ? AND name = ? AND (job_id IS NULL OR job_id = ?)",
            (stored_name(job.inbox), *map(stored_name, split_path(job.path)), job.id),
        )

    def clear_request(self, job_id: int, request: Request) -> None:
        """Remove a request that was carried out, unless it was replaced meanwhile."""
        verdicts.note_done(self.connection, job_id, str(request), time.time())
        self.connection.execute(
            "UPDATE jobs SET request = NULL, request_terms = NULL WHERE id = ? AND request = ?", (job_id, request)
        )

    def hold_all(self, hold: Hold, reason: str, now: float) -> int:
        """Hold every waiting job that still needs the service. Returns how many."""
        return self.connection.execute(
            "UPDATE jobs SET state = 'held', hold = ?, hold_reason = ?, held_at = ?, revision = revision + 1, updated_at = ?"
            " WHERE state = 'waiting' AND stage IN ('upload', 'split', 'check', 'delete')",
            (hold, reason, now, now),
        ).rowcount

    def release_all(self, hold: Hold, now: float) -> int:
        """End one kind of hold for every job. Returns how many."""
        released = self.connection.execute(
            "UPDATE jobs SET state = 'waiting', hold = NULL, hold_reason = NULL, hold_source = NULL, held_at = NULL, due_at = 0,"
            " revision = revision + 1, updated_at = ? WHERE state = 'held' AND hold = ?",
            (now, hold),
        ).rowcount
        if released:
            self.events.hold_may_have_ended(hold, now)
        return released

    def set_progress(self, progress: Mapping[int, TransferProgress]) -> None:
        """Save the progress of running transfers, for `status`."""
        self.connection.executemany(
            "UPDATE jobs SET progress = ?, transfer_done = ?, transfer_total = ?, transfer_rate = ? WHERE id = ?",
            [(one.share, one.done_bytes, one.total_bytes, one.rate, job_id) for job_id, one in progress.items()],
        )

    def clear_progress(self) -> None:
        """Remove the progress of all transfers, at the start."""
        self.connection.execute("UPDATE jobs SET progress = NULL WHERE progress IS NOT NULL")

    def redo(self, job: Job, now: float, tasks: tuple[Task, ...]) -> int:
        """Add a new job for the file of a finished one; it pays again."""
        found = NewFile(
            inbox=job.inbox, path=job.path, size=job.size, mtime_ns=job.mtime_ns, inode=job.inode,
            rule=job.rule, settings=job.settings, tasks=tasks,
        )  # fmt: skip
        return self._add_job(found, now, ignore_duplicates=True, moved_to=job.moved_to)

    def job_at(self, path: str) -> Job | None:
        """The newest job whose file is, or was, at this absolute path."""
        job_id = newest_job_at(self.connection, path)
        return None if job_id is None else self.job(job_id)


def _left_its_place(job: Job) -> bool:
    """Whether the source of a finished job was moved or deleted by lalald."""
    on_success = job.settings.on_success
    return on_success == "delete" or (on_success == "move" and job.moved_to is not None)
