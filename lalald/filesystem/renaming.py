"""Rename files without ever replacing another program's file, by the best method that the file system offers.

    renameat2   one system call that fails if the name is taken (RENAME_NOREPLACE)
    link        a second name is created, which fails if it is taken; then the first name is removed
    reserve     an empty file reserves the name (O_EXCL) and is checked, then the file is renamed over it
    rename      a plain rename, on file systems that never replace a file

The last two are used only if the others are refused, and only after a test with hidden files. The method that worked is remembered
for ten minutes per pair of devices; if it is refused later, the methods are tried again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from lalald.filesystem.placeholders import create_empty_file, hidden_path, is_same_empty_file, reserved_name, write_note

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_REMEMBERED_SECONDS = 600.0
_MAX_REMEMBERED = 100
_REFUSALS = {  # errors by which various file systems say that a method does not work
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
_LOCK = threading.Lock()


def rename_without_replacing(source: str, target: str) -> None:
    """Rename a file. Raises FileExistsError if `target` is taken, and every other OSError, such as EXDEV, unchanged."""
    method = _remembered(source, target)
    if method is not None and _succeeds(method, source, target):
        return
    for method in (RenameMethod.RENAMEAT2, RenameMethod.LINK):
        if _succeeds(method, source, target):
            _remember(source, target, method)
            return
    method = _test_methods(os.path.dirname(source), os.path.dirname(target), source, target)
    _remember(source, target, method)
    METHODS[method](source, target)


def _succeeds(method: RenameMethod, source: str, target: str) -> bool:
    """Try a method. False if the file system refuses it and the file is still in its place."""
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
        # NFS may repeat a link(2) whose answer was lost.
        if not os.path.samestat(os.lstat(source), os.lstat(target)):
            raise
    os.unlink(source)


def _reserve_and_rename(source: str, target: str) -> None:
    """Write a note, create an empty file (O_EXCL), check that it is still ours and empty, rename over it, remove the note."""
    with reserved_name(target) as made:
        if not is_same_empty_file(made, target):
            raise _taken(source, target)
        os.rename(source, target)
        if os.path.lexists(source):
            raise _not_done(source, target)


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


# tests


def check_arrived(source: str, target: str) -> None:
    """Raises OSError if a rename that reported success has moved nothing."""
    if os.path.lexists(source) or not os.path.lexists(target):
        raise _not_done(source, target)


def _not_done(source: str, target: str) -> OSError:
    return OSError(
        errno.EIO, "the file system reported success for a rename that it has not done", source, None, target
    )


def can_rename_between(source_folder: str, folder: str) -> bool:
    """Whether a rename between two folders works, tried with an empty hidden file; false across file systems. Raises OSError."""
    with hidden_path(source_folder) as here, hidden_path(folder) as there:
        os.close(os.open(here, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            os.rename(here, there)
        except OSError as error:
            os.unlink(here)
            if error.errno != errno.EXDEV:
                raise
            return False
        check_arrived(here, there)
        os.unlink(there)
    return True


def _test_methods(folder: str, other: str, source: str, target: str) -> RenameMethod:
    """The method that works between two folders, without renameat2 and link. Raises the OSError of the rename."""
    try:
        with hidden_path(folder) as here, hidden_path(other) as there:
            write_note(here, here)
            return _test_with(here, there)
    except OSError as error:
        raise OSError(error.errno, error.strerror, source, None, target) from error


def _test_with(here: str, there: str) -> RenameMethod:
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
    create_empty_file(there)
    with suppress(OSError):
        os.rename(here, there)
        return True
    return False


# memory


def _key(source: str, target: str) -> Key:
    folder, other = os.path.dirname(source), os.path.dirname(target)
    return os.stat(folder).st_dev, os.stat(other).st_dev, folder == other


def _remembered(source: str, target: str) -> RenameMethod | None:
    if not _REMEMBERED:  # renameat2 has always worked so far
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
            if len(_REMEMBERED) >= _MAX_REMEMBERED:
                _REMEMBERED.clear()
            _REMEMBERED[key] = (method, time.monotonic() + _REMEMBERED_SECONDS)


def forget_methods() -> None:
    """Forget which methods worked, because something was mounted or failed."""
    with _LOCK:
        _REMEMBERED.clear()
