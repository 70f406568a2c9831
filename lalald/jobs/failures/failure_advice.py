"""What a user can do about a failed job, and whether a retry can help, for each kind of failure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from lalald.filesystem.names import printable
from lalald.jobs.failures.failure_kinds import FailureKind, kind_of_refusal
from lalald.jobs.job import Job
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import TaskFailure
from lalald.jobs.task import Task


class Retry(StrEnum):
    """Whether a retry of the same file can succeed."""

    HELPS = "helps"
    HELPS_AFTERWARDS = "helps afterwards"  # once the user has changed something
    USELESS = "useless"


class Advice(NamedTuple):
    retry: Retry
    words: str


_CONVERT = "Convert it to WAV, FLAC or MP3, and drop the new file into the inbox."

ADVICE: Mapping[FailureKind, Advice] = {
    FailureKind.TOO_LARGE: Advice(
        Retry.USELESS,
        "Make it smaller (use a compressed format such as FLAC or MP3, or split it), and drop the result into the inbox.",
    ),
    FailureKind.TOO_LONG: Advice(
        Retry.USELESS, "Split it into shorter parts and drop them into the inbox; your plan sets the limit."
    ),
    FailureKind.UNSUPPORTED: Advice(Retry.USELESS, _CONVERT),
    FailureKind.NO_LENGTH: Advice(Retry.USELESS, f"Check that it plays. {_CONVERT}"),
    FailureKind.UNREADABLE: Advice(
        Retry.HELPS_AFTERWARDS, "Make the file readable for the user that lalald runs as (owner, mode)."
    ),
    FailureKind.CHANGED: Advice(Retry.HELPS, "The file is processed as it is now."),
    FailureKind.BAD_ANSWERS: Advice(Retry.HELPS, "The file is uploaded again, which costs nothing."),
    FailureKind.REFUSED: Advice(
        Retry.HELPS_AFTERWARDS, "The service will refuse it again: change the rule or the file."
    ),
    FailureKind.KEY: Advice(Retry.HELPS_AFTERWARDS, "Check that your license's plan includes the mode and presets of the rule."),
    FailureKind.INTERNAL: Advice(Retry.HELPS, "If it fails again, please report it with the traceback from the log."),
    FailureKind.SERVICE_FAILED: Advice(
        Retry.HELPS,
        "If it fails again, check that the file plays and contains what the rule extracts, such as a voice.",
    ),
    FailureKind.CANCELLED: Advice(Retry.HELPS, ""),
    FailureKind.RESULTS_LEFT: Advice(
        Retry.HELPS, "This requests the paid results again and pays nothing; `lalald redo {id}` pays again."
    ),
}  # fmt: skip
_UNKNOWN = Advice(Retry.HELPS, "If the configuration is the cause, correct it first.")
_OF_TASK: Mapping[TaskFailure, FailureKind] = {
    TaskFailure.FAILED: FailureKind.SERVICE_FAILED,
    TaskFailure.CANCELLED: FailureKind.CANCELLED,
    TaskFailure.EXPIRED: FailureKind.RESULTS_LEFT,
    TaskFailure.INCOMPLETE: FailureKind.RESULTS_LEFT,
    TaskFailure.DEAD_LINKS: FailureKind.RESULTS_LEFT,
}


def kinds_of(job: Job) -> tuple[FailureKind, ...]:
    """Why the job failed: its own kind, or those of its tasks. Empty for jobs that failed under an earlier version."""
    if job.failure_kind is not None:
        return (job.failure_kind,)
    return tuple(dict.fromkeys(kind for task in job.tasks if (kind := _kind_of(task)) is not None))


def _kind_of(task: Task) -> FailureKind | None:
    if task.failure is None:
        return None
    return _OF_TASK[task.failure] if task.failure in _OF_TASK else kind_of_refusal(task.error_code)


def what_to_do(job: Job) -> str:
    """Whether to retry a failed job, what to do first or instead, and what that costs."""
    found = [ADVICE[kind] for kind in kinds_of(job)] or [_UNKNOWN]
    words = " ".join(advice.words for advice in found if advice.words).format(id=job.id)
    retries = {advice.retry for advice in found}
    drag = "" if job.settings.on_failure == "keep" else f"drag the file back into {printable(job.inbox)}, or "
    again = f"{drag}run `lalald retry {job.id}`."
    if retries == {Retry.USELESS}:
        return f"{words} Trying this file again will not help."
    if Retry.HELPS not in retries:
        return f"{words} Then {again} {_price(job)}".strip()
    return f"{again[0].upper()}{again[1:]} {_price(job)} {words}".replace("  ", " ").strip()


def minutes_paid_again(job: Job) -> float | None:
    """What was charged for a failed job and is charged again by a retry; None: unknown."""
    minutes = [task.minutes for task in _paid_again(job)]
    return None if None in minutes else sum(one or 0.0 for one in minutes)


def _paid_again(job: Job) -> list[Task]:
    return [task for task in job.tasks if task.restarts_on_retry and task.task_id is not None]


def _price(job: Job) -> str:
    """Which minutes a retry pays again, if any."""
    if again := _paid_again(job):
        many = f"{len(again)} task" if len(again) == 1 else f"{len(again)} tasks"
        return f"{many} will be paid again ({_minutes(again)}); what was delivered is not."
    if any(task.has_results for task in job.tasks) or not job.paid:
        return ""
    return "What was paid is resumed, not paid again, while the service keeps it (24 hours)."


def _minutes(tasks: list[Task]) -> str:
    if any(task.minutes is None for task in tasks):
        return "an unknown number of minutes"
    return f"{cost_text(sum(task.minutes or 0.0 for task in tasks))} minutes"
