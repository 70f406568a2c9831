"""Native watching of one inbox: hints about what to inspect. They may be incomplete; the scan decides.

Of watchdog this uses the reader of inotify, not its observer. The observer delays every event by half a second after a file has left
the tree, as each archived source does; it hides the error when watches for subfolders run out; it watches folders that are skipped
here; and it reports only to its log that the kernel dropped events.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, starmap
from typing import TYPE_CHECKING, NamedTuple, cast

from lalald.filesystem.markers import MARKER_NAME
from lalald.inbox.scanning.walk import join
from lalald.inbox.selection import excluded_names, partial_downloads

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchDescriptor

MOST_HINTS = 10_000

_ATTRIBUTES, _CLOSED, _MOVED_FROM, _MOVED_TO = 0x4, 0x8, 0x40, 0x80  # <sys/inotify.h>
_CREATED, _DELETED, _DELETED_SELF, _MOVED_SELF = 0x100, 0x200, 0x400, 0x800
_UNMOUNTED, _ONLY_FOLDERS, _NO_SYMLINKS, _NO_UNLINKED, _FOLDER = 0x2000, 0x1000000, 0x2000000, 0x4000000, 0x40000000

_FOLDER_ITSELF = _DELETED_SELF | _MOVED_SELF
_WITHIN = _ATTRIBUTES | _CLOSED | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED | _ONLY_FOLDERS | _NO_UNLINKED
_ARRIVED = _CREATED | _MOVED_TO
_LEFT = _DELETED | _MOVED_FROM

_EXHAUSTED = {
    errno.ENOSPC: "fs.inotify.max_user_watches",
    errno.EMFILE: "fs.inotify.max_user_instances",
    errno.ENFILE: "fs.file-max",
}


class WatchError(Exception):
    """An inbox cannot be watched natively; `sysctl` names the limit that was reached, if one was."""

    def __init__(self, message: str, sysctl: str | None = None) -> None:
        super().__init__(message)
        self.hint = f"Raise the limit: `sysctl {sysctl}=…`, and permanently in /etc/sysctl.d/." if sysctl else ""


class Hint(NamedTuple):
    """A file or folder to inspect. `was_deleted`: it was deleted or moved away since the last hint, whatever is there now."""

    path: str
    was_deleted: bool = False


@dataclass(slots=True)
class Hints:
    """What to inspect, since the last call.

    `arrived`: files that were created or renamed to their names. `are_incomplete`: events were dropped, so that everything must be
    scanned. `concern_root`: something happened to the inbox's own folder. `failure`: a folder cannot be watched natively.
    """

    files: list[Hint] = field(default_factory=list)
    folders: list[Hint] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    are_incomplete: bool = False
    concern_root: bool = False
    failure: WatchError | None = None


@dataclass(slots=True)
class _Collected:
    """Hints while they come: of a path, whether it was deleted."""

    files: dict[str, bool] = field(default_factory=dict)
    folders: dict[str, bool] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    are_incomplete: bool = False
    concern_root: bool = False
    failure: WatchError | None = None

    @property
    def count(self) -> int:
        return len(self.files) + len(self.folders)

    def drop_paths(self) -> None:
        self.files, self.folders, self.arrived, self.are_incomplete = {}, {}, set(), True

    def hints(self) -> Hints:
        files, folders = (list(starmap(Hint, paths.items())) for paths in (self.files, self.folders))
        return Hints(files, folders, self.arrived, self.are_incomplete, self.concern_root, self.failure)


class _Watched(NamedTuple):
    """`folder`: None for one above the inbox."""

    folder: str | None
    callback: int


class Watch:
    """Watches folders by inotify.

    `wake` is called on the reader's thread, once for all hints until the next `drain`; `wake_later` if files were only deleted or
    moved away, as each archived source is: that is not urgent. A walk over the tree adds each folder before it is listed.
    `add`, `drain` and `stop` may be called on any thread.
    """

    def __init__(
        self,
        root: str,
        *,
        wake: Callable[[], None],
        wake_later: Callable[[], None] | None = None,
        skipped: Callable[[str], bool],
        recursive: bool = True,
        most_hints: int = MOST_HINTS,
    ) -> None:
        self._root = root
        self._wake = wake
        self._wake_later = wake_later or wake
        self._skipped = skipped
        self._recursive = recursive
        self._most_hints = most_hints
        self._lock = threading.Lock()
        self._collected = _Collected()
        self._woken = self._woken_later = False
        self._stopped = False
        self._folders: dict[int, _Watched] = {}
        self._callbacks = count(1)
        self._reader: InotifyFD | None = None

    def start(self) -> None:
        """Begin to watch the folders above the inbox; its own come by `add`. Raises WatchError."""
        try:
            from watchdog.observers.inotify_c import InotifyFD
        except Exception as error:  # of watchdog's own kind, where there is no inotify
            raise WatchError("inotify is not available") from error
        try:
            self._reader = InotifyFD()
            self._reader.name = f"inotify {self._root}"
            self._reader.start()
            self._watch_above()
        except OSError as error:
            self.stop()
            raise _watch_error(error) from error
        logging.getLogger("watchdog").setLevel(logging.ERROR)  # an overflow is reported by `on_queue_overflow`

    @property
    def is_alive(self) -> bool:
        """Whether the reader's thread still runs."""
        return self._reader is not None and self._reader.is_alive()

    def stop(self) -> None:
        """Stop; no hint comes afterwards. Does not wait for the reader: adding a folder of a dead share may block it for ever."""
        with self._lock:
            self._stopped = True
        if self._reader is not None:
            threading.Thread(target=self._reader.stop, name=f"stop {self._reader.name}", daemon=True).start()

    def add(self, folder: str) -> None:
        """Watch a folder of the inbox, again if it was watched before. Errors are reported among the hints."""
        follow = 0 if folder == "" else _NO_SYMLINKS
        own = _FOLDER_ITSELF if folder == "" else 0
        try:
            self._add(os.path.join(self._root, folder), _WITHIN | follow | own, folder)
        except OSError as error:
            if error.errno in _EXHAUSTED or (folder == "" and isinstance(error, PermissionError)):
                self._note_failure(_watch_error(error))
            elif folder == "":
                self._note_root(is_incomplete=True)  # it may be back before the next check, without a watch
            # other errors of a folder in it are reported when it is listed

    def drain(self) -> Hints:
        """The hints since the last call."""
        with self._lock:
            collected, self._collected = self._collected, _Collected()
            self._woken = self._woken_later = False
        return collected.hints()

    def _watch_above(self) -> None:
        """A folder above may be moved with the inbox in it, which the inbox's own watch does not report."""
        folder = os.path.dirname(os.path.realpath(self._root))
        while folder != os.path.dirname(folder):
            with suppress(PermissionError, FileNotFoundError):
                self._add(folder, _FOLDER_ITSELF, None)
            folder = os.path.dirname(folder)

    def _add(self, path: str, mask: int, folder: str | None) -> None:
        reader = self._reader
        if reader is None or self._stopped:
            return
        callback = next(self._callbacks)
        # A new callback for each call: watchdog warns if one is set twice, and the kernel has one watch per folder.
        watch = reader.add_callback(os.fsencode(path), cast("Mask", mask), self, cast("CallbackId", callback))
        if watch < 0:  # watchdog's sign that the folder may not be read
            reader.remove_callbacks([(watch, cast("CallbackId", callback))])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        with self._lock:
            before = self._folders.get(watch)
            self._folders[watch] = _Watched(folder, callback)
        if before is not None:
            reader.remove_callbacks([(watch, cast("CallbackId", before.callback))])

    # called by watchdog's reader, on its thread

    def on_event(self, event: InotifyEvent) -> None:
        """One event of the kernel."""
        watched, mask = self._folders.get(event.wd), event.mask
        folder = None if watched is None else watched.folder
        if mask & (_FOLDER_ITSELF | _UNMOUNTED):
            if folder is None or folder == "":
                self._note_root()
            return
        if folder is None or not event.name:
            return
        name = os.fsdecode(event.name)
        if name == MARKER_NAME and folder == "" and mask & (_ARRIVED | _LEFT):
            self._note_root()
        elif excluded_names.refusal(name) is None:
            self._note(join(folder, name), mask)
        elif mask & _LEFT and (finished := partial_downloads.controlled_by(name)):
            path = join(folder, finished)
            self._note(path, _FOLDER if os.path.isdir(os.path.join(self._root, path)) else _CLOSED)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """The folder was deleted, or its file system unmounted."""
        with self._lock:
            watched = self._folders.pop(wd, None)
        if watched is not None and watched.folder == "":
            self._note_root()

    def on_queue_overflow(self) -> None:
        """The kernel dropped events."""
        with self._lock:
            self._collected.are_incomplete = True
        self._wake_once()

    def _note(self, path: str, mask: int) -> None:
        was_deleted, is_folder = bool(mask & _LEFT), bool(mask & _FOLDER)
        if is_folder and (not self._recursive or self._skipped(path)):
            return
        with self._lock:
            collected = self._collected
            paths = collected.folders if is_folder else collected.files
            if collected.count >= self._most_hints:
                collected.drop_paths()
            else:
                paths[path] = paths.get(path, False) or was_deleted
                if mask & _ARRIVED and not is_folder:
                    collected.arrived.add(path)
        self._wake_once(is_urgent=is_folder or not was_deleted)

    def _note_root(self, *, is_incomplete: bool = False) -> None:
        with self._lock:
            self._collected.concern_root = True
            self._collected.are_incomplete |= is_incomplete
        self._wake_once()

    def _note_failure(self, error: WatchError) -> None:
        with self._lock:
            self._collected.failure = error
        self._wake_once()

    def _wake_once(self, *, is_urgent: bool = True) -> None:
        with self._lock:
            if self._woken or self._stopped or (self._woken_later and not is_urgent):
                return
            if is_urgent:
                self._woken = True
            else:
                self._woken_later = True
        (self._wake if is_urgent else self._wake_later)()


def _watch_error(error: OSError) -> WatchError:
    sysctl = _EXHAUSTED.get(error.errno or 0)
    if sysctl is None:
        return WatchError(f"inotify failed: {error.strerror or error}")
    return WatchError(f"the limit of {sysctl} is reached", sysctl)
