"""Is a configured folder there, and is it the one that we know? One that vanished is unavailable, never empty.

A folder is known by its marker, a small hidden file: the empty mount point beneath an unmounted folder has none.
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
_MAKING = re.compile(re.escape(MARKER_NAME) + "-[0-9a-f]{32}")
_MARKER_TEXT = "{marker}\nlalald knows this folder by the line above. Please leave this file where it is.\n"

_REASONS = {
    errno.ENOENT: "it is not there: not mounted, moved or removed",
    errno.ENOTDIR: "it is not a folder",
    errno.ESTALE: "its handle is stale: the share was exported or mounted again",
    errno.ENOTCONN: "what is mounted there does not answer",
    errno.EIO: "its disk or server fails",
    errno.EHOSTDOWN: "its server is down",
    errno.ETIMEDOUT: "its server does not answer",
    errno.ELOOP: "its symlinks go round in circles",
}


@dataclass(frozen=True, slots=True)
class FolderState:
    """What stands at the folder's path. `marker` is what it is known by; None where it has none, and none could be written."""

    available: bool
    reason: str = ""
    marker: str | None = None
    folder: tuple[int, int] | None = None  # device and inode


def inspect_folder(root: str, expected: str | None) -> FolderState:
    """Whether the folder is there and is the one whose marker is expected. Writes nothing."""
    return _observed(root, expected, None, listed=True)


def verify_folder(
    root: str, expected: str | None, before: tuple[int, int] | None = None, *, listed: bool = True
) -> FolderState:
    """Whether the folder is there and is the one whose marker is expected (None: any is right, and one is written if need be).

    `before` is the folder as it was seen last: where it is the same one, a marker that somebody deleted is written anew.
    `listed`: without the right to list it, it is not available.
    """
    found = _observed(root, expected, before, listed=listed)
    return replace(found, marker=found.marker or write_marker(root, expected)) if found.available else found


def _observed(root: str, expected: str | None, before: tuple[int, int] | None, *, listed: bool) -> FolderState:
    try:
        facts = os.stat(root)
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if listed:
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        os.stat(os.path.join(root, "."))  # entering is a right of its own
        marker = read_marker(root)
    except OSError as error:
        return FolderState(False, _told(error))
    folder = (facts.st_dev, facts.st_ino)
    if marker == expected or expected is None or (marker is None and folder == before):
        return FolderState(True, marker=marker, folder=folder)
    return FolderState(False, _stranger(root, marker), marker=marker, folder=folder)


def accept_folder(root: str) -> str | None:
    """The marker of the folder that stands there now, written if it has none. Raises OSError where the folder is not there."""
    os.stat(os.path.join(root, "."))
    return read_marker(root) or write_marker(root, None)


def read_marker(root: str) -> str | None:
    """The folder's marker; None where there is none, or what stands there is none. Raises OSError where it cannot be told."""
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


def write_marker(root: str, marker: str | None) -> str | None:
    """Gives the folder a marker: this one, or a new one where none is given and it has none.

    Returns what it is known by from now on; None where nothing can be written: then the folder is not told apart.
    """
    wanted = marker or str(uuid.uuid4())
    making = os.path.join(root, f"{MARKER_NAME}-{uuid.uuid4().hex}")
    try:
        _remove_what_a_crash_left(root)
        with open(making, "x", encoding="ascii") as file:
            file.write(_MARKER_TEXT.format(marker=wanted))
            file.flush()
            with suppress(OSError):  # some file systems have no modes
                os.fchmod(file.fileno(), 0o644)  # whoever lalald runs as next year must be able to read it
            sync_file(file.fileno())
        try:
            rename_without_replacing(making, os.path.join(root, MARKER_NAME))
        except FileExistsError:
            if marker is None and (there := read_marker(root)) is not None:  # another lalald was quicker
                os.unlink(making)
                return there
            os.replace(making, os.path.join(root, MARKER_NAME))
        except FileNotFoundError:  # another lalald took it for what a crash has left
            return write_marker(root, marker)
    except OSError:
        with suppress(OSError):
            os.unlink(making)
        return None
    return wanted


def _remove_what_a_crash_left(root: str) -> None:
    """A crash before a marker had its name leaves it under one of its own; it is looked for where one is written again."""
    with suppress(PermissionError):  # one may put files into a folder that one may not list
        for name in filter(_MAKING.fullmatch, os.listdir(root)):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(root, name))


def _told(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"uid {os.getuid()} may not read it"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _stranger(root: str, marker: str | None) -> str:
    what = f"its marker {MARKER_NAME} is missing" if marker is None else f"its marker {MARKER_NAME} is another one"
    return (
        f"{what}: this is not the folder that was there before, perhaps the empty mount point under it. "
        f"If it is the right one, `lalald release {shell_quoted(root)}` accepts it"
    )
