"""Where tracks wait, hidden in the outbox itself, until they are whole and their names are durable.

For each track there may be `1-0-…` with its bytes, beside it `.proof`, by which the rest of a download can be asked for,
`.whole` once all of it is there, which becomes `.placing` before the track gets its final name. Bytes gone and `.placing`
there means: in place, whatever a reader of the outbox has done with the file since. All stay until the row says that the
track is delivered.
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
from lalald.jobs.job import Job, Stage, State, Track
from lalald.jobs.tag_notes import TagNote
from lalald.outbox.extensions import DownloadHeaders
from lalald.outbox.template import TrackKey, wanted_tracks

FOLDER = ".lalald-staging"
MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Staged:
    """A track that is whole in the staging folder."""

    size: int
    sha256: str
    headers: DownloadHeaders = field(default_factory=DownloadHeaders)
    sent_sha256: str | None = None  # of the track as the service sent it; None: as it is
    sent_size: int | None = None
    notes: tuple[TagNote, ...] = ()
    is_final: bool = False  # it has its tags, or gets none


def staging_folder(job: Job) -> str:
    """The job's folder. The moment of its drop keeps two lalald that share an outbox apart."""
    return os.path.join(job.settings.outbox, FOLDER, f"{job.id}-{int(job.created_at * 1000):x}")


def staged_path(job: Job, task_number: int, index: int) -> str:
    """Where a track waits. A task that was split again never meets what an earlier one left."""
    task = next(task for task in job.tasks if task.number == task_number)
    made_by = os.fsencode(task.task_id or task.tracks[index].copy_from or "")
    label = task.tracks[index].label.encode("utf-8", "surrogatepass")  # `/check/` may tell of them in another order
    told_apart = hashlib.sha256(made_by + b"\0" + label).hexdigest()[:8]
    return os.path.join(staging_folder(job), f"{task_number}-{index}-{told_apart}")


def placing(path: str) -> str:
    return f"{path}.placing"


def proof(path: str) -> str:
    """What the rest of a download can be asked for by."""
    return f"{path}.proof"


def _whole(path: str) -> str:
    return f"{path}.whole"


def make_staging(job: Job) -> str:
    """The job's folder, made where missing; the outbox itself is never made. Raises FileError."""
    folder = staging_folder(job)
    with translate_errors(folder, job.settings.outbox):
        while True:
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                return folder
            except FileNotFoundError:  # or another job has just tidied up the folder of both
                with suppress(FileExistsError):
                    os.mkdir(os.path.dirname(folder), 0o700)
                continue
            return folder


def save_record(path: str, staged: Staged) -> Staged:
    """The bytes at `path` are all there and durable: nobody needs to fetch them again. Raises OSError.

    What says so need not be durable itself: where a power cut spoils it, they are fetched again.
    """
    with open(_whole(path), "wb", buffering=0) as file:
        file.write(json.dumps(asdict(staged)).encode())
    return staged


def mark(path: str) -> None:
    """It is about to get its final name: what says that it is whole says that from now on. Raises OSError."""
    try:
        os.rename(_whole(path), placing(path))
    except FileNotFoundError:  # marked before, or a manifest
        os.close(os.open(placing(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))


def forget_if_empty(path: str) -> None:
    """Nothing has arrived: nothing needs to be kept."""
    with suppress(OSError):
        if os.path.getsize(path) == 0:
            forget(path)


def forget_proofs(path: str) -> None:
    """The bytes are about to become others: nothing may speak for those that are there. Raises OSError."""
    for name in (proof(path), _whole(path)):
        with suppress(FileNotFoundError):
            os.unlink(name)


def forget(path: str) -> None:
    """What has arrived is of no use."""
    for name in (path, proof(path)):
        with suppress(OSError):
            os.unlink(name)


def load_record(path: str) -> Staged | None:
    """What is known of a track that is whole, in the staging folder or already in place; None where it is not."""
    try:
        told = json.loads(_note(path))
        staged = _staged(told)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with suppress(OSError):
        facts = lstat_or_none(path)
        if facts is None:
            return staged if lstat_or_none(placing(path)) else None
        return staged if facts.st_size == staged.size else None
    return None


def _staged(told: dict[str, Any]) -> Staged:
    """What an earlier version wrote says nothing of tags."""
    headers = DownloadHeaders(
        **(told["headers"] if "headers" in told else told["heard"])
    )  # its name in earlier records
    notes = tuple(map(TagNote, told.get("notes", ())))
    sent = told.get("sent_sha256"), told.get("sent_size")
    return Staged(told["size"], told["sha256"], headers, *sent, notes, told.get("is_final", False))


def _note(path: str) -> bytes:
    for name in (_whole(path), placing(path)):
        with suppress(FileNotFoundError), open(name, "rb", buffering=0) as file:
            return file.read()
    return b""


def undelivered(job: Job) -> Iterator[tuple[TrackKey, Track]]:
    """The tracks that the rule wants, that are still owed, and that the service has given."""
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
    """What is whole in the staging folder, or in place already, of the tracks that are not delivered."""
    found = ((key, load_record(staged_path(job, *key))) for key, _ in undelivered(job))
    return {key: staged for key, staged in found if staged is not None}


def clear(job: Job) -> None:
    """Takes away what is left of delivered tracks, once the row says so. What cannot go now goes at a start."""
    folder = staging_folder(job)
    owed = {os.path.basename(staged_path(job, *key)) for key, _ in undelivered(job)}
    left: list[str] = []
    with suppress(OSError):
        left = list_names(folder)
    for name in left:
        if name.partition(".")[0] not in owed:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
    _remove_if_empty(folder)


def _remove_if_empty(folder: str) -> None:
    for name in (folder, os.path.dirname(folder)):
        with suppress(OSError):
            os.rmdir(name)


def staged_job_ids(outbox: str) -> set[int]:
    """The jobs that have a staging folder in an outbox, as far as they are ours."""
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
    """At start: removes the folders of those `known` jobs that owe no download any more, and that of all where it is empty.

    Folders of jobs that are not among them stay: they may belong to another lalald.
    """
    over = {staging_folder(job) for job in known if job.state is State.DONE or job.stage in _AFTER}
    for _, folder in _folders(outbox):
        if folder in over:
            rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(os.path.join(outbox, FOLDER))


_AFTER = (Stage.DELETE, Stage.ARCHIVE, Stage.DONE)
