"""What the command line is told of jobs, holds and folders."""

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
        """How far the stage under way is, 0 to 100; None where nothing is under way."""
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
        """Bytes per second of its transfers; None where nothing is transferred, or not for long enough."""
        return self.transfer.rate if self.transfer is not None and self.state == "running" else None

    def seconds_left(self, now: float) -> float | None:
        """Until the stage under way is over, as far as the last seconds or the service's progress tell; None where they do not."""
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
    """By the pace at which the task came to its last progress; None before its first."""
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
    """All jobs that wait for the same thing; `reason` is that of the oldest, `minutes` what going on would cost.

    Those held as `lost_task` are told apart: with `is_stalled` no id is lost, but a task makes no progress.
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
    """An inbox as the daemon last saw it."""

    path: str
    available: bool | None
    reason: str | None
    watch: str | None
    watch_reason: str | None
    since: float | None = None  # when it went away, if it is


class FolderReport(NamedTuple):
    """An outbox, or a folder elsewhere for archived files, as the daemon last saw it; `available` is None where it has not looked yet."""

    path: str
    available: bool | None
    reason: str | None
    since: float | None = None  # when it went away, if it is


class Counts(NamedTuple):
    """Jobs by state; those that are waiting or running also by the stage they owe, and the running ones among them."""

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
    """What the daemon left for the command line to tell, and when."""

    value: Any
    at: float
