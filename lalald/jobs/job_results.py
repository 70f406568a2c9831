"""Where a job's results are. Pure."""

from __future__ import annotations

import os

from lalald.jobs.job import Job


def results_folder(job: Job) -> str | None:
    """The folder of the delivered tracks, the common one where they are in several; None while there are none."""
    folders = {os.path.dirname(path) for path in result_paths(job)}
    return os.path.commonpath(folders) if folders else None


def result_paths(job: Job) -> list[str]:
    """The delivered tracks, in the order of the tasks."""
    outbox = job.settings.outbox
    delivered = (track.path for task in job.tasks for track in task.tracks if track.delivered)
    return [os.path.join(outbox, path) for path in delivered if path]
