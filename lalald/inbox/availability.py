"""Is the inbox there, and is it the one that we know? A folder that vanished is unavailable, never empty."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lalald.inbox.names import MARKER_NAME
from lalald.naming import shown

_MOUNTS = "/proc/self/mountinfo"
_UUID = re.compile(rb"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.MULTILINE)
_MARKER_TEXT = "{marker}\nlalald knows this folder by the line above. Please leave this file where it is.\n"

_REASONS = {
    errno.ENOENT: "it is not there: not mounted, moved or removed",
    errno.ENOTDIR: "it is no folder",
    errno.ESTALE: "its handle is stale: the share was exported or mounted anew",
    errno.ENOTCONN: "what is mounted there does not answer",
    errno.EIO: "its disk or server fails",
    errno.EHOSTDOWN: "its server is down",
    errno.ETIMEDOUT: "its server does not answer",
    errno.ELOOP: "its symlinks go round in circles",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """What stands at the inbox's path. `marker` is what it is known by; None where it has none, and none could be written."""

    available: bool
    reason: str = ""
    marker: str | None = None
    folder: tuple[int, int] | None = None  # device and inode


def look(root: str, expected: str | None, before: tuple[int, int] | None = None) -> Presence:
    """Whether the inbox is there and is the one whose marker is expected (None: any is right, and one is written if need be).

    `before` is the folder as it was seen last: where it is the same one, a marker that somebody deleted is written anew.
    """
    try:
        facts = os.stat(root)
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        os.stat(os.path.join(root, "."))  # entering is a right of its own
        marker = read_marker(root)
    except OSError as error:
        return Presence(False, _told(error))
    folder = (facts.st_dev, facts.st_ino)
    if marker == expected or expected is None or (marker is None and folder == before):
        return Presence(True, marker=marker or write_marker(root, expected), folder=folder)
    return Presence(False, _stranger(root, marker), marker=marker, folder=folder)


def accept(root: str) -> str | None:
    """The marker of the folder that stands there now, written if it has none. Raises OSError where the folder is not there."""
    os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
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
    """Gives the folder a marker, a new one if none is given. None where it cannot be written: then the folder is not told apart."""
    marker = marker or str(uuid.uuid4())
    making = os.path.join(root, f"{MARKER_NAME}-{uuid.uuid4().hex}")
    try:
        with open(making, "x", encoding="ascii") as file:
            file.write(_MARKER_TEXT.format(marker=marker))
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # whoever lalald runs as next year must be able to read it
            os.fsync(file.fileno())
        os.replace(making, os.path.join(root, MARKER_NAME))
    except OSError:
        with suppress(OSError):
            os.unlink(making)
        return None
    return marker


def _told(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"uid {os.getuid()} may not read it"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _stranger(root: str, marker: str | None) -> str:
    what = f"its marker {MARKER_NAME} is missing" if marker is None else f"its marker {MARKER_NAME} is another one"
    return (
        f"{what}: this is not the folder that was watched before, perhaps the empty mount point beneath it. "
        f"If it is the right one, `lalald release {shown(root)}` accepts it"
    )


class Mounts:
    """Tells at once, and without ever waking up for nothing, when a file system was mounted or unmounted anywhere.

    A mount over the inbox gives no inotify event: the folder beneath is untouched.
    """

    def __init__(self) -> None:
        self._table: int | None = None
        self._poll: select.epoll | None = None

    def start(self, changed: Callable[[], None], add_reader: Callable[[int, Callable[[], None]], object]) -> None:
        """Calls `changed` on the event loop after each change; nothing where the system has no such table."""
        try:
            self._table = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        # The table is always readable; what counts is the exceptional condition, for which asyncio has no word: hence a poll in the poll.
        self._poll = select.epoll()
        self._poll.register(self._table, select.EPOLLPRI)
        self._poll.poll(0)

        def told() -> None:
            if self._poll is not None:
                self._poll.poll(0)
            changed()

        add_reader(self._poll.fileno(), told)

    def stop(self, remove_reader: Callable[[int], object]) -> None:
        if self._poll is not None:
            remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        if self._table is not None:
            os.close(self._table)
            self._table = None
