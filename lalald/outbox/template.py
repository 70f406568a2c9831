"""Fill the output template of a rule: relative paths of result files. Pure; the disk is not accessed.

Text from the service always stays within one part of a path, and no part can be hidden, empty, `..` or longer than the file system
allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from itertools import count
from typing import NamedTuple

from lalald.filesystem.names import fold, portable_name, safe_name, split_name, truncate, visible_name
from lalald.jobs.job import Job
from lalald.jobs.task import Task, Track
from lalald.outbox.extensions import extension_in

MANIFEST_NAME = "lalald.json"


_PER_TRACK = re.compile(
    r"\{(?:label|type|ext|task|mode)\}"
)  # a folder named by these does not hold all of a job's results
_PER_JOB = re.compile(r"\{(?:name|id)\}")  # a folder named by one of these belongs to the job alone
_TOKEN = re.compile(r"(\{[a-z.]+\})")


_NUMBER = re.compile(r" \((\d{1,9})\)")


_NEVER_CUT = frozenset({"again", "number", "ext", ".ext"})


class _Cut(IntEnum):
    """In which order the texts of a name that is too long are cut: the highest first."""

    LAST = 0
    LITERAL = 1
    VALUE = 2


class _Text(NamedTuple):
    """A piece of a path's part."""

    text: str
    cut: _Cut


TrackKey = tuple[int, int]  # a task's number, and the track's place within the task


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file system accepts as one name."""

    part_bytes: int = 255  # 143 in encrypted folders of some NAS
    portable: bool = False  # without the characters and endings that FAT, NTFS and SMB refuse


def wanted_tracks(job: Job) -> Iterator[tuple[TrackKey, Task, Track]]:
    """Every track that the rule wants, in order, with its key and task."""
    for task in job.tasks:
        for index, track in enumerate(task.tracks):
            if track.wanted:
                yield (task.number, index), task, track


def paths(
    job: Job, extensions: Mapping[TrackKey, str], number: int = 1, limits: Limits | None = None
) -> dict[TrackKey, str]:
    """The path of each wanted track within the outbox. From 2 on, `number` distinguishes all of them from earlier results.

    Two tracks of one job never share a name, whatever their labels: the second becomes `vocals-2`.
    """
    limits = limits or Limits()
    found: dict[TrackKey, str] = {}
    seen: set[str] = set()
    for key, task, track in wanted_tracks(job):
        values = {**_job_values(job, number), **_track_values(job, task, track, extensions.get(key, ""))}
        for again in count(1):
            path = _filled(_with_number(job.settings.output), {**values, "again": _again(again)}, job.path, limits)
            if fold(path) not in seen:
                break
        seen.add(fold(path))
        found[key] = path
    return found


def _again(again: int) -> str:
    return f"-{again}" if again > 1 else ""


def _track_values(job: Job, task: Task, track: Track, ext: str) -> dict[str, str]:
    return {
        "label": safe_name(job.settings.labels.get(track.label, track.label), safe_name(track.type, "track")),
        "type": safe_name(track.type, "track"),
        "task": safe_name(task.title),
        "mode": safe_name(task.mode),
        "ext": ext,
        ".ext": f".{ext}" if ext else "",
    }


def result_folders(job: Job, labels: Sequence[str]) -> set[str]:
    """The folders within the outbox that results with these labels will be in, or in which the job's own folder will be."""
    *folders, _ = job.settings.output.split("/")
    own = next((index for index, folder in enumerate(folders) if _PER_JOB.search(folder)), len(folders))
    shared = replace(job.settings, output="/".join([*folders[:own], "{label}"]))
    tracks = tuple(Track(type=label, label=label, url="") for label in labels or ["track"])
    expected = replace(job, settings=shared, tasks=tuple(replace(task, tracks=tracks) for task in job.tasks))
    return {path.rpartition("/")[0] for path in paths(expected, {}).values()}


def manifest_path(job: Job, number: int = 1, limits: Limits | None = None) -> str:
    """`lalald.json` in the job's own folder; `NAME.lalald.json` if the template gives it no folder of its own."""
    *folders, _ = _with_number(job.settings.output)
    per_track = [index for index, folder in enumerate(folders) if _PER_TRACK.search(folder)]
    whole = folders[: per_track[0]] if per_track else folders
    own = any(_PER_JOB.search(folder) for folder in whole)
    name = MANIFEST_NAME if own else f"{{name}}{{number}}.{MANIFEST_NAME}"
    return _filled([*whole, name], _job_values(job, number), job.path, limits or Limits())


class Naming(NamedTuple):
    """The number of a job's results, and the limits of their names."""

    number: int
    limits: Limits


def naming_of(job: Job, placed: Mapping[TrackKey, str], part_bytes: int = 255) -> Naming:
    """The number and limits that give tracks the paths that they have; number 1 if none has a path."""
    if not placed:
        return Naming(1, Limits(part_bytes))
    extensions = {key: extension_in(path) for key, path in placed.items()}
    numbers = {1, *(int(number) for path in placed.values() for number in _NUMBER.findall(path))}
    candidates = [
        Naming(number, Limits(part_bytes, portable=is_portable))
        for number in sorted(numbers - {0})
        for is_portable in (False, True)
    ]

    def matches(candidate: Naming) -> int:
        named = paths(job, extensions, candidate.number, candidate.limits)
        return sum(named[key] == path for key, path in placed.items())

    return max(candidates, key=matches)


def _job_values(job: Job, number: int) -> dict[str, str]:
    return {
        "name": split_name(job.path.rpartition("/")[2])[0],
        "rule": safe_name(job.rule),
        "id": str(job.id),
        "date": datetime.fromtimestamp(job.created_at).astimezone().date().isoformat(),
        "number": f" ({number})" if number > 1 else "",
    }


def _with_number(output: str) -> list[str]:
    """The template's parts, with `{number}` in the job's own folder or else before the extension, and `{again}` always there."""
    *folders, name = output.replace(".{ext}", "{.ext}").split("/")
    own = next((index for index, folder in enumerate(folders) if _PER_JOB.search(folder)), None)
    if own is not None:
        folders[own] += "{number}"
    ending = re.search(r"(?:\{\.ext\}|\.[A-Za-z0-9]{1,10})\Z", name)
    cut = ending.start() if ending else len(name)
    return [*folders, f"{name[:cut]}{{again}}{'' if own is not None else '{number}'}{name[cut:]}"]


def _filled(template: list[str], values: Mapping[str, str], source: str, limits: Limits) -> str:
    """The template with its values, part by part; only the template and `{dir}` create folders."""
    parts: list[list[_Text]] = []
    for part in template:
        parts.append([])
        for token in _TOKEN.split(part):
            name = token[1:-1] if _TOKEN.fullmatch(token) else ""
            if name == "dir":
                first, *deeper = source.rpartition("/")[0].split("/")
                parts[-1].append(_Text(first, _Cut.VALUE))
                parts.extend([_Text(folder, _Cut.VALUE)] for folder in deeper)
            elif name in values:
                parts[-1].append(_Text(values[name], _Cut.LAST if name in _NEVER_CUT else _Cut.VALUE))
            else:
                parts[-1].append(_Text(token, _Cut.LITERAL))
    filled = [_joined(texts, limits) for texts in parts if any(text for text, _ in texts)]
    return "/".join(filled)


def _joined(pieces: list[_Text], limits: Limits) -> str:
    """One part of the path. If it is too long, its longest value is cut, then the template's own text."""
    max_bytes = limits.part_bytes - (1 if limits.portable else 0)  # a portable name may get one more character
    texts = [text for text, _ in pieces]
    while (over := len(os.fsencode("".join(texts))) - max_bytes) > 0:
        sizes = [len(os.fsencode(text)) for text in texts]
        longest = max(range(len(texts)), key=lambda place: (sizes[place] > 0 and pieces[place][1], sizes[place]))
        texts[longest] = truncate(texts[longest], max(0, sizes[longest] - over))
    part = visible_name("".join(texts).replace("\0", "_"))
    return portable_name(part) if limits.portable else part
