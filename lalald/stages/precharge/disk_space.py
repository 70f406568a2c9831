"""How much room a job needs, and where: asked before it is charged, before its tracks are fetched, and by who ends its hold."""

from __future__ import annotations

import os
from collections import Counter

from lalald.archive.source_paths import filing_folder, filing_place
from lalald.filesystem.files import RESERVED_FREE_BYTES, check_folder, free_bytes
from lalald.jobs.job import Job, Stage, Track
from lalald.jobs.wanted_tracks import undelivered_tracks
from lalald.outbox import max_track_bytes
from lalald.presets import expected_labels


def room_needed(job: Job) -> tuple[str, dict[str, int]]:
    """The configured folder that its next stage writes to, and bytes by the place within it."""
    if job.stage is Stage.ARCHIVE:
        return filing_folder(job), {filing_place(job): max(1, job.size)}
    outbox = job.settings.outbox
    if job.stage is not Stage.DOWNLOAD:
        return outbox, {outbox: room_for_results(job)}
    if not all(track.path for _, _, track in undelivered_tracks(job)):
        return outbox, {outbox: room_for_tracks(job)}
    places: Counter[str] = Counter()
    for _, _, track in undelivered_tracks(job):
        places[os.path.dirname(os.path.join(outbox, track.path or ""))] += track.size or 1
    return outbox, dict(places)


def room_for_results(job: Job) -> int:
    """Bytes, a guess: what comes is about as large as what went, unless the format changes."""
    tasks = (task for task in job.tasks if task.stage is not Stage.DONE)
    return job.size * sum(len(expected_labels(task.mode, task.presets)) for task in tasks)


def room_for_tracks(job: Job) -> int:
    """Bytes of the tracks that it still owes, as declared, else as large as the source; and what is left to others."""
    return sum(likely_size(job, track) for _, _, track in undelivered_tracks(job)) + RESERVED_FREE_BYTES


def likely_size(job: Job, track: Track) -> int:
    """Bytes: the declared size where a track of this source can have it, else the source's."""
    return track.size if track.size and track.size <= max_track_bytes(job) else job.size


def room_at(place: str, root: str) -> tuple[int, int]:
    """On a thread: the device and its free bytes where `place`, within `root`, is or would be made.

    Raises FileError where it is away, or where not even an empty file can be made: a disk can be out of other things.
    """
    while place != root and not os.path.isdir(place):
        place = os.path.dirname(place)
    check_folder(place)
    return os.stat(place).st_dev, free_bytes(place)
