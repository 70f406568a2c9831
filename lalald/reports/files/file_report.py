"""What `explain` says about one path."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lalald.inbox.writing_state import WritingState
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource, State
from lalald.jobs.task import Task
from lalald.store.report_types import JobReport


class Outcome(StrEnum):
    """What happens to the file."""

    READY = "ready"  # processed at once
    UNFINISHED = "unfinished"  # processed once it is finished
    UNAVAILABLE = "unavailable"  # its inbox is unavailable
    JOB = "job"  # it has a job
    SET_ASIDE = "set_aside"  # its inspection met an internal error
    NOT_TAKEN = "not_taken"


@dataclass(frozen=True, slots=True)
class ExpectedHold:
    """The hold that a file would meet."""

    hold: Hold
    source: HoldSource | None
    reason: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """Everything about a path. `minutes`: still to be charged; None if the price is unknown."""

    path: str
    outcome: Outcome
    reason: str
    inbox: str | None = None
    inbox_available: bool | None = None
    inbox_reason: str = ""
    rule: str | None = None
    job: JobReport | None = None
    writing: WritingState | None = None
    tasks: tuple[Task, ...] = ()
    duration: float | None = None
    minutes: float | None = None
    duplicate_of: int | None = None
    expected_hold: ExpectedHold | None = None
    remarks: tuple[str, ...] = field(default=())
    may_be_free: bool = False  # an earlier file of this size may have the same content; not in facts()

    @property
    def is_taken(self) -> bool:
        return self.outcome is not Outcome.NOT_TAKEN

    def facts(self) -> dict[str, Any]:
        """For --json."""
        writing, hold = self.writing, self.expected_hold
        return {
            "path": self.path,
            "outcome": str(self.outcome),
            "taken": self.is_taken,
            "reason": self.reason,
            "inbox": self.inbox,
            "inbox_available": self.inbox_available,
            "inbox_reason": self.inbox_reason or None,
            "rule": self.rule,
            **self._job_facts(),
            "open_for_writing": writing.is_open if writing else None,
            "unchanged_seconds": writing.unchanged_seconds if writing else None,
            "settles_for_seconds": writing.remaining_seconds if writing else None,
            "duration": self.duration,
            "minutes": self.minutes,
            "unknown": int(bool(self.tasks) and self.minutes is None),
            "duplicate_of": self.duplicate_of,
            "expected_hold": hold and str(hold.hold),
            "expected_hold_source": hold.source and str(hold.source) if hold else None,
            "expected_hold_reason": hold and hold.reason,
            "tasks": [{"name": task.name, "mode": task.mode, "presets": dict(task.presets)} for task in self.tasks],
            "remarks": list(self.remarks),
        }

    def _job_facts(self) -> dict[str, Any]:
        report = self.job
        if report is None:
            return dict.fromkeys(("job", "state", "stage", "hold", "hold_reason")) | {"minutes_charged": 0.0}
        job = report.job
        return {
            "job": job.id,
            "state": report.state,
            "stage": str(job.stage),
            "hold": job.hold and str(job.hold),
            "hold_reason": job.hold_reason,
            "minutes_charged": float(job.minutes),
        }


def job_outcome(job: Job, place: str) -> tuple[Outcome, str]:
    """The outcome of a file that has, or had, a job. `place`: where the file is now, as a clause; empty if it was not moved."""
    name = f"job {job.id}"
    match job.state:
        case State.DONE:
            return Outcome.JOB, f"{name} has processed it{place}; it is not processed again"
        case State.CANCELLED:
            return Outcome.NOT_TAKEN, f"{name} was cancelled{place}; `lalald retry {job.id}` resumes it"
        case State.FAILED:
            return Outcome.JOB, f"{name} failed{place}; `lalald retry {job.id}` resumes it"
        case _:
            return Outcome.JOB, f"it is {name}{place}"
