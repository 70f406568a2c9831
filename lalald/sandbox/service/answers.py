"""Answers about tasks, in the form that the document describes."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from os.path import splitext
from typing import Any

from lalald.sandbox.service import modes
from lalald.sandbox.service.service import UNKNOWN_TASK
from lalald.sandbox.service.tasks import Task
from lalald.sandbox.service.tracks import track_shape

Json = dict[str, Any]


def server_error(error: str = UNKNOWN_TASK) -> Json:
    return {"status": "server_error", "error": error}


def check_item(task: Task | None, now: float, *, backing_vocals: bool, link: Callable[[Task, str], str]) -> Json:
    """One task in the answer of `/check/`; `link` returns the URL of a track by its label."""
    if task is None:
        return server_error()
    status = task.status(now)
    item: Json = {"status": status, "source_id": task.source.id, "presets": modes.presets_json(task.presets)}
    if status in ("queued", "progress"):
        return {**item, "status": "progress", "progress": task.percent(now)}
    if status == "error" and task.failure:
        return {**item, "error": {"detail": task.failure.detail, "code": task.failure.code, "id": task.failure.id}}
    if status == "success":
        tracks = [_track(task, track, link) for track in modes.tracks(task.presets, backing_vocals=backing_vocals)]
        return {**item, "result": {"tracks": tracks, "duration": task.source.duration}}
    return item


def _track(task: Task, track: modes.Track, link: Callable[[Task, str], str]) -> Json:
    source = task.source
    return {
        "type": track.type,
        "label": track.label,
        "url": link(task, track.label),
        "name": track_name(task, track.label),
        "size": track_shape(source.head, source.size, track.label, source.name).size,
        "playlist_file": None,
        "waveform": None,
    }


def track_name(task: Task, label: str) -> str:
    """`song.mp3` → `song_vocals.mp3`, or with the extension of `encoder_format`."""
    stem, ending = splitext(task.source.name)
    encoded = task.presets.encoder_format
    return f"{stem}_{label}{f'.{encoded}' if encoded else ending}"


def media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def charge_line(task: Task, at: float) -> Json:
    """One charge."""
    source = task.source
    return {
        "at": at,
        "task_id": task.id,
        "source_id": source.id,
        "source_name": source.name,
        "mode": task.presets.mode,
        "idempotency_key": task.idempotency_key,
        "minutes": task.minutes,
        "sha256": source.sha256,
    }


def source_line(source: Any) -> Json:
    names = ("id", "name", "size", "duration", "sha256", "created_at", "expires_at", "deleted_at")
    return {name: getattr(source, name) for name in names}


def task_line(task: Task, now: float) -> Json:
    return {
        "id": task.id,
        "source_id": task.source.id,
        "source_name": task.source.name,
        "mode": task.presets.mode,
        "presets": task.presets.model_dump(exclude_unset=True),
        "idempotency_key": task.idempotency_key,
        "status": task.status(now),
        "progress": task.percent(now),
        "created_at": task.created_at,
        "minutes": task.minutes,
    }
