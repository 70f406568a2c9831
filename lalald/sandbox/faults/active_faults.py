"""The faults at work: which requests they strike, and how often they have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lalald.sandbox.faults.faults import REQUEST_KINDS, Fault


class Active:
    """A fault at work: how often it was met and used, and whether it was taken back."""

    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.met = 0
        self.used = 0
        self.ends_at = None if fault.seconds is None else now + fault.seconds
        self.lifted = asyncio.Event()
        self._limit = fault.count if fault.count is not None else int(fault.seconds is None)

    def takes(self, operation: str, subjects: Sequence[str], now: float) -> bool:
        """Whether it strikes this request, which then counts."""
        if not self.concerns(operation, subjects) or self.is_over(now):
            return False
        self.met += 1
        if self.met <= self.fault.after:
            return False
        self.used += 1
        return True

    def concerns(self, operation: str, subjects: Sequence[str]) -> bool:
        match = self.fault.match
        names_it = match is None or any(match in subject for subject in subjects)
        return names_it and self.fault.operation in ("*", operation)

    def is_over(self, now: float) -> bool:
        return bool(self._limit and self.used >= self._limit) or (self.ends_at is not None and now >= self.ends_at)


class FaultBook:
    """The faults at work; the first that concerns a request strikes it."""

    def __init__(self, faults: Iterable[Fault] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: list[Active] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Only these from now on; requests that hang because of an earlier one are answered."""
        for active in self._active:
            active.lifted.set()
        self._active = [Active(fault, self._clock()) for fault in faults]

    def take(
        self, operation: str, subjects: Sequence[str] = (), kinds: frozenset[str] = REQUEST_KINDS
    ) -> Active | None:
        """The fault of these kinds that strikes a request about `subjects`: file names and labels."""
        if not self._active:
            return None
        now = self._clock()
        candidates = (active for active in self._active if active.fault.kind in kinds)
        return next((active for active in candidates if active.takes(operation, subjects, now)), None)

    def lines(self) -> list[dict[str, Any]]:
        """What is at work, for people and tests."""
        return [
            {**active.fault.model_dump(exclude_defaults=True), "met": active.met, "used": active.used}
            for active in self._active
        ]
