"""The accounts of a sandbox: one for each license key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from lalald.sandbox.options import Options
from lalald.sandbox.service.service import Account
from lalald.sandbox.service.tasks import Charge, Source, Task


class Accounts:
    """The first request with a key creates its account. `keys`: those that are accepted; none: every key is."""

    def __init__(self, options: Options, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.keys = frozenset(options.keys)
        self._options = options
        self._clock = clock
        self._new_id = new_id
        self._minutes = options.minutes
        self._of: dict[str, Account] = {}

    def of(self, key: str) -> Account | None:
        """The key's account; None if the key is wrong."""
        if self.keys and key not in self.keys:
            return None
        if key not in self._of:
            self._of[key] = Account(self._options, self._clock, self._new_id)
            self._of[key].set_minutes(self._minutes)
        return self._of[key]

    def set_minutes(self, minutes: float) -> None:
        """Set the minutes left in each account, also in later ones."""
        self._minutes = minutes
        for account in self._of.values():
            account.set_minutes(minutes)

    @property
    def minutes_left(self) -> dict[str, float]:
        """By key."""
        return {key: account.minutes_left for key, account in self._of.items()}

    @property
    def least_minutes_left(self) -> float:
        """The minimum of all accounts; if there is none yet, what a new one would have."""
        return min(self.minutes_left.values(), default=self._minutes)

    @property
    def sources(self) -> list[Source]:
        return list(chain.from_iterable(account.sources.values() for account in self._of.values()))

    @property
    def tasks(self) -> list[Task]:
        return list(chain.from_iterable(account.tasks.values() for account in self._of.values()))

    @property
    def charges(self) -> list[Charge]:
        return sorted(
            chain.from_iterable(account.charges for account in self._of.values()), key=lambda charge: charge.at
        )

    def owner_of(self, task_id: str) -> Account | None:
        """The account of a task: links to tracks have no key."""
        return next((account for account in self._of.values() if task_id in account.tasks), None)

    def expired_sources(self) -> Iterable[Source]:
        """Sources whose tracks can no longer be downloaded."""
        return chain.from_iterable(account.expired_sources() for account in self._of.values())
