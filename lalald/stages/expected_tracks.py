"""Which tracks a task should have: what `/check/` named so far, and what the document says that its mode makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from lalald.api import AnsweredTrack
from lalald.filesystem.names import fold
from lalald.jobs.job import Task, Track
from lalald.jobs.wanted_tracks import mark_wanted
from lalald.presets import MODES, expected_labels, mistakes, required_labels


def answered(
    task: Task, tracks: Sequence[AnsweredTrack], names: Sequence[str] | None, *, settles_for_less: bool
) -> tuple[Track, ...]:
    """The task's tracks after an answer: delivered ones as they are, links renewed, and each that is missing without a link.

    Tracks are told apart by their labels. A link without a label is left for a later answer, unless the job `settles_for_less`.
    """
    labelled = [_track(track) for track in tracks if track.label]
    named = {fold(track.label) for track in labelled}
    found = _renewed(task.tracks, labelled)
    if labelled and not any(track.is_missing for track in _with_missing(task, labelled, named)):
        found = [track for track in found if track.delivered or fold(track.label) in named]
    if settles_for_less:
        for track in _labelled(task, found, named, [_track(track) for track in tracks if has_no_label(track)]):
            found = [other for other in found if not (other.is_missing and fold(other.label) == fold(track.label))]
            found.append(track)
    return mark_wanted(_with_missing(task, found, named), names)


def has_no_label(track: AnsweredTrack) -> bool:
    return bool(track.url and not track.label)


def _track(track: AnsweredTrack) -> Track:
    return Track(track.type, track.label, track.url, name=track.name, size=track.size)


_LIKENESSES: tuple[Callable[[Track], Any], ...] = (
    lambda track: (track.label, track.type, track.name),  # two tracks of one label are told apart by their names
    lambda track: track.label,
    lambda track: fold(track.label),
)


def _renewed(old: Sequence[Track], new: Sequence[Track]) -> list[Track]:
    """The old tracks in their order, each with what the answer says of it now, then those that it names for the first time."""
    left = list(new)
    pairs: dict[int, Track] = {}
    for likeness in _LIKENESSES:
        for place, track in enumerate(old):
            match = next((other for other in left if likeness(other) == likeness(track)), None)
            if place not in pairs and match is not None:
                pairs[place] = match
                left.remove(match)
    return [_with_news(track, pairs.get(place)) for place, track in enumerate(old)] + left


def _with_news(track: Track, news: Track | None) -> Track:
    if track.delivered:
        return track
    if news is None:
        return replace(track, path=None)
    doubted = track.declared_size is not None and news.size is not None
    return replace(
        track,
        type=news.type or track.type,
        label=news.label,
        url=news.url or track.url,
        name=news.name,
        size=news.size,
        declared_size=news.size if doubted else track.declared_size,
        path=None,
    )


def _labelled(task: Task, found: Sequence[Track], named: set[str], nameless: Sequence[Track]) -> list[Track]:
    """Links without a label, by the labels that are missing where there are as many of their type, else by their type.

    Where as many of a type are delivered that the answer does not name, these are the same ones.
    """
    absent, given = _absent(task, found), []
    for kind in dict.fromkeys(track.type for track in nameless):
        alike = [track for track in nameless if track.type == kind]
        had = [track for track in found if track.type == kind and track.delivered and fold(track.label) not in named]
        labels = [label for absent_kind, label in absent if absent_kind == kind]
        if len(labels) != len(alike):
            labels = [kind or "track"] * len(alike)
        given += [replace(track, label=label) for track, label in list(zip(alike, labels, strict=True))[len(had) :]]
    return given


def _absent(task: Task, found: Iterable[Track]) -> list[tuple[str, str]]:
    """Type and label of each track that the document promises and nobody has a link to. Unchecked presets promise nothing."""
    if task.mode not in MODES or mistakes(task.mode, task.presets):
        return []
    there = {fold(track.label) for track in found if not track.is_missing}
    return [(kind, label) for kind, label in required_labels(task.mode, task.presets) if fold(label) not in there]


def _with_missing(task: Task, found: list[Track], named: set[str]) -> list[Track]:
    """With a track without a link for each that is missing, unless there are as many beyond those that the document knows."""
    absent = [(kind, label) for kind, label in _absent(task, found) if fold(label) not in named]
    given = Counter(fold(track.label) for track in found if not track.is_missing)
    given -= Counter(fold(label) for _, label in expected_labels(task.mode, task.presets))
    labels = {fold(label) for _, label in absent}
    if given.total() >= len(absent):
        return [track for track in found if not (track.is_missing and fold(track.label) in labels)]
    there = {fold(track.label) for track in found}
    return found + [Track(kind, label, url="") for kind, label in absent if fold(label) not in there]
