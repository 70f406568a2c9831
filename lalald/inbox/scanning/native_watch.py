"""Native watching of one inbox: hints about where to look, never the truth.

Of watchdog this uses the reader of inotify and not the observer built upon it. The observer holds everything back for half a second
after each file that leaves the tree, as every source does that is filed away; it swallows the error when the watches of subfolders
run out; it watches folders that are none of our business; and it says only to its log that the kernel dropped events.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, cast

from lalald.filesystem.markers import MARKER_NAME
from lalald.inbox.scanning.walk import join
from lalald.inbox.selection import excluded_names, partial_downloads

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchDescriptor

MOST_HINTS = 10_000

_ATTRIBUTES, _CLOSED, _MOVED_FROM, _MOVED_TO = 0x4, 0x8, 0x40, 0x80  # <sys/inotify.h>
_CREATED, _DELETED, _DELETED_SELF, _MOVED_SELF = 0x100, 0x200, 0x400, 0x800
_UNMOUNTED, _ONLY_FOLDERS, _NO_SYMLINKS, _NO_UNLINKED, _FOLDER = 0x2000, 0x1000000, 0x2000000, 0x4000000, 0x40000000

_ITSELF = _DELETED_SELF | _MOVED_SELF
_WITHIN = _ATTRIBUTES | _CLOSED | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED | _ONLY_FOLDERS | _NO_UNLINKED
_CAME = _CREATED | _MOVED_TO
_WENT = _DELETED | _MOVED_FROM

_EXHAUSTED = {
    errno.ENOSPC: "fs.inotify.max_user_watches",
    errno.EMFILE: "fs.inotify.max_user_instances",
    errno.ENFILE: "fs.file-max",
}


class WatchError(Exception):
    """An inbox cannot be watched natively; `sysctl` names the limit that was reached, if one was."""

    def __init__(self, message: str, sysctl: str | None = None) -> None:
        super().__init__(message)
        self.hint = f"Raise the limit: `sysctl {sysctl}=…`, and for good in /etc/sysctl.d/." if sysctl else ""


@dataclass(slots=True)
class Hints:
    """Where to look. Of a file: whether it went away meanwhile, whatever lies there now."""

    files: dict[str, bool] = field(default_factory=dict)
    folders: dict[str, bool] = field(default_factory=dict)
    came: set[str] = field(default_factory=set)  # files that appeared under their names, by creation or renaming
    lost: bool = False  # events were dropped: everything must be looked at
    root: bool = False  # something happened to the inbox itself
    failure: WatchError | None = None  # some folder cannot be watched: natively, files would be missed

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.lost or self.root or self.failure)


class Watch:
    """Watches the folders that it is told to, by inotify.

    `wake` is called on the reader's thread, once for all hints until the next `drain`; `wake_later` where files only went away,
    as each source does that is filed: nobody waits for that. Folders are added by whoever walks the tree, each before it is
    listed. `add`, `drain` and `stop` may be called on any thread.
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
        self._hints = Hints()
        self._woken = self._woken_later = False
        self._stopped = False
        self._folders: dict[
            int, tuple[str | None, int]
        ] = {}  # of a watch: its folder (None: above the inbox) and callback
        self._callbacks = count(1)
        self._reader: InotifyFD | None = None

    def start(self) -> None:
        """Begins to watch the inbox's own fate; its folders come by `add`. Raises WatchError."""
        try:
            from watchdog.observers.inotify_c import InotifyFD
        except Exception as error:  # watchdog names the lack of inotify in its own way
            raise WatchError("there is no inotify here") from error
        try:
            self._reader = InotifyFD()
            self._reader.name = f"inotify {self._root}"
            self._reader.start()
            self._watch_above()
        except OSError as error:
            self.stop()
            raise _translated(error) from error
        logging.getLogger("watchdog").setLevel(logging.ERROR)  # an overflow is ours to tell

    @property
    def is_alive(self) -> bool:
        """Whether the reader still reads."""
        return self._reader is not None and self._reader.is_alive()

    def stop(self) -> None:
        """Ends the watching; no hint comes after it. The reader waits for a folder that is being added, and a dead share never is."""
        with self._lock:
            self._stopped = True
        if self._reader is not None:
            threading.Thread(target=self._reader.stop, name=f"end of {self._reader.name}", daemon=True).start()

    def add(self, folder: str) -> None:
        """Watches a folder of the inbox, once more if it was watched before. Trouble is told among the hints."""
        follow = 0 if folder == "" else _NO_SYMLINKS
        own = _ITSELF if folder == "" else 0
        try:
            self._add(os.path.join(self._root, folder), _WITHIN | follow | own, folder)
        except OSError as error:
            if error.errno in _EXHAUSTED or (folder == "" and isinstance(error, PermissionError)):
                self._tell_failure(_translated(error))
            elif folder == "":
                self._tell_root(lost=True)  # it may be back before anybody looks, and nothing of it would ever be heard
            # whatever else is wrong with a folder within, listing it says it too

    def drain(self) -> Hints:
        """The hints since the last call."""
        with self._lock:
            hints, self._hints = self._hints, Hints()
            self._woken = self._woken_later = False
        return hints

    def _watch_above(self) -> None:
        """A folder above may be moved away with the inbox in it, of which the inbox's own watch hears nothing."""
        folder = os.path.dirname(os.path.realpath(self._root))
        while folder != os.path.dirname(folder):
            with suppress(PermissionError, FileNotFoundError):
                self._add(folder, _ITSELF, None)
            folder = os.path.dirname(folder)

    def _add(self, path: str, mask: int, folder: str | None) -> None:
        reader = self._reader
        if reader is None or self._stopped:
            return
        callback = next(self._callbacks)
        # A new callback for each call: watchdog warns when one is set twice, and the kernel has one watch for each folder.
        watch = reader.add_callback(os.fsencode(path), cast("Mask", mask), self, cast("CallbackId", callback))
        if watch < 0:  # watchdog's way to say that the folder may not be read
            reader.remove_callbacks([(watch, cast("CallbackId", callback))])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        with self._lock:
            before = self._folders.get(watch)
            self._folders[watch] = (folder, callback)
        if before is not None:
            reader.remove_callbacks([(watch, cast("CallbackId", before[1]))])

    # what watchdog's reader calls, on its thread

    def on_event(self, event: InotifyEvent) -> None:
        """One event of the kernel."""
        folder, _ = self._folders.get(event.wd, (None, 0))
        mask = event.mask
        if mask & (_ITSELF | _UNMOUNTED):
            if folder is None or folder == "":
                self._tell_root()
            return
        if folder is None or not event.name:
            return
        name = os.fsdecode(event.name)
        if name == MARKER_NAME and folder == "" and mask & (_CAME | _WENT):
            self._tell_root()
        elif excluded_names.refusal(name) is None:
            self._tell(join(folder, name), mask)
        elif mask & _WENT and (finished := partial_downloads.controlled_by(name)):
            path = join(folder, finished)
            self._tell(path, _FOLDER if os.path.isdir(os.path.join(self._root, path)) else _CLOSED)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """The folder is gone, or its file system is."""
        with self._lock:
            folder, _ = self._folders.pop(wd, (None, 0))
        if folder == "":
            self._tell_root()

    def on_queue_overflow(self) -> None:
        """The kernel dropped events."""
        with self._lock:
            self._hints.lost = True
        self._wake_once()

    def _tell(self, path: str, mask: int) -> None:
        went = bool(mask & _WENT)
        is_folder = bool(mask & _FOLDER)
        if is_folder and (not self._recursive or self._skipped(path)):
            return
        with self._lock:
            hints = self._hints
            if len(hints.files) + len(hints.folders) >= self._most_hints:
                self._hints = Hints(lost=True, root=hints.root, failure=hints.failure)
            elif is_folder:
                hints.folders[path] = hints.folders.get(path, False) or went
            else:
                hints.files[path] = hints.files.get(path, False) or went
                if mask & _CAME:
                    hints.came.add(path)
        self._wake_once(soon=is_folder or not went)

    def _tell_root(self, *, lost: bool = False) -> None:
        with self._lock:
            self._hints.root = True
            self._hints.lost |= lost
        self._wake_once()

    def _tell_failure(self, error: WatchError) -> None:
        with self._lock:
            self._hints.failure = error
        self._wake_once()

    def _wake_once(self, *, soon: bool = True) -> None:
        with self._lock:
            if self._woken or self._stopped or (self._woken_later and not soon):
                return
            if soon:
                self._woken = True
            else:
                self._woken_later = True
        (self._wake if soon else self._wake_later)()


def _translated(error: OSError) -> WatchError:
    sysctl = _EXHAUSTED.get(error.errno or 0)
    if sysctl is None:
        return WatchError(f"inotify refuses: {error.strerror or error}")
    return WatchError(f"the limit of {sysctl} is reached", sysctl)
