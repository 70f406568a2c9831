"""What the answers to requests that start tasks mean for their job: started, lost, refused, or asked again with the same key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from lalald.api import Started, StartRefused
from lalald.errors import RateLimitedError, ServiceError, TransientError, UnusableAnswerError
from lalald.jobs.failure_kinds import error_code
from lalald.jobs.job import Advance, Held, Hold, HoldSource, Job, Outcome, RetryLater, Stage, Task, TaskFailure
from lalald.jobs.prices import minutes as cost
from lalald.stages.context import StageContext

UNUSABLE_ANSWERS_AT_MOST = 3  # in a row: then the task counts as started, with its id lost
RESUBMITTED_AT_MOST = 1  # a service whose answers never arrive is not paid for ever
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources by itself about a day after the upload
_FRESH_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class NoBatches:
    """The answer to a task of a batch: the plan has no batches, so it is asked again alone."""


Answer = Started | StartRefused | NoBatches | ServiceError


def possibly_started(job: Job) -> frozenset[int]:
    """The numbers of the job's tasks that a request may have started without our knowing."""
    return frozenset(
        task.number
        for task in job.tasks
        if task.requested_at is not None and task.task_id is None and task.error is None
    )


def without_source(job: Job) -> Job:
    return replace(job, source_id=None, expires_at=None)


def outcome_of(job: Job, answers: Mapping[int, Answer], context: StageContext, asked_before: Set[int]) -> Outcome:
    """What the answers to a job's tasks mean. What started is in the job whatever became of the others.

    `asked_before` are the tasks whose key had left before this try: it may have started a task that nobody told us of.
    """
    verdict: Outcome | None = None
    for number, answer in answers.items():
        task = next(task for task in job.tasks if task.number == number)
        if isinstance(answer, Started):
            job = _started(job, task, answer, context)
        else:
            job, bad = _not_started(job, task, answer, context, asked_before)
            verdict = verdict or bad
    return replace(verdict, job=job) if verdict is not None else Advance(job)


def with_started(job: Job, answers: Mapping[int, Answer], context: StageContext) -> Job:
    """The job with the ids of the tasks that were started, to be saved before anything else is done with the answers."""
    for task in job.tasks:
        if isinstance(answer := answers.get(task.number), Started):
            job = _started(job, task, answer, context)
    return job


def _started(job: Job, task: Task, answer: Started, context: StageContext) -> Job:
    if task.task_id == answer.task_id:
        return job
    now = context.clock.now()
    minutes = cost(job.duration or 0.0, task.mode, task.presets)
    return job.with_task(
        replace(
            task,
            stage=Stage.CHECK,
            task_id=answer.task_id,
            started_at=now,
            progressed_at=now,
            minutes=minutes,
            progress=0,
            due_at=now,
        )
    )


def without_request(job: Job, numbers: Iterable[int], asked_before: Set[int]) -> Job:
    """The job after a refusal that says nothing of its tasks: those that were asked for the first time have not begun."""
    for task in job.tasks:
        if task.number in numbers and task.number not in asked_before:
            job = job.with_task(replace(task, requested_at=None))
    return job


def _not_started(
    job: Job, task: Task, answer: StartRefused | NoBatches | ServiceError, context: StageContext, asked_before: Set[int]
) -> tuple[Job, Outcome | None]:
    told = job.with_task(replace(task, requested_at=None))  # the service knows the key, and nothing has begun with it
    if isinstance(answer, NoBatches):
        return without_request(job, [task.number], asked_before), RetryLater(
            "the license's plan has no batches: asked again alone"
        )
    code = answer.code
    if code == "idempotency_key_used":
        return _lost_task(job, task, context)
    if _says_gone(_words(answer)) and not _is_fresh(job, context.clock.now()):
        return _source_gone(job, task, context, asked_before)
    if isinstance(answer, UnusableAnswerError) or (isinstance(answer, StartRefused) and answer.unanswered):
        return _unusable(job, task, answer, context)
    if isinstance(answer, TransientError):
        limited = isinstance(answer, RateLimitedError)
        return without_request(job, [task.number], asked_before) if limited else job, RetryLater(
            str(answer), error=answer
        )
    if isinstance(answer, StartRefused) and code == "internal_error":
        return job, RetryLater(answer.message)
    context.budget.release_reservation(job.id)
    if code == "exceeded_duration":
        context.budget.invalidate()
        reason = f"the service says that the minutes do not suffice: {_words(answer)}"
        return told, Held(Hold.MINUTES, reason, tasks=(task.number,), source=HoldSource.SERVICE)
    failed = replace(
        task, requested_at=None, failure=TaskFailure.REFUSED, error=f"{_words(answer)} Nothing was charged for it.",
        error_code=error_code(code, None if isinstance(answer, StartRefused) else answer.status),
    )  # fmt: skip
    return job.with_task(failed), None


def _source_gone(job: Job, task: Task, context: StageContext, asked_before: Set[int]) -> tuple[Job, Outcome | None]:
    """The source goes up again, unless a key had left for it: what that has started, if anything, nobody can tell any more."""
    lost = possibly_started(job) & asked_before
    told = job if task.number in lost else job.with_task(replace(task, requested_at=None))
    for number in sorted(lost):
        if _may_be_resubmitted(told, number, context):
            told = _resubmitted(told, number, context)
            lost -= {number}
    if not lost:
        return without_source(told), None
    reason = (
        "the request to start a task was sent, no answer arrived, and its source has expired by now."
        f" Minutes may have been charged once. `lalald release {job.id}` uploads and pays again; `lalald cancel {job.id}` abandons it."
    )
    return told, Held(Hold.LOST_TASK, reason, tasks=tuple(lost | {task.number}))


def _says_gone(words: str) -> bool:
    """The document names no code for a source that is not there any more; it has only these words."""
    return "has not been uploaded properly or has already been deleted" in words


def _is_fresh(job: Job, now: float) -> bool:
    """Uploaded within the hour: a source that is refused at once is refused for what it is, and is not sent again and again."""
    uploaded_at = (job.expires_at or 0.0) - _KEPT_SECONDS
    return abs(now - uploaded_at) < _FRESH_SECONDS  # it lies in the future where the clock was turned back


def _lost_task(job: Job, task: Task, context: StageContext) -> tuple[Job, Outcome | None]:
    job = job.with_task(
        replace(task, minutes=cost(job.duration or 0.0, task.mode, task.presets))
    )  # charged for certain
    if _may_be_resubmitted(job, task.number, context):
        again = _resubmitted(job, task.number, context)
        return again, RetryLater("the task was started but its id never arrived; it is started and paid again")
    reason = (
        f"task {task.title} ({task.mode}) was started and charged, but its id never reached lalald, and the service does not return it."
        f" `lalald release {job.id}` pays for it again; `lalald cancel {job.id}` abandons it. The source file is untouched."
    )
    return job, Held(Hold.LOST_TASK, reason, tasks=(task.number,))


def _unusable(
    job: Job, task: Task, answer: StartRefused | ServiceError, context: StageContext
) -> tuple[Job, Outcome | None]:
    """It may have been started, and charged: asked again with the same key, which pays nothing, and at last a person decides."""
    job = replace(job, unusable_answers=job.unusable_answers + 1)
    error = answer if isinstance(answer, TransientError) else None
    if job.unusable_answers < UNUSABLE_ANSWERS_AT_MOST:
        return job, RetryLater(_words(answer).rstrip("."), error=error)
    if _may_be_resubmitted(job, task.number, context):
        again = _resubmitted(job, task.number, context)
        return again, RetryLater(
            "the answers to its start could not be used; it is started again, and may be paid again"
        )
    reason = (
        f"the service answered the request to start task {task.title} ({task.mode}) {job.unusable_answers} times in a way that"
        f" cannot be used: {_words(answer)} Minutes may have been charged once. `lalald release {job.id}` starts it again with a"
        f" new key, and may pay again; `lalald cancel {job.id}` leaves it. The source file is untouched."
    )
    return job, Held(Hold.LOST_TASK, reason, tasks=(task.number,))


def _may_be_resubmitted(job: Job, number: int, context: StageContext) -> bool:
    task = next(task for task in job.tasks if task.number == number)
    return context.config.on_lost_task == "resubmit" and task.resubmitted < RESUBMITTED_AT_MOST


def _resubmitted(job: Job, number: int, context: StageContext) -> Job:
    """The job with a task to be started, and paid, once more: the configuration says so."""
    task = next(task for task in job.tasks if task.number == number)
    reason = "its id never arrived, and on_lost_task is resubmit; it may be charged twice"
    context.log.warning("task.resubmitted", job=job.id, path=job.path, task=task.title, reason=reason)
    again = replace(task, idempotency_key=None, requested_at=None, resubmitted=task.resubmitted + 1)
    return replace(job.with_task(again), unusable_answers=0)


def _words(answer: StartRefused | ServiceError) -> str:
    if isinstance(answer, StartRefused):
        return f"{answer.message} ({answer.code})." if answer.code else f"{answer.message}."
    return f"{answer}."
