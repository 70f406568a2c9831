"""Types that the read-only queries return: jobs, holds, folders, counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task
from lalald.jobs.transfer_progress import TransferProgress


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job as it is shown, with its transfers under way."""

    job: Job
    transfer: TransferProgress | None = None

    @property
    def state(self) -> str:
        """The job's state, and `running` for a waiting job whose stage is under way."""
        if self.job.state is not State.WAITING:
            return str(self.job.state)
        return "running" if self.transfer is not None or self._checked() else "waiting"

    @property
    def percent(self) -> float | None:
        """Progress of the current stage, 0 to 100; None if none is running."""
        if self.state != "running":
            return None
        if self.transfer is not None:
            return round(100.0 * self.transfer.share, 1)
        shares = [
            100 if task.stage is not Stage.CHECK else task.progress or 0 for task in self.job.tasks if not task.error
        ]
        return round(sum(shares) / len(shares), 1) if shares else 0.0

    @property
    def rate(self) -> float | None:
        """Bytes per second of its transfers; None without transfers, or before the rate is known."""
        return self.transfer.rate if self.transfer is not None and self.state == "running" else None

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds until the current stage ends; None if unknown."""
        if self.state != "running":
            return None
        if self.transfer is not None:
            return self.transfer.seconds_left
        tasks = [task for task in self.job.tasks if is_under_way(task)]
        left = [_seconds_left(task, now) for task in tasks]
        known = [seconds for seconds in left if seconds is not None]
        return max(known) if known and len(known) == len(left) else None

    def _checked(self) -> bool:
        return self.job.stage is Stage.CHECK and any(is_under_way(task) for task in self.job.tasks)


def is_under_way(task: Task) -> bool:
    """The service is working on it."""
    working = task.stage is Stage.CHECK and task.incomplete_since is None
    return working and task.task_id is not None and task.error is None


def _seconds_left(task: Task, now: float) -> float | None:
    """Estimated by the task's progress so far; None before its first."""
    if (
        not task.progress
        or task.started_at is None
        or task.progressed_at is None
        or task.progressed_at <= task.started_at
    ):
        return None
    whole = (task.progressed_at - task.started_at) * 100 / task.progress
    return max(0.0, task.started_at + whole - now)


class HoldReport(NamedTuple):
    """All jobs that wait for the same thing; `reason` is the oldest's, `minutes` the cost of releasing them.

    Jobs held as `lost_task` are in two reports: with `is_stalled` no id is lost, but a task makes no progress.
    """

    hold: str
    jobs: int
    since: float | None
    reason: str | None
    job_id: int
    minutes: float
    unknown: int  # how many of them have an unknown duration
    is_stalled: bool = False


class InboxReport(NamedTuple):
    """An inbox as the daemon last checked it."""

    path: str
    available: bool | None
    reason: str | None
    watch: str | None
    watch_reason: str | None
    since: float | None = None  # when it went away, if it is


class FolderReport(NamedTuple):
    """An outbox, or a done or failed folder outside its inbox, as last checked; `available` is None before the first check."""

    path: str
    available: bool | None
    reason: str | None
    since: float | None = None  # when it went away, if it is


class Counts(NamedTuple):
    """Jobs by state; waiting and running ones also by stage, and the running ones by stage."""

    states: dict[str, int]
    stages: dict[str, int]
    running: dict[str, int]


class Charge(NamedTuple):
    """Minutes that the service charged for a task."""

    task: int
    task_id: str
    minutes: float
    at: float


class Fact(NamedTuple):
    """A value that the daemon saved for reports, and when."""

    value: Any
    at: float
