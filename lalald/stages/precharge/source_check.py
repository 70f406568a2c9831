"""A look at the job's file before money is spent on it."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace

from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, FolderUnavailableError
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.files import listed, lstat_or_none, to_file_error, translate_errors
from lalald.filesystem.markers import read_marker
from lalald.filesystem.names import printable
from lalald.jobs.failure_kinds import FailureKind
from lalald.jobs.job import Discarded, Failed, Job
from lalald.stages.context import StageContext

REMOVED = "the file was removed before anything was spent on it"
CHANGED = "the file changed before anything was spent on it"

_AWAY = {errno.ENOENT, errno.ENOTDIR}
_FOLDER_TROUBLE = {errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ENODEV, errno.EHOSTDOWN, errno.ETIMEDOUT}


async def changed(job: Job, context: StageContext) -> str | None:
    """What became of the job's file since it was taken, or None where it is as it was.

    Raises FolderUnavailableError where its folder is away.
    """
    reason = await context.disks.run(source_folder(job), look, job)
    if reason is not None:
        await check_its_folder(job, context)
    return reason


async def check_its_folder(job: Job, context: StageContext) -> None:
    """Raises FolderUnavailableError where the folder is away in which the job's file should be: then nothing is known of the file."""
    if (folder := source_folder(job)) == job.inbox:
        await check_inbox(job.inbox, context)
    else:
        await context.folders.check(folder)


async def check_inbox(inbox: str, context: StageContext) -> None:
    """Raises FolderUnavailableError where another folder stands at the inbox's path, such as the mount point beneath it."""
    expected = await context.store.run(lambda store: store.inbox_marker(inbox))
    await context.disks.run_shared(inbox, _check_inbox, expected)


def _check_inbox(inbox: str, expected: str | None) -> None:
    with translate_errors(inbox, inbox):
        if lstat_or_none(inbox) is None or not os.path.isdir(inbox):
            raise FolderUnavailableError(f"{printable(inbox)} is not there.", hint="It resumes when it is back.")
        if expected is not None and read_marker(inbox) != expected:
            message = (
                f"{printable(inbox)} is not the folder that was watched before: its marker is missing, or another one."
            )
            raise FolderUnavailableError(message, hint="Is it mounted? It resumes when the right one is back.")
        if expected is None and not os.path.ismount(inbox) and not listed(inbox):  # nothing tells the two apart
            raise FolderUnavailableError(f"{printable(inbox)} is empty.", hint="Is it mounted?")


def check_reachable(path: str, folder: str) -> None:
    """On a thread. Raises FolderPermissionError, FolderUnavailableError, FileError where nothing can be said of a file."""
    with translate_errors(path, folder):
        lstat_or_none(path)


def look(job: Job) -> str | None:
    """On a thread: what became of the job's file, or None. Raises FolderUnavailableError, FileError."""
    path = source_path(job)
    try:
        facts = os.stat(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in _AWAY:
            return REMOVED
        if error.errno in _FOLDER_TROUBLE:
            raise FolderUnavailableError(
                f"{job.inbox} is not there ({error.strerror}).", hint="It resumes when it is back."
            ) from error
        raise to_file_error(error, path, job.inbox) from error
    if (facts.st_size, int64(facts.st_mtime_ns)) != (job.size, job.mtime_ns):
        return CHANGED
    return None


def gone(job: Job, reason: str) -> Discarded | Failed:
    """What follows where the file is not what it was, and nothing was spent: what lies in its place now is taken anew.

    Nobody looks for files where failures belong: of one there a person has to say that it is meant.
    """
    if job.moved_to is None or reason == REMOVED:
        return Discarded(reason)
    words = f"{printable(job.moved_to)}: {reason}. `lalald retry {job.id}` takes it as it is now."
    return Failed(words, job=replace(job, source_id=None, expires_at=None), kind=FailureKind.CHANGED)


def digest(path: str) -> str:
    """SHA-256 of a file, in constant memory. Raises FileError."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.", hint="Check its owner and mode.") from error
