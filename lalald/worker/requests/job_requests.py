"""Requests that clients leave in jobs' rows: cancel, retry, release. One loop handles them.

No other loop runs such a job, with one exception: while a cancel waits for the service, finished results are delivered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from lalald.archive.archiving import with_current_file
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FolderUnavailableError
from lalald.inbox.rematch import rematch_by_config
from lalald.jobs import transitions
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance
from lalald.jobs.spending import consent
from lalald.jobs.states import Request, Stage, State, TaskFailure
from lalald.jobs.task import CANCELLED, Task
from lalald.stages.context import StageContext
from lalald.worker.claims import Claims
from lalald.worker.faults.guard import Guard
from lalald.worker.recorder import Recorder
from lalald.worker.requests import page_requests
from lalald.worker.requests.cancellation import Cancellation
from lalald.worker.wakeups import Wakeups

_STEP = "requests"
_RETRY_SECONDS = 30.0
_EVENTS = {Request.CANCEL: "job.cancelled", Request.RETRY: "job.retried", Request.RELEASE: "job.released"}


@dataclass(frozen=True, slots=True)
class JobRequests:
    """`handle` is `handle_request`, or another function in its place."""

    context: StageContext
    wakeups: Wakeups
    claims: Claims
    recorder: Recorder
    guard: Guard
    cancellation: Cancellation
    handle: Callable[[Job, JobRequests], Awaitable[Job | None]]

    async def run(self) -> None:
        """Handle requests until cancelled. A job at work is handled once it is released, which wakes this loop."""
        while True:
            self.wakeups.requests.begin()
            requested = await self.context.store.run(lambda store: store.jobs_with_request())
            self.cancellation.keep({job.id for job in requested})
            for job in requested:
                if self.claims.is_claimed(job.id):
                    self.claims.note_request(job.id)
                    self._stop_upload(job)
                elif not self.guard.faults.is_paused(_STEP, job.id):
                    await self.guard.run(_STEP, job, partial(self._handle, job), may_fail=False, written=False)
            left = await self.context.store.run(lambda store: store.jobs_with_request(limit=1)) if requested else []
            await self.wakeups.requests.sleep((self.cancellation.wait_seconds or _RETRY_SECONDS) if left else None)

    async def _handle(self, job: Job) -> None:
        await self.handle(job, self)
        self.guard.faults.note_success(_STEP, job.id)

    def _stop_upload(self, job: Job) -> None:
        if job.request is Request.CANCEL and job.stage is Stage.UPLOAD:
            for transfer, _ in self.context.transfers.get(job.id, ()):
                transfer.end()


async def handle_request(job: Job, requests: JobRequests) -> Job | None:
    """Do what the row's request says, as far as the job's state allows it. The job as saved; None if the row was changed
    meanwhile, or if the service does not answer: then the request stays in the row."""
    request = job.request
    if request is None:
        return job
    is_refused = await page_requests.is_refused(job, request, requests.context)
    after = job if is_refused else await _after_request(job, request, requests)
    if after is None:
        return None
    saved = await requests.recorder.save(job, after, handled=request)
    if saved is None:
        return None
    requests.wakeups.wake_all()
    if not is_refused and (request is not Request.RELEASE or after is not job):
        facts = {"job": job.id, "path": job.path, "stage": str(saved.stage), "state": str(saved.state)}
        requests.context.log.info(_EVENTS[request], **facts)
    return replace(saved, request=None, request_terms=None)


async def _after_request(job: Job, request: Request, requests: JobRequests) -> Job | None:
    now = requests.context.clock.now()
    if request is Request.CANCEL:
        is_active = job.state in (State.WAITING, State.HELD)
        return await _cancel(job, requests) if is_active else transitions.abandon(job, now)
    if request is Request.RETRY and job.state in (State.FAILED, State.CANCELLED):
        return await _retry(job, requests)
    return _release(job, now, requests) if request is Request.RELEASE else job


async def _retry(job: Job, requests: JobRequests) -> Job:
    """The failed or cancelled job, matched again, at the stage where it stopped."""
    context = requests.context
    requests.guard.faults.forget(job.id)
    context.inspections.pardon(source_path(job))
    with suppress(FolderUnavailableError):  # the note stays beside the file until that is moved
        job = await context.disks.run(source_folder(job), with_current_file, job)
    retried = transitions.retry(rematch_by_config(job, context.config), context.clock.now())
    terms = retried.request_terms
    if terms is None or (retried.approved_minutes is None and terms.key is None):
        return retried
    return consent.with_approval(retried, terms.minutes)  # the price that the retry was shown with is agreed to, too


def _release(job: Job, now: float, requests: JobRequests) -> Job:
    """The job past its hold, if that is still the one that the request was for; else as it is."""
    terms = job.request_terms
    objection = "it is not held any more" if job.state is not State.HELD else consent.objection(job, terms)
    if objection is None:
        return transitions.release(job, now, price=terms.minutes if terms else None)
    requests.context.log.warning("release.refused", job=job.id, path=job.path, hold=job.hold, reason=objection)
    return job


async def _cancel(job: Job, requests: JobRequests) -> Job | None:
    """The job with its running tasks cancelled on the service. What has finished there, or finishes meanwhile, is delivered."""
    if not any(task.error is None and task.stage in (Stage.SPLIT, Stage.CHECK) for task in job.tasks):
        return job  # everything is paid and finished: it is delivered
    running = [
        task.task_id
        for task in job.tasks
        if task.stage is Stage.CHECK and task.error is None and task.task_id and not task.paid_by
    ]
    ended = await requests.cancellation.cancel(job, running) if running else set()
    if ended is None:
        return None
    tasks = tuple(_cancel_task(task, ended) for task in job.tasks)
    requests.context.budget.release_reservation(job.id)
    now = requests.context.clock.now()
    if any(task.error is None and task.stage is not Stage.DONE for task in tasks):
        return transitions.apply_outcome(job, Advance(replace(job, tasks=tasks)), now)
    return replace(
        job, tasks=tasks, state=State.CANCELLED, hold=None, hold_reason=None, held_path=None, held_at=None, error=CANCELLED,
        archived=True, updated_at=now,
    )  # fmt: skip


def _cancel_task(task: Task, ended: set[str]) -> Task:
    """`ended`: ids of tasks that the service had finished before."""
    if task.error is not None or task.stage in (Stage.DOWNLOAD, Stage.DONE):
        return task
    if task.task_id in ended and not task.is_late:
        return task
    has_tracks = any(not track.is_missing for track in task.tracks)
    failure = TaskFailure.INCOMPLETE if has_tracks else TaskFailure.CANCELLED
    return replace(task, error=CANCELLED, failure=failure, cancelled=True)
