"""Remember the names in outboxes that jobs are about to use."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from lalald.filesystem.names import fold


class Reservations:
    """In each outbox one job at a time chooses its names, and none chooses a name that another has reserved.

    The durable copy is in the rows of the tracks; this one makes choosing and reserving a single step.
    `is_reserved` may be called on any thread.
    """

    def __init__(self, reserved: Iterable[tuple[str, str, int]] = ()) -> None:
        """`reserved`: outbox, path within it, job id."""
        self._choosing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._names = {_key(outbox, path): job_id for outbox, path, job_id in reserved}

    def choosing(self, outbox: str) -> asyncio.Lock:
        """The lock to hold from the choice of names until they are added."""
        return self._choosing[fold(outbox)]

    def is_reserved(self, outbox: str, job_id: int, folded_path: str) -> bool:
        """Whether another job is about to put a file there."""
        return self._names.get(f"{fold(outbox)}/{folded_path}", job_id) != job_id

    def add(self, outbox: str, paths: Iterable[str], job_id: int) -> None:
        """Reserve names for a job."""
        for path in paths:
            self._names[_key(outbox, path)] = job_id

    def release(self, job_id: int) -> None:
        """Forget the job's names: its files are in place, where the disk shows them."""
        self._names = {name: owner for name, owner in self._names.items() if owner != job_id}


def _key(outbox: str, path: str) -> str:
    return f"{fold(outbox)}/{fold(path)}"
