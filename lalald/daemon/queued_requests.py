"""Requests that clients queue for the daemon itself: rescan, redo, accept a folder, cancel every task, ask for the minutes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lalald.archive.error_note import withdraw
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FolderUnavailableError, ServiceError
from lalald.filesystem.file_numbers import int64
from lalald.inbox.intake import Intake
from lalald.inbox.rematch import rematch_by_config
from lalald.jobs import transitions
from lalald.jobs.failures.unexpected_errors import is_about_one_job, is_exhaustion
from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.states import State
from lalald.store import Store
from lalald.store.page import verdicts
from lalald.store.request_writer import Kind
from lalald.store.tables.request_queue import QueuedRequest
from lalald.worker.requests import page_requests
from lalald.worker.worker import Worker

_RETRY_SECONDS = 10.0


def _do_nothing() -> None:
    """No folders to check."""


@dataclass(frozen=True, slots=True)
class QueuedRequests:
    """A request leaves the queue once it is carried out, one that pays in the same commit: after a crash it is still there."""

    worker: Worker
    intakes: Mapping[Path, Intake]
    check_folders: Callable[[], None] = _do_nothing

    async def handle(self) -> None:
        """Carry out every queued request. One call at a time."""
        while not await self._handle_all():  # noqa: ASYNC110 - no event says when there is memory again
            await asyncio.sleep(_RETRY_SECONDS)

    async def _handle_all(self) -> bool:
        """False where memory, descriptors or threads ran out: the rest waits. Any other fault ends its own request alone."""
        context = self.worker.context
        for number, kind, argument in await context.store.run(_queued_requests):
            try:
                await self._carry_out(number, kind, argument)
            except Exception as error:
                if not is_about_one_job(error):
                    raise
                if is_exhaustion(error):
                    return False
                context.log.error("request.failed", request=kind, argument=argument, exc_info=error)
            await context.store.run(_drop_request, number)
        return True

    async def _carry_out(self, number: int, kind: str, argument: str | None) -> None:
        if kind == Kind.RESCAN:
            for path, intake in self.intakes.items():
                if argument is None or str(path) == argument:
                    intake.request_rescan(by_user=True)
            self.check_folders()
        elif kind == Kind.REDO and argument is not None:
            await self._redo(number, argument)
        elif kind == Kind.RELEASE_FOLDER and argument is not None:
            await self._accept_folder(argument)
        elif kind == Kind.CANCEL_EVERY_CLIENT:
            await self._cancel_every_client()
        elif kind == Kind.MINUTES:
            with suppress(ServiceError):
                await self.worker.license.is_refused()
            self.worker.holds.ask_service_now()

    async def _accept_folder(self, folder: str) -> None:
        """The folder that is at this path now is the right one, even if it is another than before."""
        if (intake := self.intakes.get(Path(folder))) is not None:
            await intake.accept_folder()
            return
        context = self.worker.context
        if await context.folders.accept(folder):
            context.log.info("folder.accepted", folder=folder)
            self.worker.holds.probe_folders_now()
        else:
            context.log.warning("folder.not_accepted", folder=folder, reason="there is no such folder")

    async def _redo(self, number: int, argument: str) -> None:
        """Process the file of a finished job again: a new job, by the rules as they are now, that pays again."""
        context = self.worker.context
        log = context.log
        job = await context.store.run(_finished_job, argument)
        if job is None:
            log.warning("redo.refused", target=argument, reason="there is no finished job with this number or file")
            return
        terms = await context.store.run(_terms_of, number)
        if terms is not None and await page_requests.is_redo_refused(job, terms, context):
            return
        try:
            stat = await context.disks.run(source_folder(job), _file_to_redo, job)
        except (OSError, FolderUnavailableError) as error:
            log.warning("redo.refused", job=job.id, path=job.path, reason=_why_unreadable(error))
            return
        job = replace(job, size=stat.st_size, mtime_ns=int64(stat.st_mtime_ns), inode=int64(stat.st_ino))
        job = rematch_by_config(transitions.restart(job), context.config)
        job_id = await context.store.run(_add_redone, number, job, terms, context.clock.now())
        log.info("job.redone", job=job_id, path=job.path, earlier_job=job.id)
        self.worker.wake()

    async def _cancel_every_client(self) -> None:
        context = self.worker.context
        try:
            answers = await context.api.cancel_all()
        except ServiceError as error:
            context.log.error("cancel_all.failed", reason=str(error))
            return
        context.log.warning("cancel_all.done", tasks=len(answers))


def _why_unreadable(error: OSError | FolderUnavailableError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "its file is not there any more"
    return f"its file cannot be read: {error.strerror if isinstance(error, OSError) else error}"


def _queued_requests(store: Store) -> list[QueuedRequest]:
    return store.requests.all()


def _drop_request(store: Store, number: int) -> None:
    store.requests.drop(number)


def _terms_of(store: Store, number: int) -> RequestTerms | None:
    return verdicts.request_seen(store.connection, number)


def _finished_job(store: Store, number_or_path: str) -> Job | None:
    job = store.job(int(number_or_path)) if number_or_path.isdigit() else store.job_at(number_or_path)
    return job if job is not None and job.state in (State.DONE, State.FAILED, State.CANCELLED) else None


def _file_to_redo(job: Job) -> os.stat_result:
    """On a thread: what the job's file is now, without the note beside it that it failed. Raises OSError."""
    stat = os.stat(source_path(job))
    withdraw(job)
    return stat


def _add_redone(store: Store, number: int, job: Job, terms: RequestTerms | None, now: float) -> int:
    """Add the new job, which gets the file. An earlier job that failed is abandoned, and no longer found by its file."""
    store.requests.drop(number)
    job_id = store.redo(job, now, job.tasks)
    if terms is not None:
        verdicts.note_redone(store.connection, terms, job.id, job_id, now)
    before = store.job(job.id)
    if before is not None and before.state is State.FAILED:
        error = f"{before.error} It is processed again as job {job_id}."
        store.save(before, replace(transitions.abandon(before, now), error=error, moved_to=None))
    return job_id
