"""Register what was found: inspect files, compare them with the store, and add jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from lalald.archive.source_paths import source_folder
from lalald.clock import Clock
from lalald.config import Inbox
from lalald.errors import FolderUnavailableError
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox.explanation import NO_RULE, Choice, with_former_folders
from lalald.inbox.first_scan import FirstScanPhase
from lalald.inbox.inbox_folder import InboxFolder
from lalald.inbox.inspection import FileInspector, Inspected
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.readiness import Fault, Settling
from lalald.inbox.reconcile import MatchedFile, Reconciliation
from lalald.inbox.rematch import Rematcher
from lalald.inbox.scanning.native_watch import Hint
from lalald.inbox.scanning.unreadable import Unreadable
from lalald.inbox.set_aside import RunsOnStore, SetAside
from lalald.jobs.failures.unexpected_errors import is_about_one_job, is_exhaustion
from lalald.jobs.job import Job

FILES_AT_ONCE = 500
_EACH_VERSION_IS_PAID = (
    "Each version of a file is processed and paid. For programs that write with pauses, raise `settle`; "
    "`changed: skip` processes the first version alone."
)


class FileRegistrar:
    """The files of one inbox on their way into the store.

    `on_new_jobs` is called after jobs were added. `existing`: take, hold or skip in place of the inbox's own setting.
    """

    def __init__(
        self,
        inbox: Inbox,
        folder: InboxFolder,
        store: RunsOnStore,
        *,
        on_new_jobs: Callable[[], None],
        clock: Clock,
        disks: MountPools,
        existing: str | None,
        log: Any,
        steps: InspectionSteps,
    ) -> None:
        self.inbox = inbox
        self.first_scan = FirstScanPhase(inbox, store, override=existing, clock=clock, log=log)
        self.settling = Settling(folder.root, inbox.settle)
        self.set_aside = SetAside(folder.root, store, clock, log, self.first_scan.is_old)
        self.unreadable = Unreadable(folder.root, log)
        self._folder = folder
        self._store = store
        self._on_new_jobs = on_new_jobs
        self._clock = clock
        self._disks = disks
        self._log = log
        self._steps = steps
        self._requested: list[str] = []
        self._inspector = self._new_inspector()

    def _new_inspector(self) -> FileInspector:
        return FileInspector(
            self.inbox, self.settling, self._clock.monotonic, self._steps, self._existing_action, self._count_existing
        )  # fmt: skip

    # start, and changes of settings

    async def begin(self) -> str | None:
        """Read what the store knows of the inbox. Return its marker."""
        await self.set_aside.recall()
        return await self.first_scan.begin()

    async def rematch_all(self) -> None:
        """Apply new settings to files that were skipped, and to held jobs that are not paid."""
        former = await self._store.run(lambda store: store.target_folders())
        inbox = with_former_folders(self.inbox, former)
        self.inbox = self._inspector.inbox = self.first_scan.inbox = inbox
        rematcher = Rematcher(
            inbox, self._store, self._clock.now(), self._choose, self._log, self.first_scan.most_existing,
            self.first_scan.hold_reason,
        )  # fmt: skip
        if await rematcher.run():
            self._on_new_jobs()
        await self.set_aside.add()
        await self.first_scan.apply_places()

    def _choose(self, inbox: Inbox, path: str) -> Choice:
        """On the store's thread. An unexpected exception sets the file aside."""
        try:
            return self._steps.choose(inbox, path)
        except Exception as error:
            if is_exhaustion(error):
                raise
            self.set_aside.defer(path, error)
            return Choice(None, NO_RULE)

    def replace(self, inbox: Inbox) -> None:
        """New settings: the next scan finds again what waits to be finished."""
        self.inbox = self.first_scan.inbox = inbox
        self.forget_waiting()

    def forget_waiting(self) -> None:
        """The inbox is unavailable, or has new settings. A call that still hangs in a thread keeps the former objects."""
        self.unreadable.forget_below([""])
        reliable = self.settling.leases_reliable
        self.settling = Settling(self._folder.root, self.inbox.settle, leases_reliable=reliable)
        self._inspector = self._new_inspector()

    def set_leases_reliable(self, *, reliable: bool) -> None:
        self.settling.leases_reliable = reliable
        self.settling.is_unreliable = not reliable

    # callbacks of the inspection, the watch and the scan; on their threads

    def is_skipped(self, folder: str) -> bool:
        """Whether a folder is neither watched nor entered. May be called on any thread."""
        try:
            return self._steps.folder_refusal(self.inbox, folder) is not None
        except Exception as error:
            if is_exhaustion(error):
                raise
            self.set_aside.defer(f"{folder}/", error)
            return True

    def _existing_action(self, path: str) -> str | None:
        return self.first_scan.existing_action(path, was_old=path in self.set_aside.old)

    def _count_existing(self, path: str) -> None:
        scan = self.first_scan.scan
        if scan is not None and scan.counts(path):
            scan.count_eligible(self._steps.choose(self.inbox, path).rule is not None)

    async def find_candidates(self, paths: Sequence[str]) -> list[str]:
        """Of files that a scan found and the store does not know, those that are to be inspected."""
        wanted = [path for path in paths if not self.set_aside.is_paused(path)]
        inspector = self._inspector
        candidates, faults = await self._folder.run(inspector.find_candidates, wanted)
        await self.set_aside.add(faults)
        return list(candidates)

    # the files

    def request(self, path: str) -> None:
        """Inspect this file at the next turn."""
        self._requested.append(path)

    @property
    def is_idle(self) -> bool:
        """Whether no file waits, but for those that a program has held open for ten minutes."""
        return not self._requested and not self.settling.recent_count(self._clock.monotonic())

    @property
    def wants_scan(self) -> bool:
        """Whether a scan found more files than can wait, and half of those are processed."""
        return self.settling.is_full and len(self.settling) <= self.settling.limit // 2

    def due_at(self) -> float | None:
        """When the next file is to be inspected, on the monotonic clock."""
        moments = [moment for moment in (self.settling.due_at(), self.set_aside.due_at()) if moment is not None]
        return min(moments, default=None)

    def note_arrivals(self, paths: Iterable[str]) -> None:
        """Events reported that these files arrived: they are new."""
        if self.first_scan.scan is not None:
            self.first_scan.scan.note_arrivals(paths)

    async def end_scan(self, *, is_complete: bool) -> None:
        """A full scan has ended; `is_complete`: it found every file."""
        await self.set_aside.end_scan()
        if is_complete and not self.settling.is_full and self.first_scan.scan is not None:
            self.first_scan.scan.end_scan(self.settling)

    async def process_due(self) -> None:
        """Inspect the files whose time has come, and the requested ones."""
        requested, self._requested = self._requested, []
        await self.process_paths(dict.fromkeys(requested))
        while due := self.settling.take_due(self._clock.monotonic(), FILES_AT_ONCE):
            await self.process_paths(due)
        await self._process(map(Hint, self.set_aside.take_due()))
        await self.first_scan.end_if_over(self.settling, self._folder.last_available.marker)

    async def process(self, hints: Iterable[Hint]) -> None:
        """Inspect these files, and add jobs for those that are finished; not those whose pause lasts."""
        await self._process(hint for hint in hints if not self.set_aside.is_paused(hint.path))

    async def process_paths(self, paths: Iterable[str]) -> None:
        await self.process(map(Hint, paths))

    async def _process(self, hints: Iterable[Hint]) -> None:
        hints = iter(hints)
        while chunk := list(islice(hints, FILES_AT_ONCE)):
            self.set_aside.begin_batch()
            paths = [hint.path for hint in chunk]
            found: Inspected = await self._folder.run(self._inspector.inspect, paths)
            self.unreadable.forget(paths)
            # With `changed: skip`, a file that is replaced by deleting it first is a changed file, too.
            gone = [hint.path for hint in chunk if hint.was_deleted and self.inbox.changed == "process"]
            await self._register(found.matched, dict.fromkeys([*gone, *found.absent]))
            self.unreadable.add("file.unreadable", found.unreadable)
            await self.set_aside.add(found.faults)
            await self.set_aside.end_batch(paths, self.settling)

    async def _register(self, matched: Sequence[MatchedFile], gone: Iterable[str]) -> None:
        gone = await self._folder.confirm_gone(list(gone))
        if not matched and not gone:
            return
        result = await self._reconcile(matched, gone)
        if result.unhashed:
            await self._register_again(await self._folder.run(self._inspector.hash, result.unhashed))
        if result.maybe_renamed:
            await self._register_again(
                await self._folder.run(self._inspector.compare_renamed, result.maybe_renamed)
            )  # fmt: skip

    async def _register_again(self, found: Inspected) -> None:
        self.unreadable.add("file.unreadable", found.unreadable)  # the next scan finds them again
        await self.set_aside.add(found.faults)
        await self._reconcile(found.matched, [])

    async def _reconcile(self, matched: Sequence[MatchedFile], gone: list[str]) -> Reconciliation:
        now, inbox, reconcile = self._clock.now(), self.inbox, self._steps.reconcile
        reason = self.first_scan.hold_reason
        try:
            result = await self._store.run(lambda store: reconcile(store, inbox, matched, gone, reason, now))
        except Exception as error:
            if not is_about_one_job(error) or is_exhaustion(error) or not matched:
                raise
            return await self._reconcile_halves(matched, gone, error)
        self._log_result(result)
        if self.first_scan.scan is not None:
            self.first_scan.scan.note_decided(matched, result)
        for returned in result.returned:
            await self._remove_error_note(returned.job)
        if result.created or result.returned:
            self._on_new_jobs()
        return result

    async def _reconcile_halves(
        self, matched: Sequence[MatchedFile], gone: list[str], error: Exception
    ) -> Reconciliation:
        """Nothing was written: try each half, until the file that raises the exception is alone and set aside."""
        if len(matched) == 1 and not gone:
            await self.set_aside.add([Fault(matched[0].finished.path, error)])
            return Reconciliation()
        half = 0 if gone else len(matched) // 2
        first = await self._reconcile(matched[:half], gone)
        rest = await self._reconcile(matched[half:], [])
        return Reconciliation(
            unhashed=[*first.unhashed, *rest.unhashed], maybe_renamed=[*first.maybe_renamed, *rest.maybe_renamed]
        )

    async def _remove_error_note(self, job: Job) -> None:
        """The file of a failed job was moved back. A note that cannot be removed stays."""
        try:
            with suppress(FolderUnavailableError):
                await self._disks.run(source_folder(job), self._steps.remove_if_moved, job)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            self._log.error("note.not_removed", job=job.id, path=job.path, exc_info=error)

    def _log_result(self, result: Reconciliation) -> None:
        for job_id, file, paid_before in result.created:
            rule = file.choice.rule
            log = self._log.debug if file.existing == "hold" else self._log.info
            log("job.created", job=job_id, path=file.finished.path, inbox=self._folder.root, rule=rule and rule.name)
            if paid_before is not None:
                self._log.warning(
                    "file.changed_after_payment", job=job_id, path=file.finished.path, inbox=self._folder.root,
                    earlier_job=paid_before, hint=_EACH_VERSION_IS_PAID,
                )  # fmt: skip
        for job, file in result.returned:
            self._log.info("job.returned", job=job.id, path=file.finished.path, inbox=self._folder.root)
        for path, reason in result.skipped:
            self._log.info("file.skipped", path=path, inbox=self._folder.root, reason=reason)
