"""`on_conflict: skip`: what would not be delivered is not paid for either."""

from __future__ import annotations

from dataclasses import replace

from lalald import outbox
from lalald.errors import FileError
from lalald.jobs.job import Advance, Job, Stage, Task, Track, with_warning
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.presets import expected_labels
from lalald.stages.context import StageContext

_FRESH_SECONDS = 1.0
_SKIPPED = "nothing was split or paid, since files of all its results' names were there already (on_conflict: skip)"


async def skip(job: Job, context: StageContext) -> Advance | None:
    """The end of a job whose results would all be left out, as far as their names are known beforehand; None where one is owed."""
    if job.settings.on_conflict != "skip" or job.paid or any(task.stage is not Stage.SPLIT for task in job.tasks):
        return None
    expected = replace(job, tasks=tuple(_expected(task, job) for task in job.tasks))
    if not all(task.tracks for task in expected.tasks):
        return None
    try:
        await context.folders.check(job.settings.outbox, fresh_seconds=_FRESH_SECONDS)
        all_names_exist = await context.disks.run(job.settings.outbox, outbox.all_names_exist, expected)
    except FileError:
        return None  # before anything is charged the outbox is asked for again
    return (
        Advance(with_warning(replace(job, tasks=tuple(map(_left_out, expected.tasks))), _SKIPPED))
        if all_names_exist
        else None
    )


def _expected(task: Task, job: Job) -> Task:
    tracks = [Track(kind, label, url="") for kind, label in expected_labels(task.mode, task.presets)]
    return replace(task, tracks=mark_wanted(tracks, job.settings.tracks))


def _left_out(task: Task) -> Task:
    return replace(task, stage=Stage.DONE, tracks=tuple(replace(track, delivered=True) for track in task.tracks))
