"""Where what was found is worked off: looked at closely, and entered in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from lalald.archive.source_paths import source_folder
from lalald.clock import Clock
from lalald.config import Inbox
from lalald.errors import FolderUnavailableError
from lalald.filesystem import markers
from lalald.filesystem.markers import FolderState
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox import rematch
from lalald.inbox.explanation import NO_RULE, Choice, knowing
from lalald.inbox.first_scan import HOLD_REASON, FirstScan
from lalald.inbox.inbox_status import InboxState
from lalald.inbox.inspection import FileInspector, Looked
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.readiness import Settling
from lalald.inbox.reconcile import MatchedFile, Reconciliation
from lalald.inbox.scanning.unreadable import Unreadable
from lalald.inbox.scanning.walk import Agreement
from lalald.inbox.set_aside import RunsOnStore, SetAside
from lalald.jobs.job import Hold, Job
from lalald.jobs.unexpected_errors import is_about_one_job, is_exhaustion
from lalald.store import Store

FILES_AT_ONCE = 500

Answer = TypeVar("Answer")


class FileRegistrar:
    """Works off the files of one inbox: are they finished, which rule takes them, what does the store know of them."""

    def __init__(
        self,
        inbox: Inbox,
        store: RunsOnStore,
        *,
        taken: Callable[[], None],
        clock: Clock,
        disks: MountPools,
        existing: str | None,
        log: Any,
        steps: InspectionSteps,
    ) -> None:
        self.inbox = inbox
        self.steps = steps
        self.key = str(inbox.path)
        self.root = str(inbox.path)
        self.clock = clock
        self.wanted: dict[str, bool] = {}
        self.presence = FolderState(False)
        self.presence_in_doubt = False
        self.settling = Settling(self.root, inbox.settle)
        self.aside = SetAside(self.key, store, clock, log)
        self._faults: list[tuple[str, Exception]] = []  # that several threads have met
        self._faulted_now: set[str] = set()
        self._folders_met: set[str] = set()  # since the last scan
        self.eyes = FileInspector(inbox, self.settling, clock.monotonic, steps, self._fate_again)
        self._store = store
        self._taken = taken
        self._disks = disks
        self._existing = existing
        self.log = log
        self.agreement = Agreement()
        self.unreadable = Unreadable(self.key, log)

    # beginning, and change

    async def begin(self) -> str | None:
        """Asks the store what it knows of the inbox. Returns its marker."""
        await self.aside.recall()
        seen, marker, jobs = await self._store.run(self._recall)
        if not seen:
            self.eyes.first = FirstScan(self._existing or self.inbox.existing, jobs)
        return marker

    def _recall(self, store: Store) -> tuple[bool, str | None, int]:
        seen = store.inbox_seen(self.key)
        jobs = 0
        if not seen:  # a first look that was cut short left some
            folders = store.known_folders(self.key)
            known = (file for folder in folders for file in store.known_in(self.key, folder).values())
            jobs = sum(file.job_id is not None for file in known)
        return seen, store.inbox_marker(self.key), jobs

    async def go_by_settings(self) -> None:
        """New settings: which folders are known from earlier ones, and what was left alone by them."""
        put_into = await self._store.run(lambda store: store.put_into())
        inbox = self.inbox = self.eyes.inbox = knowing(self.inbox, put_into)
        held = await self._store.run(lambda store: store.held_since_the_first_look(self.key))
        decided, old = await self._through_what_was_left_alone(partial(_count_old, inbox, self._choose_or_note))
        hold, now = rematch.hold_old(inbox, old, held), self.clock.now()
        if decided:
            await self._through_what_was_left_alone(partial(_decide_anew, inbox, hold, now, self._choose_or_note))
            self.log.info("inbox.rematched", inbox=self.key, files=decided, held=old if hold else 0)
            self._taken()
        await self._match_held(inbox, now)
        await self.set_aside([])
        if await self._store.run(partial(_sees_more, inbox)) and self.eyes.first is None:
            self.stranger_accepted()
        if self.eyes.first is None:
            await self._store.run(partial(_note_what_it_sees, inbox, now))

    async def _match_held(self, inbox: Inbox, now: float) -> None:
        for hold in Hold:
            after: int | None = 0
            while after is not None:
                changed, after = await self._store.run(
                    partial(_match_held, inbox, hold, after, now, self._choose_or_note)
                )
                if changed:
                    self.log.info("job.rematched", inbox=self.key, hold=str(hold), jobs=changed)
                    self._taken()

    async def _through_what_was_left_alone(self, step: Callable[[str, Store], rematch.Portion]) -> tuple[int, int]:
        """In portions, between which other questions to the store have their turn. How many are decided anew, and how many are old."""
        decided = old = 0
        after: str | None = ""
        while after is not None:
            portion = await self._store.run(partial(step, after))
            decided, old, after = decided + portion.decided, old + portion.old, portion.last
        return decided, old

    def replace(self, inbox: Inbox) -> None:
        """New settings. What waits to be finished is found anew by the next scan."""
        self.inbox = inbox
        self.lost()

    def lost(self) -> None:
        """The inbox is away: what waits is found anew when it is back. A look that never came back looks on without us."""
        first = self.eyes.first
        self.unreadable.forget_below([""])
        self.settling = Settling(self.root, self.inbox.settle, lease_tells=self.settling.lease_tells)
        self.eyes = FileInspector(self.inbox, self.settling, self.clock.monotonic, self.steps, self._fate_again)
        self.eyes.first = first

    def stranger_accepted(self) -> None:
        """Another folder stands there now, or more of it is looked into: what lies there is as old as at any first look."""
        self.eyes.first = FirstScan(self._existing or self.inbox.existing)

    def lease_tells(self, tells: bool) -> None:
        self.settling.lease_tells = tells
        self.settling.cannot_tell = not tells

    def skipped(self, folder: str) -> bool:
        """Whether a folder is neither watched nor entered. Called on several threads."""
        try:
            return self.steps.folder_refusal(self.inbox, folder) is not None
        except Exception as error:
            if is_exhaustion(error):
                raise
            self._faults.append((f"{folder}/", error))
            return True

    def _fate_again(self, path: str) -> str | None:
        return (self._existing or self.inbox.existing) if path in self.aside.old else None

    def _is_old(self, path: str) -> bool:
        return self.eyes.first is not None and self.eyes.first.is_old(path)

    async def set_aside(self, faults: Sequence[tuple[str, Exception]]) -> None:
        """These are passed over for a while, with what threads have met meanwhile."""
        others, self._faults = self._faults, []
        self._faulted_now.update(path for path, _ in faults)
        self._folders_met.update(path for path, _ in others)
        await self.aside.add([*faults, *others], self._is_old)

    async def end_scan(self) -> None:
        """Folders at which the scan met no fault are set aside no more."""
        await self.set_aside([])
        await self.aside.forget([folder for folder in self.aside.folders if folder not in self._folders_met])
        self._folders_met = set()

    def _choose_or_note(self, inbox: Inbox, path: str) -> Choice:
        """On the store's thread. No rule takes a file at which none can be told."""
        try:
            return self.steps.choose(inbox, path)
        except Exception as error:
            if is_exhaustion(error):
                raise
            self._faults.append((path, error))
            return Choice(None, NO_RULE)

    async def remember_marker(self, marker: str | None) -> None:
        """While the first look lasts, the marker is not written down: it would count as the look's end."""
        if self.eyes.first is None:
            await self._store.run(partial(_mark, self.key, marker, self.clock.now()))

    async def tell(self, state: InboxState) -> None:
        now = self.clock.now()
        await self._store.run(
            lambda store: store.set_inbox_state(
                self.key,
                available=state.available,
                reason=state.reason,
                watch=state.watch,
                watch_reason=state.watch_reason,
                now=now,
            )
        )

    # working off

    def is_clear(self) -> bool:
        """Whether nothing waits but files that have been held open for ten minutes."""
        return not self.wanted and not self.settling.fresh(self.clock.monotonic())

    def wants_scan(self) -> bool:
        """Whether a scan found more than could be kept in mind, and half of that is worked off."""
        return self.settling.full and len(self.settling) <= self.settling.limit // 2

    async def see_due(self) -> None:
        """Looks at the files whose time has come, and those that were asked for."""
        wanted, self.wanted = self.wanted, {}
        await self.see(wanted)
        while due := self.settling.take_due(self.clock.monotonic(), FILES_AT_ONCE):
            await self.see(dict.fromkeys(due, False))
        await self.see(dict.fromkeys(self.aside.take_due(), False), again=True)
        await self._end_first_look()

    def came(self, paths: Iterable[str]) -> None:
        """Files that were seen to arrive: they are new."""
        if self.eyes.first is not None:
            self.eyes.first.came(paths)

    async def see(self, files: Mapping[str, bool], *, again: bool = False) -> None:
        """Looks at files; of each it is told whether it went away before, whatever lies there now. `again`: they were set aside."""
        paths = iter(files if again else [path for path in files if not self.aside.is_paused(path)])
        while chunk := list(islice(paths, FILES_AT_ONCE)):
            self._faulted_now = set()
            looked: Looked = await self.in_thread(self.eyes.look, chunk)
            self.unreadable.forget(chunk)
            # Where changed files are left alone, one that is replaced by way of a deletion is a changed file too.
            gone = [path for path in chunk if files[path] and self.inbox.changed == "process"]
            await self._enter(looked.chosen, dict.fromkeys([*gone, *looked.absent]))
            self.unreadable.tell("file.unreadable", looked.troubled)
            await self.set_aside(looked.faulted)
            met = self._faulted_now
            await self.aside.forget([path for path in chunk if path not in met and path not in self.settling])

    async def _enter(self, chosen: Sequence[MatchedFile], gone: Iterable[str]) -> None:
        gone = await self.confirmed(list(gone))
        if not chosen and not gone:
            return
        account = await self._settle(chosen, gone)
        if account.doubtful:
            await self._settle_looked(await self.in_thread(self.eyes.read, account.doubtful))
        if account.renamed:
            await self._settle_looked(await self.in_thread(self.eyes.tell_renamed, account.renamed))

    async def _settle_looked(self, looked: Looked) -> None:
        self.unreadable.tell("file.unreadable", looked.troubled)  # the next scan finds them again
        await self.set_aside(looked.faulted)
        await self._settle(looked.chosen, [])

    async def confirmed(self, gone: list[str]) -> list[str]:
        """Those paths, if the inbox is still there to have lost them; none where it is not."""
        if not gone:
            return []
        before = self.presence
        now = await self.in_thread(
            markers.inspect_folder, self.root, before.marker
        )  # it writes nothing: it may be another folder
        if now.available and now.folder == before.folder:
            return gone
        self.presence_in_doubt = True
        return []

    async def _settle(self, chosen: Sequence[MatchedFile], gone: list[str]) -> Reconciliation:
        now, inbox, reconcile = self.clock.now(), self.inbox, self.steps.reconcile
        try:
            account = await self._store.run(lambda store: reconcile(store, inbox, chosen, gone, HOLD_REASON, now))
        except Exception as error:
            if not is_about_one_job(error) or is_exhaustion(error) or not chosen:
                raise
            return await self._settle_in_halves(chosen, gone, error)
        self._say(account)
        if self.eyes.first is not None:
            self.eyes.first.decided(chosen, account)
        for job, _ in account.returned:
            await self._came_back(job)
        if account.taken or account.returned:
            self._taken()
        return account

    async def _settle_in_halves(
        self, chosen: Sequence[MatchedFile], gone: list[str], error: Exception
    ) -> Reconciliation:
        """Nothing was written: each half on its own, until the file that it is about stands alone."""
        if len(chosen) == 1 and not gone:
            await self.set_aside([(chosen[0].sight.path, error)])
            return Reconciliation()
        half = 0 if gone else len(chosen) // 2
        first = await self._settle(chosen[:half], gone)
        rest = await self._settle(chosen[half:], [])
        return Reconciliation(doubtful=[*first.doubtful, *rest.doubtful], renamed=[*first.renamed, *rest.renamed])

    async def _came_back(self, job: Job) -> None:
        """The note beside its former place is taken away; where that fails it stays."""
        try:
            with suppress(FolderUnavailableError):
                await self._disks.run(source_folder(job), self.steps.remove_if_moved, job)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            self.log.error("note.not_removed", job=job.id, path=job.path, exc_info=error)

    async def on_store(self, function: Callable[[Store], Answer]) -> Answer:
        return await self._store.run(function)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Raises FolderUnavailableError where the inbox does not answer."""
        return await self._disks.run(self.root, function, *arguments)

    async def _end_first_look(self) -> None:
        first = self.eyes.first
        if first is None or not first.is_over(self.settling):
            return
        self.eyes.first = None
        await self.remember_marker(self.presence.marker)
        await self._store.run(partial(_note_what_it_sees, self.inbox, self.clock.now()))
        if first.tally.files:
            self.log.info("inbox.first_scan_done", inbox=self.key, **first.facts())

    # saying

    def _say(self, account: Reconciliation) -> None:
        for job_id, file in account.taken:
            rule = file.choice.rule
            held = file.existing == "hold"
            say = self.log.debug if held else self.log.info
            say("job.created", job=job_id, path=file.sight.path, inbox=self.key, rule=rule and rule.name)
        for job, file in account.returned:
            self.log.info("job.returned", job=job.id, path=file.sight.path, inbox=self.key)
        for path, why in account.left_alone:
            self.log.info("file.skipped", path=path, inbox=self.key, reason=why)


def _mark(inbox: str, marker: str | None, now: float, store: Store) -> None:
    store.mark_inbox_seen(inbox, marker, now)


def _count_old(inbox: Inbox, choose: rematch.Choose, after: str, store: Store) -> rematch.Portion:
    return rematch.count_old(store, inbox, after, choose)


def _decide_anew(
    inbox: Inbox, hold: bool, now: float, choose: rematch.Choose, after: str, store: Store
) -> rematch.Portion:
    return rematch.decide(store, inbox, after, choose, hold=hold, now=now)


def _match_held(
    inbox: Inbox, hold: Hold, after: int, now: float, choose: rematch.Choose, store: Store
) -> tuple[int, int | None]:
    return rematch.match_held(store, inbox, hold, after, now, choose)


def _sees_more(inbox: Inbox, store: Store) -> bool:
    return rematch.sees_more(store, inbox)


def _note_what_it_sees(inbox: Inbox, now: float, store: Store) -> None:
    rematch.note_what_it_sees(store, inbox, now)
