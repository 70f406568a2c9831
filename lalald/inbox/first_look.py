"""The first look at an inbox: what lay there before is no order."""

from __future__ import annotations

from collections.abc import Container, Iterable

MOST_TAKEN = 20


class FirstLook:
    """Tells old files from new ones until all that lay there at the first look is decided.

    Up to 20 files that a rule would take are taken. More look like an archive in which nobody meant to order anything: they are held
    (`existing: hold`). `take` and `skip` do that with any number. What arrives meanwhile is new.

    Of 100,000 old files none is kept in mind: until the scan is through everything is old that was not seen to arrive.
    """

    def __init__(self, existing: str, jobs_already: int = 0) -> None:
        self._existing = existing
        self._new: set[str] = set()
        self._old: set[str] | None = None  # once the scan is through: those that still wait
        self.eligible = jobs_already  # a first look that was cut short goes on; what it took counts

    @property
    def counting(self) -> bool:
        """Whether it still matters how many there are."""
        return self._existing == "hold" and self.eligible <= MOST_TAKEN

    @property
    def fate_of_all(self) -> str:
        """take, hold or skip."""
        return "take" if self.counting else self._existing

    @property
    def all_seen(self) -> bool:
        """Whether the scan is through; what a later one finds is new."""
        return self._old is not None

    def end_scan(self, waiting: Iterable[str]) -> None:
        """All that lies there was seen: some files wait to be finished, and the others are decided."""
        if self._old is None:
            self._old = {path for path in waiting if path not in self._new}
            self._new.clear()

    def came(self, paths: Iterable[str]) -> None:
        """Files that arrived after the watching began."""
        if self._old is None:
            self._new.update(paths)
        else:
            self._old.difference_update(paths)

    def decided(self, paths: Iterable[str]) -> None:
        (self._new if self._old is None else self._old).difference_update(paths)

    def is_old(self, path: str) -> bool:
        return path not in self._new if self._old is None else path in self._old

    def fate(self, path: str) -> str | None:
        """take, hold or skip for an old file; None for a new one."""
        return self.fate_of_all if self.is_old(path) else None

    def is_over(self, waiting: Container[str]) -> bool:
        """Whether old files need no more be told from new ones: all are taken, or none waits any more to be finished."""
        if self._old is None:
            return False
        return self.fate_of_all == "take" or not any(path in waiting for path in self._old)


HOLD_REASON = (
    f"it lay in the inbox with more than {MOST_TAKEN} others before lalald first looked there; "
    "`lalald plan` prices them, `lalald release` takes them"
)
