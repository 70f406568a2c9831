"""Files and folders of one inbox that could not be read when they were looked at last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_MOST = 10_000


class Unreadable:
    """In memory: the first scan after a start finds them again."""

    def __init__(self, inbox: str, log: Any) -> None:
        self._inbox = inbox
        self._log = log
        self._reasons: dict[str, str] = {}
        self._said: set[str] = set()

    @property
    def count(self) -> int:
        return len(self._reasons)

    @property
    def first(self) -> tuple[str, str]:
        """One of them, by its path within the inbox, and why. Raises StopIteration where there is none."""
        return next(iter(self._reasons.items()))

    def tell(self, event: str, troubles: Sequence[tuple[str, OSError]]) -> None:
        """Notes them, and logs each path once."""
        for path, error in troubles:
            if len(self._reasons) < _MOST:
                self._reasons[path] = error.strerror or str(error)
            if path not in self._said and len(self._said) < _MOST:
                self._said.add(path)
                hint = "Give lalald the right to read it."
                self._log.warning(event, path=path, inbox=self._inbox, reason=error.strerror, hint=hint)

    def forget(self, paths: Iterable[str]) -> None:
        """These are looked at again."""
        for path in paths:
            self._reasons.pop(path, None)

    def forget_below(self, folders: Iterable[str]) -> None:
        """These folders, and everything in them, are looked at again; the inbox itself is the folder without a name."""
        within = tuple(folders)
        if "" in within:
            self._reasons.clear()
        prefixes = tuple(f"{folder}/" for folder in within)
        self.forget([path for path in self._reasons if path in within or path.startswith(prefixes)])
