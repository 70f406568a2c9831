"""The output of `explain` for one path."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lalald.commands.output.tables import Section
from lalald.config.quantities import format_duration
from lalald.inbox.writing_state import WritingState
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import State
from lalald.reports.files.file_report import ExpectedHold, FileReport, Outcome
from lalald.reports.formatting import price, printable, seconds_text
from lalald.store.report_types import JobReport


def section(report: FileReport) -> Section:
    return Section(printable(report.path), list(_rows(report)))


def _rows(report: FileReport) -> Iterator[tuple[str, ...]]:
    yield "processed", printable(_PROCESSED[report.outcome].format(report.reason))
    if report.writing is not None and report.outcome in (Outcome.READY, Outcome.UNFINISHED):
        yield "finished", finished_text(report.writing)
    if report.inbox is not None:
        away = f", unavailable: {report.inbox_reason}" if report.inbox_available is False else ""
        yield "inbox", printable(f"{report.inbox}{away}")
    if report.rule is not None:
        yield "rule", printable(report.rule)
    if report.job is not None:
        yield from _job_rows(report.job)
    for task in report.tasks:
        presets = json.dumps(dict(task.presets), ensure_ascii=False)
        yield f"task {printable(task.title)}", printable(f"{task.mode} {presets}")
    if report.tasks:
        yield "duration", "unknown: the file does not state it" if report.duration is None else _length(report.duration)
        yield "cost", _cost_text(report)
    if report.expected_hold is not None:
        yield "on hold", printable(_expected(report.expected_hold))
    for remark in report.remarks:
        yield "note", printable(remark)


def _cost_text(report: FileReport) -> str:
    charged = f"; {cost_text(report.job.job.minutes)} min were charged" if report.job and report.job.job.minutes else ""
    unknown = "unknown until it is uploaded, which costs nothing"
    cost = unknown if report.minutes is None else price(report.minutes) if report.minutes else "nothing more"
    return cost + charged


_PROCESSED = {
    Outcome.READY: "yes: {}",
    Outcome.UNFINISHED: "yes, once it is finished: {}",
    Outcome.UNAVAILABLE: "not while its inbox is unavailable: {}",
    Outcome.JOB: "yes: {}",
    Outcome.SET_ASIDE: "not now: {}",
    Outcome.NOT_TAKEN: "no: {}",
}


def finished_text(writing: WritingState) -> str:
    """Whether a file is finished, and what it is waiting for."""
    needed, unchanged = seconds_text(writing.needed_seconds), seconds_text(writing.unchanged_seconds, down=True)
    if writing.is_open:
        also = f" and it has not changed for {needed}" if writing.needed_seconds else ""
        return f"no: a program has it open for writing; it is processed once that program has closed it{also}"
    unseen = "it is not known whether a program is writing to it, so " if writing.is_open is None else ""
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
