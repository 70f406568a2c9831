"""When an inbox is checked and scanned next. Pure: moments are parameters, in seconds on the monotonic clock."""

from __future__ import annotations

from collections.abc import Iterable

FIRST_PROBE_SECONDS = 0.5
BURST_FILES = 1000
AFTER_BURST_SECONDS = 5.0


class Schedule:
    """A check tests whether the inbox's folder is there; a scan walks over it. Both are due at the start.

    - Requested ones are due at once, the next scan once its pause is over, and one scan five seconds after a burst of events: the
      kernel may have dropped some.
    - While the inbox is unavailable only checks are due, with pauses that double up to `longest_probe_seconds`.
    - After a failure of the store, the scan is tried again after `longest_probe_seconds`.
    """

    def __init__(self, longest_probe_seconds: float) -> None:
        self.is_check_requested = True
        self.is_scan_requested = True
        self._longest_probe_seconds = longest_probe_seconds
        self._probe_seconds = FIRST_PROBE_SECONDS
        self._probe_at = 0.0
        self._scan_at = 0.0
        self._burst_scan_at: float | None = None

    def request_check(self) -> None:
        self.is_check_requested = True

    def request_scan(self) -> None:
        self.is_scan_requested = True

    def request_check_and_scan(self) -> None:
        self.is_scan_requested = self.is_check_requested = True

    def note_burst(self, file_count: int, now: float) -> None:
        """So many files were named by events at once."""
        if file_count >= BURST_FILES and self._burst_scan_at is None:
            self._burst_scan_at = now + AFTER_BURST_SECONDS

    def is_check_due(self, now: float, *, is_available: bool) -> bool:
        return self.is_check_requested or (not is_available and now >= self._probe_at)

    def is_scan_due(self, now: float, *, is_available: bool) -> bool:
        after_burst = self._burst_scan_at is not None and now >= self._burst_scan_at
        return self.is_scan_requested or after_burst or (is_available and now >= self._scan_at)

    def begin_check(self) -> None:
        self.is_check_requested = False

    def begin_scan(self) -> None:
        self.is_scan_requested = False
        self._burst_scan_at = None

    def end_scan(self, now: float, pause_seconds: float) -> None:
        self._scan_at = now + pause_seconds

    def note_available(self) -> None:
        self._probe_seconds = FIRST_PROBE_SECONDS

    def note_unavailable(self, now: float) -> None:
        self._probe_at = now + self._probe_seconds
        self._probe_seconds = min(self._longest_probe_seconds, self._probe_seconds * 2)

    def note_failure(self, now: float) -> None:
        self.is_scan_requested = True
        self._probe_at = now + self._longest_probe_seconds

    def next_at(self, others: Iterable[float | None], *, is_available: bool) -> float:
        """When something is due next; `others`: moments of the files and folders that wait."""
        if not is_available or self.is_scan_requested:  # the inbox is unavailable, or the store has failed
            return self._probe_at
        return min(moment for moment in (self._scan_at, self._burst_scan_at, *others) if moment is not None)
