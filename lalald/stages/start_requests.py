"""Ask the service to start tasks: one by one, or up to a hundred in a batch, which is halved if it fails as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from lalald.api import SplitItem, Started, StartRefused
from lalald.errors import RateLimitedError, RefusedError, ServiceError, TransientError
from lalald.jobs.halving import Halving
from lalald.jobs.job import Job
from lalald.jobs.task import Task
from lalald.stages.context import StageContext
from lalald.stages.split import unstarted_tasks, uses_batches
from lalald.stages.start_answers import Answer, NoBatches

NO_BATCHES = "batch_not_avaliable"  # their spelling
MAX_BATCH_TASKS = 100  # the API document's maxItems

Keyed = Sequence[tuple[Job, Task]]
Report = Callable[[Sequence[Job], ServiceError | None, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """How to ask for tasks of a mode: `report` is called with each result; between the halves of a batch the daemon may stop."""

    mode: str
    context: StageContext
    halving: Halving[int]  # by job
    report: Report
    is_stopping: Callable[[], bool]


async def start(jobs: Sequence[Job], request: StartRequest) -> AsyncIterator[dict[tuple[int, int], Answer]]:
    """Ask the service to start the tasks that `prepare` gave keys. Yields the answer or error of each (job id, task number).

    Several jobs go in one batch. The answers to each request are yielded before the next one is sent, so that they can be saved.
    """
    keyed = [
        (job, task)
        for job in jobs
        for task in unstarted_tasks(job, request.mode)
        if task.idempotency_key and task.requested_at is not None
    ]
    if len(keyed) > 1 and uses_batches(request.mode, request.context):
        async for answers in _start_in_batches(keyed, request):
            yield answers
    else:
        yield _by_task(keyed[:1], [await _start_one(*keyed[0], request)])


async def _start_one(job: Job, task: Task, request: StartRequest) -> Answer:
    began_at = request.context.clock.monotonic()
    answer: Answer
    try:
        answer = Started(await request.context.api.split(task.mode, _item(job, task)))
    except ServiceError as error:
        answer = error
    if isinstance(answer, TransientError):
        _is_halved([(job, task)], answer, request.halving)
    else:
        request.halving.forget([job.id])
    await request.report([job], answer if isinstance(answer, ServiceError) else None, began_at)
    return answer


async def _start_in_batches(keyed: Keyed, request: StartRequest) -> AsyncIterator[dict[tuple[int, int], Answer]]:
    """One request for many tasks. A request that fails as a whole is halved until the task that causes it is alone.

    If every part gets a transient or unreadable answer, that is an outage, and nothing is halved further.
    """
    parts, is_first = [keyed], True
    while parts and (is_first or not request.is_stopping()):
        failed: list[tuple[Keyed, Sequence[Answer], ServiceError]] = []
        for part in parts:
            answers, error = await _start_batch(part, request)
            if error is None:
                yield _by_task(part, answers)
            else:
                failed.append((part, answers, error))
        is_outage = len(failed) == len(parts) > 1 and all(isinstance(error, TransientError) for _, _, error in failed)
        parts, is_first = [], False
        for part, answers, error in failed:
            if is_outage or not _is_halved(part, error, request.halving):
                yield _by_task(part, answers)
            else:
                parts += [part[: len(part) // 2], part[len(part) // 2 :]]


def _by_task(part: Keyed, answers: Sequence[Answer]) -> dict[tuple[int, int], Answer]:
    return {(job.id, task.number): answer for (job, task), answer in zip(part, answers, strict=True)}


def _is_halved(part: Keyed, error: ServiceError, halving: Halving[int]) -> bool:
    job_ids = [job.id for job, _ in part]
    if isinstance(error, RefusedError):
        return error.code != NO_BATCHES and halving.failed(job_ids, refused=True) and len(part) > 1
    is_about_them = isinstance(error, TransientError) and error.answered and not isinstance(error, RateLimitedError)
    return is_about_them and halving.failed(job_ids) and len(part) > 1


async def _start_batch(part: Keyed, request: StartRequest) -> tuple[Sequence[Answer], ServiceError | None]:
    """The answers to one request, and the error if it failed as a whole."""
    context, failure, began_at = request.context, None, request.context.clock.monotonic()
    answers: Sequence[Answer]
    try:
        answers = await context.api.split_batch(request.mode, [_item(job, task) for job, task in part])
        request.halving.forget([job.id for job, _ in part])
    except ServiceError as error:
        answers, failure = [error] * len(part), error
    await request.report([job for job, _ in part], failure, began_at)
    if any(_says_no_batches(answer) for answer in answers):
        await _remember_no_batches(context)
        answers = [NoBatches() if _says_no_batches(answer) else answer for answer in answers]
    return answers, failure


def _says_no_batches(answer: Answer) -> bool:
    return isinstance(answer, StartRefused | ServiceError) and answer.code == NO_BATCHES


async def _remember_no_batches(context: StageContext) -> None:
    now = context.clock.now()
    context.batch_refused_at = now
    context.log.info("batch.refused", reason="the license's plan has no batches; tasks are started one by one")
    await context.store.run(lambda store: store.state.set("batch_refused_at", now, now))


def _item(job: Job, task: Task) -> SplitItem:
    assert job.source_id is not None  # noqa: S101 - `prepare` makes sure of both
    assert task.idempotency_key is not None  # noqa: S101 - likewise
    return SplitItem(source_id=job.source_id, presets=task.presets, idempotency_key=task.idempotency_key)
