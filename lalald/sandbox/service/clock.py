"""The sandbox's time: the machine's, plus what a test has moved it on by."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch; `advance` lets a day pass at once."""

    def __init__(self) -> None:
        self.advanced_seconds = 0.0

    def __call__(self) -> float:
        return time.time() + self.advanced_seconds

    def advance(self, seconds: float) -> None:
        self.advanced_seconds += seconds
