"""Determine a task's tracks from what `/check/` has named so far and what the API document promises for its mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from lalald.api import AnsweredTrack
from lalald.filesystem.names import fold
from lalald.jobs.task import Task, Track
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.media.track_labels import expected_labels, required_labels
from lalald.presets import MODES, mistakes


def updated_tracks(
    task: Task, tracks: Sequence[AnsweredTrack], names: Sequence[str] | None, *, accept_unlabeled: bool
) -> tuple[Track, ...]:
    """The task's tracks after an answer: delivered ones unchanged, links renewed, and missing ones without a link.

    Tracks are matched by label. A link without a label waits for a later answer, unless `accept_unlabeled`.
    """
    labeled = [_track(track) for track in tracks if track.label]
    named = {fold(track.label) for track in labeled}
    found = _merge(task.tracks, labeled)
    if labeled and not any(track.is_missing for track in _with_missing(task, labeled, named)):
        found = [track for track in found if track.delivered or fold(track.label) in named]
    if accept_unlabeled:
        for track in _with_labels(task, found, named, [_track(track) for track in tracks if is_unlabeled(track)]):
            found = [other for other in found if not (other.is_missing and fold(other.label) == fold(track.label))]
            found.append(track)
    return mark_wanted(_with_missing(task, found, named), names)


def is_unlabeled(track: AnsweredTrack) -> bool:
    return bool(track.url and not track.label)


def _track(track: AnsweredTrack) -> Track:
    return Track(track.type, track.label, track.url, name=track.name, size=track.size)


_MATCH_KEYS: tuple[Callable[[Track], Any], ...] = (
    lambda track: (track.label, track.type, track.name),  # two tracks may share a label and differ by name
    lambda track: track.label,
    lambda track: fold(track.label),
)


def _merge(old: Sequence[Track], new: Sequence[Track]) -> list[Track]:
    """The old tracks in their order, each updated from its match in the answer, then the tracks that are new."""
    left = list(new)
    pairs: dict[int, Track] = {}
    for key in _MATCH_KEYS:
        for index, track in enumerate(old):
            match = next((other for other in left if key(other) == key(track)), None)
            if index not in pairs and match is not None:
                pairs[index] = match
                left.remove(match)
    return [_updated(track, pairs.get(index)) for index, track in enumerate(old)] + left


def _updated(track: Track, answer: Track | None) -> Track:
    if track.delivered:
        return track
    if answer is None:
        return replace(track, path=None)
    has_other_size = track.declared_size is not None and answer.size is not None
    return replace(
        track,
        type=answer.type or track.type,
        label=answer.label,
        url=answer.url or track.url,
        name=answer.name,
        size=answer.size,
        declared_size=answer.size if has_other_size else track.declared_size,
        path=None,
    )


def _with_labels(task: Task, found: Sequence[Track], named: set[str], unlabeled: Sequence[Track]) -> list[Track]:
    """Tracks without a label get the missing labels of their type if the counts match, else their type as label.

    Delivered tracks of a type that the answer does not name are the same as the first unlabeled ones of that type.
    """
    absent, result = _absent(task, found), []
    for kind in dict.fromkeys(track.type for track in unlabeled):
        same_type = [track for track in unlabeled if track.type == kind]
        had = [track for track in found if track.type == kind and track.delivered and fold(track.label) not in named]
        labels = [label for absent_kind, label in absent if absent_kind == kind]
        if len(labels) != len(same_type):
            labels = [kind or "track"] * len(same_type)
        new = list(zip(same_type, labels, strict=True))[len(had) :]
        result += [replace(track, label=label) for track, label in new]
    return result


def _absent(task: Task, found: Iterable[Track]) -> list[tuple[str, str]]:
    """Type and label of each promised track that has no link. `unchecked` presets promise nothing."""
    if task.mode not in MODES or mistakes(task.mode, task.presets):
        return []
    linked = {fold(track.label) for track in found if not track.is_missing}
    return [(kind, label) for kind, label in required_labels(task.mode, task.presets) if fold(label) not in linked]


def _with_missing(task: Task, found: list[Track], named: set[str]) -> list[Track]:
    """Adds a track without a link for each missing one, unless as many tracks came under labels that the document does not know."""
    absent = [(kind, label) for kind, label in _absent(task, found) if fold(label) not in named]
    unknown = Counter(fold(track.label) for track in found if not track.is_missing)
    unknown -= Counter(fold(label) for _, label in expected_labels(task.mode, task.presets))
    labels = {fold(label) for _, label in absent}
    if unknown.total() >= len(absent):
        return [track for track in found if not (track.is_missing and fold(track.label) in labels)]
    known = {fold(track.label) for track in found}
    return found + [Track(kind, label, url="") for kind, label in absent if fold(label) not in known]
