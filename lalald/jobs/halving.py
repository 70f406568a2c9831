"""Requests for many ids that fail as a whole: halved until the id that causes it stands alone. Pure, in memory."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

TIMES_IN_A_ROW = 3  # transient or unreadable answers before the request itself counts as the cause


class Halving(Generic[Key]):
    """How many keys may share a request with each key.

    A refusal halves at once, a transient or unreadable answer the third time in a row; no answer at all
    halves nothing. Keys of a successful request are forgotten.
    """

    def __init__(self) -> None:
        self._times: dict[Key, int] = {}
        self._limits: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._limits)

    def __contains__(self, key: Key) -> bool:
        return key in self._limits

    @property
    def suspects(self) -> list[Key]:
        """The keys that may not share a request with all others."""
        return list(self._limits)

    def limit(self, key: Key, most: int) -> int:
        return min(most, self._limits.get(key, most))

    def leading(self, keys: Sequence[Key], most: int) -> int:
        """How many of the first of these may share a request: each key limits the whole."""
        count = 0
        for key in keys[:most]:
            most = self.limit(key, most)
            if count >= most:
                break
            count += 1
        return count

    def failed(self, keys: Collection[Key], *, refused: bool = False) -> bool:
        """Record that a request for these keys failed as a whole. Returns whether they are halved now."""
        for key in keys:
            self._times[key] = self._times.get(key, 0) + 1
        if not refused and all(self._times[key] < TIMES_IN_A_ROW and key not in self._limits for key in keys):
            return False
        self.halve(keys)
        return len(keys) > 1

    def halve(self, keys: Collection[Key]) -> None:
        """Request these keys in halves from now on."""
        for key in keys:
            self._limits[key] = (len(keys) + 1) // 2

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget keys that were requested successfully, or are no longer needed."""
        for key in keys:
            self._times.pop(key, None)
            self._limits.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all other keys."""
        self.forget([key for key in self._times if key not in keys])
