"""A job as a JSON object, with the keys that other programs rely on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lalald.jobs.job import Job
from lalald.jobs.job_warnings import warning_of
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task, Track
from lalald.reports.formatting import iso
from lalald.store.report_types import JobReport, is_under_way


def job_facts(report: JobReport) -> dict[str, Any]:
    """Everything known of a job. Moments are ISO 8601 in UTC, sizes bytes, durations seconds, progress in percent."""
    job = report.job
    return {
        "id": job.id,
        "inbox": job.inbox,
        "path": job.path,
        "rule": job.rule,
        "stage": str(job.stage),
        "state": report.state,
        "hold": None if job.hold is None else str(job.hold),
        "hold_reason": job.hold_reason,
        "held_at": iso(job.held_at if job.state is State.HELD else None),
        "error": job.error,
        "warning": warning_of(job),
        "progress": report.percent,
        "minutes": float(job.minutes),
        "attempts": job.attempts,
        "due_at": iso(job.due_at),
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "uploaded_at": iso(job.uploaded_at),
        "delivered_at": iso(job.delivered_at),
        "finished_at": iso(job.finished_at),
        "request": None if job.request is None else str(job.request),
        **_source_facts(job),
        "outbox": job.settings.outbox,
        "tasks": [_task_facts(job, task) for task in job.tasks],
        "tracks": [_track_facts(job, task, track) for task, track in tracks(job)],
    }


def _source_facts(job: Job) -> dict[str, Any]:
    return {
        "file": source(job),
        "size": job.size,
        "duration": job.duration,
        "sha256": job.sha256,
        "source_id": job.source_id,
        "expires_at": iso(source_expiry(job)),
        "duplicate_of": job.duplicate_of,
        "ignore_duplicates": job.ignore_duplicates,
    }


def source_expiry(job: Job) -> float | None:
    """When the service deletes the source; None if it is not there, or lalald has deleted it."""
    is_deleted = job.source_deleted_at is not None and job.source_deleted_at >= (job.uploaded_at or 0.0)
    return None if is_deleted else job.expires_at


def source(job: Job) -> str:
    """Where the job's file is, as far as known."""
    return job.moved_to or os.path.join(job.inbox, job.path)


def tracks(job: Job) -> Iterator[tuple[Task, Track]]:
    for task in job.tasks:
        for track in task.tracks:
            yield task, track


def track_path(job: Job, track: Track) -> str | None:
    """Where the track was delivered; None if it is not delivered."""
    return os.path.join(job.settings.outbox, track.path) if track.path and track.delivered else None


def task_state(job: Job, task: Task) -> str:
    """waiting, running, failed, cancelled or done."""
    if task.error is not None:
        return "cancelled" if job.state is State.CANCELLED else "failed"
    if task.stage is Stage.DONE:
        return "done"
    if job.state is State.CANCELLED:
        return "cancelled"
    return "running" if is_under_way(task) and job.state is State.WAITING else "waiting"


def _task_facts(job: Job, task: Task) -> dict[str, Any]:
    return {
        "number": task.number,
        "name": task.name,
        "mode": task.mode,
        "presets": dict(task.presets),
        "task_id": task.task_id,
        "stage": str(task.stage),
        "state": task_state(job, task),
        "progress": task.progress,
        "minutes": task.minutes,
        "started_at": iso(task.started_at),
        "idempotency_key": task.idempotency_key,
        "error": task.error,
        "failure": None if task.failure is None else str(task.failure),
        "incomplete_since": iso(task.incomplete_since),
    }


def _track_facts(job: Job, task: Task, track: Track) -> dict[str, Any]:
    return {
        "task": task.number,
        "label": track.label,
        "type": track.type,
        "path": track_path(job, track),
        "size": track.size,
        "sha256": track.sha256,
        "sent_sha256": track.sent_sha256,
        "tag_notes": [str(note) for note in track.tag_notes],
        "declared_size": track.declared_size,
        "wanted": track.wanted,
        "delivered": track.delivered,
        "missing": track.is_missing,
    }
