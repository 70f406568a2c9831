"""What binds one file to its place, whatever may be done with others in its folder."""

from __future__ import annotations

import fcntl
import os
import stat
from array import array
from contextlib import suppress

from lalald.errors import FolderPermissionError
from lalald.filesystem.names import printable

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, ioctl_iflags(2)
_BOUND_FLAGS = 0x10 | 0x20  # immutable, append only
_KEEP = "`on_success: keep`"


def check_movable(path: str) -> None:
    """What no trial with another file shows: this very file may be bound to its place. Raises FolderPermissionError, OSError."""
    file = os.lstat(path)
    if _is_immutable(path):
        message = f"{printable(path)} is immutable: it cannot be moved or deleted."
        raise FolderPermissionError(message, hint=f"Run `chattr -i -a` on it, or set {_KEEP}.")
    if os.geteuid() == 0:
        return
    folder = os.stat(os.path.dirname(path))
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (folder.st_uid, file.st_uid):
        message = f"{printable(path)} may not be moved by uid {os.geteuid()}: its folder is sticky, and both belong to others."
        raise FolderPermissionError(message, hint=f"Take the sticky bit away (chmod -t), or set {_KEEP}.")


def _is_immutable(path: str) -> bool:
    """By the attributes of chattr(1), where the file system has them and they may be read."""
    flags = array("i", [0])
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        finally:
            os.close(descriptor)
    return bool(flags[0] & _BOUND_FLAGS)
