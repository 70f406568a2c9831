"""A job as the page shows it: the command line's object, and what its buttons and player need."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from lalald.jobs.event_facts import failure_cause
from lalald.jobs.failures.failure_advice import what_to_do
from lalald.jobs.job import Job
from lalald.jobs.job_results import results_folder
from lalald.jobs.job_steps import DOING, steps
from lalald.jobs.job_warnings import warning_of, warnings_of
from lalald.jobs.states import Request, Stage, State
from lalald.jobs.task import Task
from lalald.reports.formatting import iso
from lalald.reports.hold_advice import WHY, to_do
from lalald.reports.job_json import job_facts, tracks
from lalald.store.page.job_list import RUNNING
from lalald.store.report_types import Charge, JobReport
from lalald.store.request_writer import FITTING
from lalald.web.files.content_types import content_type, is_playable
from lalald.web.labels import task_title, track_title

REDO = "redo"
_ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})
_RESULTS_KEPT_SECONDS = 24 * 3600.0  # by the service, from the task's start


def job_object(report: JobReport, now: float) -> dict[str, Any]:
    """The same keys as `lalald jobs --json`, and a few more."""
    job = report.job
    return {
        **job_facts(report),
        "hold_source": job.hold_source and str(job.hold_source),
        "rate": report.rate,
        "seconds_left": report.seconds_left(now),
        "folder": results_folder(job),
        "reason": _reason(report),
        "cause": failure_cause(job) if job.state is State.FAILED else None,
        "results_expire_at": iso(_results_expire_at(job)),
        "actions": actions(job),
    }


def actions(job: Job) -> dict[str, bool]:
    """The job's buttons; none while a request for the job is pending."""
    is_free = job.request is None
    fitting = {str(request): is_free and job.state in states for request, states in FITTING.items()}
    return {**{str(request): fitting[str(request)] for request in Request}, REDO: is_free and job.state in _ENDED}


def details(report: JobReport, charges: Sequence[Charge], now: float) -> dict[str, Any]:
    """What is known of the job without a look at its files or rules."""
    job = report.job
    return {
        **job_object(report, now),
        "steps": [{"step": one.code, "title": one.words, "at": iso(one.at), "task": one.task} for one in steps(job)],
        "charges": [{**charge._asdict(), "at": iso(charge.at)} for charge in charges],
        "to_do": _to_do(job),
        "notice": _notice(job),
        "task_titles": [task_title(task.name, task.mode, task.presets) for task in job.tasks],
        "warnings": [f"{warning[:1].upper()}{warning[1:]}." for warning in warnings_of(job)],
    }


def _reason(report: JobReport) -> str | None:
    """In a list: why it does not run, or what it does."""
    job = report.job
    if report.state == RUNNING:
        return f"{DOING.get(job.stage, str(job.stage)).capitalize()}, {report.percent or 0.0:.0f} %"
    return {State.FAILED: job.error, State.HELD: job.hold_reason}.get(job.state) or warning_of(job)


def _notice(job: Job) -> dict[str, str | None] | None:
    """Above a job that needs a person."""
    if job.state is State.FAILED:
        return {"tone": "bad", "title": "It failed", "text": job.error}
    if job.state is State.HELD and job.hold:
        return {"tone": "held", "title": f"Held: {WHY.get(job.hold, job.hold)}", "text": job.hold_reason}
    return None


def track_objects(job: Job) -> list[dict[str, Any]]:
    """The delivered tracks. Their numbers count all tracks of the job, from 1."""
    found = []
    for number, (task, track) in enumerate(tracks(job), start=1):
        if track.delivered and track.path:
            name = os.path.basename(track.path)
            found.append(
                {
                    "number": number,
                    "label": track.label,
                    "title": track_title(track.label),
                    "type": track.type,
                    "task": task.number,
                    "name": name,
                    "size": track.size,
                    "content_type": content_type(name),
                    "playable": is_playable(name),
                    "url": f"api/jobs/{job.id}/tracks/{number}",
                }
            )
    return found


def _to_do(job: Job) -> str | None:
    if job.state is State.HELD:
        return to_do(job)
    return what_to_do(job) if job.state is State.FAILED else None


def _results_expire_at(job: Job) -> float | None:
    """When the first of its paid results is lost that is not in the outbox yet."""
    return min(_expiries(job.tasks), default=None) if job.state is not State.DONE else None


def _expiries(tasks: Sequence[Task]) -> Iterator[float]:
    for task in tasks:
        is_fetched = task.stage is Stage.DONE or task.task_id is None or task.paid_by is not None
        if not is_fetched and task.started_at is not None and (task.error is None or task.has_results):
            yield task.started_at + _RESULTS_KEPT_SECONDS
