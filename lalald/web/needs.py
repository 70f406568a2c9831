"""What needs a person, as cards: what happened, what to do, and which button does it. Holds and failures are gathered by cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Hold, State
from lalald.reports.formatting import count, price
from lalald.reports.hold_advice import WHY
from lalald.store.page.job_list import JobFilter, newest_jobs
from lalald.store.queries import Reports
from lalald.web.job_view import job_object

# What the button of a hold says; a license key cannot be released.
RELEASES: dict[str, str] = {
    Hold.MINUTES: "Release", Hold.LOST_TASK: "Pay again", Hold.FIRST_SCAN: "Process", Hold.DUPLICATE: "Process again",
    Hold.DISK: "Try now", Hold.MOUNT: "Try now", Hold.PERMISSION: "Try now", Hold.LINK: "Try now",
}  # fmt: skip
_MOST_FAILED = 200  # the newest are read
_FILES_SHOWN = 3

Card = dict[str, Any]


def cards(status: Mapping[str, Any], reports: Reports, now: float) -> list[Card]:
    """`status`: as `lalald status --json`."""
    attention = [_attention(item) for item in status["needs_attention"] if _is_other(item["code"])]
    failed = newest_jobs(reports.connection, JobFilter(states=frozenset({str(State.FAILED)})), None, _MOST_FAILED)
    return [*attention, *map(_hold, status["holds"]), *_failures([job_object(report, now) for report in failed])]


def _is_other(code: str) -> bool:
    return code != "jobs_failed" and not code.startswith("hold_")


def _attention(item: Mapping[str, str]) -> Card:
    folder = item["subject"] if item["code"].endswith("_unavailable") else None
    return {
        "key": f"{item['code']} {item['subject']}",
        "tone": "bad",
        "title": item["message"],
        "hint": item["hint"],
        "folder": folder or None,
    }


def _hold(hold: Mapping[str, Any]) -> Card:
    kind, jobs = hold["hold"], hold["jobs"]
    label = RELEASES.get(kind)
    return {
        "key": f"hold {kind} {hold['job_id']}",
        "tone": "held",
        "title": f"{count(jobs, 'file')} held: {WHY.get(kind, kind)}",
        "note": price(hold["minutes"], hold["unknown"]) if hold["minutes"] or hold["unknown"] else "",
        "at": hold["since"],
        "text": hold["reason"],
        "hint": hold["to_do"],
        "verb": "release" if label else None,
        "label": label,
        "which": {"ids": [hold["job_id"]]} if jobs == 1 else {"hold": kind},
        "view": f"jobs/{hold['job_id']}" if jobs == 1 else f"history?state=held&hold={kind}",
    }


def _failures(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Card]:
    for cause in dict.fromkeys(job["cause"] for job in jobs):
        yield _failure([job for job in jobs if job["cause"] == cause])


def _failure(jobs: Sequence[Mapping[str, Any]]) -> Card:
    """`jobs`: of one cause, the newest first."""
    number, charged = len(jobs), sum(job["minutes"] for job in jobs)
    return {
        "key": f"failure {jobs[0]['id']}",
        "tone": "bad",
        "title": f"{count(number, 'file')} failed",
        "note": f"{cost_text(charged)} min charged" if charged else "nothing was charged",
        "at": jobs[0]["updated_at"],
        "text": jobs[0]["error"],
        "files": [{"id": job["id"], "path": job["path"]} for job in jobs[:_FILES_SHOWN]],
        "others": max(0, number - _FILES_SHOWN),
        "expires_at": min((at for job in jobs if (at := job["results_expire_at"])), default=None),
        "verb": "retry",
        "label": "Retry" if number == 1 else f"Retry all {number}",
        "which": {"ids": [job["id"] for job in jobs]},
    }
