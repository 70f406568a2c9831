"""The requests that a sandbox has received, for tests that count them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request. `status` is None until it is answered, and stays None if it never is.

    `at` and `ended_at` are by the sandbox's clock; `received_bytes`: of an upload's body; `with_key`: whether it had a license key;
    `doubts`: what the live service may refuse in it.
    """

    operation: str
    path: str
    at: float
    request_id: str
    with_key: bool
    status: int | None = None
    ended_at: float | None = None
    subject: str | None = None
    range: str | None = None
    received_bytes: int = 0
    doubts: tuple[str, ...] = ()


class Journal:
    """The latest requests, and counts of all requests: in total, and at once."""

    def __init__(self, clock: Callable[[], float], most_entries: int) -> None:
        self._clock = clock
        self.entries: deque[Entry] = deque(maxlen=most_entries)
        self.counts: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()

    def begin(self, operation: str, path: str, request_id: str, *, with_key: bool) -> Entry:
        entry = Entry(operation, path, self._clock(), request_id, with_key)
        self.entries.append(entry)
        self.counts[operation] += 1
        self.at_once[operation] += 1
        self.most_at_once[operation] = max(self.most_at_once[operation], self.at_once[operation])
        return entry

    def end(self, entry: Entry) -> None:
        entry.ended_at = self._clock()
        self.at_once[entry.operation] -= 1

    def lines(self) -> list[dict[str, Any]]:
        return [{name: getattr(entry, name) for name in Entry.__slots__} for entry in self.entries]
