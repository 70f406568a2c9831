"""Move or delete a source file without losing it or confusing it with another file that got its name meanwhile.

    locate ──► copy, if the target is on another file system ──► move aside and compare ──► rename to its new name, durable

The name aside is hidden and in the file's own folder, so that moving there is one rename; after a crash the file is found there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from lalald.errors import FileError
from lalald.filesystem.availability.folder_probe import check_movable
from lalald.filesystem.directory_cache import DIRECTORY_CACHE
from lalald.filesystem.file_numbers import int64, is_same_time
from lalald.filesystem.files import (
    MIN_NAME_BYTES,
    CrashPoint,
    has_stable_inodes,
    is_same_file,
    list_names,
    lstat_or_none,
    max_name_bytes,
    sha256_of,
    sync_folder,
    translate_errors,
)
from lalald.filesystem.names import numbered_name, printable, with_suffix
from lalald.filesystem.placeholders import clear_reservation, remove_leftovers
from lalald.filesystem.renaming import can_rename_between, rename_without_replacing
from lalald.filesystem.writeback import copy_durably
from lalald.jobs.job import Job

_VALID_SECONDS = 10.0
_MAX_REMEMBERED = 100
_RENAMED_AT: dict[tuple[str, str], float] = {}  # by source and target folder: when a rename between them was tried


class ForeignFileError(Exception):
    """Another file has the source's name; it was left or restored untouched."""


@dataclass(frozen=True)
class Source:
    """A job's file at its last known path."""

    job: Job
    path: str

    @cached_property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    @cached_property
    def aside(self) -> str:
        """The hidden path; a person can still recognize the file's name in it."""
        name = f".lalald-aside-{self.job.id}-{int(self.job.created_at * 1000):x}-{os.path.basename(self.path)}"
        if len(os.fsencode(name)) > MIN_NAME_BYTES:
            name = with_suffix(name, "", max_name_bytes(self.folder))
        return os.path.join(self.folder, name)

    def is_ours(self, facts: os.stat_result, path: str) -> bool:
        """Whether the file at `path` is the source.

        A file that was archived before may have crossed file systems: there only size and time, roughly, are kept. With the same size
        and time but another inode it may have been restored, or moved to another disk with its folder: then its content decides.
        """
        if self.job.moved_to is not None:
            return _is_copy(self, facts)
        if not is_same_file(facts, self.job.size, self.job.mtime_ns, None):
            return False
        if int64(facts.st_ino) == self.job.inode or not self.job.inode or not has_stable_inodes(facts):
            return True
        return self.job.sha256 is not None and stat.S_ISREG(facts.st_mode) and sha256_of(path) == self.job.sha256


def locate(source: Source) -> str | None:
    """The file's path: its own, or the one aside after a crash; None if it is gone.

    Raises ForeignFileError if only another file is there.
    """
    aside = lstat_or_none(source.aside)
    if aside is not None and source.is_ours(aside, source.aside):
        return source.aside
    if aside is not None and not clear_reservation(source.aside):
        restore_source(source)
    there = lstat_or_none(source.path)
    if there is None:
        return None
    if not source.is_ours(there, source.path):
        raise ForeignFileError
    return source.path


def move_aside(source: Source, crash_point: CrashPoint) -> None:
    """Rename the file to its hidden name. Raises ForeignFileError if another file had its name; that file is restored."""
    rename_without_replacing(source.path, source.aside)
    crash_point("moved aside")
    facts = lstat_or_none(source.aside)
    if facts is None or not source.is_ours(facts, source.aside):
        restore_source(source)
        crash_point("restored")
        raise ForeignFileError


def restore_source(source: Source) -> None:
    """Give the file aside its name again, or a numbered one if that is taken."""
    folder, name = os.path.split(source.path)
    clear_reservation(source.path)
    for number in count(1):
        try:
            rename_without_replacing(
                source.aside, os.path.join(folder, numbered_name(name, number, max_name_bytes(folder)))
            )
        except FileExistsError:
            continue
        return


def remove(source: Source, crash_point: CrashPoint) -> bool:
    """Delete the file. False if it is gone already. Raises ForeignFileError."""
    found = locate(source)
    if found is None:
        return False
    if found == source.path:
        move_aside(source, crash_point)
    os.unlink(source.aside)
    crash_point("removed")
    sync_folder(source.folder)
    return True


def move(
    source: Source, found: str, folder: str, name: str, crash_point: CrashPoint, companion: Companion | None = None
) -> str:
    """Move a file from where it was found into an existing folder, as `name` or numbered. Returns its new path.

    `companion` is written beside each name that is tried. Raises ForeignFileError, OSError.
    """
    if found == source.aside:
        if (moved := find_moved(source, folder, name)) is not None:
            os.unlink(source.aside)
            crash_point("removed")
            return moved
        remove_leftovers(folder)
    check_movable(found)
    copy = None if _can_rename(source, folder) else _copy(source, found, folder, crash_point)
    try:
        target = _move_into(_Move(source, folder, name, copy, companion), crash_point)
    except BaseException:
        _RENAMED_AT.pop((source.folder, folder), None)
        if copy is not None:
            with suppress(OSError):
                os.unlink(copy)
        raise
    _finish_move(source, folder, copy, crash_point)
    return target


def _finish_move(source: Source, folder: str, copy: str | None, crash_point: CrashPoint) -> None:
    """Make the new name durable before the original of a copy is removed."""
    sync_folder(folder)
    crash_point("folder synced")
    if copy is not None:
        os.unlink(source.aside)
        crash_point("removed")
    sync_folder(source.folder)


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs beside the source: `write` may raise FileExistsError, `remove` undoes it."""

    write: Callable[[str], None]
    remove: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Move:
    """A file on its way into a folder; `copy` is its hidden copy there, if a rename is not possible."""

    source: Source
    folder: str
    name: str
    copy: str | None
    companion: Companion | None


def _move_into(move: _Move, crash_point: CrashPoint) -> str:
    """Give the file the first free name. Returns its path."""
    for number in count(1):
        candidate = move.name if number == 1 else numbered_name(move.name, number, max_name_bytes(move.folder))
        target = os.path.join(move.folder, candidate)
        if DIRECTORY_CACHE.equivalent_names(move.folder, candidate):
            continue
        DIRECTORY_CACHE.add(move.folder, candidate)
        if _is_placed_at(move, target, crash_point):
            crash_point("moved")
            return target
    raise FileError(f"{printable(move.source.path)} could not be given any name in {printable(move.folder)}.")


def _is_placed_at(move: _Move, target: str, crash_point: CrashPoint) -> bool:
    """Move the file to `target` with its companion; False if either name is taken. Raises ForeignFileError, OSError."""
    if move.companion is not None:
        try:
            move.companion.write(target)
        except FileExistsError:
            return False
        crash_point("companion written")
    try:
        if lstat_or_none(move.source.aside) is None:
            move_aside(move.source, crash_point)
        rename_without_replacing(move.copy or move.source.aside, target)
    except (FileExistsError, ForeignFileError) as error:
        if move.companion is not None:
            move.companion.remove(target)
        if isinstance(error, ForeignFileError):
            raise
        return False
    return True


def is_aside(source: Source) -> bool:
    """Whether the file is under its hidden name."""
    try:
        facts = lstat_or_none(source.aside)
    except OSError:
        return False
    return facts is not None and source.is_ours(facts, source.aside)


def find_moved(source: Source, folder: str, name: str) -> str | None:
    """The file under one of the names that an attempt before a crash may have given it, or None."""
    stem, ending = os.path.splitext(name)
    aside = lstat_or_none(source.aside)
    for entry in list_names(folder):
        if not (entry == name or (entry.startswith(stem[:40]) and entry.endswith(ending) and " (" in entry)):
            continue
        path = os.path.join(folder, entry)
        facts = lstat_or_none(path)
        if facts is None or not _is_copy(source, facts):
            continue
        if aside is None or os.path.samestat(aside, facts) or sha256_of(path) == sha256_of(source.aside):
            return path
    return None


def _is_copy(source: Source, facts: os.stat_result) -> bool:
    close = is_same_time(facts.st_mtime_ns, source.job.mtime_ns)
    return stat.S_ISREG(facts.st_mode) and facts.st_size == source.job.size and close


def _can_rename(source: Source, folder: str) -> bool:
    """Whether a rename to the folder works. Only an attempt shows it: two mounts of one file system look alike.

    The answer is valid for a while. If the file cannot be renamed after all, it stays aside, and the next attempt copies it.
    Raises OSError if the right is missing.
    """
    if time.monotonic() - _RENAMED_AT.get((source.folder, folder), float("-inf")) < _VALID_SECONDS:
        return True
    if not can_rename_between(source.folder, folder):
        return False
    if len(_RENAMED_AT) >= _MAX_REMEMBERED:
        _RENAMED_AT.clear()
    _RENAMED_AT[source.folder, folder] = time.monotonic()
    return True


def _copy(source: Source, found: str, folder: str, crash_point: CrashPoint) -> str:
    """A complete, durable, verified copy under a hidden name in the target folder, with the source's modification time."""
    hidden = os.path.join(folder, f".lalald-copy-{source.job.id}-{int(source.job.created_at * 1000):x}.part")
    try:
        with translate_errors(hidden, folder):
            digest = copy_durably(found, hidden, crash_point)
        facts = lstat_or_none(found)
        if facts is None or not source.is_ours(facts, found):
            raise ForeignFileError
        with suppress(OSError, OverflowError):  # some file systems cannot store every time
            os.utime(hidden, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        if sha256_of(hidden, from_disk=True) != digest:
            raise FileError(f"{printable(folder)} returned other bytes than were written.", hint="Check that disk.")
    except BaseException:
        with suppress(OSError):
            os.unlink(hidden)
        raise
    crash_point("copied")
    return hidden
