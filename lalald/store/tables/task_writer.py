"""Save tasks with their tracks, and the charges for those that started."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lalald.errors import StoreError
from lalald.jobs.job import Job
from lalald.jobs.task import Task, Track
from lalald.store.events.events import Events
from lalald.store.rows import TASK_COLUMNS, TRACK_COLUMNS, stored_name, values


class StaleError(StoreError):
    """The row was changed since it was read."""


class TaskWriter:
    def __init__(self, connection: sqlite3.Connection, events: Events) -> None:
        self.connection = connection
        self.events = events

    def record_started(self, job_id: int, tasks: Sequence[Task]) -> tuple[int, float]:
        """Save the ids of started tasks and their charges, before anything else can fail.

        Returns the job's revision and the minutes charged.
        """
        charged = 0.0
        for task in tasks:
            self.connection.execute(
                "UPDATE tasks SET stage = 'check', task_id = ?, started_at = ?, progressed_at = ?, due_at = ?, minutes = ?, progress = 0"
                " WHERE job_id = ? AND number = ?",
                (task.task_id, task.started_at, task.progressed_at, task.due_at, task.minutes, job_id, task.number),
            )
            cursor = self.connection.execute(
                "INSERT OR IGNORE INTO charges (task_id, job_id, task_number, inbox, path, rule, mode, minutes, at)"
                " SELECT ?, id, ?, inbox, path, rule, ?, ?, ? FROM jobs WHERE id = ?",
                (task.task_id, task.number, task.mode, task.minutes or 0.0, task.started_at or 0.0, job_id),
            )
            charged += (task.minutes or 0.0) if cursor.rowcount else 0.0
        row = self.connection.execute(
            "UPDATE jobs SET minutes = minutes + ?, revision = revision + 1 WHERE id = ? RETURNING revision",
            (charged, job_id),
        ).fetchone()
        if row is None:
            raise StaleError(f"job {job_id} does not exist any more")
        self.events.touch()
        return int(row[0]), charged

    def save(self, before: Job, after: Job) -> float:
        """Returns the minutes charged for newly started tasks."""
        charged = 0.0
        old = {task.number: task for task in before.tasks}
        if gone := old.keys() - {task.number for task in after.tasks}:
            listed = ", ".join(map(str, gone))
            for table, number in (("tracks", "task_number"), ("tasks", "number")):
                self.connection.execute(f"DELETE FROM {table} WHERE job_id = ? AND {number} IN ({listed})", (after.id,))
        for task in after.tasks:
            was = old.get(task.number)
            if task == was:
                continue
            facts = values(TASK_COLUMNS, task)
            if was is None or facts != values(TASK_COLUMNS, was):
                marks = ", ".join("?" * (len(TASK_COLUMNS) + 1))
                self.connection.execute(
                    f"INSERT OR REPLACE INTO tasks (job_id, {', '.join(TASK_COLUMNS)}) VALUES ({marks})",
                    (after.id, *facts),
                )
            self._save_tracks(after.id, task, was.tracks if was else ())
            if task.paid_by is None and task.task_id is not None and (was is None or was.task_id != task.task_id):
                charged += self._charge(after, task, task.task_id, task.started_at)
            elif task.task_id is None and task.minutes is not None and was is not None and was.idempotency_key:
                charged += self._charge(after, task, f"lost, key {was.idempotency_key}", was.requested_at)
        if charged:
            self.connection.execute("UPDATE jobs SET minutes = minutes + ? WHERE id = ?", (charged, after.id))
        return charged

    def _save_tracks(self, job_id: int, task: Task, old: Sequence[Track]) -> None:
        if len(old) > len(task.tracks):
            self.connection.execute(
                "DELETE FROM tracks WHERE job_id = ? AND task_number = ? AND position >= ?",
                (job_id, task.number, len(task.tracks)),
            )
        changed = [place for place, track in enumerate(task.tracks) if place >= len(old) or track != old[place]]
        if changed:
            columns = ("job_id", "task_number", "position", *TRACK_COLUMNS)
            marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(changed))
            rows = ([job_id, task.number, place, *values(TRACK_COLUMNS, task.tracks[place])] for place in changed)
            self.connection.execute(
                f"INSERT OR REPLACE INTO tracks ({', '.join(columns)}) VALUES {marks}",
                [value for row in rows for value in row],
            )

    def _charge(self, job: Job, task: Task, charge_id: str, at: float | None) -> float:
        """Returns the minutes; 0 if the charge is known already."""
        minutes = task.minutes or 0.0
        cursor = self.connection.execute(
            "INSERT OR IGNORE INTO charges (task_id, job_id, task_number, inbox, path, rule, mode, minutes, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                charge_id,
                job.id,
                task.number,
                stored_name(job.inbox),
                stored_name(job.path),
                job.rule,
                task.mode,
                minutes,
                at or 0.0,
            ),
        )
        return minutes if cursor.rowcount else 0.0
