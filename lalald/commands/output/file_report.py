"""What `explain` tells of one path, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lalald.commands.output.tables import Section
from lalald.config.quantities import format_duration
from lalald.inbox.writing_state import WritingState
from lalald.jobs.job import Hold, HoldSource, Job, State, Task
from lalald.jobs.prices import cost_text
from lalald.reports.formatting import price, printable, seconds_text
from lalald.store.queries import JobReport


class Outcome(StrEnum):
    """What happens to the file."""

    READY = "ready"  # taken at once
    UNFINISHED = "unfinished"  # taken once it is finished
    UNAVAILABLE = "unavailable"  # its inbox is away
    JOB = "job"  # a job has it
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
    """Everything about a path. `minutes`: still to be charged; None where the price is unknown."""

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

    def section(self) -> Section:
        """For people."""
        return Section(printable(self.path), list(self._rows()))

    def _rows(self) -> Iterator[tuple[str, ...]]:
        yield "taken", printable(_TAKEN[self.outcome].format(self.reason))
        if self.writing is not None and self.outcome in (Outcome.READY, Outcome.UNFINISHED):
            yield "finished", finished_text(self.writing)
        if self.inbox is not None:
            away = f", unavailable: {self.inbox_reason}" if self.inbox_available is False else ""
            yield "inbox", printable(f"{self.inbox}{away}")
        if self.rule is not None:
            yield "rule", printable(self.rule)
        if self.job is not None:
            yield from _job_rows(self.job)
        for task in self.tasks:
            presets = json.dumps(dict(task.presets), ensure_ascii=False)
            yield f"task {printable(task.title)}", printable(f"{task.mode} {presets}")
        if self.tasks:
            yield "duration", "unknown: the file does not state it" if self.duration is None else _length(self.duration)
            yield "cost", self._cost_text()
        if self.expected_hold is not None:
            yield "on hold", printable(_expected(self.expected_hold))
        for remark in self.remarks:
            yield "note", printable(remark)

    def _cost_text(self) -> str:
        charged = f"; {cost_text(self.job.job.minutes)} min were charged" if self.job and self.job.job.minutes else ""
        unknown = "unknown until it is uploaded, which costs nothing"
        cost = unknown if self.minutes is None else price(self.minutes) if self.minutes else "nothing more"
        return cost + charged


_TAKEN = {
    Outcome.READY: "yes: {}",
    Outcome.UNFINISHED: "yes, once it is finished: {}",
    Outcome.UNAVAILABLE: "not while its inbox is unavailable: {}",
    Outcome.JOB: "yes: {}",
    Outcome.NOT_TAKEN: "no: {}",
}


def finished_text(writing: WritingState) -> str:
    """Whether a file is finished, and what it waits for."""
    needed, unchanged = seconds_text(writing.needed_seconds), seconds_text(writing.unchanged_seconds, down=True)
    if writing.is_open:
        also = f" and it has not changed for {needed}" if writing.needed_seconds else ""
        return f"no: a program has it open for writing; it is processed once that program has closed it{also}"
    unseen = "whether a program is writing to it cannot be seen here, so " if writing.is_open is None else ""
    if writing.remaining_seconds:
        left = seconds_text(writing.remaining_seconds)
        return f"not yet: {unseen}it must not change for {needed}, and changed {unchanged} ago: {left} more"
    if unseen:
        return f"yes: {unseen}it must not change for {needed}, and it has not for {unchanged}"
    return "yes: no program has it open for writing"


def _job_rows(report: JobReport) -> Iterator[tuple[str, ...]]:
    job = report.job
    at = "" if job.state in (State.DONE, State.CANCELLED) else f" at {job.stage}"
    yield "job", f"{job.id}, {report.state}{at} (`lalald show {job.id}`)"
    if job.state is State.HELD:
        yield "held", f"{job.hold}: {printable(job.hold_reason or '-')}"
    if job.state is State.FAILED:
        yield "error", printable(job.error or "-")


def _expected(hold: ExpectedHold) -> str:
    kind = f"{hold.hold} ({hold.source})" if hold.source else str(hold.hold)
    return f"it will be held, {kind}: {hold.reason}"


def _length(seconds: float) -> str:
    return format_duration(round(seconds, 1))


def job_outcome(job: Job, place: str) -> tuple[Outcome, str]:
    """What is said of a file that a job has, or had. `place`: where the file is now, as a clause; empty where it was dropped."""
    name = f"job {job.id}"
    match job.state:
        case State.DONE:
            return Outcome.JOB, f"{name} has processed it{place}; it is not processed again"
        case State.CANCELLED:
            return Outcome.NOT_TAKEN, f"{name} was cancelled{place}; `lalald retry {job.id}` resumes it"
        case State.FAILED:
            return Outcome.JOB, f"{name} has it{place}, and failed; `lalald retry {job.id}` resumes it"
        case _:
            return Outcome.JOB, f"{name} has it{place}"
