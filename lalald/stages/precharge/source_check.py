"""Check the job's source file before money is spent on it."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from enum import StrEnum

from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, FolderUnavailableError
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.files import list_names, lstat_or_none, to_file_error, translate_errors
from lalald.filesystem.markers import read_marker
from lalald.filesystem.names import printable
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Discarded, Failed
from lalald.stages.context import StageContext

_MISSING = {errno.ENOENT, errno.ENOTDIR}
_FOLDER_UNAVAILABLE = {errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ENODEV, errno.EHOSTDOWN, errno.ETIMEDOUT}


class SourceChange(StrEnum):
    """How the source file differs from the file that the job was created for."""

    REMOVED = "the file was removed before anything was spent on it"
    CHANGED = "the file changed before anything was spent on it"


async def source_change(job: Job, context: StageContext) -> SourceChange | None:
    """How the job's file changed since the job was created, or None.

    Raises FolderUnavailableError if its folder is unavailable.
    """
    change = await context.disks.run(source_folder(job), compare_source, job)
    if change is not None:
        await check_source_folder(job, context)
    return change


async def check_source_folder(job: Job, context: StageContext) -> None:
    """Raises FolderUnavailableError if the folder of the job's file is unavailable: a missing file means nothing then."""
    if (folder := source_folder(job)) == job.inbox:
        await check_inbox(job.inbox, context)
    else:
        await context.folders.check(folder)


async def check_inbox(inbox: str, context: StageContext) -> None:
    """Raises FolderUnavailableError if the inbox is missing or another folder is at its path, such as an empty mount point."""
    expected = await context.store.run(lambda store: store.folders.inbox_marker(inbox))
    await context.disks.run_shared(inbox, _check_inbox, expected)


def _check_inbox(inbox: str, expected: str | None) -> None:
    with translate_errors(inbox, inbox):
        if lstat_or_none(inbox) is None or not os.path.isdir(inbox):
            raise FolderUnavailableError(
                f"{printable(inbox)} is missing.", hint="Work resumes when it is back.", path=inbox
            )
        if expected is not None and read_marker(inbox) != expected:
            message = (
                f"{printable(inbox)} is not the folder that was watched before: its marker is missing or different."
            )
            hint = "Is it mounted? Work resumes when the right folder is back."
            raise FolderUnavailableError(message, hint=hint, path=inbox)
        if expected is None and not os.path.ismount(inbox) and not list_names(inbox):  # may be an empty mount point
            raise FolderUnavailableError(f"{printable(inbox)} is empty.", hint="Is it mounted?", path=inbox)


def check_reachable(path: str, folder: str) -> None:
    """On a thread. Raises FolderPermissionError, FolderUnavailableError or FileError if the file cannot be examined."""
    with translate_errors(path, folder):
        lstat_or_none(path)


def compare_source(job: Job) -> SourceChange | None:
    """On a thread: how the job's file changed, or None. Raises FolderUnavailableError, FileError."""
    path = source_path(job)
    try:
        facts = os.stat(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in _MISSING:
            return SourceChange.REMOVED
        if error.errno in _FOLDER_UNAVAILABLE:
            raise FolderUnavailableError(
                f"{printable(job.inbox)} is unavailable ({error.strerror}).",
                hint="Work resumes when it is back.",
                path=job.inbox,
            ) from error
        raise to_file_error(error, path, job.inbox) from error
    if (facts.st_size, int64(facts.st_mtime_ns)) != (job.size, job.mtime_ns):
        return SourceChange.CHANGED
    return None


def discard_or_fail(job: Job, change: SourceChange) -> Discarded | Failed:
    """The outcome when the file changed and nothing was spent: a file in the inbox becomes a new job.

    The failed folder is not watched, so a file that changed there fails its job until a person retries it.
    """
    if job.moved_to is None or change is SourceChange.REMOVED:
        return Discarded(change)
    words = f"{printable(job.moved_to)}: {change}. Run `lalald retry {job.id}` to process it as it is now."
    return Failed(words, job=replace(job, source_id=None, expires_at=None), kind=FailureKind.CHANGED)


def sha256(path: str) -> str:
    """SHA-256 of a file, in constant memory. Raises FileError."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(
            f"{printable(path)} cannot be read: {error.strerror}.", hint="Check its owner and mode.", path=path
        ) from error
