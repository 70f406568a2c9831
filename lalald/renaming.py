"""Renames that never replace a stranger's file, by the best method that the file system has.

    renameat2   one system call, which refuses a name that is taken (RENAME_NOREPLACE)
    link        a second name, which is refused where it is taken; then the first name is removed
    reserve     an empty file of ours takes the name (O_EXCL) and is checked, then the file is renamed over it
    rename      a plain rename, where the file system itself refuses to replace a file

The last two are used only where the others are refused, and only after a trial with hidden files. The method that worked is
remembered for ten minutes per pair of devices; it is a hint: one that is refused is tried for again.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

RESERVED_PREFIX = ".lalald-reserved-"
TRIAL_PREFIX = ".lalald-try-"

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_REMEMBERED_SECONDS = 600.0
_REMEMBERED_AT_MOST = 100
_PLACEHOLDER_SECONDS = 10.0  # between a note and its empty file, however slow the share
_COARSE_CLOCK_SECONDS = 2.0  # FAT keeps times to two seconds
_REFUSALS = {  # "this method does not work here", in the words of various file systems
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.EIO,
    errno.ENOTTY,
    errno.EPROTO,
    errno.EREMOTEIO,
}
REPLACE_REFUSALS = _REFUSALS | {errno.EEXIST, errno.EBUSY, errno.ETXTBSY}

Key = tuple[int, int, bool]


class RenameMethod(StrEnum):
    """How a file gets its name."""

    RENAMEAT2 = "renameat2"
    LINK = "link"
    RESERVE = "reserve"
    RENAME = "rename"


_REMEMBERED: dict[Key, tuple[RenameMethod, float]] = {}
_RESERVED: set[str] = set()  # names that a thread of this process reserves
_TRIALS: set[str] = set()  # hidden files of trials that a thread of this process makes
_LOCK = threading.Lock()


def rename_without_replacing(source: str, target: str) -> None:
    """Renames a file. Raises FileExistsError where `target` is taken, and every other OSError (EXDEV among them) as it is."""
    method = _remembered(source, target)
    if method is not None and _succeeds(method, source, target):
        return
    for method in (RenameMethod.RENAMEAT2, RenameMethod.LINK):
        if _succeeds(method, source, target):
            _remember(source, target, method)
            return
    method = _tried(os.path.dirname(source), os.path.dirname(target), source, target)
    _remember(source, target, method)
    METHODS[method](source, target)


def _succeeds(method: RenameMethod, source: str, target: str) -> bool:
    """False where the file system refuses the method and the file is still in its place."""
    try:
        METHODS[method](source, target)
    except OSError as error:
        within = os.path.dirname(source) == os.path.dirname(target)
        makes_no_sense = error.errno == errno.EXDEV and (within or method is RenameMethod.LINK)
        if (error.errno in _REFUSALS or makes_no_sense) and os.path.lexists(source):
            return False
        raise
    return True


def _renameat2(source: str, target: str) -> None:
    function = getattr(_LIBC, "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


def _link_and_unlink(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        # NFS may repeat a link whose answer was lost.
        if not os.path.samestat(os.lstat(source), os.lstat(target)):
            raise
    os.unlink(source)


def _reserve_and_rename(source: str, target: str) -> None:
    with _listed_in(_RESERVED, target):
        _rename_over_placeholder(source, target)


def _rename_over_placeholder(source: str, target: str) -> None:
    """A note says what the empty file is, so that one that a crash leaves can be recognized and removed.

    note ──► empty file (O_EXCL) ──► still ours and empty? ──► rename over it ──► note removed
    """
    clear_reservation(target)
    note = _note_path(target)
    _write_note(note, target)
    try:
        made = _empty_file(target)
        try:
            if not _is_same_empty_file(made, target):
                raise _taken(source, target)
            os.rename(source, target)
            if os.path.lexists(source):
                raise _not_done(source, target)
        except OSError:
            if _is_same_empty_file(made, target):
                os.unlink(target)
            raise
    finally:
        with suppress(FileNotFoundError):
            os.unlink(note)


def _plain_rename(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise _taken(source, target)
    os.rename(source, target)


METHODS: dict[RenameMethod, Callable[[str, str], None]] = {
    RenameMethod.RENAMEAT2: _renameat2,
    RenameMethod.LINK: _link_and_unlink,
    RenameMethod.RESERVE: _reserve_and_rename,
    RenameMethod.RENAME: _plain_rename,
}


def _taken(source: str, target: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target)


# reservations


def _note_path(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, RESERVED_PREFIX + hashlib.sha256(os.fsencode(name)).hexdigest()[:32])


def _write_note(note: str, target: str) -> None:
    """Written again each time: its time of change is compared with that of the empty file."""
    with suppress(FileNotFoundError):
        os.unlink(note)
    with open(note, "xb", buffering=0) as file:
        file.write(os.fsencode(os.path.basename(target)))
        with suppress(OSError):  # some file systems sync nothing
            os.fsync(file.fileno())


def _empty_file(path: str) -> os.stat_result:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _is_same_empty_file(made: os.stat_result, path: str) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_size == 0 and os.path.samestat(made, there)


def clear_reservation(target: str) -> bool:
    """Removes the empty file that a crash left under a name, with its note. Whether there was one. Raises OSError."""
    note = _note_path(target)
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


def clear_own_litter(folder: str) -> None:
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
    if target not in _RESERVED and _note_path(target) == note:
        clear_reservation(target)
    elif _note_path(target) != note:  # the crash came before its content
        os.unlink(note)


def _remove_trial(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))
    os.rmdir(path)


# trials


@contextmanager
def hidden_path(folder: str) -> Iterator[str]:
    """A hidden name in a folder that no other trial has; a file or flat folder that is left there in the end is removed."""
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


def check_arrived(source: str, target: str) -> None:
    """Raises OSError where a rename that reported success has moved nothing."""
    if os.path.lexists(source) or not os.path.lexists(target):
        raise _not_done(source, target)


def _not_done(source: str, target: str) -> OSError:
    return OSError(errno.EIO, "the file system reports a rename as done that it has not done", source, None, target)


def _tried(folder: str, other: str, source: str, target: str) -> RenameMethod:
    """The method that works between two folders, without renameat2 and link. Raises the OSError of the rename."""
    try:
        with hidden_path(folder) as here, hidden_path(other) as there:
            _write_note(here, here)
            return _tried_with(here, there)
    except OSError as error:
        raise OSError(error.errno, error.strerror, source, None, target) from error


def _tried_with(here: str, there: str) -> RenameMethod:
    method = RenameMethod.RESERVE
    try:
        _reserve_and_rename(here, there)
    except OSError:
        if not os.path.lexists(here) or _replaces(here, there):
            raise
        os.unlink(there)
        os.rename(here, there)
        method = RenameMethod.RENAME
    check_arrived(here, there)
    return method


def _replaces(here: str, there: str) -> bool:
    """Whether a plain rename replaces a file."""
    _empty_file(there)
    with suppress(OSError):
        os.rename(here, there)
        return True
    return False


# memory


def _key(source: str, target: str) -> Key:
    folder, other = os.path.dirname(source), os.path.dirname(target)
    return os.stat(folder).st_dev, os.stat(other).st_dev, folder == other


def _remembered(source: str, target: str) -> RenameMethod | None:
    if not _REMEMBERED:  # renameat2 works everywhere: nothing needs to be asked
        return None
    with suppress(OSError):
        key = _key(source, target)
        method, until = _REMEMBERED.get(key, (None, 0.0))
        return method if time.monotonic() < until else None
    return None


def _remember(source: str, target: str, method: RenameMethod) -> None:
    if method is RenameMethod.RENAMEAT2 and not _REMEMBERED:
        return
    with suppress(OSError):
        key = _key(source, target)
        with _LOCK:
            if len(_REMEMBERED) >= _REMEMBERED_AT_MOST:
                _REMEMBERED.clear()
            _REMEMBERED[key] = (method, time.monotonic() + _REMEMBERED_SECONDS)


def forget_methods() -> None:
    """Something was mounted, or failed: what worked before proves nothing."""
    with _LOCK:
        _REMEMBERED.clear()
