"""Predict which released or retried jobs resume and which are held, with the spend guard itself and what the daemon last knew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.spending.consent import PAYING, tasks_to_pay
from lalald.jobs.transitions import release as past_its_hold
from lalald.jobs.transitions import restart
from lalald.jobs.transitions import retry as resumed
from lalald.reports.hold_advice import released
from lalald.reports.pricing import duration_of
from lalald.reports.quotes import DurationOf, Quote, quote, quote_of_retry
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
    return _quotes((_released(job, duration(job), are_named=are_named) for job in jobs), reports, limits)


def _released(job: Job, seconds: float | None, *, are_named: bool) -> tuple[Quote, Job | None]:
    priced = quote(job, released(job), tasks_to_pay(job), seconds)
    after = replace(past_its_hold(job, time.time(), price=priced.minutes), duration=seconds)
    after = after if are_named else replace(after, upload_waived=False)
    return priced, after if job.hold in PAYING else None


def forecast_retry(
    jobs: Iterable[Job],
    reports: Reports,
    limits: Minutes | None,
    now: Callable[[Job], Job],
    *,
    duration: DurationOf = duration_of,
) -> list[Quote]:
    """The same for the retry of each failed or cancelled job; `now` matches a job to the current rules."""
    return _quotes(
        (
            (quote_of_retry(job, now, duration), replace(resumed(now(job), time.time()), duration=duration(job)))
            for job in jobs
        ),
        reports,
        limits,
    )


def forecast_redo(
    jobs: Iterable[Job],
    reports: Reports,
    limits: Minutes | None,
    now: Callable[[Job], Job],
    *,
    duration: DurationOf = duration_of,
) -> list[Quote]:
    """The same for jobs that are processed again, as new jobs, by the current rules."""
    return _quotes((_again(job, now(restart(job)), duration(job)) for job in jobs), reports, limits)


def _again(job: Job, again: Job, seconds: float | None) -> tuple[Quote, Job]:
    """The price, and the new job: it has none of the consents that the finished one was given."""
    new = replace(
        again, duration=seconds, source_id=None, approved_minutes=None,
        per_file_waived=False, per_day_waived=False, upload_waived=False,
    )  # fmt: skip
    return quote(job, "is processed again as a new job", again.tasks, seconds), new


def _quotes(cases: Iterable[tuple[Quote, Job | None]], reports: Reports, limits: Minutes | None) -> list[Quote]:
    """The quotes with what the spend guard will say to each job as it is after the request; to None it says nothing."""
    guard = SpendForecast.of(reports, limits) if limits is not None else None
    return asyncio.run(_predict(cases, guard))


async def _predict(cases: Iterable[tuple[Quote, Job | None]], guard: SpendForecast | None) -> list[Quote]:
    quotes = []
    for priced, after in cases:
        refusal = None
        if guard is not None and after is not None and priced.minutes != 0.0:
            refusal = await guard.refusal(after)
        quotes.append(priced if refusal is None else replace(priced, stays=refusal.reason, stays_for=refusal.source))
    return quotes
