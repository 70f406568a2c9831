"""Turn the service's answers to requests that start tasks into the outcome for their job.

Each answer is classified once (`classify`), and each problem has its own function:

    NO_BATCHES          the plan has no batches: the task is requested again, alone
    ID_LOST             the key was used: the task runs and is charged, and its id never arrived
    SOURCE_GONE         the service does not have the source: it is uploaded again, unless a task may have started from it
    UNUSABLE            the answer cannot be used, so the task may have started: requested again with the same key
    RATE_LIMITED        nothing was started: requested again later
    TEMPORARY           connection, timeout or server error: requested again later with the same key
    NOT_ENOUGH_MINUTES  the job is held until minutes are added
    REFUSED             the task fails; nothing was charged for it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import NamedTuple

from lalald.api import Started, StartRefused
from lalald.errors import RateLimitedError, ServiceError, TransientError, UnusableAnswerError
from lalald.jobs.failures.failure_kinds import error_code
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held, Outcome, RetryLater
from lalald.jobs.spending.prices import minutes as cost
from lalald.jobs.states import Hold, HoldSource, TaskFailure
from lalald.jobs.task import Task
from lalald.stages.context import StageContext

MAX_UNUSABLE_ANSWERS = 3  # in a row: then the task counts as started, with its id lost
MAX_RESUBMISSIONS = 1  # a service whose answers never arrive is not paid again and again
_SOURCE_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources about a day after the upload
_FRESH_SECONDS = 3600.0


class StartProblem(StrEnum):
    """Why a task was not started, or may not have been."""

    NO_BATCHES = auto()
    ID_LOST = auto()
    SOURCE_GONE = auto()
    UNUSABLE = auto()
    RATE_LIMITED = auto()
    TEMPORARY = auto()
    NOT_ENOUGH_MINUTES = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class NoBatches:
    """The answer to a task of a batch: the plan has no batches, so the task is requested again alone."""


Refusal = StartRefused | NoBatches | ServiceError
Answer = Started | Refusal


class _Result(NamedTuple):
    """The job after an answer, and the outcome that it forces; None if the job's other answers decide."""

    job: Job
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One task that was not started, and the answer to its request."""

    job: Job
    task: Task
    answer: StartRefused | ServiceError
    context: StageContext
    requested_before: Set[int]


def classify(answer: Refusal) -> StartProblem:
    """The problem behind an answer."""
    if isinstance(answer, NoBatches):
        return StartProblem.NO_BATCHES
    if answer.code == "idempotency_key_used":
        return StartProblem.ID_LOST
    if _says_source_is_gone(_words(answer)):
        return StartProblem.SOURCE_GONE
    if isinstance(answer, UnusableAnswerError) or (isinstance(answer, StartRefused) and answer.unanswered):
        return StartProblem.UNUSABLE
    if isinstance(answer, RateLimitedError):
        return StartProblem.RATE_LIMITED
    if isinstance(answer, TransientError) or (isinstance(answer, StartRefused) and answer.code == "internal_error"):
        return StartProblem.TEMPORARY
    return StartProblem.NOT_ENOUGH_MINUTES if answer.code == "exceeded_duration" else StartProblem.REFUSED


def possibly_started(job: Job) -> frozenset[int]:
    """The numbers of the job's tasks that a request may have started without lalald knowing."""
    return frozenset(
        task.number
        for task in job.tasks
        if task.requested_at is not None and task.task_id is None and task.error is None
    )


def without_source(job: Job) -> Job:
    """The job without its uploaded source, so that it is uploaded again."""
    return replace(job, source_id=None, expires_at=None)


def outcome_of(job: Job, answers: Mapping[int, Answer], context: StageContext, requested_before: Set[int]) -> Outcome:
    """The outcome for a job after the answers to its tasks (by number). Tasks that started are in the job in any case.

    `requested_before`: the tasks whose key was already sent by an earlier request, which may have started them.
    """
    forced: Outcome | None = None
    for number, answer in answers.items():
        task = _task(job, number)
        if isinstance(answer, Started):
            job = _started(job, task, answer, context)
        else:
            job, outcome = _not_started(job, task, answer, context, requested_before)
            forced = forced or outcome
    return replace(forced, job=job) if forced is not None else Advance(job)


def with_started(job: Job, answers: Mapping[int, Answer], context: StageContext) -> Job:
    """The job with the ids of the tasks that started, to be saved before anything else is done with the answers."""
    for task in job.tasks:
        if isinstance(answer := answers.get(task.number), Started):
            job = _started(job, task, answer, context)
    return job


def without_request(job: Job, numbers: Iterable[int], requested_before: Set[int]) -> Job:
    """The job after a refusal that says nothing about its tasks: those requested for the first time have not started."""
    for task in job.tasks:
        if task.number in numbers and task.number not in requested_before:
            job = job.with_task(task.not_requested())
    return job


def _task(job: Job, number: int) -> Task:
    return next(task for task in job.tasks if task.number == number)


def _started(job: Job, task: Task, answer: Started, context: StageContext) -> Job:
    if task.task_id == answer.task_id:
        return job
    return job.with_task(task.started(answer.task_id, _price(job, task), context.clock.now()))


def _price(job: Job, task: Task) -> float:
    return cost(job.duration or 0.0, task.mode, task.presets)


def _not_started(job: Job, task: Task, answer: Refusal, context: StageContext, requested_before: Set[int]) -> _Result:
    problem = classify(answer)
    if isinstance(answer, NoBatches):
        reason = "the license's plan has no batches: the task is requested again alone"
        return _Result(without_request(job, [task.number], requested_before), RetryLater(reason))
    return _HANDLERS[problem](_Case(job, task, answer, context, requested_before))


def _id_lost(case: _Case) -> _Result:
    task = case.task
    job = case.job.with_task(replace(task, minutes=_price(case.job, task)))  # the charge is certain
    if _may_resubmit(job, task.number, case.context):
        again = _resubmitted(job, task.number, case.context)
        return _Result(again, RetryLater("the task started but its id never arrived; it is started and paid again"))
    reason = (
        f"task {task.title} ({task.mode}) was started and charged, but its id never reached lalald, and the service does not return it."
        f" `lalald release {job.id}` pays for it again; `lalald cancel {job.id}` abandons it. The source file is untouched."
    )
    return _Result(job, Held(Hold.LOST_TASK, reason, tasks=(task.number,)))


def _source_gone(case: _Case) -> _Result:
    """The source is uploaded again, unless an earlier request may have started a task: the service can no longer say."""
    job = case.job
    lost = possibly_started(job) & case.requested_before
    is_fresh = _is_fresh(job, case.context.clock.now())
    if is_fresh and not lost and job.uploads_unknown:
        return _refused(case)
    if case.task.number not in lost:
        job = job.with_task(case.task.not_requested())
    for number in sorted(lost):
        if _may_resubmit(job, number, case.context):
            job = _resubmitted(job, number, case.context)
            lost -= {number}
    if not lost:
        return _Result(replace(without_source(job), uploads_unknown=job.uploads_unknown + is_fresh))
    reason = (
        "the request to start a task was sent, no answer arrived, and the service no longer has its source."
        f" Minutes may have been charged once. `lalald release {job.id}` uploads and pays again; `lalald cancel {job.id}` abandons it."
    )
    return _Result(job, Held(Hold.LOST_TASK, reason, tasks=tuple(lost | {case.task.number})))


def _unusable(case: _Case) -> _Result:
    """The task may have started: requested again with the same key, which charges nothing, until a person must decide."""
    task, answer = case.task, case.answer
    job = replace(case.job, unusable_answers=case.job.unusable_answers + 1)
    if job.unusable_answers < MAX_UNUSABLE_ANSWERS:
        error = answer if isinstance(answer, TransientError) else None
        return _Result(job, RetryLater(_words(answer).rstrip("."), error=error))
    if _may_resubmit(job, task.number, case.context):
        reason = "the answers to its start could not be used; the task is started again and may be paid again"
        return _Result(_resubmitted(job, task.number, case.context), RetryLater(reason))
    reason = (
        f"the service answered the request to start task {task.title} ({task.mode}) {job.unusable_answers} times in a way that"
        f" cannot be used: {_words(answer)} Minutes may have been charged once. `lalald release {job.id}` starts it again with a"
        f" new key and may pay again; `lalald cancel {job.id}` abandons it. The source file is untouched."
    )
    return _Result(job, Held(Hold.LOST_TASK, reason, tasks=(task.number,)))


def _rate_limited(case: _Case) -> _Result:
    job = without_request(case.job, [case.task.number], case.requested_before)
    return _Result(job, _retry(case.answer))


def _temporary(case: _Case) -> _Result:
    return _Result(case.job, _retry(case.answer))


def _retry(answer: StartRefused | ServiceError) -> RetryLater:
    if isinstance(answer, StartRefused):
        return RetryLater(answer.message)
    return RetryLater(str(answer), error=answer if isinstance(answer, TransientError) else None)


def _not_enough_minutes(case: _Case) -> _Result:
    case.context.budget.release_reservation(case.job.id)
    case.context.budget.invalidate()
    reason = f"the service says that the minutes left are not enough: {_words(case.answer)}"
    held = Held(Hold.MINUTES, reason, tasks=(case.task.number,), source=HoldSource.SERVICE)
    return _Result(case.job.with_task(case.task.not_requested()), held)


def _refused(case: _Case) -> _Result:
    case.context.budget.release_reservation(case.job.id)
    answer = case.answer
    status = None if isinstance(answer, StartRefused) else answer.status
    failed = replace(
        case.task.not_requested(),
        failure=TaskFailure.REFUSED,
        error=f"{_words(answer)} Nothing was charged for it.",
        error_code=error_code(answer.code, status),
    )
    return _Result(case.job.with_task(failed))


_HANDLERS: Mapping[StartProblem, Callable[[_Case], _Result]] = {
    StartProblem.ID_LOST: _id_lost,
    StartProblem.SOURCE_GONE: _source_gone,
    StartProblem.UNUSABLE: _unusable,
    StartProblem.RATE_LIMITED: _rate_limited,
    StartProblem.TEMPORARY: _temporary,
    StartProblem.NOT_ENOUGH_MINUTES: _not_enough_minutes,
    StartProblem.REFUSED: _refused,
}


def _says_source_is_gone(words: str) -> bool:
    """The API document has no code for a source that was deleted, only these words."""
    return "has not been uploaded properly or has already been deleted" in words


def _is_fresh(job: Job, now: float) -> bool:
    """Uploaded within the hour, so it has not expired: it belongs to another account, or the service rejects the file itself."""
    uploaded_at = (job.expires_at or 0.0) - _SOURCE_KEPT_SECONDS
    return abs(now - uploaded_at) < _FRESH_SECONDS  # abs: the clock may have been set back


def _may_resubmit(job: Job, number: int, context: StageContext) -> bool:
    return context.config.on_lost_task == "resubmit" and _task(job, number).resubmitted < MAX_RESUBMISSIONS


def _resubmitted(job: Job, number: int, context: StageContext) -> Job:
    """The job with a task to be started, and paid, once more, as `on_lost_task: resubmit` says."""
    task = _task(job, number)
    reason = "its id never arrived, and on_lost_task is resubmit; it may be charged twice"
    context.log.warning("task.resubmitted", job=job.id, path=job.path, task=task.title, reason=reason)
    again = replace(task.not_requested(), idempotency_key=None, resubmitted=task.resubmitted + 1)
    return replace(job.with_task(again), unusable_answers=0)


def _words(answer: StartRefused | ServiceError) -> str:
    if isinstance(answer, StartRefused):
        return f"{answer.message} ({answer.code})." if answer.code else f"{answer.message}."
    return f"{answer}."
