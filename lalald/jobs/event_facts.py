"""Events: the notable facts that notifications, hooks and the page's log are made of. Pure.

Most events are about a subject, such as `job 12` or `inbox /srv/inbox`. Some begin a condition of it, some end one:
`event_kinds.BEGINS` and `ENDS`. What an event is caused by (`cause`) is a code: events of one cause become one message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lalald.jobs.event_kinds import NEVER_A_PROBLEM, EventKind
from lalald.jobs.failures.failure_advice import kinds_of, minutes_paid_again
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource

LICENSE, SERVICE, MINUTES = "license", "service", "minutes"  # subjects of which there is one


_TEXTS = frozenset({"error", "reason", "warning"})
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S+")


def _without_query(text: str) -> str:
    """What signs a link stands in its query: no event holds it."""
    return _QUERY.sub(r"\1?…", text)


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event says: `count` of the same at once, `data` as JSON objects hold it; paths may hold surrogates."""

    kind: EventKind
    subject: str
    cause: str
    at: float
    data: Mapping[str, Any]
    count: int = 1
    is_problem: bool = False

    @classmethod
    def of(cls, kind: EventKind, subject: str, at: float, data: Mapping[str, Any], cause: str = "") -> Fact:
        """A fact whose kind decides whether it is a problem, or the end of one."""
        said = {key: _without_query(value) if key in _TEXTS and value else value for key, value in data.items()}
        return cls(kind, subject, cause or f"{kind} {subject}", at, said, is_problem=kind not in NEVER_A_PROBLEM)


@dataclass(frozen=True, slots=True)
class Event:
    """A fact that was published: `id` is its place in the order of events, `uid` its name for receivers."""

    id: int
    uid: str
    fact: Fact


def job_subject(job_id: int) -> str:
    return f"job {job_id}"


def hold_subject(hold: Hold) -> str:
    """All jobs held by the same thing are one condition. The license key is a condition of its own."""
    return LICENSE if hold is Hold.LICENSE else f"hold {hold}"


def hold_cause(hold: Hold, source: HoldSource | None, *, is_stalled: bool = False) -> str:
    return " ".join([EventKind.JOB_HELD, hold, *([source] if source else []), *(["stalled"] if is_stalled else [])])


def job_facts(job: Job) -> dict[str, Any]:
    """What events say of a job; nothing that the service signed."""
    return {
        "id": job.id,
        "inbox": job.inbox,
        "path": job.path,
        "rule": job.rule,
        "stage": str(job.stage),
        "minutes": round(job.minutes, 3),
    }


def done(job: Job, at: float) -> Fact:
    """The job is done: where its results are, and where its source went."""
    tracks = [
        {"type": track.type, "label": track.label, "path": os.path.join(job.settings.outbox, track.path)}
        for task in job.tasks
        for track in task.tracks
        if track.delivered and track.path
    ]
    folders = {os.path.dirname(track["path"]) for track in tracks}
    data = {
        "job": job_facts(job),
        "source": job.moved_to,
        "output": os.path.commonpath(folders) if folders else None,
        "tracks": tracks,
        "warning": job.warning,
    }
    return Fact.of(EventKind.JOB_DONE, job_subject(job.id), at, data, str(EventKind.JOB_DONE))


def failure_cause(job: Job) -> str:
    """Why the job failed, as a code: the service's, or lalald's own."""
    kind = str(job.failure_kind) if job.failure_kind else ""
    return " ".join([str(EventKind.JOB_FAILED), str(job.stage), kind, *_failure_codes(job)])


def _failure_codes(job: Job) -> list[str]:
    found = {
        _code(task.error_code) or str(task.failure) for task in job.tasks if task.error is not None and task.failure
    }
    return sorted(found)


def _code(said: str | None) -> str | None:
    """The service's code; None for words, which may hold a file's name: codes are sent where no names are."""
    return said if said and _CODE.fullmatch(said) else None


def failed(job: Job, at: float) -> Fact:
    """The job failed."""
    kind = next((str(kind) for kind in kinds_of(job)), None)
    data = {
        "job": job_facts(job),
        "error": job.error,
        "failure": kind,
        "codes": _failure_codes(job),
        "paid": job.paid,
        "paid_again": minutes_paid_again(job),
    }
    return Fact.of(EventKind.JOB_FAILED, job_subject(job.id), at, data, failure_cause(job))


def held(job: Job, hold: Hold, at: float) -> Fact:
    """The job is held, the first of maybe many by this cause."""
    facts = held_job(job.id, job.inbox, job.path, minutes=round(job.minutes, 3), paid=job.paid)
    return held_by(hold, job.hold_source, job.hold_reason, facts, at, is_stalled=job.is_stalled)


def held_job(job_id: int, inbox: str, path: str, *, minutes: float = 0.0, paid: bool = False) -> dict[str, Any]:
    """What an event says of each held job. `minutes` were charged for it; `paid`: or a charge may have begun."""
    return {"id": job_id, "inbox": inbox, "path": path, "minutes": minutes, "paid": paid}


def held_by(
    hold: Hold,
    source: HoldSource | None,
    reason: str | None,
    job: Mapping[str, Any],
    at: float,
    *,
    is_stalled: bool = False,
) -> Fact:
    """`is_stalled`: its task is paid and makes no progress, while none is lost."""
    data = {
        "hold": str(hold),
        "source_of_hold": str(source) if source else None,
        "stalled": is_stalled,
        "reason": reason,
        "jobs": [dict(job)],
    }
    return Fact.of(EventKind.JOB_HELD, hold_subject(hold), at, data, hold_cause(hold, source, is_stalled=is_stalled))


def cleared(subject: str, hold: Hold, at: float) -> Fact:
    """No job is held by this any more."""
    return Fact.of(EventKind.HOLD_CLEARED, subject, at, {"hold": str(hold)})


def folder_fact(kind: EventKind, path: str, reason: str | None, at: float) -> Fact:
    """An inbox or another folder is unavailable, or back."""
    what = "inbox" if kind in (EventKind.INBOX_UNAVAILABLE, EventKind.INBOX_BACK) else "folder"
    return Fact.of(kind, f"{what} {path}", at, {"folder": path, "reason": reason or None})


def plain_fact(kind: EventKind, subject: str, at: float, reason: str | None = None) -> Fact:
    return Fact.of(kind, subject, at, {"reason": reason} if reason else {})


def expiring(job: Job, expires_at: float, at: float) -> Fact:
    """Results that were paid for are deleted by the service soon, and are not fetched yet."""
    data = {"job": job_facts(job), "expires_at": expires_at, "reason": job.hold_reason or job.error, "paid": True}
    return Fact.of(EventKind.RESULTS_EXPIRING, job_subject(job.id), at, data, str(EventKind.RESULTS_EXPIRING))
