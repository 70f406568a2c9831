"""Requests for many that fail as a whole: halved until the culprit is asked for alone. Pure, and in memory only."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

TIMES_IN_A_ROW = 3  # that an answer is transient or unreadable before the request is taken for the cause


class Halving(Generic[Key]):
    """With how many others each of the keys may be asked for.

    A refusal halves at once, an answer that is transient or unreadable the third time in a row; where no answer came at
    all nothing is to be told. What was asked for successfully is forgotten.
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
        """All that are not asked for in one request with everything else."""
        return list(self._limits)

    def limit(self, key: Key, most: int) -> int:
        return min(most, self._limits.get(key, most))

    def leading(self, keys: Sequence[Key], most: int) -> int:
        """How many of the first of these may be asked for in one request: each limits those beside it."""
        count = 0
        for key in keys[:most]:
            most = self.limit(key, most)
            if count >= most:
                break
            count += 1
        return count

    def failed(self, keys: Collection[Key], *, refused: bool = False) -> bool:
        """A request for these was answered, and failed as a whole. Returns whether they are to be asked for in halves."""
        for key in keys:
            self._times[key] = self._times.get(key, 0) + 1
        if not refused and all(self._times[key] < TIMES_IN_A_ROW and key not in self._limits for key in keys):
            return False
        self.halve(keys)
        return len(keys) > 1

    def halve(self, keys: Collection[Key]) -> None:
        """From now on they are asked for in halves."""
        for key in keys:
            self._limits[key] = (len(keys) + 1) // 2

    def forget(self, keys: Iterable[Key]) -> None:
        """They were asked for successfully, or are asked for no more."""
        for key in keys:
            self._times.pop(key, None)
            self._limits.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets all others."""
        self.forget([key for key in self._times if key not in keys])
