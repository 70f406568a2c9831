"""Bring tracks into the staging folder, from the service or from an earlier job's results."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING

from lalald.errors import DuplicateChangedError, LinkRefusedError, SizeDiffersError
from lalald.filesystem.files import RESERVED_FREE_BYTES, check_room, translate_errors
from lalald.filesystem.names import printable
from lalald.filesystem.writeback import copy_durably
from lalald.jobs.job import Job
from lalald.jobs.task import Task, Track
from lalald.outbox.extensions import DownloadHeaders
from lalald.outbox.staging import (
    Staged,
    discard,
    discard_if_empty,
    load_record,
    make_staging,
    proof_path,
    save_record,
    staged_path,
)
from lalald.outbox.tag_writing import sha256_without_tags
from lalald.outbox.tagging import NO_TAGS, SourceRead, finish

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from lalald.api import Client, Fetched, Transfer

_MIN_LIMIT_BYTES = 64 << 20
_MAX_BYTES_PER_SECOND = 192_000 * 2 * 4  # stereo in 32-bit floats


def fetch(
    job: Job, task_number: int, index: int, api: Client, transfer: Transfer, source: SourceRead = NO_TAGS
) -> Staged:
    """Download a track into the staging folder, resuming an earlier attempt, and write its tags if they are known by then.
    Durable when this returns.

    Raises SizeDiffersError if the track is complete but its declared size differs and was not checked again yet: the bytes stay, and
    the next call proves with a request for the last byte that they still are the track. Raises ServiceError, TransferStopped,
    DiskFullError, FolderUnavailableError, FileError.
    """
    _, track = _place(job, task_number, index)
    path = staged_path(job, task_number, index)
    make_staging(job)
    if known := load_record(path):
        return known
    with translate_errors(path, job.settings.outbox):
        try:
            fetched = _download(path, job, track, api, transfer)
        except LinkRefusedError:
            discard(path)
            raise
        except BaseException:
            discard_if_empty(path)
            raise
        if track.size not in (None, fetched.size) and track.declared_size is None:
            raise SizeDiffersError(
                f"the track {track.label} has {fetched.size:,} bytes, not {track.size:,} as declared"
            )
        headers = DownloadHeaders(fetched.file_name, fetched.content_type)
        staged = Staged(fetched.size, fetched.sha256, headers, fetched.sha256, fetched.size)
        return finish(path, staged, source.of_track(job, *_place(job, task_number, index)))


def _download(path: str, job: Job, track: Track, api: Client, transfer: Transfer) -> Fetched:
    with _Partial(path) as target:
        return api.download(
            track.url,
            target,
            transfer,
            have=target.have,
            etag=target.etag,
            expected_size=track.size if track.declared_size is None else None,
            began=target.began,
            max_bytes=max_track_bytes(job),
        )


def max_track_bytes(job: Job) -> int:
    """A size that no real track exceeds: the source's length at the highest rate, or a few times the source's size."""
    return _MIN_LIMIT_BYTES + 4 * job.size + int((job.duration or 0.0) * _MAX_BYTES_PER_SECOND)


def copy_duplicate(job: Job, task_number: int, index: int) -> Staged:
    """Copy the track's `copy_from`, an earlier job's result, into the staging folder.

    Its tags are those of its own source, and are yet to be written. Raises DuplicateChangedError if it is missing or not the file
    that was delivered, but for tags that were changed since; and FileError.
    """
    _, track = _place(job, task_number, index)
    path = staged_path(job, task_number, index)
    make_staging(job)
    if known := load_record(path):
        return known
    origin = track.copy_from or ""
    changed = DuplicateChangedError(f"{printable(origin)} is not the result that was delivered once.")
    with translate_errors(path, job.settings.outbox):
        try:
            digest = copy_durably(origin, path)
        except (FileNotFoundError, NotADirectoryError):
            raise changed from None
        size = os.path.getsize(path)
        is_delivered = digest == track.sha256 and size == track.size
        if not is_delivered and not is_as_sent(path, track):
            os.unlink(path)
            raise changed
        headers = DownloadHeaders(file_name=os.path.basename(origin))
        return save_record(path, Staged(size, digest, headers, track.sent_sha256 or digest, size))


def is_as_sent(path: str, track: Track) -> bool:
    """Whether a file is the track as the service sent it, whatever tags it has been given since. Raises OSError."""
    return track.sent_sha256 is not None and sha256_without_tags(path) == track.sent_sha256


def _place(job: Job, task_number: int, index: int) -> tuple[Task, Track]:
    task = next(task for task in job.tasks if task.number == task_number)
    return task, task.tracks[index]


class _Partial(FileIO):
    """A track that is being downloaded. Its proof, with which the rest is requested, exists only while it is true of its bytes.

    The proof is valid for this boot of the machine: after a power failure it is unknown which bytes reached the disk.
    """

    def __init__(self, path: str) -> None:
        super().__init__(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+")
        self._proof = proof_path(path)
        self._unchecked_bytes = 0
        self.have = os.fstat(self.fileno()).st_size
        self.etag = self._proven()

    def _proven(self) -> str | None:
        if self.have:
            with suppress(OSError, ValueError), open(self._proof, encoding="utf-8") as file:
                etag, boot = json.load(file)
                return str(etag) if boot == _boot() else None
        return None

    def began(self, etag: str | None) -> None:
        """A response with this version has begun; the bytes on disk may belong to another version."""
        with suppress(FileNotFoundError):
            os.unlink(self._proof)
        self.etag = etag

    def write(self, piece: ReadableBuffer) -> int:
        """Write, and leave the reserved space free for other programs; checked whenever half of it may be used up."""
        if self._unchecked_bytes <= 0:
            check_room(self.fileno())
            self._unchecked_bytes = RESERVED_FREE_BYTES // 2
        written = super().write(piece)
        self._unchecked_bytes -= written
        return written

    def truncate(self, size: int | None = None) -> int:
        """The bytes that remain belong to the version that has begun."""
        left = super().truncate(size)
        if self.etag is not None:
            with open(self._proof, "w", encoding="utf-8") as file:
                json.dump([self.etag, _boot()], file)
        return left


def _boot() -> str:
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""
