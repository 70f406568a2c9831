"""Predict which released jobs resume and which stay held, with the spend guard itself and what the daemon last knew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.spending.consent import PAYING, tasks_to_pay
from lalald.jobs.transitions import release as past_its_hold
from lalald.reports.hold_advice import released
from lalald.reports.pricing import duration_of
from lalald.reports.quotes import DurationOf, Quote, quote
from lalald.reports.spend_forecast import SpendForecast
from lalald.store.queries import Reports


def forecast(
    jobs: Iterable[Job],
    reports: Reports,
    limits: Minutes | None,
    *,
    are_named: bool,
    duration: DurationOf = duration_of,
) -> list[Quote]:
    """A quote for the release of each job, in the daemon's order, oldest first: each counts what those before it need.

    A job released by number (`are_named`) is uploaded even if its file states more minutes than are free: the service's figure
    decides. With --all only jobs resume that fit by what is known. `limits` is None if the configuration cannot be read: then no job
    is predicted to stay held.
    """
    guard = SpendForecast.of(reports, limits) if limits is not None else None
    return asyncio.run(_forecast(jobs, guard, duration, are_named=are_named))


async def _forecast(
    jobs: Iterable[Job], guard: SpendForecast | None, duration: DurationOf, *, are_named: bool
) -> list[Quote]:
    quotes = []
    for job in jobs:
        seconds = duration(job)
        priced = quote(job, released(job), tasks_to_pay(job), seconds)
        after = replace(past_its_hold(job, time.time(), price=priced.minutes), duration=seconds)
        after = after if are_named else replace(after, upload_waived=False)
        is_charged = job.hold in PAYING and priced.minutes != 0.0
        refusal = await guard.refusal(after) if guard is not None and is_charged else None
        quotes.append(priced if refusal is None else replace(priced, stays=refusal.reason, stays_for=refusal.source))
    return quotes
