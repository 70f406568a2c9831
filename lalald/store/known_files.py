"""Known files of the inboxes, the jobs made for them, and the inboxes' own state."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import count
from typing import Any

from lalald.jobs import task
from lalald.jobs.event_facts import held_job
from lalald.jobs.job import JobSettings
from lalald.jobs.states import Hold, Stage, State
from lalald.jobs.task import Task
from lalald.store.events.events import Events
from lalald.store.file_types import FailedFile, KnownFile, NewFile, SkipReason
from lalald.store.rows import TASK_COLUMNS, name_from, stored_name, values
from lalald.store.tables.folder_records import FolderRecords

_KNOWN = "size, mtime_ns, job_id, note, skip_reason, found_at_first_scan"


def _known(row: Sequence[Any]) -> KnownFile:
    size, mtime_ns, job_id, note, reason, at_first_scan = row
    return KnownFile(size, mtime_ns, job_id, note, SkipReason(reason) if reason else None, bool(at_first_scan))


def split_path(path: str) -> tuple[str, str]:
    """Folder within the inbox ('' for its top) and name."""
    folder, _, name = path.rpartition("/")
    return folder, name


class KnownFiles:
    """Queries and changes of the intake. Each method runs within the caller's transaction."""

    _openings = count()

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.events = Events(connection)
        self.folders = FolderRecords(connection, self.events)
        self._opening = next(self._openings)

    def known_in(self, inbox: str, folder: str) -> dict[str, KnownFile]:
        """The files known directly in a folder, by name."""
        rows = self.connection.execute(
            f"SELECT name, {_KNOWN} FROM files WHERE inbox = ? AND folder = ?",
            (stored_name(inbox), stored_name(folder)),
        )
        return {name_from(row[0]): _known(row[1:]) for row in rows}

    def known_at(self, inbox: str, paths: Sequence[str]) -> dict[str, KnownFile]:
        """Those of the paths that are known."""
        found: dict[str, KnownFile] = {}
        for path in paths:
            row = self.connection.execute(
                f"SELECT {_KNOWN} FROM files WHERE inbox = ? AND folder = ? AND name = ?",
                (stored_name(inbox), *map(stored_name, split_path(path))),
            ).fetchone()
            if row is not None:
                found[path] = _known(row)
        return found

    def generation(self) -> tuple[int, int, int]:
        """A value that differs after any change of the database, by this or another connection, and after each opening."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        return self._opening, self.connection.total_changes, version

    def identities_in(
        self, inbox: str, folder: str, *, after: str | None = None, upto: str | None = None
    ) -> list[tuple[str, int, int]]:
        """Name, size and mtime of the files known directly in a folder, or of a range of names: after one, up to another.

        In SQLite's order: text by its UTF-8 bytes, then names that are not UTF-8 by their bytes.
        """
        where = " AND name > ?" * (after is not None) + " AND name <= ?" * (upto is not None)
        bounds = [stored_name(bound) for bound in (after, upto) if bound is not None]
        rows: list[tuple[Any, int, int]] = self.connection.execute(
            f"SELECT name, size, mtime_ns FROM files WHERE inbox = ? AND folder = ?{where} ORDER BY name",
            (stored_name(inbox), stored_name(folder), *bounds),
        ).fetchall()
        if rows and isinstance(rows[-1][0], bytes):
            return [(name_from(name), size, mtime_ns) for name, size, mtime_ns in rows]
        return rows

    def known_folders(self, inbox: str) -> set[str]:
        rows = self.connection.execute(
            # a seek per folder, not per file
            "WITH RECURSIVE found (folder) AS (SELECT min(folder) FROM files WHERE inbox = :inbox UNION ALL"
            " SELECT (SELECT min(folder) FROM files WHERE inbox = :inbox AND folder > found.folder) FROM found WHERE folder IS NOT NULL)"
            " SELECT folder FROM found WHERE folder IS NOT NULL",
            {"inbox": stored_name(inbox)},
        )
        return {name_from(row[0]) for row in rows}

    def add_files(self, found: Sequence[NewFile], now: float) -> list[int | None]:
        """Record each file, with a new job if it has a rule. The job's id, or None for a skipped file.

        The same identity (inbox, path, size, mtime) gives no second job.
        """
        job_ids = [self._add_file(one, now) for one in found]
        self._report_held(found, job_ids, now)
        return job_ids

    def _report_held(self, found: Sequence[NewFile], job_ids: Sequence[int | None], now: float) -> None:
        """An event for each hold that new jobs begin with: a first scan may bring thousands of them."""
        held: dict[tuple[Hold, str | None], list[dict[str, Any]]] = {}
        for one, job_id in zip(found, job_ids, strict=True):
            if one.hold is not None and job_id is not None:
                held.setdefault((one.hold, one.hold_reason), []).append(held_job(job_id, one.inbox, one.path))
        for (hold, reason), jobs_held in held.items():
            self.events.jobs_held(hold, reason, jobs_held, now)

    def _add_file(self, found: NewFile, now: float) -> int | None:
        folder, name = split_path(found.path)
        key = (stored_name(found.inbox), stored_name(folder), stored_name(name))
        row = self.connection.execute(
            "SELECT size, mtime_ns, job_id FROM files WHERE inbox = ? AND folder = ? AND name = ?", key
        ).fetchone()
        if row and (row[0], row[1]) == (found.size, found.mtime_ns) and row[2] is not None:
            return int(row[2])
        job_id = self._add_job(found, now) if found.rule is not None else None
        self._remember(key, found, job_id)
        return job_id

    def _remember(self, key: tuple[str | bytes | None, ...], found: NewFile, job_id: int | None) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO files (inbox, folder, name, size, mtime_ns, job_id, note, skip_reason, found_at_first_scan)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, found.size, found.mtime_ns, job_id, found.note, found.skip_reason, found.found_at_first_scan),
        )

    def _add_job(
        self, found: NewFile, now: float, *, ignore_duplicates: bool = False, moved_to: str | None = None
    ) -> int:
        assert found.settings is not None  # noqa: S101 - narrows the type: a found file with a rule has both
        assert found.rule is not None  # noqa: S101
        state = State.HELD if found.hold else State.WAITING
        cursor = self.connection.execute(
            "INSERT INTO jobs (inbox, path, size, mtime_ns, inode, rule, settings, stage, state, hold, hold_reason, held_at,"
            " duration, task_fingerprint, created_at, updated_at, ignore_duplicates, moved_to)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                stored_name(found.inbox), stored_name(found.path), found.size, found.mtime_ns, found.inode, found.rule,
                self.settings_id(found.settings), Stage.UPLOAD, state, found.hold, found.hold_reason, now if found.hold else None,
                found.duration, task.task_fingerprint(found.tasks), now, now, ignore_duplicates, stored_name(moved_to),
            ),
        )  # fmt: skip
        job_id = int(cursor.lastrowid or 0)
        self.write_tasks(job_id, found.tasks)
        return job_id

    def write_tasks(self, job_id: int, tasks: Sequence[Task]) -> None:
        marks = ", ".join("?" * (len(TASK_COLUMNS) + 1))
        self.connection.executemany(
            f"INSERT INTO tasks (job_id, {', '.join(TASK_COLUMNS)}) VALUES ({marks})",
            [[job_id, *values(TASK_COLUMNS, task)] for task in tasks],
        )

    def settings_id(self, settings: JobSettings) -> int:
        """The id of these settings' row, which equal settings share: 100,000 jobs of a rule stay small."""
        text = settings.to_json()
        row = self.connection.execute("SELECT id FROM job_settings WHERE json = ?", (text,)).fetchone()
        if row is None:
            row = self.connection.execute("INSERT INTO job_settings (json) VALUES (?) RETURNING id", (text,)).fetchone()
        return int(row[0])

    def forget(self, inbox: str, paths: Sequence[str]) -> None:
        """Forget files that were removed from an available inbox: dropped again, they are new.

        A file stays known while its job is active: archiving moves it away and, if that fails, back, which is not a new drop.
        """
        keys = [(stored_name(inbox), *map(stored_name, split_path(path))) for path in paths]
        self.connection.executemany(
            "DELETE FROM files WHERE inbox = ? AND folder = ? AND name = ? AND NOT EXISTS (SELECT 1 FROM jobs"
            " WHERE jobs.id = files.job_id AND (jobs.state IN ('waiting', 'held') OR jobs.state = 'failed' AND jobs.archived = 0))",
            keys,
        )

    def files_without_job(self, inbox: str, after: str, limit: int) -> list[tuple[str, KnownFile]]:
        """Files without a job, by folder and name, after a path ('' for the first)."""
        rows = self.connection.execute(
            f"SELECT folder, name, {_KNOWN} FROM files"
            " WHERE inbox = ? AND (folder, name) > (?, ?) AND job_id IS NULL ORDER BY folder, name LIMIT ?",
            (stored_name(inbox), *map(stored_name, split_path(after)), limit),
        )
        return [("/".join(filter(None, map(name_from, row[:2]))), _known(row[2:])) for row in rows]

    def held_since_first_scan(self, inbox: str) -> int:
        """How many jobs of an inbox are held since their files existed before the first scan."""
        (count,) = self.connection.execute(
            "SELECT count(*) FROM jobs INDEXED BY jobs_held WHERE state = 'held' AND hold = ? AND inbox = ?",
            (Hold.FIRST_SCAN, stored_name(inbox)),
        ).fetchone()
        return int(count)

    def held_unpaid(
        self, inbox: str, hold: Hold, after: int, limit: int
    ) -> list[tuple[int, str, tuple[str, str, str]]]:
        """Jobs of an inbox with this hold and nothing paid: id, path, and rule, task fingerprint and settings (JSON) of each."""
        rows = self.connection.execute(
            "SELECT jobs.id, jobs.path, jobs.rule, jobs.task_fingerprint, job_settings.json FROM jobs INDEXED BY jobs_held"
            " JOIN job_settings ON job_settings.id = jobs.settings WHERE jobs.state = 'held' AND jobs.hold = ? AND jobs.id > ?"
            " AND jobs.inbox = ? AND jobs.stage IN ('upload', 'split') ORDER BY jobs.id LIMIT ?",
            (hold, after, stored_name(inbox), limit),
        )
        return [(row[0], name_from(row[1]), (row[2], row[3], row[4])) for row in rows]

    def possible_returns(self, inbox: str, size: int) -> list[FailedFile]:
        """Failed or cancelled jobs of this inbox with a file of this size that was archived: one of them may be dragged back."""
        rows = self.connection.execute(
            "SELECT id, inode, mtime_ns, sha256, moved_to FROM jobs INDEXED BY jobs_returnable WHERE size = ? AND inbox = ?"
            " AND moved_to IS NOT NULL AND state IN ('failed', 'cancelled') ORDER BY id DESC LIMIT 20",
            (size, stored_name(inbox)),
        )
        return [FailedFile(row[0], row[1], row[2], row[3], name_from(row[4])) for row in rows]

    def resume_returned(self, job_id: int, found: NewFile, now: float) -> None:
        """Resume the job of a failed file that was dragged back, with the file in its new place.

        Paid work is resumed; if nothing is paid, the file is matched again, so that a corrected rule takes effect.
        """
        folder, name = split_path(found.path)
        self._remember((stored_name(found.inbox), stored_name(folder), stored_name(name)), found, job_id)
        (paid,) = self.connection.execute(
            "SELECT count(*) FROM tasks WHERE job_id = ? AND (task_id IS NOT NULL OR requested_at IS NOT NULL)",
            (job_id,),
        ).fetchone()
        if not paid and found.rule is not None and found.settings is not None:
            (before,) = self.connection.execute("SELECT task_fingerprint FROM jobs WHERE id = ?", (job_id,)).fetchone()
            task_fingerprint = task.task_fingerprint(found.tasks)
            self.connection.execute("DELETE FROM tasks WHERE job_id = ?", (job_id,))
            self.write_tasks(job_id, found.tasks)
            self.connection.execute(
                "UPDATE jobs SET rule = ?, settings = ?, task_fingerprint = ? WHERE id = ?",
                (found.rule, self.settings_id(found.settings), task_fingerprint, job_id),
            )
            if task_fingerprint != before:
                self._withdraw_consent(job_id)
        self.connection.execute(
            "UPDATE jobs SET path = ?, mtime_ns = ?, inode = ?, moved_to = NULL, request = 'retry', request_terms = NULL,"
            " revision = revision + 1, updated_at = ? WHERE id = ?",
            (stored_name(found.path), found.mtime_ns, found.inode, now, job_id),
        )

    def _withdraw_consent(self, job_id: int) -> None:
        """Withdraw consent: other tasks have another price."""
        self.connection.execute(
            "UPDATE jobs SET per_file_waived = 0, per_day_waived = 0, duplicate_accepted = 0, upload_waived = 0,"
            " approved_minutes = NULL WHERE id = ?",
            (job_id,),
        )

    def target_folders(self) -> set[str]:
        """Every outbox, done and failed folder that any job ever had."""
        found = set()
        for (text,) in self.connection.execute("SELECT json FROM job_settings"):
            settings = JobSettings.from_json(text)
            found.add(settings.outbox)
            found |= {settings.done_dir} if settings.on_success == "move" else set()
            found |= {settings.failed_dir} if settings.on_failure == "move" else set()
        return found
