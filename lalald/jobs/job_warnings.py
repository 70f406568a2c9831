"""Warnings about a job's results: stored ones, and those that follow from its tracks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lalald.filesystem.names import fold, printable
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.jobs.tag_notes import tag_warnings
from lalald.jobs.task import Task
from lalald.media.track_labels import required_labels
from lalald.presets import MODES


def warnings_of(job: Job) -> tuple[str, ...]:
    """Each as a sentence without its full stop."""
    stays = f"the file stays where it is: {job.archive_error}" if job.archive_error else None
    noted = [warning for warning in (job.warning, stays) if warning]
    return (*noted, *(warning for task in job.tasks for warning in _of_task(task)))


def warning_of(job: Job) -> str | None:
    """All warnings in one line; None if there are none."""
    return "; ".join(warnings_of(job)) or None


def _of_task(task: Task) -> Iterator[str]:
    is_asked_for = task.incomplete_since is None and task.error is None  # nothing is known of them yet
    if (missing := task.missing) and not is_asked_for:
        yield _missing(task, ", ".join(printable(track.label) for track in missing))
    elif task.stage in (Stage.DOWNLOAD, Stage.DONE) and (others := _other_labels(task)):
        yield others
    yield from tag_warnings(
        (printable(track.label), track.tag_notes) for track in task.tracks if track.path is not None
    )
    for track in task.tracks:
        if track.wanted and track.path is not None and track.declared_size is not None:
            yield (
                f"the service declared {track.declared_size:,} bytes for the track {printable(track.label)}, {track.size:,} arrived whole;"
                " the source stays on the service until it expires"
            )


def _missing(task: Task, labels: str) -> str:
    what = f"task {printable(task.title)} ({task.mode}) succeeded, but the service has not given these tracks: {labels}"
    if task.error is not None:
        return what
    delivered = "the others are delivered, and " if any(track.delivered for track in task.tracks) else ""
    return f"{what}; {delivered}lalald requests them until 24 hours after the task's start"


def _other_labels(task: Task) -> str | None:
    """A warning if the service gave its tracks other labels than the document names."""
    if task.mode not in MODES or not task.tracks or any(track.copy_from is not None for track in task.tracks):
        return None
    there = {fold(track.label) for track in task.tracks}
    wanted_all = all(track.wanted for track in task.tracks)
    absent = [label for _, label in required_labels(task.mode, task.presets) if fold(label) not in there]
    if not absent or not wanted_all:
        return None
    given = ", ".join(printable(track.label) for track in task.tracks)
    return f"task {printable(task.title)} ({task.mode}) should have made {', '.join(absent)}; the service named its tracks {given}"
