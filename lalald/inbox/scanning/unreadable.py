"""Files and folders of one inbox that could not be read at the last try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lalald.inbox.readiness import UnreadableFile

_MOST = 10_000


class Unreadable:
    """In memory: the first scan after a start finds them again."""

    def __init__(self, inbox: str, log: Any) -> None:
        self._inbox = inbox
        self._log = log
        self._reasons: dict[str, str] = {}
        self._logged: set[str] = set()

    @property
    def count(self) -> int:
        return len(self._reasons)

    @property
    def first(self) -> tuple[str, str]:
        """The path of one of them within the inbox, and the reason. Raises StopIteration if there is none."""
        return next(iter(self._reasons.items()))

    def add(self, event: str, files: Sequence[UnreadableFile]) -> None:
        """Note these, and log each path once."""
        for path, error in files:
            if len(self._reasons) < _MOST:
                self._reasons[path] = error.strerror or str(error)
            if path not in self._logged and len(self._logged) < _MOST:
                self._logged.add(path)
                hint = "Give lalald's user permission to read it."
                self._log.warning(event, path=path, inbox=self._inbox, reason=error.strerror, hint=hint)

    def forget(self, paths: Iterable[str]) -> None:
        """These are inspected again."""
        for path in paths:
            self._reasons.pop(path, None)

    def forget_below(self, folders: Iterable[str]) -> None:
        """These folders, and everything in them, are scanned again; the inbox itself is the folder without a name."""
        scanned = tuple(folders)
        if "" in scanned:
            self._reasons.clear()
        prefixes = tuple(f"{folder}/" for folder in scanned)
        self.forget([path for path in self._reasons if path in scanned or path.startswith(prefixes)])
