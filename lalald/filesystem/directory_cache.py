"""Remember the names in large folders for a moment, so that they are not listed again for each file.

A remembered list only ever says that a name is free. Exact names are looked up on the disk each time, and our own names are
added as they are created; only a file that another program created within the last second, with a name that differs in case
alone, can be missed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lalald.filesystem.files import list_names
from lalald.filesystem.names import equivalent_names, fold

_SMALL_FOLDER = 200  # names; listing so few is as fast as remembering them
_MAX_FOLDERS = 8
_REMEMBERED_SECONDS = 1.0
_SHARE_OF_TIME = 20  # listing takes a twentieth of the time at most, however slow the disk


@dataclass(slots=True)
class _Listing:
    """The names in a folder, each between two NULs; None while they are being read."""

    folded: str | None = None
    until: float = 0.0
    added: set[str] = field(default_factory=set)

    def lacks(self, name: str) -> bool:
        key = fold(name)
        return self.folded is not None and key not in self.added and f"\0{key}\0" not in self.folded


class DirectoryCache:
    """Safe for many threads. `monotonic` returns seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._listings: dict[str, _Listing] = {}
        self._lock = threading.Lock()

    def equivalent_names(self, folder: str, name: str) -> list[str]:
        """The names in a folder that a disk which ignores case and normal forms takes for `name`. Raises OSError."""
        with self._lock:
            listing = self._listings.get(folder)
        if listing is not None and self._monotonic() < listing.until and listing.lacks(name):
            return [name] if os.path.lexists(os.path.join(folder, name)) else []
        return equivalent_names(self._read(folder), name)

    def _read(self, folder: str) -> list[str]:
        began_at = self._monotonic()
        listing = _Listing()
        with self._lock:
            if (other := self._listings.get(folder)) is not None and other.folded is None:
                listing.added = other.added  # another thread reads the folder too: names added now count for both
            self._listings[folder] = listing
        try:
            names = list_names(folder)
            if len(names) > _SMALL_FOLDER:
                listing = _Listing(fold("\0".join(["", *names, ""])), added=listing.added)
        finally:
            self._remember(folder, listing, began_at)
        return names

    def _remember(self, folder: str, listing: _Listing, began_at: float) -> None:
        now = self._monotonic()
        listing.until = now + max(_REMEMBERED_SECONDS, (now - began_at) * _SHARE_OF_TIME)
        with self._lock:
            self._listings.pop(folder, None)
            if listing.folded is not None:
                self._listings[folder] = listing
            for oldest in list(self._listings)[:-_MAX_FOLDERS]:
                del self._listings[oldest]

    def add(self, root: str, path: str) -> None:
        """Add the names of `path` within `root`, before it and perhaps its folders are created."""
        folder = root
        with self._lock:
            for part in path.split("/"):
                if (listing := self._listings.get(folder.rstrip("/"))) is not None:
                    listing.added.add(fold(part))
                folder = os.path.join(folder, part)


DIRECTORY_CACHE = DirectoryCache()
