"""One track into the staging folder, from the service; goes on where an earlier try stopped."""

from __future__ import annotations

import os
from contextlib import suppress

from lalald.api import Client, Transfer
from lalald.endings import Heard
from lalald.files import plain_errors
from lalald.jobs import Job, Track
from lalald.outbox.staging import Staged, make_staging, recall, remember, staged_path


def fetch(job: Job, task_number: int, position: int, track: Track, api: Client, transfer: Transfer) -> Staged:
    """On a thread: the track, whole and durable. Raises ServiceError, TransferStopped, DiskFullError, FolderUnavailableError."""
    make_staging(job)
    path = staged_path(job, task_number, position)
    if known := recall(path):
        return known
    version = f"{path}.version"  # what the service calls these bytes: only the same can be gone on with

    def began(etag: str | None) -> None:
        with suppress(FileNotFoundError):
            os.unlink(version)
        if etag:
            with open(version, "w", encoding="utf-8") as file:
                file.write(etag)

    with plain_errors(path, job.handling.outbox):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with open(handle, "r+b", buffering=0) as file:
            have = os.fstat(handle).st_size
            etag = _read(version) if have else None
            if etag is None:
                have = 0
                file.truncate(0)
            fetched = api.download(
                track.url, file, transfer, have=have, etag=etag, expected_size=track.size, began=began
            )  # fmt: skip
            os.fsync(handle)
        with suppress(FileNotFoundError):
            os.unlink(version)
        return remember(path, Staged(fetched.size, fetched.sha256, Heard(fetched.file_name, fetched.content_type)))


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read() or None
    except (OSError, ValueError):
        return None
