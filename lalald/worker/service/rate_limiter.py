"""Rate limits: the pause after a 429, growing pauses, and the requests per minute of `/check/`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable

from lalald.clock import Clock
from lalald.jobs.backoff import backoff_seconds


class RateLimitPause:
    """After a 429 every operation pauses: as long as the service says, and longer each time without a success in between."""

    _LONGEST_RETRY_AFTER_SECONDS = 3600.0

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._times = 0
        self._began_at = 0.0
        self._ends_at = 0.0
        self.problem: str | None = None

    @property
    def wait_seconds(self) -> float:
        """0 if requests may be sent."""
        return max(0.0, self._ends_at - self._clock.monotonic()) if self._times else 0.0

    def limited(self, problem: str, *, began_at: float, retry_after_seconds: float | None) -> bool:
        """A request that was sent at `began_at` was answered 429. Returns whether the pause is a new one."""
        now = self._clock.monotonic()
        asked = min(retry_after_seconds or 0.0, self._LONGEST_RETRY_AFTER_SECONDS)
        if self._times and began_at < self._began_at:  # sent before the pause: only its Retry-After counts
            self._ends_at = max(self._ends_at, now + asked)
            return False
        is_new = self._times == 0
        self._ends_at = now + max(backoff_seconds(self._times, self._jitter()), asked)
        self._times += 1
        self._began_at = now
        self.problem = problem
        return is_new

    def succeeded(self, *, began_at: float) -> bool:
        """A request was answered. Returns whether that ended the pauses."""
        if not self._times or began_at < self._began_at:
            return False
        self._times = 0
        self.problem = None
        return True


class GrowingPauses:
    """A pause for each key, longer each time that it fails. In memory."""

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._of: dict[Hashable, tuple[int, float]] = {}  # how often it failed, and until when it pauses

    def failed(self, key: Hashable) -> None:
        times = self.times(key)
        self._of[key] = (times + 1, self._clock.monotonic() + backoff_seconds(times, self._jitter()))

    def forget(self, key: Hashable) -> None:
        self._of.pop(key, None)

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forget all other keys."""
        self._of = {key: pause for key, pause in self._of.items() if key in keys}

    def times(self, key: Hashable) -> int:
        """How often it failed in a row."""
        return self._of[key][0] if key in self._of else 0

    def wait_seconds(self, key: Hashable) -> float:
        """0 if it does not pause."""
        return max(0.0, self._of[key][1] - self._clock.monotonic()) if key in self._of else 0.0

    def __len__(self) -> int:
        return len(self._of)

    @property
    def next_seconds(self) -> float | None:
        """Seconds until the first pause is over; None if nothing has failed."""
        return min((self.wait_seconds(key) for key in self._of), default=None)


class RateLimiter:
    """Never more than `per_minute` requests in any 60 s, spread evenly, across restarts too."""

    # A request may arrive late and the next one early: the service measures its own window.
    _SLACK_SECONDS = 0.02
    _URGENT_SHARE = 0.75

    def __init__(self, per_minute: int, clock: Clock, earlier: Iterable[float] = ()) -> None:
        """`earlier`: when requests were sent before a restart (wall clock); a time in the future was read from a stepped clock."""
        self.per_minute = per_minute
        self._clock = clock
        now, monotonic = clock.now(), clock.monotonic()
        ages = sorted((max(0.0, now - at) for at in earlier if now - at < 60.0), reverse=True)
        self._sent: deque[float] = deque(monotonic - age for age in ages)

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next request may be sent."""
        now = self._clock.monotonic()
        self._forget_old(now)
        if not self._sent:
            return 0.0
        even = self._sent[-1] + 60.0 / self.per_minute + self._SLACK_SECONDS
        full = self._sent[-self.per_minute] + 60.0 + self._SLACK_SECONDS if len(self._sent) >= self.per_minute else 0.0
        return max(0.0, even - now, full - now)

    @property
    def urgent_wait_seconds(self) -> float:
        """The same for a request that others wait for: sent at once while some of the minute's requests are left."""
        self._forget_old(self._clock.monotonic())
        return 0.0 if len(self._sent) < self._URGENT_SHARE * self.per_minute else self.wait_seconds

    def _forget_old(self, now: float) -> None:
        while self._sent and now - self._sent[0] > 60.0 + self._SLACK_SECONDS:
            self._sent.popleft()

    def sent(self) -> list[float]:
        """Record that a request is sent now. Returns the times in the window (wall clock), to be saved."""
        monotonic = self._clock.monotonic()
        self._sent.append(monotonic)
        now = self._clock.now()
        return [now - (monotonic - at) for at in self._sent]
