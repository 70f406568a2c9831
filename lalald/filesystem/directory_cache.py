"""What lies in large folders, remembered for a moment: thousands of names are not read anew for each file.

What is remembered only ever says that a name is free. Exact names are asked of the disk each time, and names of our own are
added as they are made; what can be missed is a stranger's file of the last second whose name differs in case alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lalald.filesystem.files import list_names
from lalald.filesystem.names import alike, fold

_SMALL = 200  # names that are read as fast as remembered
_FOLDERS_AT_MOST = 8
_REMEMBERED_SECONDS = 1.0
_SHARE_OF_TIME = 20  # reading takes a twentieth of the time at most, however slow the disk


@dataclass(slots=True)
class _Look:
    """The names of a folder, each between two NULs; None while they are being read."""

    folded: str | None = None
    until: float = 0.0
    made_since: set[str] = field(default_factory=set)

    def lacks(self, name: str) -> bool:
        key = fold(name)
        return self.folded is not None and key not in self.made_since and f"\0{key}\0" not in self.folded


class DirectoryCache:
    """Used by many threads. `monotonic` tells seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looks: dict[str, _Look] = {}
        self._lock = threading.Lock()

    def alike(self, folder: str, name: str) -> list[str]:
        """The names in a folder that are `name` to a disk which ignores case and normal forms. Raises OSError."""
        with self._lock:
            look = self._looks.get(folder)
        if look is not None and self._monotonic() < look.until and look.lacks(name):
            return [name] if os.path.lexists(os.path.join(folder, name)) else []
        return alike(self._read(folder), name)

    def _read(self, folder: str) -> list[str]:
        began_at = self._monotonic()
        look = _Look()
        with self._lock:
            if (other := self._looks.get(folder)) is not None and other.folded is None:
                look.made_since = other.made_since  # another thread reads it too: what is made now counts for both
            self._looks[folder] = look
        try:
            names = list_names(folder)
            if len(names) > _SMALL:
                look = _Look(fold("\0".join(["", *names, ""])), made_since=look.made_since)
        finally:
            self._remember(folder, look, began_at)
        return names

    def _remember(self, folder: str, look: _Look, began_at: float) -> None:
        now = self._monotonic()
        look.until = now + max(_REMEMBERED_SECONDS, (now - began_at) * _SHARE_OF_TIME)
        with self._lock:
            self._looks.pop(folder, None)
            if look.folded is not None:
                self._looks[folder] = look
            for oldest in list(self._looks)[:-_FOLDERS_AT_MOST]:
                del self._looks[oldest]

    def make(self, outbox: str, path: str) -> None:
        """Told before `path` within the outbox, and perhaps its folders, are made."""
        with self._lock:
            for part in path.split("/"):
                if (look := self._looks.get(outbox.rstrip("/"))) is not None:
                    look.made_since.add(fold(part))
                outbox = os.path.join(outbox, part)


DIRECTORY_CACHE = DirectoryCache()
