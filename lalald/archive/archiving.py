"""The source file goes where it belongs, after everything else. All of it blocks and runs in worker threads."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace

from lalald.archive import error_note, source_moves
from lalald.archive.error_note import withdraw
from lalald.archive.source_moves import Beside, Source, StrangerError
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
from lalald.filesystem.names import fitting, portable, printable
from lalald.jobs import consent
from lalald.jobs.job import Job, with_warning

_GONE = "its source file was gone before it could be filed away"
_STRANGER = "another file now has the name of its source file; it was not touched"


def archive_source(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Moves, keeps or deletes the source as `on_success` says. The job with its file's `location`, filed.

    Run again after a crash, it goes on with the same file. Raises DiskFullError, FolderUnavailableError, FileError; the file
    is then in its place, or beside it under a hidden name that the next try finds.
    """
    source = _source(job)
    try:
        with translate_errors(source.path, job.inbox):
            filed = _ON_SUCCESS[job.settings.on_success](job, source, crash_point)
    except StrangerError:
        return with_warning(replace(job, archived=True), _STRANGER)
    except FileError as error:
        if source_moves.is_aside(source):
            error.hint = f"{error.hint} Until then the file waits as {printable(source.aside)}.".lstrip()
        raise
    if job.moved_to is not None:
        error_note.remove(job, job.moved_to)
    return replace(filed, archived=True)


def archive_failed_source(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Moves a failed job's source to `failed_dir`, beside a note that says why; `on_failure: keep` leaves it.

    Raises DiskFullError, FolderUnavailableError, FileError; the file is in its place then.
    """
    if job.settings.on_failure == "keep":
        return replace(job, archived=True)
    source = _source(job)
    beside = Beside(lambda path: error_note.write(job, path), lambda path: error_note.remove(job, path))
    with translate_errors(source.path, job.inbox):
        try:
            filed = _move(job, source, job.settings.failed_dir, crash_point, beside)
        except StrangerError:
            filed = with_warning(job, _STRANGER)
        except BaseException:
            if source_moves.is_aside(source):
                source_moves.put_back(source)
            raise
    return replace(filed, archived=True)


def with_current_file(job: Job) -> Job:
    """A failed job goes on, with its file as it is now: where nothing is kept that was paid for the file as it was."""
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


def _keep(job: Job, _source: Source, _step: CrashPoint) -> Job:
    return job if job.moved_to is None else with_warning(job, f"its source file stays in {printable(job.moved_to)}")


def _delete(job: Job, source: Source, crash_point: CrashPoint) -> Job:
    if not source_moves.remove(source, crash_point):
        _check_not_emptied(job)
    return replace(job, moved_to=None)


def _to_done(job: Job, source: Source, crash_point: CrashPoint) -> Job:
    return _move(job, source, job.settings.done_dir, crash_point, None)


_ON_SUCCESS = {"move": _to_done, "keep": _keep, "delete": _delete}


def _move(job: Job, source: Source, configured: str, crash_point: CrashPoint, beside: Beside | None) -> Job:
    """The file goes below `configured`, with its subfolder; where it lies there already it stays."""
    root, below = root_of(job.inbox, configured)
    within, name = os.path.split(job.path)
    if job.moved_to is not None and source.folder == os.path.normpath(os.path.join(root, below, within)):
        return _stay(job, source, beside)
    if root != job.inbox:
        check_folder(root)
        within, name = os.path.split(_accepted(root, job.path))
    folder = os.path.normpath(os.path.join(root, below, within))
    found = source_moves.find(source)
    if found is None:
        moved = source_moves.moved_before(source, folder, name)
        if moved is None:
            _check_not_emptied(job)
        return _moved(job, moved) if moved else with_warning(job, _GONE)
    create_folders(root, os.path.join(below, within), crash_point)
    return _moved(job, source_moves.move(source, found, folder, name, crash_point, beside))


def _moved(job: Job, moved_to: str) -> Job:
    """The job with its file there. By the file's time as it is kept there it is found again, and known when it comes back."""
    with suppress(OSError):
        if (facts := lstat_or_none(moved_to)) is not None:
            job = replace(job, mtime_ns=int64(facts.st_mtime_ns))
    return replace(job, moved_to=moved_to)


def _accepted(root: str, path: str) -> str:
    """The path as another file system takes it: no longer than it has names, and without characters that it refuses."""
    most_bytes = max_name_bytes(root)
    parts = []
    for part in path.split("/"):
        odd = portable(part) != part and rejects_name(root, part)
        parts.append(fitting(portable(part) if odd else part, most_bytes))
    return "/".join(parts)


def _stay(job: Job, source: Source, beside: Beside | None) -> Job:
    if source_moves.is_aside(source):
        source_moves.put_back(source)
    if beside and os.path.lexists(source.path):  # whatever became of it: the note tells
        with suppress(FileExistsError):
            beside.put(source.path)
    return job


def _check_not_emptied(job: Job) -> None:
    """An inbox without a single entry, our own marker included, may be the mount point beneath one that is not mounted."""
    with translate_errors(job.inbox, job.inbox):
        os.stat(job.inbox)
        if job.moved_to is None and not list_names(job.inbox):
            raise FolderUnavailableError(f"{printable(job.inbox)} is empty.", hint="Is it mounted?")
