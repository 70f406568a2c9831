"""Estimate how much disk space a job needs, and in which folder."""

from __future__ import annotations

import os
from collections import Counter
from typing import NamedTuple

from lalald.archive.source_paths import archive_folder, archive_root
from lalald.filesystem.files import RESERVED_FREE_BYTES, check_folder, free_bytes
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.jobs.task import Track
from lalald.jobs.wanted_tracks import undelivered_tracks
from lalald.media.track_labels import expected_labels
from lalald.outbox import max_track_bytes


class RoomNeeded(NamedTuple):
    """The configured folder that a stage writes to, and the bytes it needs by folder within it."""

    root: str
    bytes_by_folder: dict[str, int]


class FreeSpace(NamedTuple):
    """A device and the bytes that are free there."""

    device: int
    free_bytes: int


def room_needed(job: Job) -> RoomNeeded:
    """The space that the job's next stage needs."""
    if job.stage is Stage.ARCHIVE:
        return RoomNeeded(archive_root(job), {archive_folder(job): max(1, job.size)})
    outbox = job.settings.outbox
    if job.stage is not Stage.DOWNLOAD:
        return RoomNeeded(outbox, {outbox: room_for_results(job)})
    if not all(track.path for _, _, track in undelivered_tracks(job)):
        return RoomNeeded(outbox, {outbox: room_for_tracks(job)})
    folders: Counter[str] = Counter()
    for _, _, track in undelivered_tracks(job):
        folders[os.path.dirname(os.path.join(outbox, track.path or ""))] += track.size or 1
    return RoomNeeded(outbox, dict(folders))


def room_for_results(job: Job) -> int:
    """Bytes, estimated: each result is about as large as the source, unless the format changes. What stays free is included."""
    tasks = (task for task in job.tasks if task.stage is not Stage.DONE)
    return job.size * sum(len(expected_labels(task.mode, task.presets)) for task in tasks) + RESERVED_FREE_BYTES


def room_for_tracks(job: Job) -> int:
    """Bytes of the tracks still to be delivered, as declared or else as large as the source, and what stays free for others."""
    return sum(likely_size(job, track) for _, _, track in undelivered_tracks(job)) + RESERVED_FREE_BYTES


def likely_size(job: Job, track: Track) -> int:
    """Bytes: the declared size if it is plausible for this source, else the source's size."""
    return track.size if track.size and track.size <= max_track_bytes(job) else job.size


def room_at(folder: str, root: str) -> FreeSpace:
    """On a thread: the free space at `folder` within `root`, or where it would be created.

    Raises FileError if it is unavailable or not even an empty file can be created, since a disk can also run out of inodes.
    """
    while folder != root and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    check_folder(folder)
    return FreeSpace(os.stat(folder).st_dev, free_bytes(folder))
