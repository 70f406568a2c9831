"""Report that a configured folder may have vanished, returned, or changed its rights, as far as the kernel notifies; else idle.

Three sources: inotify events of the folder itself and of its parents (renaming one moves the folder away), the mount table, and,
while a folder is missing, what appears in its nearest existing parent. An event is a hint: the caller checks the folder.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from lalald.filesystem.mounts import MountWatcher, mounts_above

_ATTRIBUTES, _MOVED_TO, _CREATED = 0x4, 0x80, 0x100  # <sys/inotify.h>
_DELETED_SELF, _MOVED_SELF, _UNMOUNTED = 0x400, 0x800, 0x2000
_NO_SYMLINKS, _IN_ADDITION = 0x2000000, 0x20000000
_ITSELF = _DELETED_SELF | _MOVED_SELF
_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 65536


class FolderMonitor:
    """`on_change` is called on the event loop with the path of a watched folder, as given to `watch`."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._mounts = MountWatcher()
        self._events: _Events | None = None
        self._folders: dict[str, _Folder] = {}
        self._lock = threading.Lock()  # `watch` runs on threads

    def start(self) -> None:
        """Start watching. Without inotify, or without a free instance of it, only the mount table is watched."""
        self._mounts.start(self._mounts_changed, self._loop.add_reader)
        with suppress(OSError):
            self._events = _Events(self._loop, self._on_event)

    def stop(self) -> None:
        self._mounts.stop(self._loop.remove_reader)
        for path in list(self._folders):
            self.unwatch(path)
        if self._events is not None:
            self._events.close()
            self._events = None

    def watch(self, path: str) -> None:
        """Watch a folder. Blocking: call it on a thread of the folder, at first and after each change, before the folder is checked."""
        folder = _Folder(os.path.realpath(path))
        places = {*_above(path), *_above(folder.real)}
        for place in sorted(places):
            own = _ATTRIBUTES if place in (path, folder.real) else 0
            if self._events is not None:
                folder.watches |= self._events.add(place, _ITSELF | own)
        with self._lock:
            before = self._folders.get(path)
            self._folders[path] = folder
        if before is not None and before.awaited is not None:
            before.awaited.close()
        if not os.path.exists(path):
            self._await_return(path, folder)
        folder.mounts = self._mounts_of(path, folder)

    def unwatch(self, path: str) -> None:
        with self._lock:
            folder = self._folders.pop(path, None)
        if folder is not None:
            self._remove_watches(folder)

    def _await_return(self, path: str, folder: _Folder) -> None:
        """Watch the nearest existing parent for the missing name."""
        nearest = next((place for place in reversed(_above(path)) if os.path.isdir(place)), None)
        if nearest is None:
            return
        missing = os.path.relpath(path, nearest).split(os.sep)[0]
        with suppress(OSError):
            folder.awaited = _Events(self._loop, lambda _watch, name: self._on_parent_event(path, missing, name))
            folder.awaited.add(nearest, _CREATED | _MOVED_TO)
            if os.path.lexists(os.path.join(nearest, missing)):  # it appeared before the watch existed
                self._loop.call_soon_threadsafe(self._on_change, path)

    def _remove_watches(self, folder: _Folder) -> None:
        """Remove the watches that no other folder needs."""
        if folder.awaited is not None:
            folder.awaited.close()
        with self._lock:
            needed = set().union(*(other.watches for other in self._folders.values()))
        if self._events is not None:
            for watch in folder.watches - needed:
                self._events.remove(watch)

    # on the event loop

    def _on_event(self, watch: int, name: str) -> None:
        if name:  # something within a folder
            return
        for path, folder in list(self._folders.items()):
            if watch in folder.watches:
                self._on_change(path)

    def _on_parent_event(self, path: str, missing: str, name: str) -> None:
        if name in (missing, ""):
            self._on_change(path)

    def _mounts_changed(self) -> None:
        for path, folder in list(self._folders.items()):
            if folder.mounts != (mounts := self._mounts_of(path, folder)):
                folder.mounts = mounts
                self._on_change(path)

    def _mounts_of(self, path: str, folder: _Folder) -> list[bytes]:
        return [*mounts_above(path), *mounts_above(folder.real)]


@dataclass(eq=False, slots=True)
class _Folder:
    real: str
    watches: frozenset[int] = frozenset()
    mounts: list[bytes] = field(default_factory=list)
    awaited: _Events | None = None


class _Events:
    """An inotify instance that the event loop reads. Raises OSError if the kernel has none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_event: Callable[[int, str], None]) -> None:
        try:
            from watchdog.observers import inotify_c
        except Exception as error:  # watchdog reports missing inotify with an exception of its own
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
        self._calls = inotify_c
        self._loop = loop
        self._on_event = on_event
        self._descriptor = inotify_c.inotify_init()
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        os.set_inheritable(self._descriptor, False)
        os.set_blocking(self._descriptor, False)
        loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._read)

    def add(self, place: str, mask: int) -> frozenset[int]:
        """The watch; empty if the path does not exist, may not be read, or watches have run out."""
        flags = _NO_SYMLINKS | _IN_ADDITION
        watch: int = self._calls.inotify_add_watch(self._descriptor, os.fsencode(place), mask | flags)
        return frozenset() if watch < 0 else frozenset({watch})

    def remove(self, watch: int) -> None:
        self._calls.inotify_rm_watch(self._descriptor, watch)  # type: ignore[arg-type] # a number

    def close(self) -> None:
        """Close the instance. May be called on any thread."""
        with suppress(RuntimeError):  # the loop may have ended
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            for watch, name in dict.fromkeys(_parsed(os.read(self._descriptor, _BUFFER_BYTES))):
                self._on_event(watch, name)


def _parsed(content: bytes) -> Iterator[tuple[int, str]]:
    place = 0
    while place < len(content):
        watch, mask, _, length = _EVENT.unpack_from(content, place)
        name = content[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0")
        place += _EVENT.size + length
        if mask & (_ITSELF | _ATTRIBUTES | _UNMOUNTED | _CREATED | _MOVED_TO):
            yield watch, os.fsdecode(name)


def _above(path: str) -> list[str]:
    """The folder and its parents, the topmost first; without the root, which cannot move."""
    places = []
    while path != (parent := os.path.dirname(path)):
        places.append(path)
        path = parent
    return places[::-1]
