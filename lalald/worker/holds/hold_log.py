"""Log holds of many jobs with the same cause as one line with a count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource

GATHERED = frozenset({Hold.DUPLICATE, Hold.MINUTES})  # a dropped folder brings hundreds of them
_QUIET_SECONDS = 2.0  # after the last one
_LONGEST_SECONDS = 30.0  # after the first
_PAUSE_SECONDS = 60.0  # between two lines of one cause: files that are read slowly come one by one


@dataclass
class _Gathered:
    first: Job
    reason: str | None
    began_at: float
    count: int = 0
    timer: asyncio.TimerHandle | None = None


class HoldLog:
    """Logs a cause once no further job has been held by it for 2 s."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._gathered: dict[tuple[Hold, HoldSource | None], _Gathered] = {}
        self._written_at: dict[tuple[Hold, HoldSource | None], float] = {}

    def add(self, job: Job, hold: Hold, source: HoldSource | None, reason: str | None) -> None:
        """One more job is held."""
        loop = asyncio.get_running_loop()
        cause = (hold, source)
        gathered = self._gathered.setdefault(cause, _Gathered(job, reason, loop.time()))
        gathered.count += 1
        if gathered.timer is not None:
            gathered.timer.cancel()
        at = min(loop.time() + _QUIET_SECONDS, gathered.began_at + _LONGEST_SECONDS)
        again_at = self._written_at.get(cause, float("-inf")) + _PAUSE_SECONDS
        gathered.timer = loop.call_at(max(at, again_at), self._write, cause)

    def flush(self) -> None:
        """Writes what is gathered; the daemon stops."""
        for cause in [*self._gathered]:
            self._write(cause)

    def _write(self, cause: tuple[Hold, HoldSource | None]) -> None:
        gathered = self._gathered.pop(cause)
        self._written_at[cause] = asyncio.get_running_loop().time()
        if gathered.timer is not None:
            gathered.timer.cancel()
        facts = {
            "job": gathered.first.id,
            "path": gathered.first.path,
            "hold": str(cause[0]),
            "reason": gathered.reason,
        }
        many = {"count": gathered.count} if gathered.count > 1 else {}
        self._log.warning("job.held", **facts, **many)
