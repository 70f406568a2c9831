"""Which tracks a rule wants, and which of them a job has not delivered yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lalald.filesystem.names import fold
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.jobs.task import Task, Track


def undelivered_tracks(job: Job) -> list[tuple[Task, int, Track]]:
    """Tracks that are still to be fetched or placed, each with its task and its position there."""
    return [
        (task, position, track)
        for task in job.tasks
        if task.stage is Stage.DOWNLOAD and task.error is None
        for position, track in enumerate(task.tracks)
        if track.wanted and not track.delivered and not track.is_missing
    ]


def mark_wanted(tracks: Sequence[Track], names: Sequence[str] | None) -> tuple[Track, ...]:
    """The tracks with their `wanted` set by the rule's `tracks`: labels, or `stem` / `back`; None wants all.

    If none matches, all are wanted: paid results are never left behind.
    """
    chosen = tuple(replace(track, wanted=_is_named(track, names)) for track in tracks)
    if any(track.wanted for track in chosen):
        return chosen
    return tuple(replace(track, wanted=True) for track in tracks)


def matches_none(tracks: Sequence[Track], names: Sequence[str] | None) -> bool:
    """Whether the rule's `tracks` matches no track of the service."""
    return not any(_is_named(track, names) for track in tracks)


def _is_named(track: Track, names: Sequence[str] | None) -> bool:
    return names is None or not {fold(track.label), fold(track.type)}.isdisjoint(map(fold, names))
