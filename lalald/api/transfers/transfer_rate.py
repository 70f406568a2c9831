"""Limit the bytes per second of all transfers in one direction together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LARGEST_PIECE_BYTES = 1 << 18  # more is no faster, and falls out of the processor's cache
_SMALLEST_PIECE_BYTES = 1 << 12
_PIECES_PER_SECOND = 8  # small enough that a slow connection never seems stalled, large enough to cost nothing


class Pace:
    """Lets transfers take turns, so that their sum keeps to a rate; None is as fast as it goes."""

    def __init__(self, bytes_per_second: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def piece_bytes(self) -> int:
        """The most bytes to move between two waits."""
        if self._rate is None:
            return LARGEST_PIECE_BYTES
        return max(_SMALLEST_PIECE_BYTES, min(LARGEST_PIECE_BYTES, self._rate // _PIECES_PER_SECOND))

    def wait(self, size_bytes: int, stop: threading.Event) -> None:
        """Wait until these bytes fit the rate, or `stop` is set."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size_bytes / self._rate
            wait_seconds = self._free_at - now
        stop.wait(wait_seconds)
