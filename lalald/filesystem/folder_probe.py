"""Tries in a folder, with hidden files, what a later step will do there, and says which step is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lalald.errors import DiskFullError, FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem.files import is_denied, is_full, permission_hint, sync_file, sync_folder, user_and_group
from lalald.filesystem.names import printable
from lalald.filesystem.placeholders import hidden_path
from lalald.filesystem.renaming import check_arrived, rename_without_replacing

CONTENT = b"lalald tries whether it can work in this folder\n"


@contextmanager
def action_errors(action: str, folder: str) -> Iterator[None]:
    """OSErrors within become FileErrors that name the action (`rename a file`), the folder and the user."""
    try:
        yield
    except OSError as error:
        message = (
            f"lalald (uid:gid {user_and_group()}) cannot {action} in {printable(folder)}: {error.strerror or error}."
        )
        if is_full(error):
            raise DiskFullError(message, hint="Make room there.") from error
        if is_denied(error):
            raise FolderPermissionError(message, hint=permission_hint(error)) from error
        hint = "Check how it is mounted, or configure another folder; it is tried again automatically."
        raise FolderUnavailableError(message, hint=hint) from error


def write_hidden(path: str, folder: str) -> None:
    """A new small file, written, synced and read back. Raises FileError."""
    with action_errors("create a file", folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with action_errors("write a file", folder):
            os.write(descriptor, CONTENT)
            os.ftruncate(descriptor, len(CONTENT))  # as a download that begins again is
        with action_errors("sync a file", folder):
            sync_file(descriptor)
    finally:
        os.close(descriptor)
    check_content(path, folder)


def create_hidden(path: str, folder: str) -> None:
    """A new empty file. Raises FileError."""
    with action_errors("create a file", folder):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def check_content(path: str, folder: str) -> None:
    """Raises FileError where a file cannot be read back, or not as it was written."""
    with action_errors("read a file back", folder), open(path, "rb", buffering=0) as file:
        found = file.read()
    if found != CONTENT:
        raise FileError(f"{printable(folder)} gave back other bytes than were written.", hint="Check that disk.")


def try_rename(here: str, there: str, folder: str) -> None:
    """A rename that replaces nothing, and that the file system has really done. Raises FileError."""
    with action_errors("rename a file without replacing another", folder):
        rename_without_replacing(here, there)
        check_arrived(here, there)


@contextmanager
def hidden_folder(parent: str) -> Iterator[str]:
    """A new hidden folder, its name durable; it is removed in the end. Raises FileError."""
    with hidden_path(parent) as path:
        with action_errors("create a folder", parent):
            os.mkdir(path)
        with action_errors("sync a folder", parent):
            sync_folder(parent)
        yield path
        with action_errors("delete a folder", parent):
            os.rmdir(path)


def try_listing(folder: str) -> None:
    """Names are chosen by a look at those that are there. Raises FileError."""
    with action_errors("list the files", folder), os.scandir(folder) as entries:
        next(entries, None)


def try_delete(path: str, folder: str) -> None:
    """Raises FileError where a file cannot be deleted."""
    with action_errors("delete a file", folder):
        os.unlink(path)


def existing_folder(root: str, relative: str) -> str:
    """The deepest folder of the path within `root` that is there. Raises FileError where a file is in its way."""
    folder = root
    for part in filter(None, relative.split("/")):
        deeper = os.path.join(folder, part)
        if not os.path.isdir(deeper):
            if os.path.lexists(deeper):
                message = f"{printable(deeper)} is in the way: a folder of that name is needed."
                raise FileError(message, hint="Move it out of the way.")
            break
        folder = deeper
    return folder
