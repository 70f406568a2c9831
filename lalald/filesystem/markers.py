"""Tell a configured folder from the empty mount point at its path. A folder that vanished is unavailable, never empty.

A folder is recognized by its marker, a small hidden file, which an empty mount point does not have.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace

from lalald.filesystem.files import sync_file
from lalald.filesystem.names import shell_quoted
from lalald.filesystem.renaming import rename_without_replacing

MARKER_NAME = ".lalald"
_UUID = re.compile(rb"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.MULTILINE)
_TEMPORARY = re.compile(re.escape(MARKER_NAME) + "-[0-9a-f]{32}")
_MARKER_TEXT = "{marker}\nlalald recognizes this folder by the line above. Please leave this file where it is.\n"

_REASONS = {
    errno.ENOENT: "it is missing: not mounted, moved or removed",
    errno.ENOTDIR: "it is not a folder",
    errno.ESTALE: "its handle is stale: the share was exported or mounted again",
    errno.ENOTCONN: "its mount does not answer",
    errno.EIO: "its disk or server fails",
    errno.EHOSTDOWN: "its server is down",
    errno.ETIMEDOUT: "its server does not answer",
    errno.ELOOP: "its symlinks form a loop",
}


@dataclass(frozen=True, slots=True)
class FolderState:
    """What is at the folder's path. `marker` is None if it has none and none could be written."""

    available: bool
    reason: str = ""
    marker: str | None = None
    folder: tuple[int, int] | None = None  # device and inode


def inspect_folder(root: str, expected: str | None, before: tuple[int, int] | None = None) -> FolderState:
    """As `verify_folder`, but writes nothing."""
    return _inspect(root, expected, before, listed=True)


def verify_folder(
    root: str,
    expected: str | None,
    before: tuple[int, int] | None = None,
    *,
    listed: bool = True,
    new: str | None = None,
) -> FolderState:
    """Whether the folder is available and has the expected marker (None: any folder is right, and gets a marker if it has none).

    `before`: the folder's numbers at the last check; if they are the same, a deleted marker is written again.
    `listed`: a folder that may not be listed is unavailable. `new`: the marker of a folder that gets one, in place of a random one.
    """
    found = _inspect(root, expected, before, listed=listed)
    if not found.available or found.marker is not None:
        return found
    return replace(found, marker=write_marker(root, expected or new, replaces=expected is not None))


def _inspect(root: str, expected: str | None, before: tuple[int, int] | None, *, listed: bool) -> FolderState:
    try:
        facts = os.stat(root)
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if listed:
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        os.stat(os.path.join(root, "."))  # entering a folder needs a right of its own
        marker = read_marker(root)
    except OSError as error:
        return FolderState(False, _reason(error))
    folder = (facts.st_dev, facts.st_ino)
    if marker == expected or expected is None or (marker is None and folder == before):
        return FolderState(True, marker=marker, folder=folder)
    return FolderState(False, _other_folder(root, marker), marker=marker, folder=folder)


def accept_folder(root: str, new: str | None = None) -> str | None:
    """The marker of the folder that is there now, written if it has none. Raises OSError if the folder is missing."""
    os.stat(os.path.join(root, "."))
    return read_marker(root) or write_marker(root, new)


def new_marker() -> str:
    """A marker that no folder has."""
    return str(uuid.uuid4())


def lacks_marker(root: str) -> bool:
    """Whether the folder is there, and has no marker; not if that cannot be determined."""
    try:
        return os.path.isdir(root) and read_marker(root) is None
    except OSError:
        return False


def read_marker(root: str) -> str | None:
    """The folder's marker; None if there is none or its file is not a marker. Raises OSError if that cannot be determined."""
    try:
        descriptor = os.open(
            os.path.join(root, MARKER_NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return None
        raise
    try:
        found = _UUID.match(os.read(descriptor, 4096))
    except IsADirectoryError:
        return None
    finally:
        os.close(descriptor)
    return None if found is None else found[0].decode()


def write_marker(root: str, marker: str | None, *, replaces: bool = False) -> str | None:
    """Write this marker, or a new one (None), into the folder. A marker that another lalald has written meanwhile stays, unless
    this one `replaces` it.

    Returns the folder's marker; None if nothing can be written, so that the folder cannot be recognized later.
    """
    wanted = marker or new_marker()
    temporary = os.path.join(root, f"{MARKER_NAME}-{uuid.uuid4().hex}")
    try:
        _remove_leftovers(root)
        _write_text(temporary, _MARKER_TEXT.format(marker=wanted))
        return _rename_marker(root, temporary, wanted, replaces=replaces)
    except FileNotFoundError:  # another lalald took the temporary file for a leftover
        return write_marker(root, marker, replaces=replaces) if os.path.isdir(root) else None
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        return None


def _write_text(path: str, text: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(text)
        file.flush()
        with suppress(OSError):  # some file systems have no modes
            os.fchmod(file.fileno(), 0o644)  # a later run as another user must be able to read it
        sync_file(file.fileno())


def _rename_marker(root: str, temporary: str, wanted: str, *, replaces: bool) -> str:
    """Give the marker its name, and return the one that is there then. Raises OSError."""
    try:
        rename_without_replacing(temporary, os.path.join(root, MARKER_NAME))
    except FileExistsError:
        if not replaces and (existing := read_marker(root)) is not None:
            os.unlink(temporary)
            return existing
        os.replace(temporary, os.path.join(root, MARKER_NAME))
    return wanted


def _remove_leftovers(root: str) -> None:
    """Remove markers under a temporary name, which a crash left."""
    with suppress(PermissionError):  # a folder may be writable without being readable
        for name in filter(_TEMPORARY.fullmatch, os.listdir(root)):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(root, name))


def _reason(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"uid {os.getuid()} may not read it"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _other_folder(root: str, marker: str | None) -> str:
    what = f"its marker {MARKER_NAME} is missing" if marker is None else f"its marker {MARKER_NAME} is different"
    return (
        f"{what}: this is not the folder that was there before, perhaps its empty mount point. "
        f"If it is the right one, run `lalald release {shell_quoted(root)}` to accept it"
    )
