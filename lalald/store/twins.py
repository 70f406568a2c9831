"""Jobs that may have the same file as another one: the same bytes, or the same file under another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from lalald.jobs import Hold, Job, State
from lalald.store.known import KnownFiles
from lalald.store.rows import jobs_where, stored_name


class Sighted(Protocol):
    """What a file looks like."""

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def inode(self) -> int: ...


class KnownTwins(KnownFiles):
    """Questions about a job's file that go by its size."""

    def _jobs(self, where: str, parameters: Sequence[Any]) -> list[Job]:
        return [job for job, _ in jobs_where(self.connection, where, parameters)]

    def may_have_twin(self, job: Job) -> bool:
        """Whether another job, done or older and under way, has a file of the same size and the same tasks."""
        like = "SELECT 1 FROM jobs WHERE size = ?1 AND recipe = ?2 AND"
        under_way = f"{like} state IN ('waiting', 'held') AND id < ?3 AND sha256 IS"
        overtook = "SELECT 1 FROM jobs WHERE id = ?4 AND state IN ('waiting', 'held')"
        found = self.connection.execute(  # one after the other, and only as far as the first that finds something
            f"{like} state = 'done' AND id != ?3 UNION ALL {under_way} NULL UNION ALL {under_way} NOT NULL UNION ALL {overtook} LIMIT 1",
            (job.size, job.recipe, job.id, job.twin_id),
        )
        return found.fetchone() is not None

    def twins(self, job: Job) -> list[Job]:
        """Those of them with the same bytes, done ones first, and then those whose bytes nobody has hashed yet.

        One that waits for this job is none; one that overtook it is.
        """
        hashed = self._jobs(
            "WHERE jobs.size = ? AND jobs.recipe = ? AND jobs.state IN ('done', 'waiting', 'held') AND jobs.sha256 = ?"
            " AND jobs.id != ? AND (jobs.state = 'done' OR jobs.id < ?) ORDER BY jobs.state = 'done' DESC, jobs.id DESC LIMIT 50",
            (job.size, job.recipe, job.sha256, job.id, job.id),
        )
        unhashed = self._jobs(
            "WHERE jobs.size = ? AND jobs.recipe = ? AND jobs.state IN ('waiting', 'held') AND jobs.sha256 IS NULL"
            " AND jobs.id < ? ORDER BY jobs.id DESC LIMIT 50",
            (job.size, job.recipe, job.id),
        )
        overtook = self._jobs(
            "WHERE jobs.id = ? AND jobs.id > ? AND jobs.state IN ('waiting', 'held')", (job.twin_id, job.id)
        )
        return [twin for twin in hashed + unhashed + overtook if twin.state is State.DONE or twin.twin_id != job.id]

    def overtake(self, job_id: int, by: int) -> bool:
        """A job that is held for somebody's word will wait for another one with the same bytes. Whether it is held for that."""
        holds = f"'{Hold.FIRST_SCAN}', '{Hold.DUPLICATE}'"
        return (
            self.connection.execute(
                f"UPDATE jobs SET twin_id = ? WHERE id = ? AND state = 'held' AND hold IN ({holds})", (by, job_id)
            ).rowcount
            > 0
        )

    def held_like(self, inbox: str, sight: Sighted) -> Job | None:
        """The job of an old file that waits for somebody's word, and that is this one, but for its name."""
        found = self.connection.execute(
            "SELECT id FROM jobs WHERE size = ? AND mtime_ns = ? AND state = 'held' AND hold = 'first_scan'"
            " AND inode IN (?, 0) AND +inbox = ? ORDER BY inode = 0 LIMIT 1",
            (sight.size, sight.mtime_ns, sight.inode, stored_name(inbox)),
        ).fetchone()
        return self._jobs("WHERE jobs.id = ?", found)[0] if found else None
