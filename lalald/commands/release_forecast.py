"""Which released jobs will resume, and which stay held: asked of the spend guard itself, with what the daemon last knew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

from lalald.budget import Budget, Refusal, midnight
from lalald.clock import Clock
from lalald.commands.asking import duration_of
from lalald.commands.quotes import Quote, quote
from lalald.commands.remedies import released
from lalald.config import Minutes
from lalald.consent import PAYING, to_pay
from lalald.jobs import Job
from lalald.moves import released as past_its_hold
from lalald.store.reports import Reports


def forecast(jobs: Iterable[Job], reports: Reports, limits: Minutes | None, *, are_named: bool) -> list[Quote]:
    """A quote for the release of each, oldest first as the daemon decides: each counts what the ones before it need.

    A job that is named is uploaded though its file states more minutes than are free: the service's figure decides. Of all jobs
    only those resume that fit by what is known.
    `limits` is None where the configuration cannot be read; then, and before the daemon knows the minutes left, nothing is foretold.
    """
    return asyncio.run(_forecast(jobs, _guard(reports, limits), are_named=are_named))


def _guard(reports: Reports, limits: Minutes | None) -> Budget | None:
    fact = reports.fact("minutes")
    if limits is None or fact is None:
        return None
    promised = reports.waiting_minutes()
    spent = reports.spent_since(midnight(time.time())) + promised
    left = float(fact.value["left"]) - promised

    async def minutes_left() -> float:
        return left

    async def spent_today(_since: float) -> float:
        return spent

    return Budget(limits, Clock(), minutes_left, spent_today)


async def _forecast(jobs: Iterable[Job], guard: Budget | None, *, are_named: bool) -> list[Quote]:
    quotes = []
    for job in jobs:
        duration = duration_of(job)
        told = quote(job, released(job), to_pay(job), duration)
        after = replace(past_its_hold(job, time.time(), price=told.minutes), duration=duration)
        after = after if are_named else replace(after, upload_waived=False)
        refusal = await _refusal(job, after, told, guard)
        quotes.append(told if refusal is None else replace(told, stays=refusal.reason, stays_for=refusal.source))
    return quotes


async def _refusal(job: Job, after: Job, told: Quote, guard: Budget | None) -> Refusal | None:
    if guard is None or job.hold not in PAYING or told.minutes == 0.0:
        return None
    admitted = guard.admit_upload(after) if job.source_id is None else guard.admit(after, after.duration)
    return (await admitted).refusal
