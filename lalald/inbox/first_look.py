"""The first look at an inbox: what lay there before is no order."""

from __future__ import annotations

from collections.abc import Container, Iterable

MOST_TAKEN = 20


class FirstLook:
    """Tells old files from new ones until all that lay there at the first look is decided.

    Up to 20 files that a rule would take are taken. More look like an archive in which nobody meant to order anything: they are held
    (`existing: hold`). `take` and `skip` do that with any number. What arrives meanwhile is new.
    """

    def __init__(self, existing: str, jobs_already: int = 0) -> None:
        self._existing = existing
        self._old: set[str] = set()
        self.all_seen = False  # the scan is through; what a later one finds is new
        self.eligible = jobs_already  # a first look that was cut short goes on; what it took counts

    @property
    def counting(self) -> bool:
        """Whether it still matters how many there are."""
        return self._existing == "hold" and self.eligible <= MOST_TAKEN

    @property
    def fate_of_all(self) -> str:
        """take, hold or skip."""
        return "take" if self.counting else self._existing

    def add(self, path: str) -> None:
        """A file that lay there already."""
        self._old.add(path)

    def came(self, paths: Iterable[str]) -> None:
        """Files that arrived after the watching began."""
        self._old.difference_update(paths)

    def decided(self, paths: Iterable[str]) -> None:
        self._old.difference_update(paths)

    def fate(self, path: str) -> str | None:
        """take, hold or skip for an old file; None for a new one."""
        if path not in self._old:
            return None
        return self.fate_of_all

    def is_over(self, waiting: Container[str]) -> bool:
        """Whether old files need no more be told from new ones: all are taken, or none waits any more to be finished."""
        return self.all_seen and (self.fate_of_all == "take" or not any(path in waiting for path in self._old))


HOLD_REASON = (
    f"it lay in the inbox with more than {MOST_TAKEN} others before lalald first looked there; "
    "`lalald plan` prices them, `lalald release` takes them"
)
