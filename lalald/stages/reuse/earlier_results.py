"""Give a task the results of an earlier one: copied from an outbox, or fetched from the service once more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from lalald.errors import FileError, FolderUnavailableError
from lalald.jobs.job import Job, describe_error
from lalald.jobs.outcomes import Held
from lalald.jobs.states import Stage
from lalald.jobs.task import Task, Track
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.media.track_labels import expected_labels
from lalald.outbox import is_as_sent
from lalald.stages.context import StageContext
from lalald.stages.precharge.preflight import hold_for
from lalald.stages.precharge.source_check import sha256
from lalald.stages.reuse.earlier_tasks import EarlierTask, is_in_progress

_CHECKABLE_SECONDS = 24 * 3600.0 - 120.0  # API document: `/check/` works for 24 h after the task's creation
_LINKS_KEPT_SECONDS = 3600.0 - 120.0  # after its source was deleted, a task's links work for an hour


class CopySearch(NamedTuple):
    """What a search for results to copy found: the task with them, or the hold for an outbox that is unavailable."""

    task: Task | None = None
    held: Held | None = None


async def find_copies(
    task: Task, same: Sequence[EarlierTask], job: Job, context: StageContext, *, verify: bool
) -> CopySearch:
    """The task with the tracks of the first earlier task whose files are all present. `verify`: compare their hashes."""
    held: Held | None = None
    for earlier in same:
        if not any(track.delivered for track in earlier.task.tracks):
            continue
        if (unavailable := await _hold_for_outbox(job, earlier.job, context)) is not None:
            held = held or unavailable
            continue
        with_copies = partial(_with_copies, verify=verify)
        copied = await context.disks.run(earlier.job.settings.outbox, with_copies, task, earlier, job)
        if copied is not None:
            return CopySearch(copied, held)
    return CopySearch(held=held)


async def _hold_for_outbox(job: Job, earlier: Job, context: StageContext) -> Held | None:
    """A hold if the earlier results are missing only because their outbox is unavailable, so that they are not paid again.

    An outbox that is no longer configured is not waited for.
    """
    outbox = earlier.settings.outbox
    if outbox in {job.settings.outbox, *(str(inbox.outbox) for inbox in context.config.inboxes)}:
        try:
            await context.folders.check(outbox)
        except FolderUnavailableError as error:
            waits = replace(job, duplicate_of=earlier.id)
            return Held(hold_for(error), describe_error(error), job=waits, path=error.path)
    return None


def _with_copies(task: Task, earlier: EarlierTask, job: Job, *, verify: bool) -> Task | None:
    """On a thread: the task with the earlier tracks to copy, or None if a wanted one is missing or changed."""
    tracks = mark_wanted([_to_copy(track, earlier.job) for track in earlier.task.tracks], job.settings.tracks)
    if not tracks or any(track.wanted and not _is_present(track, verify=verify) for track in tracks):
        return None
    return replace(task, stage=Stage.DOWNLOAD, tracks=tracks, paid_by=earlier.task.paid_by or earlier.job.id)


def _to_copy(track: Track, earlier: Job) -> Track:
    copy_from = os.path.join(earlier.settings.outbox, track.path) if track.path and track.delivered else None
    return replace(track, path=None, delivered=False, copy_from=copy_from)


def _is_present(track: Track, *, verify: bool) -> bool:
    """Tags that were changed since do not count where the track as it was sent can be told from them."""
    if track.copy_from is None or track.sha256 is None:
        return False
    try:
        has_size = os.stat(track.copy_from).st_size == track.size
        is_delivered = has_size and (not verify or sha256(track.copy_from) == track.sha256)
        return is_delivered or is_as_sent(track.copy_from, track)
    except (OSError, FileError):
        return False


def fetched_again(task: Task, same: Sequence[EarlierTask], job: Job, now: float) -> Task | None:
    """The task as a check of an earlier one, if the service may still have its results; else None."""
    for earlier in same:
        if not _is_checkable(earlier, now):
            continue
        tracks = mark_wanted(_expected_tracks(earlier.task), job.settings.tracks)
        paid_by = earlier.task.paid_by or earlier.job.id
        checked = replace(task, stage=Stage.CHECK, tracks=tracks, paid_by=paid_by, task_id=earlier.task.task_id)
        return replace(checked, started_at=earlier.task.started_at, progressed_at=now, due_at=now)
    return None


def _is_checkable(earlier: EarlierTask, now: float) -> bool:
    job, task = earlier
    if task.task_id is None or task.started_at is None or is_in_progress(earlier):
        return False
    deleted_at = job.source_deleted_at
    return now - task.started_at < _CHECKABLE_SECONDS and (deleted_at is None or now - deleted_at < _LINKS_KEPT_SECONDS)


def _expected_tracks(task: Task) -> list[Track]:
    """The tracks that it had, or that the API document promises, without links."""
    if task.tracks:
        return [Track(track.type, track.label, url="") for track in task.tracks]
    return [Track(kind, label, url="") for kind, label in expected_labels(task.mode, task.presets)]
