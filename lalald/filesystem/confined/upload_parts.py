"""Unfinished uploads: kept in a hidden folder at the root of their inbox, and moved into it once they are complete.

    .lalald-uploads/ID   0600, ours, one link, the inode that was recorded ──► whole, durable ──► inbox/folder/name, without replacing

Blocking: runs on the inbox's own threads. OSErrors are not converted.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from lalald.filesystem.confined.safe_open import make_folders, opened_folder, parts_of
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.files import sync_file, sync_folder
from lalald.filesystem.renaming import rename_without_replacing

FOLDER = ".lalald-uploads"
_ID = re.compile(r"[0-9a-f]{32}")
_MOST_TRIES = 100
_NOT_OURS = (
    f"the folder {FOLDER} in the inbox belongs to another user, or others may write there (as on disks without owners)"
)
_PART = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ReplacedPartError(OSError):
    """The file is not the one that this upload began, or others may have written to it."""

    def __init__(self, reason: str = "the part of this upload was replaced by something else") -> None:
        super().__init__(errno.ESTALE, reason)


def create_part(inbox: str, upload_id: str) -> int:
    """The inode of a new, empty part."""
    descriptor = _created(inbox, upload_id)
    try:
        return int64(os.fstat(descriptor).st_ino)
    finally:
        os.close(descriptor)


def _created(inbox: str, upload_id: str) -> int:
    """An upload that ends in this moment may remove the folder as empty: then it is made again."""
    for _ in range(_MOST_TRIES):
        with opened_folder(inbox, []) as root, suppress(FileExistsError):
            os.mkdir(FOLDER, 0o700, dir_fd=root)
        with suppress(FileNotFoundError), _own_folder(inbox) as folder:
            return os.open(upload_id, _PART | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), FOLDER)


def open_part(inbox: str, upload_id: str, inode: int, offset: int) -> int:
    """A descriptor to write to, at `offset`; what follows was never confirmed, and is cut off."""
    with _own_folder(inbox) as folder:
        descriptor = os.open(upload_id, _PART, dir_fd=folder)
    try:
        facts = os.fstat(descriptor)
        is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and facts.st_nlink == 1
        if not is_ours or int64(facts.st_ino) != inode or facts.st_size < offset:
            raise ReplacedPartError
        if facts.st_size > offset:
            os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write(descriptor: int, data: bytes) -> int:
    """Returns how many bytes were written: fewer than given only if the disk is full."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except OSError as error:
            if len(left) == len(data) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            break
    return len(data) - len(left)


def move_in(inbox: str, upload_id: str, path: str, descriptor: int) -> None:
    """Move the complete file into the inbox. Raises FileExistsError if its name is in use; then it stays where it is."""
    *folders, name = parts_of(path)
    os.fchmod(descriptor, 0o666 & ~_umask())
    sync_file(descriptor)
    make_folders(inbox, folders)
    with _own_folder(inbox) as parts, opened_folder(inbox, folders) as target:
        rename_without_replacing(f"/proc/self/fd/{parts}/{upload_id}", f"/proc/self/fd/{target}/{name}")
        sync_folder(f"/proc/self/fd/{target}")
    _remove_folder(inbox)


def has_moved_in(inbox: str, path: str, inode: int) -> bool:
    """Whether the part with this inode is the file of that name now."""
    *folders, name = parts_of(path)
    try:
        with opened_folder(inbox, folders) as folder:
            return int64(os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino) == inode
    except FileNotFoundError:
        return False


def remove_part(inbox: str, upload_id: str) -> None:
    """Remove the file, if it exists."""
    with suppress(FileNotFoundError), _own_folder(inbox) as folder:
        os.unlink(upload_id, dir_fd=folder)
    _remove_folder(inbox)


def remove_forgotten(inbox: str, known: Collection[str], older_than: float) -> list[str]:
    """Remove files that a crash left and that belong to no upload. Returns their names."""
    removed = []
    with suppress(FileNotFoundError), _own_folder(inbox) as folder:
        for name in filter(_ID.fullmatch, os.listdir(folder)):
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if name not in known and facts.st_mtime < older_than and stat.S_ISREG(facts.st_mode):
                os.unlink(name, dir_fd=folder)
                removed.append(name)
    _remove_folder(inbox)
    return removed


def _umask() -> int:
    """Read only: umask(2) sets it, for every thread of the process."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1], 8) for line in file if line.startswith("Umask:"))


def free_bytes(folder: str) -> int:
    """The free space for lalald's user."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def is_taken(inbox: str, path: str) -> bool:
    """Whether the name is in use. Raises OSError if a link or a file is in place of one of its folders."""
    *folders, name = parts_of(path)
    for depth in range(len(folders) + 1):
        try:
            with opened_folder(inbox, folders[:depth]) as folder:
                if depth == len(folders):
                    os.stat(name, dir_fd=folder, follow_symlinks=False)
                    return True
        except FileNotFoundError:
            return False
    return False


@contextmanager
def _own_folder(inbox: str) -> Iterator[int]:
    """The folder of parts. Raises ReplacedPartError if it belongs to another user, or others may write there."""
    with opened_folder(inbox, [FOLDER]) as folder:
        facts = os.fstat(folder)
        if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ReplacedPartError(_NOT_OURS)
        yield folder


def _remove_folder(inbox: str) -> None:
    """Remove the folder if it is empty."""
    with suppress(OSError), opened_folder(inbox, []) as root:
        os.rmdir(FOLDER, dir_fd=root)
