"""Progress and rate of a job's transfers, for `status`. Pure; the clock is a parameter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

_WINDOW_SECONDS = 15.0  # long enough to even out bursts, short enough to notice a stall
_SHORTEST_SECONDS = 0.9  # a rate over less than about one measurement is a guess


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Bytes of all transfers of a job's stage. `total_bytes` is an estimate where the service declared no size."""

    done_bytes: int
    total_bytes: int
    rate: float | None = None  # bytes per second over the last seconds; None while it is not known yet

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None where nothing moves, or nothing is known yet."""
        return max(0, self.total_bytes - self.done_bytes) / self.rate if self.rate else None


class RateMeter:
    """Bytes per second of each job, over a moving window. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._measured: dict[int, deque[tuple[float, int]]] = {}

    def measure(self, job_id: int, moved_bytes: int) -> float | None:
        """The rate, now that so many bytes have moved in all. Fewer than before: a transfer began again, and the window with it."""
        now = self._monotonic()
        window = self._measured.setdefault(job_id, deque())
        if window and moved_bytes < window[-1][1]:
            window.clear()
        window.append((now, moved_bytes))
        while len(window) > 2 and now - window[1][0] >= _WINDOW_SECONDS:
            window.popleft()
        began_at, began_bytes = window[0]
        seconds = now - began_at
        return (moved_bytes - began_bytes) / seconds if seconds >= _SHORTEST_SECONDS else None

    def forget_all_but(self, job_ids: Collection[int]) -> None:
        """Their transfers are over."""
        for job_id in self._measured.keys() - set(job_ids):
            del self._measured[job_id]
