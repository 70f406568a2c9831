"""What the command line asks for: of a job, in its row (cancel, retry, release), or of the daemon itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lalald.archive.archiving import with_current_file
from lalald.archive.error_note import withdraw
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FolderUnavailableError, RateLimitedError, RefusedError, ServiceError, TransientError
from lalald.filesystem.file_numbers import int64
from lalald.inbox.rematch import rematch_job
from lalald.jobs import consent, transitions
from lalald.jobs.halving import TIMES_IN_A_ROW
from lalald.jobs.job import CANCELLED, Advance, Job, Request, RequestTerms, Stage, State, Task, TaskFailure
from lalald.jobs.unexpected_errors import convert_faults, is_about_one_job, is_exhaustion
from lalald.store import Store
from lalald.store.page import verdicts
from lalald.worker import page_requests
from lalald.worker.service.circuit_breaker import DIFFERENT_JOBS
from lalald.worker.service.service_health import CANCEL

if TYPE_CHECKING:
    from lalald.inbox.intake import Intake
    from lalald.worker.worker import Worker

_AGAIN_SECONDS = 10.0


async def honour(job: Job, worker: Worker) -> Job | None:
    """Does what the row asks for, as far as the job's state allows. The job as saved, or None where it was changed meanwhile."""
    request = job.request
    if request is None:
        return job
    is_refused = await page_requests.is_refused(job, request, worker)
    after = job if is_refused else await _asked(job, request, worker)
    if after is None:
        return None  # the service does not answer: the request stays in the row and is honoured when it does
    saved = await worker.save(job, after, honoured=request)
    if saved is None:
        return None
    if is_refused or (request is Request.RELEASE and after is job):
        return replace(saved, request=None, request_terms=None)
    worker.context.log.info(
        f"job.{_PAST[request]}", job=job.id, path=job.path, stage=str(saved.stage), state=str(saved.state)
    )
    worker.wake()
    return replace(saved, request=None, request_terms=None)


_PAST = {Request.CANCEL: "cancelled", Request.RETRY: "retried", Request.RELEASE: "released"}


async def _asked(job: Job, request: Request, worker: Worker) -> Job | None:
    now = worker.context.clock.now()
    if request is Request.CANCEL:
        return (
            await _cancelled(job, worker) if job.state in (State.WAITING, State.HELD) else transitions.abandon(job, now)
        )
    if request is Request.RETRY and job.state in (State.FAILED, State.CANCELLED):
        worker.guard.faults.forget(job.id)
        worker.context.inspections.pardon(source_path(job))
        with suppress(FolderUnavailableError):  # the note stays beside the file until that has left its place
            job = await worker.context.disks.run(source_folder(job), with_current_file, job)
        return _priced(transitions.retry(_matched_now(job, worker), now))
    if request is Request.RELEASE:
        return _released(job, now, worker)
    return job


def _priced(job: Job) -> Job:
    """A retried job that was released for a price once: what the retry was told to cost is agreed to, too."""
    terms = job.request_terms
    if terms is None or (job.approved_minutes is None and terms.key is None):
        return job
    return consent.with_approval(job, terms.minutes)


def _released(job: Job, now: float, worker: Worker) -> Job:
    """The job past its hold, if that still is the one which the person who released it was shown; else as it is."""
    terms = job.request_terms
    why = "it is not held any more" if job.state is not State.HELD else consent.objection(job, terms)
    if why is None:
        return transitions.release(job, now, price=terms.minutes if terms else None)
    worker.context.log.warning("release.refused", job=job.id, path=job.path, hold=job.hold, reason=why)
    return job


def _matched_now(job: Job, worker: Worker) -> Job:
    inboxes = (inbox for inbox in worker.context.config.inboxes if str(inbox.path) == job.inbox)
    return next((rematch_job(job, inbox) for inbox in inboxes), job)


async def _cancelled(job: Job, worker: Worker) -> Job | None:
    """Running tasks are cancelled on the service. What has finished there, or finishes meanwhile, is delivered."""
    unfinished = [task for task in job.tasks if task.error is None and task.stage in (Stage.SPLIT, Stage.CHECK)]
    if not unfinished:
        return job  # everything is paid and there: it is delivered
    running = [
        task.task_id
        for task in job.tasks
        if task.stage is Stage.CHECK and task.error is None and task.task_id and not task.paid_by
    ]
    finished = await _finished(job, running, worker) if running else set()
    if finished is None:
        return None
    tasks = tuple(_ended(task, finished) for task in job.tasks)
    worker.context.budget.release_reservation(job.id)
    now = worker.context.clock.now()
    if any(task.error is None and task.stage is not Stage.DONE for task in tasks):
        return transitions.apply_outcome(job, Advance(replace(job, tasks=tasks)), now)
    return replace(
        job,
        tasks=tasks,
        state=State.CANCELLED,
        hold=None,
        hold_reason=None,
        held_at=None,
        error=CANCELLED,
        archived=True,
        updated_at=now,
    )


async def _finished(job: Job, running: list[str], worker: Worker) -> set[str] | None:
    """Those that the service could not cancel, or None where it does not answer: then this job is asked for again later,
    after pauses that grow, and keeps no other from its turn."""
    health, began_at = worker.health, worker.context.clock.monotonic()
    if health.wait_seconds(CANCEL) or worker.cancel_pauses.wait_seconds(job.id):
        return None
    try:
        finished = await _cancelled_on_the_service(job, running, worker)
    except ServiceError as error:
        worker.cancel_pauses.failed(job.id)
        opened = False
        if isinstance(error, TransientError):
            waiting = await worker.context.store.run(lambda store: len(store.requested(limit=DIFFERENT_JOBS)))
            opened = health.failed(CANCEL, error, began_at, [job.id], waiting)
        if opened or (worker.cancel_pauses.times(job.id) == TIMES_IN_A_ROW and not health.wait_seconds(CANCEL)):
            worker.context.log.warning("cancel.postponed", job=job.id, path=job.path, reason=str(error))
        return None
    worker.cancel_pauses.forget(job.id)
    health.succeeded(CANCEL, [job.id], began_at)
    return finished


async def _cancelled_on_the_service(job: Job, running: list[str], worker: Worker) -> set[str]:
    """Cancels, and gives those that had ended. "Not in progress" is said of tasks that an earlier request has cancelled, too, if its
    answer was lost: then `/check/` knows."""
    is_halved = worker.cancel_pauses.times(job.id) >= TIMES_IN_A_ROW - 1
    answers = await _asked_to_cancel(running, worker, is_halved=is_halved)
    ended = [task_id for task_id in running if answers.get(task_id, "untold") is not None]
    told = await worker.checks.asked_at_once(ended) if ended else {}
    return {task_id for task_id in ended if task_id not in told or told[task_id].status != "cancelled"}


async def _asked_to_cancel(task_ids: list[str], worker: Worker, *, is_halved: bool) -> dict[str, str | None]:
    """A request for many that is refused as a whole, or where `is_halved` answered otherwise, is halved until the culprit
    stands alone; where it is refused it cannot be cancelled. Raises ServiceError, when the others were asked for."""
    try:
        return await convert_faults(worker.context.api.cancel(task_ids))
    except RefusedError as error:
        if len(task_ids) == 1:
            return {task_ids[0]: str(error)}
    except TransientError as error:
        if len(task_ids) == 1 or not is_halved or not error.answered or isinstance(error, RateLimitedError):
            raise
    half = len(task_ids) // 2
    parts = (_asked_to_cancel(part, worker, is_halved=is_halved) for part in (task_ids[:half], task_ids[half:]))
    found = await asyncio.gather(*parts, return_exceptions=True)
    told: dict[str, str | None] = {}
    for answers in found:
        if isinstance(answers, BaseException):
            raise answers
        told |= answers
    return told


def _ended(task: Task, finished: set[str]) -> Task:
    if task.error is not None or task.stage in (Stage.DOWNLOAD, Stage.DONE):
        return task
    if task.task_id in finished and not task.is_late:
        return task
    given = any(not track.is_missing for track in task.tracks)
    failure = TaskFailure.INCOMPLETE if given else TaskFailure.CANCELLED
    return replace(task, error=CANCELLED, failure=failure, cancelled=True)


async def honour_daemon(
    worker: Worker, intakes: Mapping[Path, Intake], look_at_folders: Callable[[], None] = lambda: None
) -> None:
    """What is asked of the daemon itself: rescan, redo, accept a new folder, cancel every client's tasks. One call at a time.

    A request is forgotten when it is honoured and not before: after a crash it is there. What pays is forgotten in the same commit.
    """
    while await _out_of_resources(worker, intakes, look_at_folders):  # noqa: ASYNC110 - nothing tells when there is memory again
        await asyncio.sleep(_AGAIN_SECONDS)


async def _out_of_resources(
    worker: Worker, intakes: Mapping[Path, Intake], look_at_folders: Callable[[], None]
) -> bool:
    """Whether something asked for waits until there is memory, or a descriptor or thread, again. Other faults end their request alone."""
    for number, kind, argument in await worker.context.store.run(lambda store: store.requests()):
        try:
            await _do(number, kind, argument, worker, intakes)
            if kind == "rescan":
                look_at_folders()
        except Exception as error:
            if not is_about_one_job(error):
                raise
            if is_exhaustion(error):
                return True
            worker.context.log.error("request.failed", request=kind, argument=argument, exc_info=error)
        await worker.context.store.run(partial(_drop, number))
    return False


async def _do(number: int, kind: str, argument: str | None, worker: Worker, intakes: Mapping[Path, Intake]) -> None:
    if kind == "rescan":
        for path, intake in intakes.items():
            if argument is None or str(path) == argument:
                intake.request_rescan(by_user=True)
    elif kind == "redo" and argument is not None:
        await _redo(number, argument, worker)
    elif kind == "release_folder" and argument is not None:
        await _accept(argument, worker, intakes)
    elif kind == "cancel_every_client":
        await _cancel_every_client(worker)


def _drop(number: int, store: Store) -> None:
    store.drop_request(number)


async def _accept(folder: str, worker: Worker, intakes: Mapping[Path, Intake]) -> None:
    """The folder that stands there now is the right one, whichever it is."""
    if (intake := intakes.get(Path(folder))) is not None:
        await intake.accept_folder()
        return
    if await worker.context.folders.accept(folder):
        worker.context.log.info("folder.accepted", folder=folder)
        worker.holds.look_at_folders_now()
    else:
        worker.context.log.warning("folder.not_accepted", folder=folder, reason="there is no such folder")


async def _redo(number: int, argument: str, worker: Worker) -> None:
    """A finished file again, as a new job by the rules of now, that pays again."""
    context = worker.context
    log = context.log

    def finished(store: Store) -> Job | None:
        job = store.job(int(argument)) if argument.isdigit() else store.job_at(argument)
        return job if job is not None and job.state in (State.DONE, State.FAILED, State.CANCELLED) else None

    job = await context.store.run(finished)
    if job is None:
        log.warning("redo.refused", target=argument, reason="there is no finished job with this number or file")
        return
    seen = await context.store.run(partial(_seen, number))
    if seen is not None and await page_requests.is_redo_refused(job, seen, worker):
        return
    try:
        facts = await context.disks.run(source_folder(job), _file_to_redo, job)
    except (OSError, FolderUnavailableError) as error:
        log.warning("redo.refused", job=job.id, path=job.path, reason=f"the file cannot be read: {error}")
        return
    job = replace(job, size=facts.st_size, mtime_ns=int64(facts.st_mtime_ns), inode=int64(facts.st_ino))
    job = _matched_now(transitions.restart(job), worker)
    job_id = await context.store.run(partial(_redone, number, job, seen, context.clock.now()))
    log.info("job.redone", job=job_id, path=job.path, earlier_job=job.id)
    worker.wake()


def _file_to_redo(job: Job) -> os.stat_result:
    """On a thread: what the job's file is now; what says beside it that it failed is no longer true. Raises OSError."""
    facts = os.stat(source_path(job))
    withdraw(job)
    return facts


def _redone(number: int, job: Job, seen: RequestTerms | None, now: float, store: Store) -> int:
    """The new job has the file; one that failed is no failure any more, and is not found by its file."""
    store.drop_request(number)
    job_id = store.redo(job, now, job.tasks)
    if seen is not None:
        verdicts.note_redone(store.connection, seen, job.id, job_id, now)
    before = store.job(job.id)
    if before is not None and before.state is State.FAILED:
        words = f"{before.error} It is processed again as job {job_id}."
        store.save(before, replace(transitions.abandon(before, now), error=words, moved_to=None))
    return job_id


def _seen(number: int, store: Store) -> RequestTerms | None:
    return verdicts.request_seen(store.connection, number)


async def _cancel_every_client(worker: Worker) -> None:
    try:
        answers = await worker.context.api.cancel_all()
    except ServiceError as error:
        worker.context.log.error("cancel_all.failed", reason=str(error))
        return
    worker.context.log.warning("cancel_all.done", tasks=len(answers))
