"""Choose names for all of a job's results at once, so that none replaces another program's file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lalald.errors import FileError, StagingLostError
from lalald.filesystem import names as naming
from lalald.filesystem.directory_cache import DIRECTORY_CACHE
from lalald.filesystem.files import max_name_bytes, rejects_name, translate_errors
from lalald.jobs.job import Job, with_warning
from lalald.jobs.task import Track
from lalald.outbox import extensions, template
from lalald.outbox.staging import Staged, staging_folder, undelivered, with_tracks
from lalald.outbox.template import Limits, TrackKey

_TRIED_IN_SEQUENCE = 8
_MAX_NUMBER = 1 << 20


def reserve(job: Job, staged: Mapping[TrackKey, Staged], *, is_reserved: Callable[[str], bool]) -> Job:
    """The job with a name (`Track.path`), size and hash for each wanted track that is not delivered.

    `is_reserved` says whether another job is about to use a folded path. Names are compared as disks that ignore case do.
    Save the job before the next one chooses, then call `place`. Raises StagingLostError, FileError.
    """
    outbox = job.settings.outbox
    tracks = dict(undelivered(job))
    if missing := [track.label for key, track in tracks.items() if key not in staged]:
        raise StagingLostError(
            f"the tracks {', '.join(missing)} of {naming.printable(job.path)} are not in the staging folder."
        )
    with translate_errors(outbox, outbox):
        names = _Names(job, _extensions(job, staged), is_reserved)
        chosen = _CHOOSE[job.settings.on_conflict](names, tracks)
    return _named(job, chosen, staged)


def _extensions(job: Job, staged: Mapping[TrackKey, Staged]) -> dict[TrackKey, str]:
    """Each track's extension; a track that has a name keeps it."""
    found = {}
    for key, task, track in template.wanted_tracks(job):
        if track.path is not None and (track.delivered or key not in staged):
            found[key] = extensions.extension_in(track.path)
        else:
            found[key] = extensions.extension(task, track, job.path, staged[key].headers if key in staged else None)
    return found


class _Names:
    """The names that the job's results would have under each number, and the files that are in their way."""

    def __init__(self, job: Job, track_extensions: Mapping[TrackKey, str], is_reserved: Callable[[str], bool]) -> None:
        self.job = job
        self._extensions = track_extensions
        self._is_reserved = is_reserved
        self._limits = Limits(max_name_bytes(job.settings.outbox))
        self._limits = replace(self._limits, portable=self._needs_portable_names())
        placed = {key: track.path for key, _, track in template.wanted_tracks(job) if track.delivered and track.path}
        self.first, _ = template.naming_of(job, placed, self._limits.part_bytes)
        self._manifest = job.settings.manifest and not any(task.error or task.hold for task in job.tasks)

    def _needs_portable_names(self) -> bool:
        """Whether the disk accepts portable names only; tried only if that makes a difference to these names."""
        odd = {
            part for path in self.paths(1).values() for part in path.split("/") if naming.portable_name(part) != part
        }
        return any(rejects_name(staging_folder(self.job), part) for part in odd)

    def paths(self, number: int) -> dict[TrackKey, str]:
        return template.paths(self.job, self._extensions, number, self._limits)

    def all_of(self, number: int, keys: Iterable[TrackKey]) -> list[str]:
        """Every path that the results would have, including the manifest's."""
        paths = self.paths(number)
        wanted = [paths[key] for key in keys]
        return [*wanted, template.manifest_path(self.job, number, self._limits)] if self._manifest else wanted

    def is_taken(self, path: str) -> bool:
        return self.existing(path) is not None or self._is_reserved(naming.fold(path))

    def existing(self, path: str) -> str | None:
        return _existing(self.job.settings.outbox, path)

    def is_blocked(self, path: str) -> bool:
        """Whether a file cannot be put there even by overwriting."""
        found = self.existing(path)
        return found is not None and (os.path.isdir(self.full(found)) or found.count("/") < path.count("/"))

    def full(self, path: str) -> str:
        return os.path.join(self.job.settings.outbox, path)


def _existing(outbox: str, path: str) -> str | None:
    """The file of this name, as spelled on the disk, or the file that is in the way of its folder."""
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
    return [os.path.join(folder, entry) for entry in DIRECTORY_CACHE.equivalent_names(full, name)]


def all_names_exist(job: Job) -> bool:
    """Whether files have the names of all wanted tracks. Extensions are guessed: nothing is known about the tracks yet.

    Raises FileError.
    """
    outbox = job.settings.outbox
    guessed = {key: extensions.extension(task, track, job.path) for key, task, track in template.wanted_tracks(job)}
    with translate_errors(outbox, outbox):
        for portable in (False, True):
            paths = template.paths(job, guessed, 1, Limits(max_name_bytes(outbox), portable))
            if all(_existing(outbox, path) for path in paths.values()):
                return True
    return False


def _free_number(is_free: Callable[[int], bool], first: int) -> int | None:
    """The first free number if it is near; else, in few steps, a free one that follows a taken one."""
    for number in range(first, first + _TRIED_IN_SEQUENCE):
        if is_free(number):
            return number
    taken, free = first + _TRIED_IN_SEQUENCE - 1, 2 * (first + _TRIED_IN_SEQUENCE)
    while not is_free(free):
        if free > _MAX_NUMBER:
            return None
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (free + taken) // 2
        taken, free = (taken, middle) if is_free(middle) else (middle, free)
    return free


def _number(names: _Names, keys: Iterable[TrackKey], is_in_the_way: Callable[[str], bool]) -> int:
    number = _free_number(
        lambda number: not any(is_in_the_way(path) for path in names.all_of(number, keys)), names.first
    )
    if number is None:
        wanted = naming.printable(names.full(names.all_of(1, keys)[0]))
        hint = "Remove what is in the way, perhaps a file with the name of a folder."
        raise FileError(f"{wanted} cannot be created, not even with a number.", hint=hint)
    return number


def _rename(names: _Names, tracks: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    paths = names.paths(_number(names, tracks, names.is_taken))
    return {key: paths[key] for key in tracks}


def _overwrite(names: _Names, tracks: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    """An existing file is replaced under its own spelling."""
    paths = names.paths(_number(names, tracks, names.is_blocked))
    return {key: names.existing(paths[key]) or paths[key] for key in tracks}


def _skip(names: _Names, tracks: Mapping[TrackKey, Track]) -> dict[TrackKey, str]:
    paths = names.paths(1)
    return {key: paths[key] for key in tracks if not names.is_taken(paths[key])}


_CHOOSE: Mapping[str, Callable[[_Names, Mapping[TrackKey, Track]], dict[TrackKey, str]]] = {
    "rename": _rename,
    "overwrite": _overwrite,
    "skip": _skip,
}


def _named(job: Job, chosen: Mapping[TrackKey, str], staged: Mapping[TrackKey, Staged]) -> Job:
    """The job with its chosen names. Tracks without one are skipped, with a warning."""
    changes: dict[TrackKey, Track] = {}
    skipped = []
    for key, track in undelivered(job):
        if key in chosen:
            changes[key] = _as_staged(replace(track, path=chosen[key]), staged[key])
        else:
            changes[key] = replace(track, path=None, delivered=True)
            skipped.append(track.label)
    named = with_tracks(job, changes)
    if not skipped:
        return named
    return with_warning(
        named,
        f"not delivered because files of the same names exist (on_conflict: skip): {', '.join(skipped)}",
    )


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
    """The job without the names of undelivered tracks, so that they are fetched or named again."""
    return with_tracks(job, {key: replace(track, path=None) for key, track in undelivered(job)})
