"""What a user agreed to pay: a release is valid for the hold and the price that were shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending.prices import cost_text, minutes
from lalald.jobs.states import Hold, HoldSource, Stage
from lalald.jobs.task import Task

TOLERATED_SHARE = 1.1
TOLERATED_MINUTES = 1.0
_ROUNDING_MINUTES = 1e-6

_WITHOUT_A_PRICE = (HoldSource.LEFT, HoldSource.SERVICE, HoldSource.UNKNOWN)
PAYING = frozenset(
    {Hold.MINUTES, Hold.DUPLICATE, Hold.FIRST_SCAN, Hold.LOST_TASK}
)  # releasing one of these may charge minutes


def tasks_to_pay(job: Job) -> list[Task]:
    """The tasks that will be charged: those not started yet, and lost ones once they are released."""
    released_lost = job.hold is Hold.LOST_TASK
    return [
        task
        for task in job.tasks
        if task.stage is Stage.SPLIT and task.error is None and (not task.paid or (released_lost and task.lost))
    ]


def tasks_to_pay_on_retry(job: Job) -> list[Task]:
    """The tasks that a retry of a failed or cancelled job will charge."""
    return [task for task in job.tasks if task.restarts_on_retry or (task.stage is Stage.SPLIT and not task.paid)]


def price_of(tasks: Iterable[Task], duration: float | None) -> float | None:
    """Estimated minutes; None if the duration is unknown and something is to be paid."""
    listed = list(tasks)
    if duration is None:
        return None if listed else 0.0
    return sum(minutes(duration, task.mode, task.presets) for task in listed)


def terms_of(job: Job, price: float | None) -> RequestTerms:
    """What a user is shown of a job before they leave a request."""
    return RequestTerms(job.hold, job.hold_source, job.task_fingerprint, price)


def with_consent(job: Job, hold: Hold | None, source: HoldSource | None, price: float | None) -> Job:
    """The job with the consent that a release of this hold gives. An unknown price approves no minutes."""
    if source is HoldSource.PER_FILE:
        job = replace(job, per_file_waived=True)
    elif source is HoldSource.PER_DAY:
        job = replace(job, per_day_waived=True)
    elif hold is Hold.DUPLICATE:
        job = replace(job, duplicate_accepted=True)
    if asks_about_upload(job, hold, source):
        job = replace(job, upload_waived=True)
    asks_a_price = hold in PAYING and source not in _WITHOUT_A_PRICE
    return with_approval(job, price) if asks_a_price else job


def asks_about_upload(job: Job, hold: Hold | None, source: HoldSource | None) -> bool:
    """Whether a release uploads the file, so that the duration that the service measures decides."""
    return hold is Hold.MINUTES and source in (HoldSource.LEFT, HoldSource.UNKNOWN) and job.source_id is None


def with_approval(job: Job, price: float | None) -> Job:
    """The job with this price approved, in addition to what was charged."""
    return job if price is None else replace(job, approved_minutes=job.minutes + price)


def without_consent(job: Job) -> Job:
    """The job without any consent, since what it was given for has changed."""
    return replace(
        job, per_file_waived=False, per_day_waived=False, duplicate_accepted=False, upload_waived=False, approved_minutes=None
    )  # fmt: skip


def has_waived(job: Job, limit: HoldSource) -> bool:
    """Whether a user waived a limit for the job. Without an approved price the waiver ends with the upload."""
    waived = job.per_file_waived if limit is HoldSource.PER_FILE else job.per_day_waived
    return waived and (job.approved_minutes is not None or job.duration is None)


def covers(price: float, needed: float) -> bool:
    """Whether consent to `price` covers `needed`: unless that is more than 10 % and more than 1 minute higher."""
    return needed <= max(price * TOLERATED_SHARE, price + TOLERATED_MINUTES) + _ROUNDING_MINUTES


def is_within_approval(job: Job, needed: float) -> bool:
    """Whether charging these minutes stays within the approved prices; true if no price was approved."""
    return job.approved_minutes is None or covers(job.approved_minutes, job.minutes + needed)


def objection(job: Job, terms: RequestTerms | None) -> str | None:
    """Why a release is refused: the job is held for another reason by now, or the price is higher. None if it is valid."""
    if terms is None:
        return "the request names no price; release it again" if job.hold in PAYING else None
    if (terms.hold, terms.source) != (job.hold, job.hold_source):
        return f"it was held for {_named(terms.hold, terms.source)}, and is held for {_named(job.hold, job.hold_source)} now"
    if job.hold not in PAYING:
        return None
    if terms.task_fingerprint != job.task_fingerprint:
        return "its tasks have changed since it was released"
    needed = price_of(tasks_to_pay(job), job.duration)
    if needed is None or needed == 0.0:
        return None
    if terms.minutes is None or not covers(terms.minutes, needed):
        approved = "an unknown price" if terms.minutes is None else f"{cost_text(terms.minutes)} minutes"
        return f"it was released for {approved}, and costs {cost_text(needed)} now"
    return None


def _named(hold: Hold | None, source: HoldSource | None) -> str:
    return f"{hold or 'nothing'} ({source})" if source else str(hold or "nothing")
