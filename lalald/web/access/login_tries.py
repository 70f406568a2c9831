"""How often a password may be tried: 10 times by an address, then once in 10 s; by all together 10 times a second.

Counts outlive the process: the daemon keeps them. What they refuse is answered at once and never holds a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ADDRESS_TRIES = 10.0
ADDRESS_SECONDS = 10.0  # for each further try
ALL_TRIES = 10.0
ALL_SECONDS = 0.1
MOST_ADDRESSES = 10_000
_EVERYBODY = ""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True)
class LoginTries:
    """`now` is the wall clock, since counts are handed from one process to the next; `changed` is told those that have changed."""

    now: Callable[[], float]
    changed: Callable[[dict[str, list[float]]], None] = lambda _counts: None
    buckets: dict[str, _Bucket] = field(default_factory=dict)

    def wait_seconds(self, group: str, *, is_known_device: bool) -> float:
        """0 where a try may be made. A browser that has logged in before has its own count, and none with all others."""
        waits = [self._wait(group, ADDRESS_TRIES, ADDRESS_SECONDS)]
        if not is_known_device:
            waits.append(self._wait(_EVERYBODY, ALL_TRIES, ALL_SECONDS))
        return max(waits)

    def count(self, group: str, *, is_known_device: bool, is_wrong: bool) -> None:
        """One try was made."""
        if not is_known_device:
            self._spend(_EVERYBODY, ALL_TRIES, ALL_SECONDS)
        if is_wrong:
            self._spend(group, ADDRESS_TRIES, ADDRESS_SECONDS)
            self.changed({group: [self.buckets[group].left, self.buckets[group].at]})

    def restore(self, facts: Mapping[str, list[float]]) -> None:
        self.buckets = {group: _Bucket(left, at) for group, (left, at) in facts.items()}

    def _level(self, group: str, most: float, seconds: float) -> float:
        bucket = self.buckets.get(group)
        if bucket is None:
            return most
        now = self.now()
        bucket.at = min(
            bucket.at, now
        )  # a clock that is set back grants nothing, and nothing waits until it is there again
        return min(most, bucket.left + (now - bucket.at) / seconds)

    def _wait(self, group: str, most: float, seconds: float) -> float:
        return max(0.0, 1.0 - self._level(group, most, seconds)) * seconds

    def _spend(self, group: str, most: float, seconds: float) -> None:
        level = self._level(group, most, seconds)
        self.buckets.pop(group, None)
        self.buckets[group] = _Bucket(max(0.0, level - 1.0), self.now())
        if len(self.buckets) > MOST_ADDRESSES:
            del self.buckets[next(one for one in self.buckets if one != _EVERYBODY)]
