"""What the command line left in a job's row: cancel, retry, release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lalald import jobs
from lalald.errors import RefusedError, ServiceError
from lalald.jobs import Job, Request, Stage, State, Task
from lalald.stages.archive import take_back

if TYPE_CHECKING:
    from lalald.worker import Worker

_CANCELLED = "it was cancelled"


async def honour(job: Job, worker: Worker) -> Job | None:
    """Does what the row asks for, as far as the job's state allows. The job as saved, or None where it was changed meanwhile."""
    request = job.request
    if request is None:
        return job
    after = await _asked(job, request, worker)
    if after is None:
        return None  # the service does not answer: the request stays in the row and is honoured when it does
    saved = job if after is job else await worker.save(job, after)
    if saved is None:
        return None
    await worker.bench.store.run(lambda store: store.clear_request(job.id, request))
    worker.bench.log.info(f"job.{_PAST[request]}", job=job.id, path=job.path, stage=str(saved.stage), state=str(saved.state))
    worker.wake()
    return replace(saved, request=None)


_PAST = {Request.CANCEL: "cancelled", Request.RETRY: "retried", Request.RELEASE: "released"}


async def _asked(job: Job, request: Request, worker: Worker) -> Job | None:
    now = worker.bench.clock.now()
    if request is Request.CANCEL:
        return await _cancelled(job, worker) if job.state in (State.WAITING, State.HELD) else job
    if request is Request.RETRY and job.state in (State.FAILED, State.CANCELLED):
        await worker.bench.on(worker.bench.files, take_back, job)
        return jobs.retried(job, now)
    if request is Request.RELEASE and job.state is State.HELD:
        return jobs.released(job, now)
    return job


async def _cancelled(job: Job, worker: Worker) -> Job | None:
    """Running tasks are cancelled on the service. What has finished there meanwhile is delivered."""
    if job.stage in (Stage.DOWNLOAD, Stage.DELETE, Stage.ARCHIVE):
        return job  # everything is paid and there: it is delivered
    finished: set[str] = set()
    running = [task.task_id for task in job.tasks if task.stage is Stage.CHECK and task.error is None and task.task_id]
    if running:
        try:
            answers = await worker.bench.api.cancel(running)
        except RefusedError:
            answers = dict.fromkeys(running, "refused")
        except ServiceError as error:
            worker.bench.log.warning("cancel.waits", job=job.id, error=str(error))
            return None
        finished = {task_id for task_id in running if answers.get(task_id, "untold") is not None}
    tasks = tuple(_ended(task, finished) for task in job.tasks)
    worker.bench.budget.forgo(job.id)
    if finished:
        return replace(job, tasks=tasks, stage=jobs.owed(replace(job, tasks=tasks)), state=State.WAITING, hold=None, hold_reason=None)
    now = worker.bench.clock.now()
    return replace(
        job, tasks=tasks, state=State.CANCELLED, hold=None, hold_reason=None, held_at=None, error=_CANCELLED, filed=True, updated_at=now
    )


def _ended(task: Task, finished: set[str]) -> Task:
    if task.error is not None or task.stage in (Stage.DOWNLOAD, Stage.DONE) or task.task_id in finished:
        return task
    return replace(task, error=_CANCELLED)
