"""How often the service is asked: gates that close while it fails, and the window of `/check/`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from lalald.clock import Clock
from lalald.moves import backoff_seconds


class Gate:
    """One operation of the service. It closes when a request fails and lets one through at a time until one succeeds.

    So an outage costs one request per backoff (1 s to 5 min, full jitter), whatever the number of jobs.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._closed_at = 0.0
        self._opens_at = 0.0
        self.trouble: str | None = None

    @property
    def wait_seconds(self) -> float:
        """0 where a request may leave."""
        return max(0.0, self._opens_at - self._clock.monotonic()) if self._failures else 0.0

    def allowed(self, slots: int) -> int:
        """How many requests may be under way at once."""
        if not self._failures:
            return slots
        return 0 if self.wait_seconds else 1

    def failed(self, trouble: str, *, began_at: float, retry_after_seconds: float | None = None) -> bool:
        """A request failed. Returns whether this is news: those that left before the gate closed tell nothing new."""
        if self._failures and began_at < self._closed_at:
            return False
        news = self._failures == 0
        wait = backoff_seconds(self._failures, self._jitter())
        if retry_after_seconds is not None:
            wait = max(wait, min(retry_after_seconds, 3600.0))
        self._failures += 1
        self._closed_at = self._clock.monotonic()
        self._opens_at = self._closed_at + wait
        self.trouble = trouble
        return news

    def succeeded(self) -> bool:
        """A request was answered. Returns whether the gate had been closed."""
        was_closed = self._failures > 0
        self._failures = 0
        self.trouble = None
        return was_closed


class CheckWindow:
    """Never more than `per_minute` requests in any 60 s, spread evenly, across restarts too."""

    # A request may be a little late on its way and the next one early: the service's own window is not ours.
    _SLACK_SECONDS = 0.02

    def __init__(self, per_minute: int, clock: Clock, earlier: Iterable[float] = ()) -> None:
        """`earlier`: when requests left before a restart (wall clock); what claims to lie ahead was stamped by a stepped clock."""
        self.per_minute = per_minute
        self._clock = clock
        now, monotonic = clock.now(), clock.monotonic()
        ages = sorted((max(0.0, now - at) for at in earlier if now - at < 60.0), reverse=True)
        self._sent: deque[float] = deque(monotonic - age for age in ages)

    @property
    def wait_seconds(self) -> float:
        """Until the next request may leave."""
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] > 60.0 + self._SLACK_SECONDS:
            self._sent.popleft()
        if not self._sent:
            return 0.0
        even = self._sent[-1] + 60.0 / self.per_minute + self._SLACK_SECONDS
        full = self._sent[-self.per_minute] + 60.0 + self._SLACK_SECONDS if len(self._sent) >= self.per_minute else 0.0
        return max(0.0, even - now, full - now)

    def sent(self) -> list[float]:
        """A request leaves now. Returns the window as wall-clock times, to be remembered."""
        monotonic = self._clock.monotonic()
        self._sent.append(monotonic)
        now = self._clock.now()
        return [now - (monotonic - at) for at in self._sent]
