"""Queries for duplicates: jobs whose files have the same bytes, or are the same file under another name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, State
from lalald.jobs.task import task_key
from lalald.store.known_files import KnownFiles
from lalald.store.rows import UnreadableJob, jobs_where, stored_name

_HASH_LENGTH = 64  # of SHA-256 as hexadecimal digits
_MOST = 50  # of each kind: of more copies of a file, the newest are compared
_PAID = (
    "EXISTS (SELECT 1 FROM tasks t WHERE t.job_id = jobs.id AND (t.requested_at IS NOT NULL OR t.task_id IS NOT NULL))"
)
_ENDED_PAID = f"jobs.state = 'done' OR (jobs.state IN ('failed', 'cancelled') AND {_PAID})"
_ASKS = f"'{Hold.FIRST_SCAN}', '{Hold.DUPLICATE}'"
_FETCHES = (  # jobs that may still need results on the service: not those that wait for a user or for minutes
    f"(jobs.state = 'waiting' OR (jobs.state = 'held' AND jobs.hold NOT IN ({_ASKS}, '{Hold.MINUTES}', '{Hold.LOST_TASK}')))"
)


class FileIdentity(Protocol):
    """The identity of a file."""

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def inode(self) -> int: ...


class Duplicates(KnownFiles):
    """Queries that find jobs by the size of their file."""

    def _jobs(self, where: str, parameters: Sequence[Any]) -> list[Job]:
        found = jobs_where(self.connection, where, parameters)
        if found.unreadable:
            self._note_unreadable(found.unreadable)
        return [job for job, _ in found.jobs]

    def _note_unreadable(self, jobs: Sequence[UnreadableJob]) -> None:
        """Called before the readable jobs are returned. Does nothing in a reader."""

    def fingerprints_with_a_task_of(self, job: Job) -> list[str]:
        """The task fingerprints of jobs with files of this size that share a task with the job, its own first."""
        wanted = {task_key(task.mode, task.presets) for task in job.tasks}
        others = (
            task_fingerprint
            for task_fingerprint in self._fingerprints(job.size)
            if task_fingerprint != job.task_fingerprint
        )
        return [
            job.task_fingerprint,
            *(task_fingerprint for task_fingerprint in others if self._keys(job.size, task_fingerprint) & wanted),
        ]

    def _fingerprints(self, size: int) -> list[str]:
        """One index step for each, however many jobs there are."""
        rows = self.connection.execute(
            "WITH RECURSIVE found(task_fingerprint) AS (SELECT min(task_fingerprint) FROM jobs WHERE size = :size UNION ALL"
            " SELECT (SELECT min(task_fingerprint) FROM jobs WHERE size = :size AND task_fingerprint > found.task_fingerprint)"
            " FROM found WHERE task_fingerprint IS NOT NULL)"
            " SELECT task_fingerprint FROM found WHERE task_fingerprint IS NOT NULL",
            {"size": size},
        )
        return [row[0] for row in rows]

    def _keys(self, size: int, task_fingerprint: str) -> set[str]:
        rows = self.connection.execute(
            "SELECT mode, presets FROM tasks WHERE json_valid(presets)"
            " AND job_id = (SELECT id FROM jobs WHERE size = ? AND task_fingerprint = ? LIMIT 1)",
            (size, task_fingerprint),
        )
        return {task_key(mode, json.loads(presets)) for mode, presets in rows}

    def may_have_duplicate(self, job: Job) -> bool:
        """Whether a paid and ended job, or an older active one, has a file of the same size and shares a task."""
        overtook = "SELECT 1 FROM jobs WHERE id = ? AND state IN ('waiting', 'held')"
        if self.connection.execute(overtook, (job.duplicate_of,)).fetchone():
            return True
        return self._unreadable_payer(job, "1") is not None or any(
            self._may_have_duplicate(job, task_fingerprint)
            for task_fingerprint in self.fingerprints_with_a_task_of(job)
        )

    def unreadable_payer(self, job: Job) -> int | None:
        """The id of a job with the same bytes that paid for a task of this one, and whose row cannot be read; else None.

        What such a row does not say counts as the same.
        """
        return self._unreadable_payer(
            job, "(jobs.sha256 = :sha256 OR coalesce(length(jobs.sha256), 0) != :hash_length)"
        )

    def _unreadable_payer(self, job: Job, same_bytes: str) -> int | None:
        wanted = {task_key(task.mode, task.presets) for task in job.tasks}
        rows = self.connection.execute(
            "SELECT jobs.id, tasks.mode, iif(json_valid(tasks.presets), tasks.presets, NULL) FROM unreadable_jobs"
            " JOIN jobs ON jobs.id = unreadable_jobs.job_id JOIN tasks ON tasks.job_id = jobs.id"
            f" WHERE jobs.size = :size AND jobs.id != :job AND {_PAID} AND {same_bytes} ORDER BY jobs.id DESC",
            {"size": job.size, "job": job.id, "sha256": job.sha256, "hash_length": _HASH_LENGTH},
        )
        found = (
            job_id for job_id, mode, presets in rows if presets is None or task_key(mode, json.loads(presets)) in wanted
        )
        return next(found, None)

    def _may_have_duplicate(self, job: Job, task_fingerprint: str) -> bool:
        like = "SELECT 1 FROM jobs WHERE size = :size AND task_fingerprint = :task_fingerprint AND"
        under_way = f"{like} state IN ('waiting', 'held') AND id < :job AND sha256 IS"
        ended = f"{like} state IN ('failed', 'cancelled') AND id != :job AND {_PAID}"
        found = self.connection.execute(  # one after the other, and only as far as the first that finds something
            f"{like} state = 'done' AND id != :job UNION ALL {under_way} NULL UNION ALL {under_way} NOT NULL UNION ALL {ended} LIMIT 1",
            {"size": job.size, "task_fingerprint": task_fingerprint, "job": job.id},
        )
        return found.fetchone() is not None

    def duplicates(self, job: Job) -> list[Job]:
        """Such jobs with the same bytes, done ones first, and then those whose bytes are not hashed yet.

        Excludes jobs that wait for this one, includes one that overtook it.
        """
        found = [
            one
            for task_fingerprint in self.fingerprints_with_a_task_of(job)
            for one in self._duplicates(job, task_fingerprint)
        ]
        found += self._jobs(
            "WHERE jobs.id = ? AND jobs.id > ? AND jobs.state IN ('waiting', 'held')", (job.duplicate_of, job.id)
        )
        ended = (State.DONE, State.FAILED, State.CANCELLED)
        once = {one.id: one for one in found if one.state in ended or one.duplicate_of != job.id}
        return sorted(once.values(), key=lambda one: one.state is not State.DONE)

    def _duplicates(self, job: Job, task_fingerprint: str) -> list[Job]:
        hashed = self._jobs(
            f"WHERE jobs.size = ? AND jobs.task_fingerprint = ? AND jobs.sha256 = ? AND jobs.id != ? AND ({_ENDED_PAID}"
            " OR (jobs.state IN ('waiting', 'held') AND jobs.id < ?)) ORDER BY jobs.state = 'done' DESC, jobs.id DESC LIMIT ?",
            (job.size, task_fingerprint, job.sha256, job.id, job.id, _MOST),
        )
        unhashed = self._jobs(
            "WHERE jobs.size = ? AND jobs.task_fingerprint = ? AND jobs.state IN ('waiting', 'held') AND jobs.sha256 IS NULL"
            " AND jobs.id < ? ORDER BY jobs.id DESC LIMIT ?",
            (job.size, task_fingerprint, job.id, _MOST),
        )
        return hashed + unhashed

    def overtake(self, job_id: int, by: int) -> bool:
        """Let a job that is held for a user's decision wait for another one with the same bytes. Returns whether it does."""
        return (
            self.connection.execute(
                f"UPDATE jobs SET duplicate_of = ? WHERE id = ? AND state = 'held' AND hold IN ({_ASKS})", (by, job_id)
            ).rowcount
            > 0
        )

    def fetching_duplicate(self, job_id: int) -> int | None:
        """The id of a job that still needs this one's results, from its outbox or the service; None if there is none."""
        found = self.connection.execute(
            f"SELECT id FROM jobs WHERE duplicate_of = :job AND {_FETCHES} AND stage = 'upload' UNION ALL"
            f" SELECT jobs.id FROM tasks JOIN jobs ON jobs.id = tasks.job_id WHERE tasks.paid_by = :job AND {_FETCHES}"
            " AND tasks.stage IN ('check', 'download') AND tasks.error IS NULL LIMIT 1",
            {"job": job_id},
        ).fetchone()
        return int(found[0]) if found else None

    def held_under_other_name(self, inbox: str, file: FileIdentity) -> Job | None:
        """The held job of an existing file that is this file under another name."""
        found = self.connection.execute(
            "SELECT id FROM jobs WHERE size = ? AND mtime_ns = ? AND state = 'held' AND hold = 'first_scan'"
            " AND inode IN (?, 0) AND +inbox = ? ORDER BY inode = 0 LIMIT 1",
            (file.size, file.mtime_ns, file.inode, stored_name(inbox)),
        ).fetchone()
        return self._jobs("WHERE jobs.id = ?", found)[0] if found else None
