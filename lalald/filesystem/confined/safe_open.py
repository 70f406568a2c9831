"""Open files below a configured folder, one path component at a time: links are not followed, and only regular files are read.

Blocking: runs on the folder's own threads.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENAMETOOLONG)


def parts_of(path: str) -> list[str]:
    """The parts of a path within a folder. Raises ValueError if it is not one, or leads out of the folder."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(path)
    return parts


@contextmanager
def opened_folder(root: str, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor of a folder within `root`. The configured folder itself may be a link. Raises OSError."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            deeper = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def open_regular(root: str, path: str) -> int:
    """A descriptor of a file within `root`. Raises OSError: FileNotFoundError also for anything but a regular file."""
    *folders, name = parts_of(path)
    with opened_folder(root, folders) as folder:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_folders(root: str, parts: Sequence[str]) -> None:
    """Create the missing folders of a path. Raises OSError, also if a link or a file is in the way."""
    for depth in range(len(parts)):
        with opened_folder(root, parts[:depth]) as parent, suppress(FileExistsError):
            os.mkdir(parts[depth], dir_fd=parent)
    with opened_folder(root, parts):
        pass


def is_missing(error: OSError | ValueError) -> bool:
    """Whether the error says that the file does not exist, that a link or something else is in its place, or that the path is invalid."""
    return isinstance(error, ValueError) or error.errno in _MISSING
