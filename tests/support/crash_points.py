"""The real daemon, killed at one moment of its life: `python crash_points.py CONFIG MOMENT N`.

    save    inside the N-th save of a job, before its commit: what the stage did has happened, and the row does not know of it
    commit  around a commit that writes, in any process: 2 k - 1 is just before the k-th, 2 k just after, before anything is told
    inbox   as `file`, in inboxes only, where the order is always the same
    file    just before the N-th change of a file or a folder in an inbox, outbox or folder for filing, or just after one by renameat2

It ends on its own where there are fewer such moments.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from lalald.config import load
from lalald.daemon.daemon import run
from lalald.filesystem.renaming import METHODS, RenameMethod
from lalald.jobs.job import Job
from lalald.store import Store

_CHANGES = {"os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.truncate", "os.utime", "shutil.rmtree"}
_OPENED_TO_CHANGE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY  # a folder is opened to be synced


def countdown(last: int) -> Callable[[], None]:
    """Called for the N-th time it kills this process, whichever thread calls."""
    count = itertools.count(1)

    def passed() -> None:
        if next(count) == last:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # the signal may take another thread first

    return passed


class DyingConnection:
    """A database connection whose commits are moments to die."""

    def __init__(self, connection: sqlite3.Connection, passed: Callable[[], None]) -> None:
        self._connection = connection
        self._passed = passed
        self._written = connection.total_changes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement != "COMMIT" or self._connection.total_changes == self._written:
            return self._connection.execute(statement, *parameters)
        self._written = self._connection.total_changes
        self._passed()
        done = self._connection.execute(statement)
        self._passed()
        return done


def dying_store(moment: str, passed: Callable[[], None]) -> type[Store]:
    class DyingStore(Store):
        def __init__(self, connection: sqlite3.Connection) -> None:
            super().__init__(DyingConnection(connection, passed) if moment == "commit" else connection)  # type: ignore[arg-type] # it stands in for sqlite3's own

        def save(self, before: Job, after: Job) -> Job:
            saved = super().save(before, after)
            if moment == "save":
                passed()
            return saved

    return DyingStore


def watch_files(folders: tuple[str, ...], passed: Callable[[], None]) -> None:
    """Python reports each operation just before it; not renameat2, a bare system call, so its return is waited for."""
    renamed = METHODS[RenameMethod.RENAMEAT2].__code__

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in _CHANGES or (event == "open" and (arguments[2] or 0) & _OPENED_TO_CHANGE)
        if changes and isinstance(arguments[0], str) and arguments[0].startswith(folders):
            passed()

    def returned(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "return" and frame.f_code is renamed:
            passed()

    sys.addaudithook(audited)
    threading.setprofile(returned)


def main(path: str, moment: str, last: str) -> int:
    config = load(Path(path), os.environ)
    passed = countdown(int(last))
    inboxes = [inbox.path for inbox in config.inboxes]
    others = [folder for inbox in config.inboxes for folder in (inbox.outbox, *inbox.archive_folders)]
    if moment in ("inbox", "file"):
        watch_files(tuple(map(str, inboxes if moment == "inbox" else [*inboxes, *others])), passed)
    return run(config, once=True, open_store=dying_store(moment, passed).open)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
