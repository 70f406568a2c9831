"""What an event's files have cost so far, and what a person can do. Pure; by codes and numbers alone, so that it names no file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lalald.jobs.event_facts import Fact
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.failures.failure_advice import ADVICE, Retry
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.spending.prices import cost_text
from lalald.reports.hold_advice import to_do_about

_NOTHING_LOST = "Nothing is lost or paid twice."
_REMEDIES: Mapping[EventKind, str] = {
    EventKind.HOLD_CLEARED: "There is nothing left to do.",
    EventKind.INBOX_UNAVAILABLE: f"Files there are processed once it is back. {_NOTHING_LOST}",
    EventKind.INBOX_BACK: "Its files are processed now.",
    EventKind.FOLDER_UNAVAILABLE: f"Jobs that need it wait, and resume once it is back. {_NOTHING_LOST}",
    EventKind.FOLDER_BACK: "Its jobs resume now.",
    EventKind.SERVICE_DOWN: f"Jobs wait and resume automatically. {_NOTHING_LOST}",
    EventKind.SERVICE_BACK: "Jobs resume now.",
    EventKind.LICENSE_MISSING: "Put a license key where the configuration says; jobs resume automatically.",
    EventKind.LICENSE_REFUSED: "Put a valid license key where the configuration says; jobs resume automatically.",
    EventKind.MINUTES_LOW: "Top up before files have to wait.",
}


def charge(fact: Fact, number: int, minutes: float | None) -> str:
    """What was charged for jobs that are not done. `minutes`: of all `number` jobs, where that is known."""
    if fact.kind not in (EventKind.JOB_FAILED, EventKind.JOB_HELD, EventKind.RESULTS_EXPIRING):
        return ""
    known = _minutes(fact, number) if minutes is None else minutes
    if known is None:
        return ""
    if known > 0:
        return f"Charged so far: {cost_text(known)} min."
    if fact.data.get("paid") or any(job.get("paid") for job in _jobs(fact)):
        return "A charge may have begun."
    return "Charged so far: nothing."


def _jobs(fact: Fact) -> list[Mapping[str, Any]]:
    return fact.data.get("jobs") or ([fact.data["job"]] if "job" in fact.data else [])


def _minutes(fact: Fact, number: int) -> float | None:
    """None where not every job is listed, or an earlier version did not write it."""
    jobs = _jobs(fact)
    if len(jobs) < number or any("minutes" not in job for job in jobs):
        return None
    return sum(float(job["minutes"] or 0.0) for job in jobs)


def remedy(fact: Fact, number: int) -> str:
    match fact.kind:
        case EventKind.JOB_FAILED:
            return _of_failures(fact, number)
        case EventKind.JOB_HELD:
            return _for_one(
                to_do_about(fact.data["hold"], fact.data.get("source_of_hold"), stalled=_is_stalled(fact)), fact, number
            )
        case EventKind.RESULTS_EXPIRING:
            words = "`lalald show ID` says what they wait for. What is not fetched in time has to be paid again."
            return f"{_deleted_at(fact, number)} {_for_one(words, fact, number)}"
        case _:
            return _REMEDIES.get(fact.kind, "")


def _is_stalled(fact: Fact) -> bool:
    return bool(fact.data.get("stalled"))


def _for_one(words: str, fact: Fact, number: int) -> str:
    """With the number of the job, where it is about one."""
    job_id = next((job.get("id") for job in _jobs(fact)), None)
    return words.replace(" ID`", f" {job_id}`") if number == 1 and job_id is not None else words


def _of_failures(fact: Fact, number: int) -> str:
    """By the kind of failure, which is the same for all of one cause."""
    kind = fact.data.get("failure")
    advice = ADVICE.get(FailureKind(kind)) if kind in set(FailureKind) else None
    words = advice.words.format(id="ID") if advice else ""
    lists = "" if number == 1 else "`lalald jobs --failed` lists them. "
    again = f"{lists}`lalald retry ID` resumes {'it' if number == 1 else 'one'}{_price(fact, number)}."
    match advice.retry if advice else Retry.HELPS:
        case Retry.USELESS:
            said = f"{lists}{words} Trying {'this file' if number == 1 else 'these files'} again will not help."
        case Retry.HELPS_AFTERWARDS:
            said = f"{words} Then: {again}"
        case _:
            said = f"{again} {words}".rstrip()
    return _for_one(said, fact, number)


def _price(fact: Fact, number: int) -> str:
    """What a retry pays again, where that is known."""
    again = fact.data.get("paid_again", 0.0)
    if number > 1:
        return ", and says what that costs"
    if again is None:
        return ", and pays again"
    return f", and pays {cost_text(again)} min again" if again > 0 else ""


def _deleted_at(fact: Fact, number: int) -> str:
    """The moment, by the clock of this machine."""
    moment = datetime.fromtimestamp(fact.data["expires_at"]).astimezone()
    first = "They are" if number == 1 else "The first are"
    return f"{first} deleted at {moment:%H:%M} ({moment:%Y-%m-%d}, {moment:%Z})."
