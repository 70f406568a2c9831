"""Whether a job and its price are still as the page showed them: checked at the request, and again when the daemon acts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending.consent import PAYING, covers, price_of
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Request, State
from lalald.jobs.task import Task

_EQUAL_MINUTES = 1e-3  # figures travel rounded to 3 places


class Change(StrEnum):
    """What is different now."""

    STATE = "state_changed"
    HOLD = "hold_changed"
    TASKS = "tasks_changed"
    PRICE = "price_changed"
    CHARGED = "already_done"


class Objection(NamedTuple):
    """Why no change is made: a code, and a sentence."""

    code: Change
    message: str


_FITTING = {
    Request.RETRY: (State.FAILED, State.CANCELLED),
    Request.RELEASE: (State.HELD,),
}


def objection_to(job: Job, request: Request, seen: RequestTerms, tasks: Sequence[Task]) -> Objection | None:
    """Why a request for a job must not be carried out. `tasks`: those that it would charge, by the rules of now."""
    if job.state not in _FITTING[request]:
        return Objection(Change.STATE, f"Job {job.id} is {job.state} now; nothing was done.")
    if seen.charged is not None and abs(seen.charged - job.minutes) > _EQUAL_MINUTES:
        return Objection(
            Change.CHARGED, f"Job {job.id} has been charged {cost_text(job.minutes - seen.charged)} min meanwhile."
        )
    if request is Request.RELEASE and (seen.hold, seen.source) != (job.hold, job.hold_source):
        return Objection(
            Change.HOLD,
            f"Job {job.id} is held for another reason now: {job.hold_reason or job.hold}. Nothing was done.",
        )
    if request is Request.RELEASE and job.hold not in PAYING:
        return None
    return price_objection(job, seen, tasks)


def price_objection(job: Job, seen: RequestTerms, tasks: Sequence[Task]) -> Objection | None:
    """Where other tasks, or more minutes, would be charged than were shown."""
    if seen.task_fingerprint != job.task_fingerprint:
        return Objection(Change.TASKS, f"Job {job.id} has other tasks now; nothing was done.")
    needed = price_of(tasks, job.duration)
    if needed is None or needed == 0.0:
        return None
    if seen.minutes is not None and covers(seen.minutes, needed):
        return None
    shown = (
        "its price was unknown when it was shown"
        if seen.minutes is None
        else f"{cost_text(seen.minutes)} min were shown"
    )
    return Objection(Change.PRICE, f"Job {job.id} costs {cost_text(needed)} min now, {shown}; nothing was done.")
