"""The wall clock and the monotonic clock."""

from __future__ import annotations

import time


class Clock:
    """Use `now` for moments that are stored or shown, and `monotonic` for waits: the wall clock may be changed at any time."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic()
