"""Tracks arrive in the staging folder: from the service, or from an earlier job's results."""

from __future__ import annotations

import os

from lalald.endings import Heard
from lalald.errors import TwinChangedError
from lalald.files import copy_across, plain_errors
from lalald.jobs import Job, Track
from lalald.naming import shown
from lalald.outbox.staging import Staged, make_staging, recall, remember, staged_path


def copy_twin(job: Job, task_number: int, index: int) -> Staged:
    """Copies the track's `origin`, an earlier job's result, into the staging folder.

    Raises TwinChangedError where it is not the file that was delivered, and FileError.
    """
    track = _track(job, task_number, index)
    staged = staged_path(job, task_number, index)
    make_staging(job)
    if known := recall(staged):
        return known
    origin = track.origin or ""
    changed = TwinChangedError(f"{shown(origin)} is not the result that was delivered once.")
    with plain_errors(staged, job.handling.outbox):
        try:
            digest = copy_across(origin, staged)
        except (FileNotFoundError, NotADirectoryError):
            raise changed from None
        size = os.path.getsize(staged)
        if digest != track.sha256 or size != track.size:
            os.unlink(staged)
            raise changed
        return remember(staged, Staged(size, digest, Heard(file_name=os.path.basename(origin))))


def _track(job: Job, task_number: int, index: int) -> Track:
    return next(task for task in job.tasks if task.number == task_number).tracks[index]
