"""Hidden files for testing renames, and empty files that reserve a name until a file is renamed over them.

Both are recognized after a crash, by their names or by a note beside them, and removed. The names contain the owner's, so that
two daemons that share a folder remove nothing that the other one is using.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESERVED_PREFIX = ".lalald-reserved-"
TEST_PREFIX = ".lalald-try-"

_PLACEHOLDER_SECONDS = 10.0  # at most between a note and its empty file, however slow the share
_COARSE_CLOCK_SECONDS = 2.0  # FAT keeps times to two seconds
_ABANDONED_SECONDS = 86_400.0  # the clock of a share may be hours off
_RESERVED: set[str] = set()  # names that a thread of this process is reserving
_TESTS: set[str] = set()  # hidden files of tests that a thread of this process is running
_CLEARED: set[str] = set()  # folders from which this process has removed the leftovers of an earlier one
_MAX_CLEARED = 10_000
_LOCK = threading.Lock()
_owner = "command"


def set_owner(name: str) -> None:
    """Name the owner of what this process creates from now on. Its leftovers are removed by the next process with this name."""
    global _owner  # noqa: PLW0603 - one for the whole process, as the registries above
    _owner = name


@contextmanager
def reserved_name(target: str) -> Iterator[os.stat_result]:
    """Reserve a name with an empty file, which is removed at the end unless it was replaced.

    A note identifies it, so that one left by a crash is recognized. Raises FileExistsError if the name is taken.
    """
    with _registered(_RESERVED, target):
        clear_reservation(target)
        note = note_path(target)
        write_note(note, target)
        try:
            made = create_empty_file(target)
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
    return os.path.join(folder, f"{RESERVED_PREFIX}{_owner}-{_digest(name)}")


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def write_note(note: str, target: str) -> None:
    """Write the note. It is always new, because its modification time is compared with that of the empty file."""
    with suppress(FileNotFoundError):
        os.unlink(note)
    with open(note, "xb", buffering=0) as file:
        file.write(os.fsencode(os.path.basename(target)))
        with suppress(OSError):  # some file systems sync nothing
            os.fsync(file.fileno())


def create_empty_file(path: str) -> os.stat_result:
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
    """Remove the empty file that a crash left under a name, and its note. Whether there was one. Raises OSError."""
    return _clear(target, note_path(target))


def _clear(target: str, note: str) -> bool:
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
    """By owner, size and time: on the file systems that need placeholders, inode numbers change with a restart."""
    since = there.st_mtime - noted.st_mtime
    same_owner = (there.st_uid, there.st_gid) == (noted.st_uid, noted.st_gid)
    is_empty = stat.S_ISREG(there.st_mode) and there.st_size == 0 and there.st_nlink <= 1
    return is_empty and same_owner and -_COARSE_CLOCK_SECONDS <= since <= _PLACEHOLDER_SECONDS


def remove_leftovers(folder: str) -> None:
    """Remove our leftovers of tests and reservations from a folder, and those of others that are a day old.

    What cannot be removed now is removed the next time.
    """
    with suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with suppress(OSError):
                if name.startswith(RESERVED_PREFIX) and _is_left(path, RESERVED_PREFIX):
                    _clear_noted(folder, path)
                elif name.startswith(TEST_PREFIX) and path not in _TESTS and _is_left(path, TEST_PREFIX):
                    _remove_test(path)


def _is_left(path: str, prefix: str) -> bool:
    """Whether it is ours, or so old that no running daemon uses it."""
    is_ours = os.path.basename(path).startswith(f"{prefix}{_owner}-")
    return is_ours or time.time() - os.lstat(path).st_mtime > _ABANDONED_SECONDS


def _clear_noted(folder: str, note: str) -> None:
    with open(note, "rb") as file:
        name = os.fsdecode(file.read(4096))
    target = os.path.join(folder, name)
    if not note.endswith(_digest(name)) or "/" in name:  # written in part before a crash, or not by lalald
        os.unlink(note)
    elif target not in _RESERVED:
        _clear(target, note)


def _remove_test(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))
    os.rmdir(path)


@contextmanager
def hidden_path(folder: str) -> Iterator[str]:
    """A unique hidden path in a folder. A file or flat folder that is there in the end is removed.

    The first use in a folder also removes the leftovers of earlier processes.
    """
    if folder not in _CLEARED:
        if len(_CLEARED) >= _MAX_CLEARED:
            _CLEARED.clear()
        _CLEARED.add(folder)
        remove_leftovers(folder)
    path = os.path.join(folder, f"{TEST_PREFIX}{_owner}-{uuid.uuid4().hex}")
    with _registered(_TESTS, path):
        try:
            yield path
        finally:
            with suppress(OSError):
                _remove_test(path)


@contextmanager
def _registered(registry: set[str], path: str) -> Iterator[None]:
    """Keep a path in a registry meanwhile. Raises FileExistsError if another thread has it there."""
    with _LOCK:
        if path in registry:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        registry.add(path)
    try:
        yield
    finally:
        with _LOCK:
            registry.discard(path)
