"""Paid results that the service deletes soon: one timer, at the earliest deadline."""

from __future__ import annotations

from typing import NamedTuple

from lalald.jobs.event_facts import expiring, job_subject
from lalald.jobs.event_kinds import EventKind
from lalald.store.store import Store

KEPT_SECONDS = 24 * 3600.0  # by the service, from the start of a task
WARNED_SECONDS = 6 * 3600.0  # before


class Expiring(NamedTuple):
    """Every task that was started up to `looked_upto` is reported where it had to be; the next is due at `next_at`."""

    looked_upto: float
    next_at: float | None


def report_expiring(store: Store, now: float, before: Expiring | None) -> Expiring:
    """Within a transaction: an event for each job whose results expire soon, but for those reported `before`."""
    newest = now - (KEPT_SECONDS - WARNED_SECONDS)
    after = now - KEPT_SECONDS if before is None else min(before.looked_upto, newest)
    for job_id, started_at in store.deadlines.jobs_with_results(after, newest):
        job = store.job(job_id)
        known = store.events.has_event(job_subject(job_id), EventKind.RESULTS_EXPIRING, started_at)
        if job is not None and not known:
            store.events.happened(expiring(job, started_at + KEPT_SECONDS, now))
    next_start = store.deadlines.next_start_with_results(newest)
    return Expiring(newest, None if next_start is None else next_start + KEPT_SECONDS - WARNED_SECONDS)
