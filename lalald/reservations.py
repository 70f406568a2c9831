"""Names in the outboxes that jobs are about to use."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lalald.naming import fold


class Reservations:
    """One job at a time chooses its names, and none chooses what another is about to put there.

    The durable copy is in the rows of the tracks; this one makes choosing and claiming a single step.
    """

    def __init__(self, reserved: Iterable[tuple[str, str, int]] = ()) -> None:
        """`reserved`: outbox, path within it, job."""
        self._lock = threading.Lock()
        self._names = {self._key(outbox, path): job_id for outbox, path, job_id in reserved}

    @contextmanager
    def choosing(self) -> Iterator[None]:
        with self._lock:
            yield

    def taken(self, outbox: str, folded_path: str, job_id: int) -> bool:
        """Whether another job is about to put a file there."""
        return self._names.get(f"{fold(outbox)}/{folded_path}", job_id) != job_id

    def claim(self, outbox: str, paths: Iterable[str], job_id: int) -> None:
        for path in paths:
            self._names[self._key(outbox, path)] = job_id

    def forget(self, job_id: int) -> None:
        """The job's files are in place: from now on the disk tells."""
        with self._lock:
            self._names = {name: owner for name, owner in self._names.items() if owner != job_id}

    @staticmethod
    def _key(outbox: str, path: str) -> str:
        return f"{fold(outbox)}/{fold(path)}"
