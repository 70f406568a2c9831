"""Names are chosen for a job's whole set at once, and replace nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lalald.errors import FileError, StagingLostError
from lalald.filesystem import names as naming
from lalald.filesystem.directory_cache import DIRECTORY_CACHE
from lalald.filesystem.files import max_name_bytes, rejects_name, translate_errors
from lalald.jobs.job import Job, Track
from lalald.outbox import extensions as endings
from lalald.outbox import template
from lalald.outbox.staging import Staged, staging_folder, undelivered, with_tracks
from lalald.outbox.template import Limits, TrackKey

_TRIED_IN_A_ROW = 8
_MOST_NUMBERS = 1 << 20


def reserve(job: Job, staged: Mapping[TrackKey, Staged], *, is_reserved: Callable[[str], bool]) -> Job:
    """The job with a name for each wanted track that is not delivered: `Track.path`, with size and digest as staged.

    `reserved` tells of a folded path whether another job is about to use it. Names are compared as disks do that ignore
    case. Save the job before the next one chooses, then call `place`. Raises StagingLostError, FileError.
    """
    outbox = job.settings.outbox
    owed = dict(undelivered(job))
    if missing := [track.label for key, track in owed.items() if key not in staged]:
        raise StagingLostError(
            f"the tracks {', '.join(missing)} of {naming.printable(job.path)} are not in the staging folder."
        )
    with translate_errors(outbox, outbox):
        names = _Names(job, _endings(job, staged), is_reserved)
        chosen = _CHOOSE[job.settings.on_conflict](names, owed)
    return _named(job, chosen, staged)


def _endings(job: Job, staged: Mapping[TrackKey, Staged]) -> dict[TrackKey, str]:
    """Each track's ending; one that has its place already keeps it."""
    found = {}
    for key, task, track in template.wanted_tracks(job):
        if track.path is not None and (track.delivered or key not in staged):
            found[key] = endings.ending_of(track.path)
        else:
            found[key] = endings.extension(task, track, job.path, staged[key].headers if key in staged else None)
    return found


class _Names:
    """The names that the job's set would have under each number, and what is in their way."""

    def __init__(self, job: Job, endings: Mapping[TrackKey, str], is_reserved: Callable[[str], bool]) -> None:
        self.job = job
        self._endings = endings
        self._is_reserved = is_reserved
        self._limits = Limits(max_name_bytes(job.settings.outbox))
        self._limits = replace(self._limits, portable=self._refuses_names())
        placed = {key: track.path for key, _, track in template.wanted_tracks(job) if track.delivered and track.path}
        self.first, _ = template.named_as(job, placed, self._limits.part_bytes)
        self._manifest = job.settings.manifest and not any(task.error or task.hold for task in job.tasks)

    def _refuses_names(self) -> bool:
        """Whether the disk takes only portable names; asked of it only where the names make a difference."""
        odd = {part for path in self.paths(1).values() for part in path.split("/") if naming.portable(part) != part}
        return any(rejects_name(staging_folder(self.job), part) for part in odd)

    def paths(self, number: int) -> dict[TrackKey, str]:
        return template.paths(self.job, self._endings, number, self._limits)

    def all_of(self, number: int, keys: Iterable[TrackKey]) -> list[str]:
        """Every path that the set would take, the manifest's included."""
        paths = self.paths(number)
        wanted = [paths[key] for key in keys]
        return [*wanted, template.manifest_path(self.job, number, self._limits)] if self._manifest else wanted

    def taken(self, path: str) -> bool:
        return self.found(path) is not None or self._is_reserved(naming.fold(path))

    def found(self, path: str) -> str | None:
        return _found(self.job.settings.outbox, path)

    def blocked(self, path: str) -> bool:
        """Whether even somebody who overwrites cannot put a file there."""
        found = self.found(path)
        return found is not None and (os.path.isdir(self.full(found)) or found.count("/") < path.count("/"))

    def full(self, path: str) -> str:
        return os.path.join(self.job.settings.outbox, path)


def _found(outbox: str, path: str) -> str | None:
    """What is on the disk under this name, as spelled there, or the file that is in the way of its folder."""
    *folders, name = path.split("/")
    places = [""]
    for folder in folders:
        deeper = [entry for place in places for entry in _entries(outbox, place, folder)]
        if in_the_way := [entry for entry in deeper if not os.path.isdir(os.path.join(outbox, entry))]:
            return in_the_way[0]
        places = deeper
    return next((entry for place in places for entry in _entries(outbox, place, name)), None)


def _entries(outbox: str, folder: str, name: str) -> list[str]:
    full = os.path.join(outbox, folder).rstrip("/")
    return [os.path.join(folder, entry) for entry in DIRECTORY_CACHE.alike(full, name)]


def all_names_exist(job: Job) -> bool:
    """Whether files have the names of all tracks that the rule wants, by endings that are a guess before anything is heard of them.

    Raises FileError.
    """
    outbox = job.settings.outbox
    guessed = {key: endings.extension(task, track, job.path) for key, task, track in template.wanted_tracks(job)}
    with translate_errors(outbox, outbox):
        for portable in (False, True):
            paths = template.paths(job, guessed, 1, Limits(max_name_bytes(outbox), portable))
            if all(_found(outbox, path) for path in paths.values()):
                return True
    return False


def _free_number(is_free: Callable[[int], bool], first: int) -> int | None:
    """The first free number where it is near; else one that is free after one that is not, in few steps."""
    for number in range(first, first + _TRIED_IN_A_ROW):
        if is_free(number):
            return number
    taken, free = first + _TRIED_IN_A_ROW - 1, 2 * (first + _TRIED_IN_A_ROW)
    while not is_free(free):
        if free > _MOST_NUMBERS:
            return None
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (free + taken) // 2
        taken, free = (taken, middle) if is_free(middle) else (middle, free)
    return free


def _number(names: _Names, owed: Iterable[TrackKey], in_the_way: Callable[[str], bool]) -> int:
    number = _free_number(lambda number: not any(in_the_way(path) for path in names.all_of(number, owed)), names.first)
    if number is None:
        wanted = naming.printable(names.full(names.all_of(1, owed)[0]))
        raise FileError(
            f"{wanted} cannot be made, nor numbered.",
            hint="Take away what is in its way, perhaps a file named like a folder.",
        )
    return number


def _rename(names: _Names, owed: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    paths = names.paths(_number(names, owed, names.taken))
    return {key: paths[key] for key in owed}


def _overwrite(names: _Names, owed: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    """What is there is replaced under the spelling that it has."""
    paths = names.paths(_number(names, owed, names.blocked))
    return {key: names.found(paths[key]) or paths[key] for key in owed}


def _skip(names: _Names, owed: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    paths = names.paths(1)
    return {key: paths[key] for key in owed if not names.taken(paths[key])}


_CHOOSE: Mapping[str, Callable[[_Names, Mapping[TrackKey, Track]], dict[TrackKey, str]]] = {
    "rename": _rename,
    "overwrite": _overwrite,
    "skip": _skip,
}


def _named(job: Job, chosen: Mapping[TrackKey, str], staged: Mapping[TrackKey, Staged]) -> Job:
    """The job with its chosen names; tracks without one are left out, which is said."""
    changes: dict[TrackKey, Track] = {}
    left_out = []
    for key, track in undelivered(job):
        if key in chosen:
            changes[key] = _as_staged(replace(track, path=chosen[key]), staged[key])
        else:
            changes[key] = replace(track, path=None, delivered=True)
            left_out.append(track.label)
    named = with_tracks(job, changes)
    if not left_out:
        return named
    skipped = (
        f"not delivered, since files of their names were there already (on_conflict: skip): {', '.join(left_out)}."
    )
    return replace(named, warning=f"{job.warning} {skipped}" if job.warning else skipped)


def _as_staged(track: Track, staged: Staged) -> Track:
    sent_size = staged.size if staged.sent_size is None else staged.sent_size
    declared = track.declared_size if track.declared_size != sent_size else None
    return replace(
        track,
        size=staged.size,
        sha256=staged.sha256,
        declared_size=declared,
        sent_sha256=staged.sent_sha256,
        tag_notes=staged.notes,
    )


def without_names(job: Job) -> Job:
    """The job without the names of tracks that are not delivered: they are fetched, or named, again."""
    return with_tracks(job, {key: replace(track, path=None) for key, track in undelivered(job)})
