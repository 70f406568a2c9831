"""Find the mount that holds a path, its file system type, and when mounts change, from Linux's mount table."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs"})
UNSURE = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "ceph", "glusterfs", "lustre", "davfs"})


class Mount(NamedTuple):
    """Where a file system is mounted, and its type as the kernel names it (`ext4`, `nfs4`, `fuse.sshfs`)."""

    point: str
    kind: str


def filesystem_type(path: Path, mountinfo: Path = MOUNTINFO) -> str:
    """The type of the file system that holds `path`, or '' if it is unknown."""
    return mount_of(path, mountinfo).kind


def mount_of(path: Path, mountinfo: Path = MOUNTINFO) -> Mount:
    """The mount that holds `path`; with two empty fields if it is unknown.

    `path` need not exist. Symlinks are followed. Nothing is cached, since mounts change.
    """
    try:
        table = mountinfo.read_bytes()
    except OSError:
        return Mount("", "")
    return _topmost(os.fsencode(os.path.realpath(path)), [_row(line) for line in table.splitlines()])


class _Row(NamedTuple):
    """One line of the table. `parent`: the id of the mount that this one is mounted on."""

    id: bytes
    parent: bytes
    point: bytes
    kind: bytes


def _topmost(path: bytes, rows: list[_Row]) -> Mount:
    """Resolved as the kernel does, from the root down: a mount whose parent is covered by another mount is invisible."""
    ids = {row.id for row in rows}
    # The root's parent is not in the table; within chroot(2) the root itself has no line. Of two equal lines the later one counts.
    mounted_on = {(row.parent if row.parent in ids and row.parent != row.id else b"", row.point): row for row in rows}
    visible = _Row(b"", b"", b"", b"")
    place = b"/"
    for part in [b"", *path.split(b"/")]:
        place = os.path.join(place, part) if part else place
        passed = {visible.id}
        while (above := mounted_on.get((visible.id, place))) is not None and above.id not in passed:
            visible = above
            passed.add(above.id)
    return Mount(os.fsdecode(visible.point), visible.kind.decode(errors="replace"))


def mounts_above(path: str, mountinfo: Path = MOUNTINFO) -> list[bytes]:
    """The lines of the table whose mounts hold `path` as it is written. The file systems themselves are not accessed."""
    try:
        table = mountinfo.read_bytes()
    except OSError:
        return []
    place = os.fsencode(path).rstrip(b"/") + b"/"
    return [line for line in table.splitlines() if place.startswith(_row(line).point.rstrip(b"/") + b"/")]


def mount_point_as_written(path: str, mountinfo: Path = MOUNTINFO) -> str:
    """Where the mount is that holds `path` as it is written; '' if it is unknown. No file system is accessed."""
    return os.fsdecode(max((_row(line).point for line in mounts_above(path, mountinfo)), key=len, default=b""))


def is_automount(path: str, mountinfo: Path = MOUNTINFO) -> bool:
    """Whether the topmost mount that holds `path` as it is written is autofs: accessing the path would mount it."""
    rows = [_row(line) for line in mounts_above(path, mountinfo)]
    topmost = max((len(row.point) for row in rows), default=0)
    kinds = [row.kind for row in rows if len(row.point) == topmost]
    return bool(kinds) and kinds[-1] == b"autofs"  # of two at one path, the later one is on top


def _row(line: bytes) -> _Row:
    """The fields of one line by proc_pid_mountinfo(5): a single dash ends the optional fields before the type."""
    fields = line.split(b" ")
    try:
        return _Row(fields[0], fields[1], _unescaped(fields[4]), fields[fields.index(b"-", 6) + 1])
    except (IndexError, ValueError):
        return _Row(b"", b"", b"\0", b"")


def _unescaped(field: bytes) -> bytes:
    return _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), field)


def is_network(kind: str) -> bool:
    """Whether SQLite loses data on the file system: locks and write-ahead logs do not work over a network."""
    return kind in NETWORK


def may_be_remote(kind: str) -> bool:
    """Whether the file system may be backed by anything, with or without working locks."""
    return kind in UNSURE or kind.startswith("fuse")


class MountWatcher:
    """Calls back when a file system was mounted or unmounted anywhere; never wakes up otherwise.

    A mount over an inbox causes no inotify event, because the folder under it is not changed.
    """

    def __init__(self) -> None:
        self._table: int | None = None
        self._poll: select.epoll | None = None

    def start(self, changed: Callable[[], None], add_reader: Callable[[int, Callable[[], None]], object]) -> None:
        """Call `changed` on the event loop after each change; never if the system has no such table or cannot wait for it."""
        # The table is always readable; a change is an exceptional condition, which asyncio cannot wait for: hence an epoll of its own.
        poll = select.epoll()
        try:
            self._table = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
            poll.register(self._table, select.EPOLLPRI)
        except OSError:
            poll.close()
            return
        poll.poll(0)
        self._poll = poll

        def on_change() -> None:
            if self._poll is not None:
                self._poll.poll(0)
            changed()

        add_reader(poll.fileno(), on_change)

    def stop(self, remove_reader: Callable[[int], object]) -> None:
        if self._poll is not None:
            remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        if self._table is not None:
            os.close(self._table)
            self._table = None
