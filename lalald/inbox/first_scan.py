"""The first scan of an inbox: files that were there before are not processed blindly."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from lalald.inbox.new_files import tasks
from lalald.inbox.reconcile import MatchedFile, Reconciliation
from lalald.jobs.consent import price_of
from lalald.jobs.prices import cost_text

MOST_TAKEN = 20


class FirstScanTally(NamedTuple):
    """Files that lay there and that a rule takes; what they cost, but for those of unknown length."""

    files: int = 0
    minutes: float = 0.0
    unknown: int = 0

    def with_price(self, minutes: float | None) -> FirstScanTally:
        """One more file; None where its length is unknown."""
        return FirstScanTally(self.files + 1, self.minutes + (minutes or 0.0), self.unknown + (minutes is None))


class FirstScan:
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
        self.tally = FirstScanTally(jobs_already, unknown=jobs_already)  # what those cost is not known here

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

    def decided(self, chosen: Sequence[MatchedFile], account: Reconciliation) -> None:
        """Counts files that lay there; one whose content or name is compared first is counted after that."""
        (self._new if self._old is None else self._old).difference_update(file.sight.path for file in chosen)
        counted = [file for _, file in account.taken]
        counted += [file for file in chosen if file.existing == "skip" and file.was is None and file.sha256 is None]
        for file in counted:
            if file.existing is not None and file.choice.rule is not None:
                self.tally = self.tally.with_price(price_of(tasks(file.choice.rule), file.duration))

    def facts(self) -> dict[str, Any]:
        """How many files were there, what happens to them, and what they cost as far as their lengths could be read."""
        files, minutes, unknown = self.tally
        facts: dict[str, Any] = {"files": files, "existing": self.fate_of_all}
        if self.fate_of_all != "skip":
            of_unknown = f", and {unknown:,} of unknown length" if unknown else ""
            facts |= {
                "minutes": round(minutes, 3),
                "unknown": unknown,
                "price": f"{cost_text(minutes)} min{of_unknown}",
            }
        if self.fate_of_all == "hold":
            facts["hint"] = "`lalald release --all --hold first_scan` processes them, `lalald plan` prices them."
        return facts

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
    f"it was in the inbox with more than {MOST_TAKEN} others before the first scan; "
    "`lalald plan` prices them, `lalald release --all --hold first_scan` processes them"
)
