"""Resolve symlinks without waiting for a file system that never answers."""

from __future__ import annotations

import os
import threading
from pathlib import Path

ANSWER_SECONDS = 1.0


class RealPaths:
    """Resolves each path once. Below a folder that does not answer, paths are used as written: the daemon still starts, for its
    other folders, and reports what is wrong with this one."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._known: dict[Path, Path] = {}
        self._silent: set[Path] = set()

    def of(self, path: Path) -> Path:
        """The path without symlinks."""
        if path not in self._known:
            self._known[path] = path if any(map(path.is_relative_to, self._silent)) else self._resolve(path)
        return self._known[path]

    def _resolve(self, path: Path) -> Path:
        found: list[Path] = []
        thread = threading.Thread(target=lambda: found.append(Path(os.path.realpath(path))), daemon=True)
        thread.start()
        thread.join(self._answer_seconds)
        if not found:
            self._silent.add(path)
        return found[0] if found else path
