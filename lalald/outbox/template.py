"""What result files are called. Pure: templates and job in, relative paths out; nothing here looks at a disk.

Whatever the service says ends up inside one part of a path, and no part can be hidden, empty, `..` or longer than the file system
takes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from lalald.filesystem.names import fold, portable, safe, shortened, split_name, unhidden
from lalald.jobs.job import Job, Task, Track
from lalald.outbox.extensions import ending_of

MANIFEST_NAME = "lalald.json"


_OF_A_TRACK = re.compile(r"\{(?:label|type|ext|task|mode)\}")  # folders named by these hold no whole set


_OWN = re.compile(r"\{(?:name|id)\}")  # a folder named by one of these is the job's own


_TOKEN = re.compile(r"(\{[a-z.]+\})")


_NUMBER = re.compile(r" \((\d{1,9})\)")


# What is cut last, and first, where a name is too long.
_KEPT = 0


_LITERAL = 1


_VALUE = 2


_NEVER_CUT = frozenset({"again", "number", "ext", ".ext"})


_Piece = tuple[str, int]


TrackKey = tuple[int, int]  # a task's number, and the track's place within the task


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file system takes as one name."""

    part_bytes: int = 255  # encrypted folders of some NAS take 143
    portable: bool = False  # neither characters nor endings that FAT, NTFS and SMB refuse


def wanted_tracks(job: Job) -> Iterator[tuple[TrackKey, Task, Track]]:
    """Every track that the rule wants, in order."""
    for task in job.tasks:
        for index, track in enumerate(task.tracks):
            if track.wanted:
                yield (task.number, index), task, track


def paths(
    job: Job, extensions: Mapping[TrackKey, str], number: int = 1, limits: Limits | None = None
) -> dict[TrackKey, str]:
    """Where each wanted track goes, within the outbox. From 2 on, `number` tells the whole set from earlier ones.

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
        "label": safe(job.settings.labels.get(track.label, track.label), safe(track.type, "track")),
        "type": safe(track.type, "track"),
        "task": safe(task.title),
        "mode": safe(task.mode),
        "ext": ext,
        ".ext": f".{ext}" if ext else "",
    }


def result_folders(job: Job, labels: Sequence[str]) -> set[str]:
    """The folders within the outbox in which results of these labels, or the job's own folder of them, will be."""
    *folders, _ = job.settings.output.split("/")
    own = next((place for place, folder in enumerate(folders) if _OWN.search(folder)), len(folders))
    shared = replace(job.settings, output="/".join([*folders[:own], "{label}"]))
    tracks = tuple(Track(type=label, label=label, url="") for label in labels or ["track"])
    expected = replace(job, settings=shared, tasks=tuple(replace(task, tracks=tracks) for task in job.tasks))
    return {path.rpartition("/")[0] for path in paths(expected, {}).values()}


def manifest_path(job: Job, number: int = 1, limits: Limits | None = None) -> str:
    """`lalald.json` in the job's own folder; `NAME.lalald.json` where the template gives it none."""
    *folders, _ = _with_number(job.settings.output)
    shared = [place for place, folder in enumerate(folders) if _OF_A_TRACK.search(folder)]
    whole = folders[: shared[0]] if shared else folders
    own = any(_OWN.search(folder) for folder in whole)
    name = MANIFEST_NAME if own else f"{{name}}{{number}}.{MANIFEST_NAME}"
    return _filled([*whole, name], _job_values(job, number), job.path, limits or Limits())


def named_as(job: Job, placed: Mapping[TrackKey, str], part_bytes: int = 255) -> tuple[int, Limits]:
    """The number under which tracks have the paths that they have, and what limits their names; 1 where none has any."""
    if not placed:
        return 1, Limits(part_bytes)
    endings = {key: ending_of(path) for key, path in placed.items()}
    numbers = {1, *(int(number) for path in placed.values() for number in _NUMBER.findall(path))}
    ways = [
        (number, Limits(part_bytes, portable=refused)) for number in sorted(numbers - {0}) for refused in (False, True)
    ]

    def alike_count(way: tuple[int, Limits]) -> int:
        again = paths(job, endings, *way)
        return sum(again[key] == path for key, path in placed.items())

    return max(ways, key=alike_count)


def _job_values(job: Job, number: int) -> dict[str, str]:
    return {
        "name": split_name(job.path.rpartition("/")[2])[0],
        "rule": safe(job.rule),
        "id": str(job.id),
        "date": datetime.fromtimestamp(job.created_at).astimezone().date().isoformat(),
        "number": f" ({number})" if number > 1 else "",
    }


def _with_number(output: str) -> list[str]:
    """The template's parts, with `{number}` in the job's own folder, else before the file's ending, `{again}` always there."""
    *folders, name = output.replace(".{ext}", "{.ext}").split("/")
    own = next((place for place, folder in enumerate(folders) if _OWN.search(folder)), None)
    if own is not None:
        folders[own] += "{number}"
    ending = re.search(r"(?:\{\.ext\}|\.[A-Za-z0-9]{1,10})\Z", name)
    cut = ending.start() if ending else len(name)
    return [*folders, f"{name[:cut]}{{again}}{'' if own is not None else '{number}'}{name[cut:]}"]


def _filled(template: list[str], values: Mapping[str, str], source: str, limits: Limits) -> str:
    """The template with its values, part by part; only the template and `{dir}` make folders."""
    parts: list[list[_Piece]] = []
    for part in template:
        parts.append([])
        for token in _TOKEN.split(part):
            name = token[1:-1] if _TOKEN.fullmatch(token) else ""
            if name == "dir":
                first, *deeper = source.rpartition("/")[0].split("/")
                parts[-1].append((first, _VALUE))
                parts.extend([(step, _VALUE)] for step in deeper)
            elif name in values:
                parts[-1].append((values[name], _KEPT if name in _NEVER_CUT else _VALUE))
            else:
                parts[-1].append((token, _LITERAL))
    filled = [_fitted(pieces, limits) for pieces in parts if any(text for text, _ in pieces)]
    return "/".join(filled)


def _fitted(pieces: list[_Piece], limits: Limits) -> str:
    """One part of the path: its longest value is cut until all of it fits, then the template's own text."""
    most_bytes = limits.part_bytes - (1 if limits.portable else 0)  # which may add a character
    texts = [text for text, _ in pieces]
    while (over := len(os.fsencode("".join(texts))) - most_bytes) > 0:
        sizes = [len(os.fsencode(text)) for text in texts]
        longest = max(range(len(texts)), key=lambda place: (sizes[place] > 0 and pieces[place][1], sizes[place]))
        texts[longest] = shortened(texts[longest], max(0, sizes[longest] - over))
    part = unhidden("".join(texts).replace("\0", "_"))
    return portable(part) if limits.portable else part
