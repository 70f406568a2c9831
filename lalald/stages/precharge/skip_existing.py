"""`on_conflict: skip`: do not pay for results that would not be delivered."""

from __future__ import annotations

from dataclasses import replace

from lalald import outbox
from lalald.errors import FileError
from lalald.jobs.job import Job, with_warning
from lalald.jobs.outcomes import Advance
from lalald.jobs.states import Stage
from lalald.jobs.task import Task, Track
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.media.track_labels import expected_labels
from lalald.stages.context import StageContext

_FRESH_SECONDS = 1.0
_SKIPPED = "nothing was split or charged: files with the names of all its results already exist (on_conflict: skip)"


async def skip_if_all_exist(job: Job, context: StageContext) -> Advance | None:
    """The end of a job if files with the names of all its results exist. None if any is missing or a name is not known yet."""
    if job.settings.on_conflict != "skip" or job.paid or any(task.stage is not Stage.SPLIT for task in job.tasks):
        return None
    expected = replace(job, tasks=tuple(_with_expected_tracks(task, job) for task in job.tasks))
    if not all(task.tracks for task in expected.tasks):
        return None
    try:
        await context.folders.check(job.settings.outbox, fresh_seconds=_FRESH_SECONDS)
        all_exist = await context.disks.run(job.settings.outbox, outbox.all_names_exist, expected)
    except FileError:
        return None  # the outbox is checked again before anything is charged
    return (
        Advance(with_warning(replace(job, tasks=tuple(map(_skipped, expected.tasks))), _SKIPPED)) if all_exist else None
    )


def _with_expected_tracks(task: Task, job: Job) -> Task:
    tracks = [Track(kind, label, url="") for kind, label in expected_labels(task.mode, task.presets)]
    return replace(task, tracks=mark_wanted(tracks, job.settings.tracks))


def _skipped(task: Task) -> Task:
    return replace(task, stage=Stage.DONE, tracks=tuple(replace(track, delivered=True) for track in task.tracks))
