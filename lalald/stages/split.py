"""Tasks start here, and money is spent: the key is durable before the request leaves, the task's id before anything else happens.

`prepare` decides whether a job may be charged and gives its tasks keys; the worker saves that; `start` then asks the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from lalald.api import SplitItem, Started, StartRefused
from lalald.errors import (
    DiskFullError,
    FolderUnavailableError,
    RateLimitedError,
    RefusedError,
    ServiceError,
    TransientError,
)
from lalald.jobs import Done, Held, Hold, HoldSource, Job, Later, Outcome, Stage, Task, TaskFailure, told
from lalald.money import minutes as cost
from lalald.presets import BATCHABLE
from lalald.stages.bench import Bench
from lalald.stages.preflight import hold_of
from lalald.stages.room import room_for_results
from lalald.stages.skip import skip
from lalald.stages.source import changed, gone

NO_BATCHES = "batch_not_avaliable"  # their spelling
MOST_IN_A_BATCH = 100  # the document's maxItems
_ABOUT_TO_EXPIRE_SECONDS = 60.0
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources by itself about a day after the upload
_FRESH_SECONDS = 3600.0
_BATCH_ASKED_AGAIN_SECONDS = 24 * 3600.0  # a plan may have changed

Answer = Started | StartRefused | ServiceError


@dataclass(frozen=True, slots=True)
class Ready:
    """A job whose tasks of one mode have their keys in `job`, to be saved before `start`."""

    job: Job


def owing(job: Job, mode: str) -> list[Task]:
    """The job's tasks of a mode that are not started yet."""
    return [
        task
        for task in job.tasks
        if task.mode == mode and task.stage is Stage.SPLIT and task.error is None and task.waits_for is None
    ]


async def prepare(job: Job, mode: str, bench: Bench) -> Ready | Outcome:
    """Whether the job's tasks of this mode may be charged now: the file, the source, the outbox and the minutes.

    Raises ServiceError where the service does not tell the minutes left, FolderUnavailableError where a folder is away.
    """
    tasks = owing(job, mode) if batches(mode, bench) else owing(job, mode)[:1]
    asked = any(task.asked_at is not None for task in tasks)
    numbers = tuple(task.number for task in tasks)
    if asked:
        bench.budget.promise(job, job.duration or 0.0)
    if not job.paid and (reason := await changed(job, bench)) is not None:
        return await _throw_away(job, reason, bench)
    if (skipped := await skip(job, bench)) is not None:
        bench.budget.forgo(job.id)
        return skipped
    if not unanswered(job) and _is_about_to_expire(job, bench.clock.now()):
        return Done(_without_source(job))
    if not asked and (held := await _held_before_the_charge(job, numbers, bench)) is not None:
        return held
    if not asked:
        admission = await bench.budget.admit(job, job.duration)
        if (refusal := admission.refusal) is not None:
            return Held(Hold.MINUTES, refusal.reason, tasks=numbers, source=refusal.source)
    now = bench.clock.now()
    for task in tasks:
        job = job.with_task(
            replace(task, idempotency_key=task.idempotency_key or bench.new_key(), asked_at=task.asked_at or now)
        )
    return Ready(job)


def unanswered(job: Job) -> frozenset[int]:
    """The numbers of the job's tasks that a request may have started without our knowing."""
    return frozenset(
        task.number for task in job.tasks if task.asked_at is not None and task.task_id is None and task.error is None
    )


def _is_about_to_expire(job: Job, now: float) -> bool:
    """A task started now might come too late. Of a source that had expired before the service is the judge: our clock may be wrong."""
    return job.expires_at is not None and 0 <= job.expires_at - now < _ABOUT_TO_EXPIRE_SECONDS


def _without_source(job: Job) -> Job:
    return replace(job, source_id=None, expires_at=None)


async def _throw_away(job: Job, reason: str, bench: Bench) -> Outcome:
    """The file changed after the upload: what was uploaded is of no use, and nobody paid for it."""
    if job.source_id is not None:
        try:
            await bench.api.delete(job.source_id)
        except ServiceError:
            bench.log.info("source.left_to_expire", job=job.id, source_id=job.source_id)
    bench.budget.forgo(job.id)
    return gone(job, reason)


async def _no_room(job: Job, bench: Bench) -> Held | None:
    """Results must have a place before they are paid for. Raises FolderUnavailableError."""
    outbox = job.handling.outbox
    free = await bench.folders.check(outbox)
    needed = room_for_results(job)
    if free >= needed:
        return None
    return Held(
        Hold.DISK,
        f"{outbox} has {free:,} bytes free, about {needed:,} are needed; nothing is charged before there is room",
    )


async def _held_before_the_charge(job: Job, numbers: tuple[int, ...], bench: Bench) -> Held | None:
    """What is paid already is delivered meanwhile. Raises FileError where that may pass at once."""
    try:
        if (held := await _no_room(job, bench)) is not None:
            return held
        await bench.preflight.check(job)
    except (FolderUnavailableError, DiskFullError) as error:
        bench.preflight.doubt(job)
        reason = f"{told(error)} Nothing was charged{' for the tasks that wait' if job.paid else ''}."
        return Held(hold_of(error), reason, tasks=numbers if job.paid else ())
    return None


async def start(jobs: Sequence[Job], mode: str, bench: Bench) -> dict[tuple[int, int], Answer]:
    """Asks the service to start the tasks that `prepare` gave keys. The answer, or the fault, of each (job id, task number).

    Several jobs go in one batch; what is asked alone is one request, so that its answer can be saved before the next leaves.
    """
    keyed = [
        (job, task) for job in jobs for task in owing(job, mode) if task.idempotency_key and task.asked_at is not None
    ]
    if len(keyed) > 1 and batches(mode, bench):
        return await _start_batch(keyed, mode, bench)
    job, task = keyed[0]
    return {(job.id, task.number): await _start_one(job, task, bench)}


def batches(mode: str, bench: Bench) -> bool:
    """Whether tasks of this mode are started in batches: the document has three such modes, and it is a matter of the plan."""
    refused_at = bench.batch_refused_at
    refused = refused_at is not None and 0 <= bench.clock.now() - refused_at < _BATCH_ASKED_AGAIN_SECONDS
    return mode in BATCHABLE and not refused


async def _start_one(job: Job, task: Task, bench: Bench) -> Answer:
    try:
        return Started(await bench.api.split(task.mode, _item(job, task)))
    except ServiceError as error:
        return error


async def _start_batch(keyed: Sequence[tuple[Job, Task]], mode: str, bench: Bench) -> dict[tuple[int, int], Answer]:
    """One request for many. Refused as a whole it is halved, until the culprit stands alone."""
    try:
        answers: Sequence[Answer] = await bench.api.split_batch(mode, [_item(job, task) for job, task in keyed])
    except RefusedError as error:
        if len(keyed) > 1 and error.code != NO_BATCHES:
            half = len(keyed) // 2
            return await _start_batch(keyed[:half], mode, bench) | await _start_batch(keyed[half:], mode, bench)
        answers = [error] * len(keyed)
    except ServiceError as error:
        answers = [error] * len(keyed)
    if any(answer.code == NO_BATCHES for answer in answers if not isinstance(answer, Started)):
        await _remember_no_batches(bench)
    return {(job.id, task.number): answer for (job, task), answer in zip(keyed, answers, strict=True)}


async def _remember_no_batches(bench: Bench) -> None:
    now = bench.clock.now()
    bench.batch_refused_at = now
    bench.log.info("batch.not_available", meaning="the licence's plan has no batches: tasks are started one by one")
    await bench.store.run(lambda store: store.set_fact("batch_refused_at", now, now))


def _item(job: Job, task: Task) -> SplitItem:
    assert job.source_id is not None  # noqa: S101 - `prepare` saw to both
    assert task.idempotency_key is not None  # noqa: S101 - and to this
    return SplitItem(source_id=job.source_id, presets=task.presets, idempotency_key=task.idempotency_key)


def outcome_of(job: Job, answers: Mapping[int, Answer], bench: Bench, asked_before: Set[int]) -> Outcome:
    """What the answers to a job's tasks mean. What started is in the job whatever became of the others.

    `asked_before` are the tasks whose key had left before this try: it may have started a task that nobody told us of.
    """
    verdict: Outcome | None = None
    for number, answer in answers.items():
        task = next(task for task in job.tasks if task.number == number)
        if isinstance(answer, Started):
            job = _started(job, task, answer, bench)
        else:
            job, bad = _not_started(job, task, answer, bench, asked_before)
            verdict = verdict or bad
    return replace(verdict, job=job) if verdict is not None else Done(job)


def _started(job: Job, task: Task, answer: Started, bench: Bench) -> Job:
    now = bench.clock.now()
    minutes = cost(job.duration or 0.0, task.mode, task.presets)
    return job.with_task(
        replace(
            task,
            stage=Stage.CHECK,
            task_id=answer.task_id,
            started_at=now,
            moved_at=now,
            minutes=minutes,
            progress=0,
            due_at=now,
        )
    )


def unasked(job: Job, numbers: Iterable[int], asked_before: Set[int]) -> Job:
    """The job after a refusal that says nothing of its tasks: those that were asked for the first time have not begun."""
    for task in job.tasks:
        if task.number in numbers and task.number not in asked_before:
            job = job.with_task(replace(task, asked_at=None))
    return job


def _not_started(
    job: Job, task: Task, answer: StartRefused | ServiceError, bench: Bench, asked_before: Set[int]
) -> tuple[Job, Outcome | None]:
    told = job.with_task(replace(task, asked_at=None))  # the service knows the key, and nothing has begun with it
    code = answer.code
    if code == NO_BATCHES:
        return unasked(job, [task.number], asked_before), Later(
            "the licence's plan has no batches: asked again alone", due_at=bench.clock.now()
        )
    if code == "idempotency_key_used":
        return _lost_task(job, task, bench)
    if _says_gone(_words(answer)) and not _is_fresh(job, bench.clock.now()):
        return _source_gone(job, task, bench, asked_before)
    if isinstance(answer, TransientError):
        limited = isinstance(answer, RateLimitedError)
        return unasked(job, [task.number], asked_before) if limited else job, Later(str(answer), error=answer)
    if isinstance(answer, StartRefused) and (answer.unanswered or code == "internal_error"):
        return job, Later(answer.message)
    bench.budget.forgo(job.id)
    if code == "exceeded_duration":
        bench.budget.outdated()
        reason = f"the service says that the minutes do not suffice: {_words(answer)}"
        return told, Held(Hold.MINUTES, reason, tasks=(task.number,), source=HoldSource.SERVICE)
    failed = replace(
        task, asked_at=None, failure=TaskFailure.REFUSED, error=f"{_words(answer)} Nothing was charged for it."
    )
    return job.with_task(failed), None


def _source_gone(job: Job, task: Task, bench: Bench, asked_before: Set[int]) -> tuple[Job, Outcome | None]:
    """The source goes up again, unless a key had left for it: what that has started, if anything, nobody can tell any more."""
    lost = unanswered(job) & asked_before
    told = job if task.number in lost else job.with_task(replace(task, asked_at=None))
    if lost and bench.config.on_lost_task == "resubmit":
        for number in lost:
            told = _resubmitted(told, number, bench)
        lost = frozenset()
    if not lost:
        return _without_source(told), None
    reason = (
        "the request to start a task was sent, its answer never came, and its source has expired by now."
        f" Minutes may have been charged once. `lalald release {job.id}` uploads and pays again; `lalald cancel {job.id}` gives up."
    )
    return told, Held(Hold.LOST_TASK, reason, tasks=tuple(lost | {task.number}))


def _says_gone(words: str) -> bool:
    """The document names no code for a source that is not there any more; it has only these words."""
    return "has not been uploaded properly or has already been deleted" in words


def _is_fresh(job: Job, now: float) -> bool:
    """Uploaded within the hour: a source that is refused at once is refused for what it is, and is not sent again and again."""
    uploaded_at = (job.expires_at or 0.0) - _KEPT_SECONDS
    return abs(now - uploaded_at) < _FRESH_SECONDS  # it lies in the future where the clock was turned back


def _lost_task(job: Job, task: Task, bench: Bench) -> tuple[Job, Outcome | None]:
    job = job.with_task(
        replace(task, minutes=cost(job.duration or 0.0, task.mode, task.presets))
    )  # charged for certain
    if bench.config.on_lost_task == "resubmit":
        again = _resubmitted(job, task.number, bench)
        return again, Later("the task was started but its id never arrived; it is started and paid again")
    reason = (
        f"task {task.title} ({task.mode}) was started and charged, but its id never reached lalald, and the service gives it to nobody."
        f" `lalald release {job.id}` pays for it again; `lalald cancel {job.id}` gives up. The source file is untouched."
    )
    return job, Held(Hold.LOST_TASK, reason, tasks=(task.number,))


def _resubmitted(job: Job, number: int, bench: Bench) -> Job:
    """The job with a task to be started, and paid, once more: the configuration says so."""
    task = next(task for task in job.tasks if task.number == number)
    bench.log.warning("task.resubmitted", job=job.id, path=job.path, task=task.title, meaning="it may be charged twice")
    return job.with_task(replace(task, idempotency_key=None, asked_at=None))


def _words(answer: StartRefused | ServiceError) -> str:
    if isinstance(answer, StartRefused):
        return f"{answer.message} ({answer.code})." if answer.code else f"{answer.message}."
    return f"{answer}."
