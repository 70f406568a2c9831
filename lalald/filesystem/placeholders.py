"""Hidden files by which renames are tried, and empty files that take a name until a file is renamed over them.

Both are recognized after a crash, by their names or by a note beside them, and removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESERVED_PREFIX = ".lalald-reserved-"
TRIAL_PREFIX = ".lalald-try-"

_PLACEHOLDER_SECONDS = 10.0  # between a note and its empty file, however slow the share
_COARSE_CLOCK_SECONDS = 2.0  # FAT keeps times to two seconds
_RESERVED: set[str] = set()  # names that a thread of this process reserves
_TRIALS: set[str] = set()  # hidden files of trials that a thread of this process makes
_CLEARED: set[str] = set()  # folders in which this process has removed what an earlier one left
_CLEARED_AT_MOST = 10_000
_LOCK = threading.Lock()


@contextmanager
def reserved(target: str) -> Iterator[os.stat_result]:
    """An empty file of ours has the name meanwhile; it is removed at the end, where it is still that.

    A note says what it is, so that one that a crash leaves can be recognized. Raises FileExistsError where the name is taken.
    """
    with _listed_in(_RESERVED, target):
        clear_reservation(target)
        note = note_path(target)
        write_note(note, target)
        try:
            made = empty_file(target)
            try:
                yield made
            finally:
                if is_same_empty_file(made, target):
                    os.unlink(target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(note)


def note_path(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, RESERVED_PREFIX + hashlib.sha256(os.fsencode(name)).hexdigest()[:32])


def write_note(note: str, target: str) -> None:
    """Written again each time: its time of change is compared with that of the empty file."""
    with suppress(FileNotFoundError):
        os.unlink(note)
    with open(note, "xb", buffering=0) as file:
        file.write(os.fsencode(os.path.basename(target)))
        with suppress(OSError):  # some file systems sync nothing
            os.fsync(file.fileno())


def empty_file(path: str) -> os.stat_result:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def is_same_empty_file(made: os.stat_result, path: str) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_size == 0 and os.path.samestat(made, there)


def clear_reservation(target: str) -> bool:
    """Removes the empty file that a crash left under a name, with its note. Whether there was one. Raises OSError."""
    note = note_path(target)
    try:
        noted = os.lstat(note)
    except (FileNotFoundError, NotADirectoryError):
        return False
    removed = False
    with suppress(FileNotFoundError):
        there = os.lstat(target)
        if _is_placeholder(there, noted):
            os.unlink(target)
            removed = True
    with suppress(FileNotFoundError):
        os.unlink(note)
    return removed


def _is_placeholder(there: os.stat_result, noted: os.stat_result) -> bool:
    """Inode numbers do not outlast a restart on the file systems that need this: owner, size and time have to do."""
    since = there.st_mtime - noted.st_mtime
    same_owner = (there.st_uid, there.st_gid) == (noted.st_uid, noted.st_gid)
    is_empty = stat.S_ISREG(there.st_mode) and there.st_size == 0 and there.st_nlink <= 1
    return is_empty and same_owner and -_COARSE_CLOCK_SECONDS <= since <= _PLACEHOLDER_SECONDS


def remove_leftovers(folder: str) -> None:
    """Removes what a crash left of trials and reservations in a folder. What cannot be removed now is removed the next time."""
    with suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with suppress(OSError):
                if name.startswith(RESERVED_PREFIX):
                    _clear_noted(folder, path)
                elif name.startswith(TRIAL_PREFIX) and path not in _TRIALS:
                    _remove_trial(path)


def _clear_noted(folder: str, note: str) -> None:
    with open(note, "rb") as file:
        target = os.path.join(folder, os.fsdecode(file.read(4096)))
    if target not in _RESERVED and note_path(target) == note:
        clear_reservation(target)
    elif note_path(target) != note:  # the crash came before its content
        os.unlink(note)


def _remove_trial(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))
    os.rmdir(path)


@contextmanager
def hidden_path(folder: str) -> Iterator[str]:
    """A hidden name in a folder that no other trial has; a file or flat folder that is left there in the end is removed.

    What an earlier process left there is removed at the first one.
    """
    if folder not in _CLEARED:
        if len(_CLEARED) >= _CLEARED_AT_MOST:
            _CLEARED.clear()
        _CLEARED.add(folder)
        remove_leftovers(folder)
    path = os.path.join(folder, TRIAL_PREFIX + uuid.uuid4().hex)
    with _listed_in(_TRIALS, path):
        try:
            yield path
        finally:
            with suppress(OSError):
                _remove_trial(path)


@contextmanager
def _listed_in(registry: set[str], path: str) -> Iterator[None]:
    """Raises FileExistsError where another thread has it."""
    with _LOCK:
        if path in registry:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        registry.add(path)
    try:
        yield
    finally:
        with _LOCK:
            registry.discard(path)
