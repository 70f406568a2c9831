"""Write `lalald.json`, which describes a job's results, beside them once all are in place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from lalald.jobs.job import Job
from lalald.jobs.job_warnings import warnings_of
from lalald.jobs.task import Task, Track
from lalald.outbox.template import wanted_tracks


def is_due(job: Job) -> bool:
    """Whether the rule wants a manifest and every result is delivered: readers rely on it as the sign that none is missing."""
    if not job.settings.manifest or any(task.error is not None or task.hold is not None for task in job.tasks):
        return False
    tracks = [track for _, _, track in wanted_tracks(job)]
    return any(track.path for track in tracks) and all(track.delivered for track in tracks)


def content(job: Job) -> bytes:
    """The manifest's bytes. The same job gives the same bytes, so that one found after a crash is recognized."""
    facts: dict[str, Any] = {
        "job": job.id,
        "rule": job.rule,
        "taken_at": datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec="seconds"),
        "source": {
            "path": job.path,
            "size": job.size,
            "sha256": job.sha256,
            "duration_seconds": job.duration,
            "source_id": job.source_id,
        },
        "minutes": job.minutes,
        "warnings": list(warnings_of(job)),
        "tasks": [_task(task) for task in job.tasks],
    }
    return _text(facts)


def _task(task: Task) -> dict[str, Any]:
    """A task with its delivered tracks; paths are within the outbox."""
    return {
        "name": task.name,
        "mode": task.mode,
        "presets": dict(task.presets),
        "task_id": task.task_id,
        "minutes": task.minutes,
        "tracks": [_track(track) for track in task.tracks if track.wanted and track.path],
    }


def _track(track: Track) -> dict[str, Any]:
    """The second hash is of the track as the service sent it, before it got tags."""
    facts = {"label": track.label, "type": track.type, "path": track.path, "size": track.size, "sha256": track.sha256}
    return facts if track.sent_sha256 is None else {**facts, "sent_sha256": track.sent_sha256}


def _text(facts: dict[str, Any]) -> bytes:
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # a name that is not UTF-8 is escaped, so that its bytes can be recovered
        return (json.dumps(facts, indent=2) + "\n").encode()
