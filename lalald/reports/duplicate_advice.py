"""Find an earlier job with the same content as a new file, and what that means for its price."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from lalald.filesystem.files import sha256_of
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.jobs.task import Task, task_key
from lalald.reports.job_json import track_path
from lalald.store.queries import Reports


class Duplicate(NamedTuple):
    """An earlier job with the same content. `unpaid`: tasks that it does not have; `hold`: the hold that the new job will get."""

    job_id: int
    unpaid: tuple[Task, ...]
    remark: str
    hold: Hold | None = None


def find_duplicate(job: Job, path: str, reports: Reports) -> Duplicate | None:
    """The earlier job whose results the file's job will get, or None. The file is read whole if a job of its size has such a task.

    None, too, if the rule does not look for duplicates, or the file cannot be read.
    """
    if job.settings.duplicates == "process" or not reports.may_have_duplicate(job):
        return None
    try:
        hashed = replace(job, sha256=sha256_of(path))
    except OSError:
        return None
    same = [one for one in reports.duplicates(hashed) if one.sha256 == hashed.sha256]
    if same:
        return _compare(hashed, same[0])
    payer = reports.unreadable_payer(hashed)
    if payer is None:
        return None
    remark = f"job {payer} has paid for the same content, and its row in the database cannot be read: the new job is held first"
    return Duplicate(payer, (), remark, Hold.DUPLICATE)


def _compare(job: Job, earlier: Job) -> Duplicate:
    had = {task_key(task.mode, task.presets) for task in earlier.tasks if task.error is None}
    unpaid = tuple(task for task in job.tasks if task_key(task.mode, task.presets) not in had)
    same = f"it has the same content as job {earlier.id} ({earlier.path})"
    if job.settings.duplicates == "hold":
        return Duplicate(
            earlier.id, (), f"{same}; `duplicates: hold` holds it before anything is charged", Hold.DUPLICATE
        )
    if earlier.state in (State.WAITING, State.HELD):
        return Duplicate(earlier.id, unpaid, f"{same}, which is not finished: it waits for those results")
    if earlier.state is State.DONE and _has_results(earlier, job.tasks):
        return Duplicate(earlier.id, unpaid, f"{same}: its results are reused")
    gone = "its results are no longer in the outbox: they are fetched again if the service still has them, else the job is held"
    return Duplicate(earlier.id, unpaid, f"{same}; {gone}")


def _has_results(earlier: Job, tasks: Iterable[Task]) -> bool:
    """Whether the tracks of these tasks are where they were delivered, with their size."""
    wanted = {task_key(task.mode, task.presets) for task in tasks}
    tracks = [
        (track_path(earlier, track), track.size)
        for task in earlier.tasks
        if task.stage is Stage.DONE and task_key(task.mode, task.presets) in wanted
        for track in task.tracks
        if track.wanted
    ]
    return bool(tracks) and all(path is not None and _has_size(path, size) for path, size in tracks)


def _has_size(path: str, size: int | None) -> bool:
    try:
        return os.stat(path).st_size == size or size is None
    except OSError:
        return False
