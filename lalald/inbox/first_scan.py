"""The first scan of an inbox: files that were there before are not processed blindly."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from lalald.clock import Clock
from lalald.config import Inbox
from lalald.filesystem.markers import new_marker
from lalald.inbox.new_files import tasks
from lalald.inbox.reconcile import MatchedFile, Reconciliation
from lalald.inbox.scanning.scanned_places import save_places, scans_more_places
from lalald.inbox.set_aside import RunsOnStore
from lalald.jobs.spending.consent import price_of
from lalald.jobs.spending.prices import cost_text
from lalald.store import Store
from lalald.store.database import folder_of
from lalald.store.tables.known_markers import WATCHED_BEFORE
from lalald.store.tables.restored_copy import held_because

MOST_EXISTING_FILES = 20
HOLD_ALL = -1  # in place of it: even the first one


class FirstScanTally(NamedTuple):
    """Files that were there and that a rule matches; what they cost, without those of unknown length."""

    files: int = 0
    minutes: float = 0.0
    unknown: int = 0

    def with_price(self, minutes: float | None) -> FirstScanTally:
        """One more file; None if its length is unknown."""
        return FirstScanTally(self.files + 1, self.minutes + (minutes or 0.0), self.unknown + (minutes is None))


class FirstScan:
    """Tells files that were there before from those that arrive during the first scan, until all of the former are decided.

    Up to 20 files that a rule matches are processed. More are probably an archive whose owner did not mean to order anything: they
    are held (`existing: hold`), and so is each one in a folder that another database watched. `take` and `skip` apply to any number.
    Files that arrive meanwhile are new.

    Memory stays small however many files there are: until the scan has ended, every file is old that was not reported to arrive.
    """

    def __init__(self, existing: str, jobs_already: int = 0, most: int = MOST_EXISTING_FILES) -> None:
        """`jobs_already`: jobs of this first scan if an earlier run was interrupted in it. `most`: so many are not held."""
        self._existing = existing
        self._most = most
        self._new: set[str] = set()
        self._old: set[str] | None = None  # once the scan has ended: those that are not finished yet
        self._eligible = jobs_already
        self.tally = FirstScanTally(jobs_already, unknown=jobs_already)  # what those cost is not known here

    @property
    def action_for_all(self) -> str:
        """take, hold or skip."""
        return "take" if self._existing == "hold" and self._eligible <= self._most else self._existing

    @property
    def is_scanned(self) -> bool:
        """Whether the scan has ended; what a later scan finds is new."""
        return self._old is not None

    def counts(self, path: str) -> bool:
        """Whether this file counts towards the 20, and that is not decided yet."""
        return not self.is_scanned and self.is_old(path) and self._existing == "hold" and self._eligible <= self._most

    def count_eligible(self, files: int) -> None:
        """So many more files were there that a rule matches."""
        self._eligible += files

    def end_scan(self, waiting: Iterable[str]) -> None:
        """Every file was found: some wait to be finished, the others are decided."""
        if self._old is None:
            self._old = {path for path in waiting if path not in self._new}
            self._new.clear()

    def hold_all(self) -> None:
        """Hold even the first file that was there, from now on."""
        self._most = HOLD_ALL

    def note_arrivals(self, paths: Iterable[str]) -> None:
        """These files arrived after the watch began."""
        if self._old is None:
            self._new.update(paths)
        else:
            self._old.difference_update(paths)

    def note_decided(self, matched: Sequence[MatchedFile], reconciliation: Reconciliation) -> None:
        """Count files that were there; one whose content or former name is compared first is counted after that."""
        (self._new if self._old is None else self._old).difference_update(file.finished.path for file in matched)
        counted = [created.file for created in reconciliation.created]
        counted += [
            file for file in matched if file.existing == "skip" and file.renamed_from is None and file.sha256 is None
        ]
        for file in counted:
            if file.existing is not None and file.choice.rule is not None:
                self.tally = self.tally.with_price(price_of(tasks(file.choice.rule), file.duration))

    def facts(self) -> dict[str, Any]:
        """For the log: how many files were there, what happens to them, and their price as far as lengths could be read."""
        files, minutes, unknown = self.tally
        facts: dict[str, Any] = {"files": files, "existing": self.action_for_all}
        if self.action_for_all != "skip":
            of_unknown = f", and {unknown:,} of unknown length" if unknown else ""
            facts |= {
                "minutes": round(minutes, 3),
                "unknown": unknown,
                "price": f"{cost_text(minutes)} min{of_unknown}",
            }
        if self.action_for_all == "hold":
            facts["hint"] = "`lalald release --all --hold first_scan` processes them, `lalald plan` prices them."
        return facts

    def is_old(self, path: str) -> bool:
        return path not in self._new if self._old is None else path in self._old

    def existing_action(self, path: str) -> str | None:
        """take, hold or skip for a file that was there before; None for a new one."""
        return self.action_for_all if self.is_old(path) else None

    def is_over(self, waiting: Container[str]) -> bool:
        """Whether old files need no longer be told from new ones: all are processed, or none waits to be finished."""
        if self._old is None:
            return False
        return self.action_for_all == "take" or not any(path in waiting for path in self._old)


HOLD_REASON = (
    f"it was in the inbox with more than {MOST_EXISTING_FILES} others before the first scan; "
    "`lalald plan` prices them, `lalald release --all --hold first_scan` processes them"
)
_HELD = "another database used this folder before: what is in it may be processed, and paid for, already, and is held"
_CHECK_STATE = (
    "Check whether the disk of the state folder is mounted, and `state_dir` is the right one. If so, move files whose results you"
    " have out of the inbox; `lalald release --all --hold first_scan` processes the others."
)


class FirstScanPhase:
    """Whether the first scan of an inbox lasts, which restarts do not end.

    `scan`: None once it is over. `override`: take, hold or skip in place of the inbox's own setting.
    """

    def __init__(self, inbox: Inbox, store: RunsOnStore, *, override: str | None, clock: Clock, log: Any) -> None:
        self.inbox = inbox
        self.scan: FirstScan | None = None
        self._key = str(inbox.path)
        self._store = store
        self._override = override
        self._copied_at: float | None = None  # of a restored database: everything that it does not know is held
        self._is_foreign = False  # so it is if another database watched the folder before
        self._planned: str | None = None  # the marker that was saved to be written
        self._clock = clock
        self._log = log

    @property
    def _existing(self) -> str:
        return self._override or self.inbox.existing if self._copied_at is None else "hold"

    @property
    def hold_reason(self) -> str:
        if self._copied_at is not None:
            return held_because(self._copied_at)
        return WATCHED_BEFORE if self._is_foreign else HOLD_REASON

    @property
    def most_existing(self) -> int:
        """How many files that were there are not held."""
        return HOLD_ALL if self._copied_at is not None or self._is_foreign else MOST_EXISTING_FILES

    def _new_scan(self, jobs_already: int = 0) -> FirstScan:
        return FirstScan(self._existing, jobs_already, self.most_existing)

    async def begin(self) -> str | None:
        """Read what the store knows of the inbox. Return its marker."""
        is_over, marker, jobs = await self._store.run(self._recall)
        if not is_over:
            self.scan = self._new_scan(jobs)
        return marker

    def _recall(self, store: Store) -> tuple[bool, str | None, int]:
        is_over, marker = store.folders.inbox_seen(self._key), store.folders.inbox_marker(self._key)
        self._copied_at = store.restored.copied_at(self._key)
        self._is_foreign = store.markers.is_foreign(self._key, marker)
        jobs = 0
        if not is_over and marker is None:  # an interrupted first scan has left some
            folders = store.known_folders(self._key)
            known = (file for folder in folders for file in store.known_in(self._key, folder).values())
            jobs = sum(file.job_id is not None for file in known)
        return is_over, marker, jobs

    def _restart(self) -> None:
        """Another folder was accepted, or more places are scanned now: what is there counts as old, as at any first scan."""
        self.scan = self._new_scan()

    def is_scanning(self) -> bool:
        """Whether the first scan has not listed everything yet."""
        return self.scan is not None and not self.scan.is_scanned

    def is_old(self, path: str) -> bool:
        return self.scan is not None and self.scan.is_old(path)

    def existing_action(self, path: str, *, was_old: bool) -> str | None:
        """take, hold or skip for a file that was there before, else None; `was_old`: it was set aside while the scan lasted."""
        action = self.scan.existing_action(path) if self.scan is not None else None
        return action or (self._existing if was_old else None)

    # the folder's marker

    async def plan_marker(self) -> str:
        """The marker for a folder without one. It is saved first: found after a crash, it must not pass for another database's."""
        if self._planned is None:
            planned, now = new_marker(), self._clock.now()
            await self._store.run(lambda store: store.markers.plan(planned, now))
            self._planned = planned
        return self._planned

    async def note_marker(self, marker: str | None) -> None:
        """The folder has this marker, and was not known by one. While the first scan lasts, its row would count as the end of that."""
        self._planned, now = None, self._clock.now()
        if self.scan is None:
            await self._store.run(partial(_save_marker, self._key, marker, now))
            return
        is_foreign = await self._store.run(lambda store: store.markers.note(self._key, marker, now))
        self._is_foreign = self._is_foreign or is_foreign
        await self._hold_if_foreign()

    async def accept_marker(self, marker: str | None) -> None:
        """A person has accepted the folder with this marker in place of another: its first scan begins."""
        self._planned, now = None, self._clock.now()
        self._is_foreign = await self._store.run(partial(_accept, self._key, marker, now))
        self._restart()
        await self._hold_if_foreign()

    async def _hold_if_foreign(self) -> None:
        if not self._is_foreign or self._existing != "hold" or self.scan is None:
            return
        self.scan.hold_all()
        if self._copied_at is None:
            state_dir = await self._store.run(lambda store: str(folder_of(store.connection)))
            self._log.warning(
                "inbox.watched_before", inbox=self._key, state_dir=state_dir, reason=_HELD, hint=_CHECK_STATE
            )

    async def apply_places(self) -> None:
        """The settings are new: what is in places that were not scanned before counts as old."""
        if self.scan is None and await self._store.run(partial(scans_more_places, self.inbox)):
            self._restart()
        if self.scan is None:
            await self._store.run(partial(save_places, self.inbox, self._clock.now()))

    async def end_if_over(self, waiting: Container[str], marker: str | None) -> None:
        scan = self.scan
        if scan is None or not scan.is_over(waiting):
            return
        self.scan, self._copied_at = None, None
        await self._store.run(partial(_save_marker, self._key, marker, self._clock.now()))
        await self._store.run(partial(save_places, self.inbox, self._clock.now()))
        if scan.tally.files:
            self._log.info("inbox.first_scan_done", inbox=self._key, **scan.facts())


def _save_marker(inbox: str, marker: str | None, now: float, store: Store) -> None:
    store.folders.mark_inbox_seen(inbox, marker, now)
    store.restored.note_scanned(inbox, now)


def _accept(inbox: str, marker: str | None, now: float, store: Store) -> bool:
    former = store.folders.inbox_marker(inbox)
    is_foreign = store.markers.note_accepted(marker, former, now)
    if marker != former:
        store.folders.mark_inbox_accepted(inbox, marker)
    return is_foreign
