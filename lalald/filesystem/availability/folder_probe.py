"""Try operations in a folder with hidden files, and report which one is refused; detect what protects a single file."""

from __future__ import annotations

import fcntl
import os
import stat
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lalald.errors import DiskFullError, FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem.files import is_denied, is_full, permission_hint, sync_file, sync_folder, user_and_group
from lalald.filesystem.names import printable
from lalald.filesystem.placeholders import hidden_path
from lalald.filesystem.renaming import check_arrived, rename_without_replacing

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, ioctl_iflags(2)
_PROTECTED_FLAGS = 0x10 | 0x20  # immutable, append only
_KEEP = "`on_success: keep`"
CONTENT = b"lalald tests whether it can work in this folder\n"


@contextmanager
def action_errors(action: str, folder: str) -> Iterator[None]:
    """Turn OSErrors within into FileErrors that name the action (`rename a file`), the folder and the user."""
    try:
        yield
    except OSError as error:
        message = (
            f"lalald (uid:gid {user_and_group()}) cannot {action} in {printable(folder)}: {error.strerror or error}."
        )
        if is_full(error):
            raise DiskFullError(message, hint="Make room there.", path=folder) from error
        if is_denied(error):
            raise FolderPermissionError(message, hint=permission_hint(error), path=folder) from error
        hint = "Check how it is mounted, or configure another folder; lalald tries again automatically."
        raise FolderUnavailableError(message, hint=hint, path=folder) from error


def write_hidden(path: str, folder: str) -> None:
    """Create a small file, write, sync and read it back. Raises FileError."""
    with action_errors("create a file", folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with action_errors("write a file", folder):
            os.write(descriptor, CONTENT)
            os.ftruncate(descriptor, len(CONTENT))  # as for a download that starts over
        with action_errors("sync a file", folder):
            sync_file(descriptor)
    finally:
        os.close(descriptor)
    check_content(path, folder)


def create_hidden(path: str, folder: str) -> None:
    """Create an empty file. Raises FileError."""
    with action_errors("create a file", folder):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def check_content(path: str, folder: str) -> None:
    """Raises FileError if a file cannot be read back, or not as it was written."""
    with action_errors("read a file back", folder), open(path, "rb", buffering=0) as file:
        found = file.read()
    if found != CONTENT:
        message = f"{printable(folder)} returned other bytes than were written."
        raise FileError(message, hint="Check that disk.", path=folder)


def try_rename(here: str, there: str, folder: str) -> None:
    """Rename without replacing, and check that the file system has really done it. Raises FileError."""
    with action_errors("rename a file without replacing another", folder):
        rename_without_replacing(here, there)
        check_arrived(here, there)


@contextmanager
def hidden_folder(parent: str) -> Iterator[str]:
    """A new hidden folder with a durable name, removed in the end. Raises FileError."""
    with hidden_path(parent) as path:
        with action_errors("create a folder", parent):
            os.mkdir(path)
        with action_errors("sync a folder", parent):
            sync_folder(parent)
        yield path
        with action_errors("delete a folder", parent):
            os.rmdir(path)


def try_listing(folder: str) -> None:
    """List the folder, as the choice of names does. Raises FileError."""
    with action_errors("list the files", folder), os.scandir(folder) as entries:
        next(entries, None)


def try_delete(path: str, folder: str) -> None:
    """Delete a file. Raises FileError."""
    with action_errors("delete a file", folder):
        os.unlink(path)


def existing_folder(root: str, relative: str) -> str:
    """The deepest existing folder of the path within `root`. Raises FileError if a file is in its way."""
    folder = root
    for part in filter(None, relative.split("/")):
        deeper = os.path.join(folder, part)
        if not os.path.isdir(deeper):
            if os.path.lexists(deeper):
                message = f"{printable(deeper)} is in the way; a folder of that name is needed."
                raise FileError(message, hint="Move it out of the way.", path=deeper)
            break
        folder = deeper
    return folder


def check_movable(path: str) -> None:
    """Raises FolderPermissionError if this file cannot be moved or deleted, which tests with other files do not show; OSError."""
    file = os.lstat(path)
    if _is_immutable(path):
        message = f"{printable(path)} is immutable and cannot be moved or deleted."
        raise FolderPermissionError(message, hint=f"Run `chattr -i -a` on it, or set {_KEEP}.", path=path)
    if os.geteuid() == 0:
        return
    folder = os.stat(os.path.dirname(path))
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (folder.st_uid, file.st_uid):
        message = (
            f"uid {os.geteuid()} may not move {printable(path)}: its folder is sticky, and both belong to other users."
        )
        raise FolderPermissionError(message, hint=f"Remove the sticky bit (chmod -t), or set {_KEEP}.", path=path)


def _is_immutable(path: str) -> bool:
    """By the attributes of chattr(1), if the file system has them and they are readable."""
    flags = array("i", [0])
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        finally:
            os.close(descriptor)
    return bool(flags[0] & _PROTECTED_FLAGS)
