"""A connection for each thread that asks, opened at its first question, and again after an error."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

from lalald.errors import StoreError
from lalald.store.database import folder_of, translated
from lalald.store.queries import Reports
from lalald.store.request_writer import Requests

Answer = TypeVar("Answer")
_CACHE_KIB = 512  # the system's own cache has the rest


class Connections:
    """`call` raises StoreError where the database cannot be used."""

    def __init__(self, state_dir: Path, open_reports: Callable[[Path], Reports] = Reports.open) -> None:
        self._state_dir = state_dir
        self._open = open_reports
        self._local = threading.local()
        self._openings = count()

    def call(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """What `function(reports, *arguments)` returns."""
        reports = self._reports()
        try:
            return function(reports, *arguments)
        except sqlite3.Error as error:
            self._forget(reports)
            raise translated(error, "the database", folder_of(reports.connection)) from error
        except StoreError:
            self._forget(reports)
            raise

    def version(self) -> tuple[int, int]:
        """Another one after each change of the database by any other connection."""
        version = self.call(_data_version)
        return self._local.opening, version

    def _reports(self) -> Reports:
        reports: Reports | None = getattr(self._local, "reports", None)
        if reports is None:
            reports = self._open(self._state_dir)
            reports.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._local.reports, self._local.opening = reports, next(self._openings)
        return reports

    def _forget(self, reports: Reports) -> None:
        """It may be of a database that was replaced."""
        self._local.reports = None
        reports.close()


class WritingConnections(Connections):
    """Each call is one transaction: written as a whole and durable when it returns, or not at all."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir, Requests.open)

    def call(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        def together(requests: Requests) -> Answer:
            with requests.together():
                return function(requests, *arguments)

        return super().call(together)


def _data_version(reports: Reports) -> int:
    (version,) = reports.connection.execute("PRAGMA data_version").fetchone()
    return int(version)
