"""Explain why one of lalald's own folders cannot be used, and check its free space and permissions."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

_HINTS = {
    errno.ENOSPC: "Make room on its disk (inodes too: `df -h` and `df -i` show both).",
    errno.EDQUOT: "Its quota is used up: make room or raise the quota.",
    errno.EROFS: "It is mounted read-only: mount it for writing. The system also does this to a disk that fails.",
    errno.EIO: "Its disk or server fails; see the system's log.",
    errno.ESTALE: "Its share was exported or mounted again: remount it.",
    errno.ENOTCONN: "Its mount does not answer: remount it.",
    errno.ELOOP: "Its symlinks form a loop.",
}
_SCARCE_BYTES, _SCARCE_INODES = 1 << 20, 8
_TEST_BYTES = 65536  # the shared memory of a database, and a few of its pages
_RIGHTS = frozenset({errno.EACCES, errno.EPERM})


def hint_for(error: OSError) -> str:
    """What to do about an error in a folder or file of lalald's own."""
    if error.errno in _RIGHTS:
        return f"Let uid {os.geteuid()} write it."
    return _HINTS.get(error.errno or 0, _HINTS[errno.EIO])


def is_temporary(error: OSError) -> bool:
    """Whether waiting may help: room can be made, and a disk may answer again. Missing rights need a person."""
    return error.errno not in _RIGHTS | {errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def _reserve(descriptor: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, _TEST_BYTES)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # ZFS, for one, cannot reserve
            raise
        os.write(descriptor, bytes(_TEST_BYTES))


def write_error_if_low(folder: Path) -> OSError | None:
    """As `write_error`, but writes only if little room is left: a health check every minute must not keep a disk awake.

    A quota that does not show in the file system's free space is not detected here; the next write reports it.
    """
    try:
        facts = os.statvfs(folder)
    except OSError as error:
        return error
    has_room = facts.f_bavail * facts.f_frsize > _SCARCE_BYTES
    has_inodes = facts.f_files == 0 or facts.f_favail > _SCARCE_INODES  # file systems without a limit report 0 of 0
    if has_room and has_inodes and not facts.f_flag & os.ST_RDONLY:
        return None
    return write_error(folder)


def write_error(folder: Path) -> OSError | None:
    """Why nothing can be written in the folder, found by reserving room there; None if it can.

    SQLite reports a full disk and a missing right with the same "unable to open database file" or "disk I/O error".
    """
    probe = folder / f".lalald-trial-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _reserve(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error
    finally:
        with suppress(OSError):
            probe.unlink()
    return None
