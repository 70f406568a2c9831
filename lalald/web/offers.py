"""What each job costs when it goes on, as the page shows it and sends it back with a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lalald.config import Config
from lalald.errors import FileError
from lalald.inbox.rematch import rematch_job
from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.states import Hold, HoldSource, Request, State
from lalald.media.durations import local_duration
from lalald.reports.job_json import source
from lalald.reports.quotes import Quote
from lalald.reports.release_forecast import forecast, forecast_redo, forecast_retry
from lalald.store.page.recorded_actions import latest_ids
from lalald.store.queries import Reports
from lalald.store.request_writer import FITTING
from lalald.web import parameters
from lalald.web.page import Page
from lalald.web.responses import RequestError
from lalald.web.routes.media_routes import source_place

RELEASE, RETRY, REDO = str(Request.RELEASE), str(Request.RETRY), "redo"
ACTIONS = (RELEASE, RETRY, REDO)
_MOST_FILES_READ = 50
_FOLDER_SECONDS = 2.0
ENDED = (State.DONE, State.FAILED, State.CANCELLED)


def fits(job: Job, action: str) -> bool:
    """Whether the action applies to a job in this state."""
    return job.state in (ENDED if action == REDO else FITTING[Request(action)])


async def durations(page: Page, jobs: Sequence[Job]) -> dict[int, float | None]:
    """Seconds, by job: what the store knows, else what the first few files themselves state, on their folders' threads.

    A folder that does not answer soon is not waited for again.
    """
    found, silent = {job.id: job.duration for job in jobs}, set[str]()
    for job in [job for job in jobs if job.duration is None][:_MOST_FILES_READ]:
        place = source_place(job)
        if place is None or place.root in silent:
            continue
        try:
            async with asyncio.timeout(_FOLDER_SECONDS):
                found[job.id] = await page.disks.run(place.root, local_duration, source(job))
        except (FileError, TimeoutError):
            silent.add(place.root)
    return found


def offers(
    reports: Reports,
    action: str,
    jobs: Sequence[Job],
    seconds: Mapping[int, float | None],
    config: Config,
    *,
    are_named: bool,
) -> list[dict[str, Any]]:
    """A quote for each job, oldest first; on a thread of the store."""
    duration, limits = _looked_up(seconds), config.minutes
    if action == RELEASE:
        quotes = forecast(jobs, reports, limits, are_named=are_named, duration=duration)
    else:
        forecast_again = forecast_retry if action == RETRY else forecast_redo
        quotes = forecast_again(jobs, reports, limits, by_rules_of(config), duration=duration)
    latest = latest_ids(reports, [job.id for job in jobs])
    return [_offer(one, job, latest.get(job.id)) for one, job in zip(quotes, jobs, strict=True)]


def by_rules_of(config: Config) -> Callable[[Job], Job]:
    """The job as the daemon will process it if nothing was paid before."""
    inboxes = {str(inbox.path): inbox for inbox in config.inboxes}
    return lambda job: rematch_job(job, inboxes[job.inbox]) if job.inbox in inboxes else job


def _looked_up(seconds: Mapping[int, float | None]) -> Callable[[Job], float | None]:
    return lambda job: seconds.get(job.id, job.duration)


def _offer(one: Quote, job: Job, latest_id: int | None) -> dict[str, Any]:
    return {
        **one.facts(),
        "what": one.outcome(),
        "charged": float(job.minutes),
        "fingerprint": one.terms.task_fingerprint,
        "latest_id": latest_id,
    }


def seen_in(facts: Any, key: str) -> tuple[int, RequestTerms]:
    """A quote as the page returned it. Raises RequestError where it is not one."""
    if not isinstance(facts, dict):
        raise RequestError(400, "Each job must be a quote, as api/quotes gives it.")
    job_id: int = parameters.field(facts, "id", int)
    minutes = parameters.field(facts, "minutes", (int, float), required=False)
    charged = parameters.field(facts, "charged", (int, float))
    hold, hold_source = (parameters.field(facts, name, str, required=False) for name in ("hold", "hold_source"))
    try:
        return job_id, RequestTerms(
            hold=hold and Hold(hold),
            source=hold_source and HoldSource(hold_source),
            task_fingerprint=parameters.field(facts, "fingerprint", str),
            minutes=None if minutes is None else float(minutes),
            charged=float(charged),
            key=key,
            latest_id=parameters.field(facts, "latest_id", int, required=False),
        )
    except ValueError:
        raise RequestError(400, "The quote names a hold that does not exist.") from None
