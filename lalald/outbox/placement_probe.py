"""Try the moves of placement in an outbox, before anything is charged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from lalald.errors import FileError, FolderUnavailableError
from lalald.filesystem.availability.folder_probe import (
    action_errors,
    check_content,
    existing_folder,
    hidden_folder,
    try_delete,
    try_listing,
    try_rename,
    write_hidden,
)
from lalald.filesystem.names import printable
from lalald.filesystem.placeholders import hidden_path, remove_leftovers
from lalald.filesystem.renaming import REPLACE_REFUSALS, rename_without_replacing
from lalald.outbox.staging import FOLDER

_MOST_TRIES = 20  # to enter a folder that others remove


def try_placement(outbox: str, folder: str, *, overwrites: bool) -> None:
    """Move a staged file to a new folder within `folder` (a path within the outbox), as tracks are; nothing is left behind.

    Raises FolderPermissionError, FolderUnavailableError, DiskFullError or FileError if results cannot be delivered there.
    """
    target = existing_folder(outbox, folder)
    try_listing(target)
    staging = os.path.join(outbox, FOLDER)
    for place in dict.fromkeys((outbox, staging, target)):
        remove_leftovers(place)
    _try_marker(outbox)
    with _staging_folder(staging, outbox) as staged, hidden_folder(target) as placed:
        _try_moves(staged, placed, target, overwrites=overwrites)


@contextmanager
def _staging_folder(staging: str, outbox: str) -> Iterator[str]:
    """A hidden folder in the staging folder, which other jobs and daemons remove whenever it is empty."""
    try:
        with ExitStack() as stack:
            yield _enter_staging(stack, staging, outbox)
    finally:
        with suppress(OSError):
            os.rmdir(staging)


def _enter_staging(stack: ExitStack, staging: str, outbox: str) -> str:
    for tries_left in reversed(range(_MOST_TRIES)):
        with action_errors("create a folder", outbox), suppress(FileExistsError):
            os.mkdir(staging, 0o700)
        try:
            return stack.enter_context(hidden_folder(staging))
        except FolderUnavailableError as error:
            if not isinstance(error.__cause__, FileNotFoundError) or not tries_left:
                raise
    raise AssertionError


def _try_moves(staged: str, placed: str, target: str, *, overwrites: bool) -> None:
    here, other, there = f"{staged}/1", f"{staged}/2", f"{placed}/1"
    write_hidden(here, target)
    with action_errors("rename a file", target):  # as the record of a complete track is renamed
        os.rename(here, other)
    _move(other, there, target)
    check_content(there, target)
    write_hidden(here, target)
    _try_taken_name(here, there, target)
    if overwrites:
        _replace(here, there, target)
    else:
        try_delete(here, target)
    try_delete(there, target)


def _move(here: str, there: str, folder: str) -> None:
    """As placement does: by a copy if `folder` is on a file system mounted within the outbox."""
    try:
        try_rename(here, there, folder)
    except FolderUnavailableError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EXDEV):
            raise
        write_hidden(f"{there}.part", folder)
        try_rename(f"{there}.part", there, folder)
        try_delete(here, folder)


def _try_taken_name(here: str, there: str, folder: str) -> None:
    """Raises FileError if the file system replaces a file despite RENAME_NOREPLACE: files of others would be lost."""
    try:
        with action_errors("rename a file without replacing another", folder), suppress(FileExistsError):
            rename_without_replacing(here, there)
            message = f"{printable(folder)}: its file system replaces files when told not to."
            raise FileError(message, hint="Configure another outbox, on another file system.")
    except FolderUnavailableError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EXDEV):
            raise


def _replace(here: str, there: str, folder: str) -> None:
    with action_errors("replace a file", folder):
        try:
            os.replace(here, there)
        except OSError as error:
            if error.errno not in REPLACE_REFUSALS and error.errno != errno.EXDEV:
                raise
            os.unlink(here)
            write_hidden(f"{there}.part", folder)
            os.unlink(there)
            rename_without_replacing(f"{there}.part", there)


def _try_marker(outbox: str) -> None:
    """Rename a file within the outbox itself, as the marker is."""
    with hidden_path(outbox) as making, hidden_path(outbox) as named:
        write_hidden(making, outbox)
        try_rename(making, named, outbox)
        try_delete(named, outbox)
