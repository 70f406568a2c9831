"""A source file leaves its place: never lost, never mixed up with a stranger's that took its name meanwhile.

    found ──► copied, where the target is on another file system ──► taken aside, compared ──► under its new name, durable

The name aside is hidden and in the file's own folder, so that taking it is one rename; what a crash leaves is found under it.
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
from lalald.filesystem.directory_cache import DIRECTORY_CACHE
from lalald.filesystem.file_numbers import int64, is_same_time
from lalald.filesystem.file_protection import check_movable
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
from lalald.filesystem.names import numbered, printable, with_ending
from lalald.filesystem.placeholders import clear_reservation, remove_leftovers
from lalald.filesystem.renaming import can_rename_between, rename_without_replacing
from lalald.filesystem.writeback import copy_durably
from lalald.jobs.job import Job

_BELIEVED_SECONDS = 10.0
_REMEMBERED_AT_MOST = 100
_RENAMED_AT: dict[tuple[str, str], float] = {}  # from which folder to which, and when it was tried


class StrangerError(Exception):
    """Another file has the name; it was left, or put back, untouched."""


@dataclass(frozen=True)
class Source:
    """A job's file, and what it looked like when it was taken."""

    job: Job
    path: str

    @cached_property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    @cached_property
    def aside(self) -> str:
        """The hidden name, by which a person still recognises the file."""
        name = f".lalald-aside-{self.job.id}-{int(self.job.created_at * 1000):x}-{os.path.basename(self.path)}"
        if len(os.fsencode(name)) > MIN_NAME_BYTES:
            name = with_ending(name, "", max_name_bytes(self.folder))
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


def find(source: Source) -> str | None:
    """Where the file is: its own name, its name aside after a crash, or None where it is gone.

    Raises StrangerError where only another file is there.
    """
    aside = lstat_or_none(source.aside)
    if aside is not None and source.is_ours(aside, source.aside):
        return source.aside
    if aside is not None and not clear_reservation(source.aside):
        put_back(source)
    there = lstat_or_none(source.path)
    if there is None:
        return None
    if not source.is_ours(there, source.path):
        raise StrangerError
    return source.path


def take_aside(source: Source, crash_point: CrashPoint) -> None:
    """Raises StrangerError, with the stranger back in its place, where the name was another file's at that moment."""
    rename_without_replacing(source.path, source.aside)
    crash_point("taken aside")
    facts = lstat_or_none(source.aside)
    if facts is None or not source.is_ours(facts, source.aside):
        put_back(source)
        crash_point("put back")
        raise StrangerError


def put_back(source: Source) -> None:
    """What is aside gets its name again, or, where that is taken, a numbered one beside it."""
    folder, name = os.path.split(source.path)
    clear_reservation(source.path)
    for number in count(1):
        try:
            rename_without_replacing(source.aside, os.path.join(folder, numbered(name, number, max_name_bytes(folder))))
        except FileExistsError:
            continue
        return


def remove(source: Source, crash_point: CrashPoint) -> bool:
    """Deletes the file. False where it is gone already. Raises StrangerError."""
    found = find(source)
    if found is None:
        return False
    if found == source.path:
        take_aside(source, crash_point)
    os.unlink(source.aside)
    crash_point("removed")
    sync_folder(source.folder)
    return True


def move(
    source: Source, found: str, folder: str, name: str, crash_point: CrashPoint, beside: Beside | None = None
) -> str:
    """Moves a file from where it was found into an existing folder, as `name` or numbered. Returns where it is now.

    `beside` puts something beside each name that is tried, or says that its own is taken. Raises StrangerError, OSError.
    """
    if found == source.aside:
        if (moved := moved_before(source, folder, name)) is not None:
            os.unlink(source.aside)
            crash_point("removed")
            return moved
        remove_leftovers(folder)
    check_movable(found)
    copy = None if _moves_between(source, folder) else _copied(source, found, folder, crash_point)
    try:
        target = _into(source, found, folder, name, copy, crash_point, beside)
    except BaseException:
        _RENAMED_AT.pop((source.folder, folder), None)
        if copy is not None:
            with suppress(OSError):
                os.unlink(copy)
        raise
    sync_folder(folder)
    crash_point("folder synced")
    if copy is not None:
        os.unlink(source.aside)
        crash_point("removed")
    sync_folder(source.folder)
    return target


@dataclass(frozen=True, slots=True)
class Beside:
    """Something that belongs beside the file: `put` may raise FileExistsError, `take_away` undoes it."""

    put: Callable[[str], None]
    take_away: Callable[[str], None]


def _into(
    source: Source, found: str, folder: str, name: str, copy: str | None, crash_point: CrashPoint, beside: Beside | None
) -> str:
    for number in count(1):
        candidate = name if number == 1 else numbered(name, number, max_name_bytes(folder))
        target = os.path.join(folder, candidate)
        if DIRECTORY_CACHE.alike(folder, candidate):
            continue
        DIRECTORY_CACHE.make(folder, candidate)
        try:
            if beside:
                beside.put(target)
                crash_point("beside")
        except FileExistsError:
            continue
        try:
            if lstat_or_none(source.aside) is None:
                take_aside(source, crash_point)
            rename_without_replacing(copy or source.aside, target)
        except (FileExistsError, StrangerError) as error:
            if beside:
                beside.take_away(target)
            if isinstance(error, StrangerError):
                raise
            continue
        crash_point("moved")
        return target
    raise FileError(f"{printable(found)} could not be given any name in {printable(folder)}.")


def is_aside(source: Source) -> bool:
    """Whether the file waits under its hidden name."""
    try:
        facts = lstat_or_none(source.aside)
    except OSError:
        return False
    return facts is not None and source.is_ours(facts, source.aside)


def moved_before(source: Source, folder: str, name: str) -> str | None:
    """The file under one of the names that a try before a crash may have given it."""
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


def _moves_between(source: Source, folder: str) -> bool:
    """Whether a rename can do it. Only a try tells: two mounts of one file system look alike. Raises OSError without the right.

    It is believed for a while. Where the file then cannot be renamed after all, it waits aside, and the next try copies it.
    """
    if time.monotonic() - _RENAMED_AT.get((source.folder, folder), float("-inf")) < _BELIEVED_SECONDS:
        return True
    if not can_rename_between(source.folder, folder):
        return False
    if len(_RENAMED_AT) >= _REMEMBERED_AT_MOST:
        _RENAMED_AT.clear()
    _RENAMED_AT[source.folder, folder] = time.monotonic()
    return True


def _copied(source: Source, found: str, folder: str, crash_point: CrashPoint) -> str:
    """A whole, durable, compared copy under a hidden name in the target's folder; it keeps the time of the last change."""
    hidden = os.path.join(folder, f".lalald-copy-{source.job.id}-{int(source.job.created_at * 1000):x}.part")
    try:
        with translate_errors(hidden, folder):
            digest = copy_durably(found, hidden, crash_point)
        facts = lstat_or_none(found)
        if facts is None or not source.is_ours(facts, found):
            raise StrangerError
        with suppress(OSError, OverflowError):  # there are times that a file system does not take
            os.utime(hidden, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        if sha256_of(hidden, from_disk=True) != digest:
            raise FileError(f"{printable(folder)} gave back other bytes than were written.", hint="Check that disk.")
    except BaseException:
        with suppress(OSError):
            os.unlink(hidden)
        raise
    crash_point("copied")
    return hidden
