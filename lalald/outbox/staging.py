"""Keep fetched tracks in a hidden folder of the outbox until all are complete and their names are saved.

The files of one track:

    1-0-…            its bytes
    1-0-….proof      what the rest of an interrupted download is requested with
    1-0-….whole      says that it is complete; renamed to the next one before the track gets its final name
    1-0-….placing    if the bytes are gone: the track was put in place, even if a reader has removed it since

All stay until the row says that the track is delivered.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from shutil import rmtree
from typing import Any

from lalald.filesystem.files import list_names, lstat_or_none, translate_errors
from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Track
from lalald.outbox.extensions import DownloadHeaders
from lalald.outbox.template import TrackKey, wanted_tracks

FOLDER = ".lalald-staging"
MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete track in the staging folder."""

    size: int
    sha256: str
    headers: DownloadHeaders = field(default_factory=DownloadHeaders)
    sent_sha256: str | None = None  # of the track as the service sent it; None: as it is
    sent_size: int | None = None
    notes: tuple[TagNote, ...] = ()
    is_final: bool = False  # it has its tags, or gets none


def staging_folder(job: Job) -> str:
    """The job's folder. Its creation time keeps two daemons that share an outbox apart."""
    return os.path.join(job.settings.outbox, FOLDER, f"{job.id}-{int(job.created_at * 1000):x}")


def staged_path(job: Job, task_number: int, index: int) -> str:
    """The path of a track's bytes. It differs for each task id, so that a new task never finds the bytes of an earlier one."""
    task = next(task for task in job.tasks if task.number == task_number)
    made_by = os.fsencode(task.task_id or task.tracks[index].copy_from or "")
    label = task.tracks[index].label.encode("utf-8", "surrogatepass")  # `/check/` may list the tracks in another order
    digest = hashlib.sha256(made_by + b"\0" + label).hexdigest()[:8]
    return os.path.join(staging_folder(job), f"{task_number}-{index}-{digest}")


def placing_path(path: str) -> str:
    return f"{path}.placing"


def proof_path(path: str) -> str:
    """The file with what the rest of an interrupted download is requested with."""
    return f"{path}.proof"


def _whole_path(path: str) -> str:
    return f"{path}.whole"


def make_staging(job: Job) -> str:
    """The job's folder, created if missing; the outbox itself is never created. Raises FileError."""
    folder = staging_folder(job)
    with translate_errors(folder, job.settings.outbox):
        while True:
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                return folder
            except FileNotFoundError:  # or another job has just removed the parent folder
                with suppress(FileExistsError):
                    os.mkdir(os.path.dirname(folder), 0o700)
                continue
            return folder


def save_record(path: str, staged: Staged) -> Staged:
    """Record that the bytes at `path` are complete and durable. Raises OSError.

    The record itself need not be durable: if a power failure damages it, the track is fetched again.
    """
    with open(_whole_path(path), "wb", buffering=0) as file:
        file.write(json.dumps(asdict(staged)).encode())
    return staged


def mark_placing(path: str) -> None:
    """Record that the track is about to get its final name. Raises OSError."""
    try:
        os.rename(_whole_path(path), placing_path(path))
    except FileNotFoundError:  # recorded before, or a manifest
        os.close(os.open(placing_path(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))


def discard_if_empty(path: str) -> None:
    """Discard a track of which nothing has arrived."""
    with suppress(OSError):
        if os.path.getsize(path) == 0:
            discard(path)


def discard_proofs(path: str) -> None:
    """Remove the proof and the record, because the bytes are about to change. Raises OSError."""
    for name in (proof_path(path), _whole_path(path)):
        with suppress(FileNotFoundError):
            os.unlink(name)


def discard(path: str) -> None:
    """Remove the bytes that have arrived, and their proof."""
    for name in (path, proof_path(path)):
        with suppress(OSError):
            os.unlink(name)


def load_record(path: str) -> Staged | None:
    """The record of a track that is complete in the staging folder or already in place; else None."""
    try:
        staged = _parsed(json.loads(_read_record(path)))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with suppress(OSError):
        facts = lstat_or_none(path)
        if facts is None:
            return staged if lstat_or_none(placing_path(path)) else None
        return staged if facts.st_size == staged.size else None
    return None


def _parsed(record: dict[str, Any]) -> Staged:
    """A record; those of earlier versions have no tags, and `heard` instead of `headers`."""
    headers = DownloadHeaders(**(record["headers"] if "headers" in record else record["heard"]))
    notes = tuple(map(TagNote, record.get("notes", ())))
    sent = record.get("sent_sha256"), record.get("sent_size")
    return Staged(record["size"], record["sha256"], headers, *sent, notes, record.get("is_final", False))


def _read_record(path: str) -> bytes:
    for name in (_whole_path(path), placing_path(path)):
        with suppress(FileNotFoundError), open(name, "rb", buffering=0) as file:
            return file.read()
    return b""


def undelivered(job: Job) -> Iterator[tuple[TrackKey, Track]]:
    """The wanted tracks that are not delivered and that the service has provided."""
    for key, task, track in wanted_tracks(job):
        if not track.delivered and not track.is_missing and task.error is None:
            yield key, track


def with_tracks(job: Job, changes: Mapping[TrackKey, Track]) -> Job:
    tasks = tuple(
        replace(task, tracks=tuple(changes.get((task.number, index), track) for index, track in enumerate(task.tracks)))
        for task in job.tasks
    )
    return replace(job, tasks=tasks)


def staged_tracks(job: Job) -> dict[TrackKey, Staged]:
    """The undelivered tracks that are complete in the staging folder, or in place already."""
    found = ((key, load_record(staged_path(job, *key))) for key, _ in undelivered(job))
    return {key: staged for key, staged in found if staged is not None}


def clear(job: Job) -> None:
    """Remove what is left of delivered tracks, once the row says so. What cannot be removed now is removed at a start."""
    folder = staging_folder(job)
    kept = {os.path.basename(staged_path(job, *key)) for key, _ in undelivered(job)}
    names: list[str] = []
    with suppress(OSError):
        names = list_names(folder)
    for name in names:
        if name.partition(".")[0] not in kept:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
    _remove_if_empty(folder)


def _remove_if_empty(folder: str) -> None:
    for name in (folder, os.path.dirname(folder)):
        with suppress(OSError):
            os.rmdir(name)


def staged_job_ids(outbox: str) -> set[int]:
    """The ids of jobs with a staging folder in an outbox; another daemon's may be among them."""
    return {job_id for job_id, _ in _folders(outbox)}


def _folders(outbox: str) -> Iterator[tuple[int, str]]:
    names: list[str] = []
    with suppress(OSError):
        names = list_names(os.path.join(outbox, FOLDER))
    for name in names:
        job_id, dash, _ = name.partition("-")
        if dash and job_id.isdecimal() and job_id.isascii():
            yield int(job_id), os.path.join(outbox, FOLDER, name)


def clear_staging(outbox: str, known: Iterable[Job]) -> None:
    """At start: remove the folders of `known` jobs that have nothing left to deliver, and the parent folder if it is empty.

    Folders of other jobs stay: they may belong to another daemon.
    """
    over = {staging_folder(job) for job in known if job.state is State.DONE or job.stage in _AFTER}
    for _, folder in _folders(outbox):
        if folder in over:
            rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(os.path.join(outbox, FOLDER))


_AFTER = (Stage.DELETE, Stage.ARCHIVE, Stage.DONE)
