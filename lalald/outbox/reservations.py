"""Names in the outboxes that jobs are about to use."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from lalald.filesystem.names import fold


class Reservations:
    """In an outbox one job at a time chooses its names, and none chooses what another is about to put there.

    The durable copy is in the rows of the tracks; this one makes choosing and claiming a single step. `taken` may be called on any
    thread.
    """

    def __init__(self, reserved: Iterable[tuple[str, str, int]] = ()) -> None:
        """`reserved`: outbox, path within it, job."""
        self._choosing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._names = {_key(outbox, path): job_id for outbox, path, job_id in reserved}

    def choosing(self, outbox: str) -> asyncio.Lock:
        """To be held from the choice to the claim."""
        return self._choosing[fold(outbox)]

    def taken(self, outbox: str, job_id: int, folded_path: str) -> bool:
        """Whether another job is about to put a file there."""
        return self._names.get(f"{fold(outbox)}/{folded_path}", job_id) != job_id

    def claim(self, outbox: str, paths: Iterable[str], job_id: int) -> None:
        for path in paths:
            self._names[_key(outbox, path)] = job_id

    def forget(self, job_id: int) -> None:
        """The job's files are in place: from now on the disk tells."""
        self._names = {name: owner for name, owner in self._names.items() if owner != job_id}


def _key(outbox: str, path: str) -> str:
    return f"{fold(outbox)}/{fold(path)}"
