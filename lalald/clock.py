"""The two clocks."""

from __future__ import annotations

import time


class Clock:
    """Moments are told by `now`, waits are measured by `monotonic`: the first may be stepped at any time, the second never is."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic()
