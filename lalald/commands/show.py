"""Show everything about one job."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from lalald.commands.output.json_output import show_json
from lalald.commands.output.lines import Cell
from lalald.commands.output.printing import show_sections
from lalald.commands.output.tables import STATE_STYLES, Section, bar_cell
from lalald.commands.prerequisites.job_selection import jobs_named
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.config.quantities import format_duration, format_rate, format_size
from lalald.jobs.failures.failure_advice import what_to_do
from lalald.jobs.job import Job
from lalald.jobs.job_results import results_folder
from lalald.jobs.job_steps import steps
from lalald.jobs.job_warnings import warnings_of
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task, Track
from lalald.reports.formatting import count, moment, printable, service_trouble, span
from lalald.reports.hold_advice import to_do
from lalald.reports.job_json import job_facts, source, source_expiry, task_state, track_path
from lalald.store.queries import Reports
from lalald.store.report_types import Charge, Fact, JobReport

_PAID_AGAIN = "paid tasks are not paid again; `lalald redo {}` pays again"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a job's number, as `lalald jobs` shows it")
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    with Reports.open(state_dir(arguments.config)) as reports:
        (report,) = jobs_named(reports, [arguments.id])
        service = reports.fact("service")
        charges = reports.charges(report.job.id)
    if arguments.json:
        show_json(job_facts(report))
        return 0
    job = report.job
    sections = [
        _job(report, service),
        Section("steps", [(step.words, moment(step.at)) for step in steps(job)]),
        *(_task(job, task) for task in job.tasks),
    ]
    show_sections([*sections, Section("charges", [_charge(charge) for charge in charges])] if charges else sections)
    return 0


def _job(report: JobReport, service: Fact | None) -> Section:
    job = report.job
    rows: list[tuple[str | Cell, ...]] = [
        ("state", Cell(_state(report), STATE_STYLES.get(report.state, ""), "wrap")),
        ("stage", str(job.stage)),
    ]
    if report.percent is not None:
        rows.append(("progress", bar_cell(report.percent)))
        rows += [("rate", rate)] if (rate := _rate(report)) else []
    rows += list(_problems(job))
    if (folder := results_folder(job)) is not None:
        rows.append(("results", printable(folder)))
    if job.state is State.WAITING and job.stage is not Stage.ARCHIVE and service and service.value.get("trouble"):
        rows.append(("service", service_trouble(service)))
    rows += [
        ("file", printable(source(job))),
        ("dropped as", printable(job.path)),
        ("inbox", printable(job.inbox)),
        ("outbox", printable(job.settings.outbox)),
        ("rule", printable(job.rule)),
        ("size", f"{format_size(job.size)} ({job.size:,} bytes)"),
        ("duration", "unknown" if job.duration is None else format_duration(round(job.duration, 1))),
        ("minutes charged", _charged(job)),
        ("source id", printable(job.source_id or "-")),
        ("source expires", moment(source_expiry(job))),
        ("sha256", job.sha256 or "-"),
    ]
    return Section(f"job {job.id}", rows)


def _rate(report: JobReport) -> str:
    """Rate and time left, as far as they are known."""
    left = report.seconds_left(time.time())
    parts = ["" if report.rate is None else format_rate(report.rate), "" if left is None else f"{span(left)} left"]
    return ", ".join(part for part in parts if part)


def _charge(charge: Charge) -> tuple[str | Cell, ...]:
    return moment(charge.at), f"{cost_text(charge.minutes)} min", f"task {charge.task}", printable(charge.task_id)


def _charged(job: Job) -> str:
    before = f", {cost_text(job.minutes_before)} of them for earlier attempts" if job.minutes_before else ""
    return f"{cost_text(job.minutes)}{before}"


def _state(report: JobReport) -> str:
    asked = f" ({report.job.request} requested, not handled by the daemon yet)" if report.job.request else ""
    return f"{report.state}{asked}"


def _problems(job: Job) -> Iterator[tuple[str | Cell, ...]]:
    """What is wrong, and what to do."""
    if job.state is State.HELD:
        yield "held", f"{job.hold} since {moment(job.held_at)}"
        yield "reason", printable(job.hold_reason or "-")
    if job.error:
        waits = job.state is State.WAITING and job.duplicate_of is not None
        yield ("waits", f"{printable(job.error)}{_since(job)}") if waits else ("error", printable(job.error))
    for warning in warnings_of(job):
        yield "warning", printable(warning)
    if (
        job.state is State.WAITING and job.attempts and job.duplicate_of is None
    ):  # waiting for a duplicate is not a failed attempt
        yield "attempts", f"{count(job.attempts, 'failed attempt')}{_since(job)}, next at {moment(job.due_at or None)}"
    if job.duplicate_of is not None:
        yield "same content as", f"job {job.duplicate_of}"
    if remedy := _remedy(job):
        yield "to do", remedy


def _remedy(job: Job) -> str | None:
    match job.state:
        case State.HELD:
            return to_do(job)
        case State.CANCELLED if not any(
            task.error for task in job.tasks
        ):  # not on request: the file vanished or changed
            return "nothing: the file that now has this name in the inbox is a new job"
        case State.FAILED:
            return what_to_do(job)
        case State.CANCELLED:
            back = ", and so does dragging the file back into the inbox" if job.moved_to else ""
            again = f"`lalald retry {job.id}` resumes it{back}"
            return f"{again}; {_PAID_AGAIN.format(job.id)}" if any(task.has_results for task in job.tasks) else again
        case _:
            return None


def _task(job: Job, task: Task) -> Section:
    rows: list[tuple[str | Cell, ...]] = [
        ("state", task_state(job, task)),
        ("stage", str(task.stage)),
        ("presets", printable(json.dumps(dict(task.presets), ensure_ascii=False))),
        ("task id", printable(task.task_id or "-")),
        ("idempotency key", task.idempotency_key or "-"),
        ("started", moment(task.started_at)),
        ("minutes charged", "-" if task.minutes is None or not task.task_id else cost_text(task.minutes)),
    ]
    if task.progress is not None:
        rows.append(("progress", bar_cell(task.progress)))
    if task.error:
        rows.append(("error", printable(task.error)))
    rows += [(f"track {printable(track.label)}", _track(track_path(job, track), track)) for track in task.tracks]
    return Section(f"task {printable(task.title)}: {printable(task.mode)}", rows)


def _track(path: str | None, track: Track) -> str:
    if not track.wanted:
        return "not selected by the rule"
    if path is None:
        return "missing: the service has not delivered it" if track.is_missing else "not delivered"
    return printable(path) if track.size is None else f"{printable(path)} ({format_size(track.size)})"


def _since(job: Job) -> str:
    return f" since {moment(job.held_at)}" if job.held_at is not None else ""
