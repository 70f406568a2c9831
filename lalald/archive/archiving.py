"""Archive a job's source: move it to `done_dir` or `failed_dir`, keep it, or delete it. Blocking; runs in worker threads."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace

from lalald.archive import error_note, source_moves
from lalald.archive.error_note import withdraw
from lalald.archive.source_moves import Companion, ForeignFileError, Source
from lalald.archive.source_paths import root_of, source_path
from lalald.errors import FileError, FolderUnavailableError
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.files import (
    CrashPoint,
    check_folder,
    create_folders,
    list_names,
    lstat_or_none,
    max_name_bytes,
    no_crash_point,
    rejects_name,
    translate_errors,
)
from lalald.filesystem.names import portable_name, printable, truncate_name
from lalald.jobs.job import Job, with_warning
from lalald.jobs.spending import consent

_GONE = "its source file was removed before it could be archived"
_FOREIGN = "another file now has the name of its source file; it was not touched"


def archive_source(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Move, keep or delete the source as `on_success` says. Returns the job with its file's `moved_to`, archived.

    Run again after a crash, it continues with the same file. Raises DiskFullError, FolderUnavailableError, FileError; the file
    is then in its place, or beside it under a hidden name that the next attempt finds.
    """
    source = _source(job)
    try:
        with translate_errors(source.path, job.inbox):
            archived = _ON_SUCCESS[job.settings.on_success](job, source, crash_point)
    except ForeignFileError:
        return with_warning(replace(job, archived=True), _FOREIGN)
    except FileError as error:
        if source_moves.is_aside(source):
            error.hint = f"{error.hint} Until then the file waits as {printable(source.aside)}.".lstrip()
        raise
    if job.moved_to is not None:
        error_note.remove(job, job.moved_to)
    return replace(archived, archived=True)


def archive_failed_source(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Move a failed job's source to `failed_dir`, beside a note that says why; `on_failure: keep` leaves it.

    Raises DiskFullError, FolderUnavailableError, FileError; the file is then in its place.
    """
    if job.settings.on_failure == "keep":
        return replace(job, archived=True)
    source = _source(job)
    companion = Companion(lambda path: error_note.write(job, path), lambda path: error_note.remove(job, path))
    with translate_errors(source.path, job.inbox):
        try:
            archived = _move(job, source, job.settings.failed_dir, crash_point, companion)
        except ForeignFileError:
            archived = with_warning(job, _FOREIGN)
        except BaseException:
            if source_moves.is_aside(source):
                source_moves.restore_source(source)
            raise
    return replace(archived, archived=True)


def with_current_file(job: Job) -> Job:
    """A failed job that resumes, with its file as it is now, unless results were paid for the file as it was."""
    withdraw(job)
    if job.moved_to is None or any(task.paid and not task.restarts_on_retry for task in job.tasks):
        return job
    with suppress(OSError):
        facts = os.lstat(job.moved_to)
        mtime_ns = int64(facts.st_mtime_ns)
        if stat.S_ISREG(facts.st_mode) and (facts.st_size, mtime_ns) != (job.size, job.mtime_ns):
            job = replace(job, size=facts.st_size, mtime_ns=mtime_ns, inode=int64(facts.st_ino))
            job = replace(job, source_id=None, expires_at=None, duration=None, sha256=None)
            tasks = tuple(task.reset() if task.paid_by is not None else task for task in job.tasks)
            return consent.without_consent(replace(job, tasks=tasks, duplicate_of=None))
    return job


def _source(job: Job) -> Source:
    return Source(job, source_path(job))


def _keep(job: Job, _source: Source, _crash_point: CrashPoint) -> Job:
    return job if job.moved_to is None else with_warning(job, f"its source file stays in {printable(job.moved_to)}")


def _delete(job: Job, source: Source, crash_point: CrashPoint) -> Job:
    if not source_moves.remove(source, crash_point):
        _check_not_emptied(job)
    return replace(job, moved_to=None)


def _to_done(job: Job, source: Source, crash_point: CrashPoint) -> Job:
    return _move(job, source, job.settings.done_dir, crash_point, None)


_ON_SUCCESS = {"move": _to_done, "keep": _keep, "delete": _delete}


def _move(job: Job, source: Source, configured: str, crash_point: CrashPoint, companion: Companion | None) -> Job:
    """Move the file below `configured`, with its subfolder; it stays if it is there already."""
    root, below = root_of(job.inbox, configured)
    within, name = os.path.split(job.path)
    if job.moved_to is not None and source.folder == os.path.normpath(os.path.join(root, below, within)):
        return _stay(job, source, companion)
    if root != job.inbox:
        check_folder(root)
        within, name = os.path.split(_accepted(root, job.path))
    folder = os.path.normpath(os.path.join(root, below, within))
    found = source_moves.locate(source)
    if found is None:
        moved = source_moves.find_moved(source, folder, name)
        if moved is None:
            _check_not_emptied(job)
        return _moved(job, moved) if moved else with_warning(job, _GONE)
    create_folders(root, os.path.join(below, within), crash_point)
    return _moved(job, source_moves.move(source, found, folder, name, crash_point, companion))


def _moved(job: Job, moved_to: str) -> Job:
    """The job with its file there, and the modification time as stored there, by which the file is recognized later."""
    with suppress(OSError):
        if (facts := lstat_or_none(moved_to)) is not None:
            job = replace(job, mtime_ns=int64(facts.st_mtime_ns))
    return replace(job, moved_to=moved_to)


def _accepted(root: str, path: str) -> str:
    """The path as another file system accepts it: its names short enough, and without characters that it rejects."""
    max_bytes = max_name_bytes(root)
    parts = []
    for part in path.split("/"):
        is_odd = portable_name(part) != part and rejects_name(root, part)
        parts.append(truncate_name(portable_name(part) if is_odd else part, max_bytes))
    return "/".join(parts)


def _stay(job: Job, source: Source, companion: Companion | None) -> Job:
    if source_moves.is_aside(source):
        source_moves.restore_source(source)
    if companion and os.path.lexists(source.path):  # the note explains what happened
        with suppress(FileExistsError):
            companion.write(source.path)
    return job


def _check_not_emptied(job: Job) -> None:
    """Raises FolderUnavailableError if the inbox has no entry, not even our marker: it may be an empty mount point."""
    with translate_errors(job.inbox, job.inbox):
        os.stat(job.inbox)
        if job.moved_to is None and not list_names(job.inbox):
            raise FolderUnavailableError(f"{printable(job.inbox)} is empty.", hint="Is it mounted?", path=job.inbox)
