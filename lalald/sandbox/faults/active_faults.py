"""The active faults: which requests they affect, and how often they have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lalald.sandbox.faults.faults import REQUEST_KINDS, Fault


class ActiveFault:
    """A fault, how many requests it matched and affected, and whether it was removed (`lifted`)."""

    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.matched = 0
        self.used = 0
        self.ends_at = None if fault.seconds is None else now + fault.seconds
        self.lifted = asyncio.Event()
        self._limit = fault.count if fault.count is not None else int(fault.seconds is None)

    def affects(self, operation: str, subjects: Sequence[str], now: float) -> bool:
        """Whether it affects this request, which is counted."""
        if not self.matches(operation, subjects) or self.is_over(now):
            return False
        self.matched += 1
        if self.matched <= self.fault.after:
            return False
        self.used += 1
        return True

    def matches(self, operation: str, subjects: Sequence[str]) -> bool:
        match = self.fault.match
        names_it = match is None or any(match in subject for subject in subjects)
        return names_it and self.fault.operation in ("*", operation)

    def is_over(self, now: float) -> bool:
        return bool(self._limit and self.used >= self._limit) or (self.ends_at is not None and now >= self.ends_at)


class ActiveFaults:
    """The first fault that matches a request affects it."""

    def __init__(self, faults: Iterable[Fault] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: list[ActiveFault] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Use these faults from now on, and no others; requests that hang because of an earlier one are answered."""
        for active in self._active:
            active.lifted.set()
        self._active = [ActiveFault(fault, self._clock()) for fault in faults]

    def take(
        self, operation: str, subjects: Sequence[str] = (), kinds: frozenset[str] = REQUEST_KINDS
    ) -> ActiveFault | None:
        """The fault of these kinds that affects a request about `subjects` (file names and labels); it counts the request."""
        if not self._active:
            return None
        now = self._clock()
        candidates = (active for active in self._active if active.fault.kind in kinds)
        return next((active for active in candidates if active.affects(operation, subjects, now)), None)

    def lines(self) -> list[dict[str, Any]]:
        """The active faults, for people and tests."""
        return [
            {**active.fault.model_dump(exclude_defaults=True), "matched": active.matched, "used": active.used}
            for active in self._active
        ]
