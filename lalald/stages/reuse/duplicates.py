"""Reuse earlier results of the same bytes and presets, and never pay for them again without asking.

For each task that is not paid yet, by what is known about jobs with the same bytes:

    its tracks are in an outbox as delivered                the tracks are copied
    the service may still have them (24 h, not deleted)     they are fetched again at no cost
    they are in an outbox that is unavailable               the job waits for it
    an older job is about to get them                       the job waits for that job
    it was paid, and its results are gone                   a person decides (hold `duplicate`)
    a job whose row cannot be read may have paid for it     a person decides
    none of these                                           it is charged like any other
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held, Outcome, RetryLater
from lalald.jobs.states import Hold, Stage
from lalald.jobs.task import Task
from lalald.stages.context import StageContext
from lalald.stages.reuse.earlier_results import fetched_again, find_copies
from lalald.stages.reuse.earlier_tasks import (
    EarlierTask,
    job_in_progress,
    jobs_with_same_bytes,
    same_tasks,
    undecided_tasks,
    was_paid,
)

_WAIT_SECONDS = 3600.0  # the earlier job's end wakes this one; the limit is for one whose row was removed

_Reason = Callable[[Job, int | None], str]


@dataclass
class _Findings:
    """What was found for the tasks of a job, by task number."""

    reused: dict[int, Task] = field(default_factory=dict)
    asked: dict[int, EarlierTask] = field(default_factory=dict)  # a person decides whether they are paid again
    hold: Job | None = None
    held: Held | None = None  # the results' outbox is unavailable
    unreadable: int | None = None  # a job that may have paid for the tasks of which nothing else was found
    same_as: str | None = None  # the dropped path of the file whose results are reused


async def needs_comparison(job: Job, context: StageContext) -> bool:
    """Whether the job's bytes must be hashed: only if a job of the same size has the same tasks."""
    asks_always = job.settings.duplicates == "hold"
    if job.ignore_duplicates or job.settings.duplicates == "process" or (asks_always and job.duplicate_accepted):
        return False
    return bool(undecided_tasks(job)) and await context.store.run(lambda store: store.may_have_duplicate(job))


async def reuse_results(job: Job, context: StageContext) -> Job | Outcome:
    """The hashed job with the tasks that cost nothing; its other tasks are charged. Or an outcome that must come first."""
    candidates = await jobs_with_same_bytes(job, context)
    if job.settings.duplicates == "hold":
        found = {task.number: same[0] for task in undecided_tasks(job) if (same := same_tasks(task, candidates))}
        if found:
            return _ask(job, found, _reason_policy)
        payer = await _unreadable_payer(job, context)
        return job if payer is None else _ask_about_unreadable(job, undecided_tasks(job), payer)
    findings = await _search(job, candidates, context, verify=job.duplicate_accepted)
    if findings.held is not None:
        return findings.held
    if findings.hold is not None:
        return _wait_for(job, findings.hold, context)
    return _with_results(job, findings)


async def replace_lost_copies(job: Job, context: StageContext) -> Outcome:
    """The outcome when an earlier result is not the file that was delivered: other copies are compared in full, nothing is charged."""
    lost = {task.number for task in job.tasks if task.stage is Stage.DOWNLOAD and any(t.copy_from for t in task.tracks)}
    again = replace(job, tasks=tuple(task.reset() if task.number in lost else task for task in job.tasks))
    again = replace(again, duplicate_accepted=False)  # the person agreed to another question
    findings = await _search(again, await jobs_with_same_bytes(again, context), context, verify=True)
    if (held := findings.held) is not None:
        return replace(held, job=replace(job, duplicate_of=held.job.duplicate_of if held.job else None))
    if findings.hold is not None:
        return _wait_for(replace(again, stage=Stage.UPLOAD), findings.hold, context)
    unknown = lost - findings.reused.keys() - findings.asked.keys()
    earlier = EarlierTask(again, again.tasks[0])
    findings.asked.update(dict.fromkeys(unknown, earlier))  # paid by a job whose row was removed
    answered = _with_results(again, findings)
    return Advance(answered) if isinstance(answered, Job) else answered


def hold_for_decision(job: Job, tasks: Sequence[Task]) -> Held:
    """Hold tasks whose results the service no longer has either: a person decides whether to pay for them again."""
    for task in tasks:
        job = job.with_task(task.reset())
    return _held(job, [task.number for task in tasks], _reason_gone(job, next(iter(tasks)).paid_by))


async def _search(job: Job, candidates: Sequence[Job], context: StageContext, *, verify: bool) -> _Findings:
    findings = _Findings()
    for task in undecided_tasks(job):
        await _search_for(task, same_tasks(task, candidates), job, context, findings, verify=verify)
    if not job.duplicate_accepted and not findings.reused.keys() >= {task.number for task in undecided_tasks(job)}:
        findings.unreadable = await _unreadable_payer(job, context)
    if not findings.asked or job.duplicate_accepted:
        findings.held = None  # the results in that outbox are not needed
    if job.duplicate_accepted:  # a person agreed to pay for what cannot be copied
        findings.asked.clear()
    return findings


async def _search_for(
    task: Task, same: Sequence[EarlierTask], job: Job, context: StageContext, findings: _Findings, *, verify: bool
) -> None:
    reused, held = await find_copies(task, same, job, context, verify=verify)
    findings.held = findings.held or held
    if reused is None and not job.duplicate_accepted:
        reused = fetched_again(task, same, job, context.clock.now())
    if reused is not None:
        findings.reused[task.number] = reused
        findings.same_as = next((one.job.path for one in same if one.job.id == reused.paid_by), same[0].job.path)
    elif same and (earlier_job := await job_in_progress(same, job, context)) is not None:
        findings.hold = findings.hold or earlier_job
    elif paid := [earlier for earlier in same if was_paid(earlier.task)]:
        findings.asked[task.number] = paid[0]


def _wait_for(job: Job, earlier: Job, context: StageContext) -> RetryLater:
    reason = f"waits for job {earlier.id}, which has the same content"
    return RetryLater(reason, job=replace(job, duplicate_of=earlier.id), due_at=context.clock.now() + _WAIT_SECONDS)


def _with_results(job: Job, findings: _Findings) -> Job | Outcome:
    """The job with its reused tasks: held if a person must decide, past this stage if nothing is left to charge."""
    for task in findings.reused.values():
        job = replace(job.with_task(task), duplicate_of=task.paid_by)
    if findings.asked:
        return _ask(job, findings.asked, _reason_gone)
    if findings.unreadable is not None and (undecided := undecided_tasks(job)):
        return _ask_about_unreadable(job, undecided, findings.unreadable)
    return job if undecided_tasks(job) or not findings.reused else Advance(job, findings.same_as)


def _ask(job: Job, found: Mapping[int, EarlierTask], reason: _Reason) -> Held:
    first = next(iter(found.values())).job
    return _held(replace(job, duplicate_of=first.id), list(found), reason(job, first.id))


def _ask_about_unreadable(job: Job, tasks: Sequence[Task], payer: int) -> Held:
    reason = (
        f"job {payer} has paid for the same bytes, but its row in the database cannot be read (`lalald status` says more)."
        f" Nothing more is charged unless you run `lalald release {job.id}`, which pays for them again."
    )
    return _held(job, [task.number for task in tasks], reason)


async def _unreadable_payer(job: Job, context: StageContext) -> int | None:
    return await context.store.run(lambda store: store.unreadable_payer(job))


def _held(job: Job, numbers: Sequence[int], reason: str) -> Held:
    return Held(Hold.DUPLICATE, reason, job=job, tasks=tuple(numbers))


def _reason_gone(job: Job, earlier_id: int | None) -> str:
    return (
        f"job {earlier_id} has paid for the same bytes, but its results are neither in the outbox as delivered nor on the service."
        f" Nothing more is charged unless you run `lalald release {job.id}`, which pays for them again."
    )


def _reason_policy(job: Job, earlier_id: int | None) -> str:
    return (
        f"job {earlier_id} has the same bytes (duplicates: hold)."
        f" Nothing is charged unless you run `lalald release {job.id}`, which pays for them again."
    )
