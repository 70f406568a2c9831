"""The sandbox's clock: the machine's time, plus what it was advanced by."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch."""

    def __init__(self) -> None:
        self.advanced_seconds = 0.0

    def __call__(self) -> float:
        return time.time() + self.advanced_seconds

    def advance(self, seconds: float) -> None:
        self.advanced_seconds += seconds
