"""What the page reads: status, jobs, history, and the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald.errors import FileError, LalaldError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold
from lalald.reports.history.charge_history import gather as gather_history
from lalald.store.page.job_list import STATES, JobFilter, newest_jobs
from lalald.store.queries import Reports
from lalald.store.report_types import Charge, JobReport
from lalald.web import config_view, page_text, parameters
from lalald.web.job_view import details, job_object, track_objects
from lalald.web.needs import RELEASES, cards
from lalald.web.offers import ACTIONS
from lalald.web.page import Page
from lalald.web.responses import RequestError, json_answer, not_found, refusal_of
from lalald.web.routes.action_routes import ActionRoutes
from lalald.web.routes.media_routes import MediaRoutes, source_object

_JOBS_A_PAGE = 50
_MOST_JOBS_A_PAGE = 200
_MOST_CHARGES = 200
_FOLDER_SECONDS = 2.0


class ReadRoutes:
    """GET and HEAD only: they change nothing."""

    def __init__(self, page: Page, actions: ActionRoutes, media: MediaRoutes) -> None:
        self._page = page
        self._actions = actions
        self._media = media

    def routes(self) -> list[Route]:
        return [
            Route("/api/status", self.status),
            Route("/api/needs", self.needs),
            Route("/api/jobs", self.jobs),
            Route("/api/jobs/{job_id}", self.job),
            Route("/api/history", self.history),
            Route("/api/config", self.config),
        ]

    async def status(self, _request: Request) -> Response:
        return json_answer(await self._page.store.ask(self._page.status))

    async def needs(self, _request: Request) -> Response:
        page = self._page

        def gathered(reports: Reports) -> list[dict[str, Any]]:
            return cards(page.status(reports), reports, page.now())

        return json_answer({"cards": await page.store.ask(gathered)})

    async def jobs(self, request: Request) -> Response:
        limit = parameters.number(request, "limit", _JOBS_A_PAGE, least=1, most=_MOST_JOBS_A_PAGE) or _JOBS_A_PAGE
        before = parameters.number(request, "before", None)
        chosen, now = _filter(request), self._page.now()

        def page(reports: Reports) -> dict[str, Any]:
            found = newest_jobs(reports.connection, chosen, before, limit + 1)
            more = len(found) > limit
            listed = [job_object(report, now) for report in found[:limit]]
            return {"jobs": listed, "next_before": listed[-1]["id"] if more else None}

        return json_answer(await self._page.store.ask(page))

    async def job(self, request: Request) -> Response:
        facts = await self.job_facts(parameters.job_number(request))
        if facts is None:
            raise not_found("There is no such job.")
        return json_answer(facts)

    async def job_facts(self, job_id: int) -> dict[str, Any] | None:
        """Everything about a job; None where there is none."""
        found = await self._page.store.ask(_job_and_charges, job_id)
        if found is None:
            return None
        report, charges = found
        facts = details(report, charges, self._page.now())
        offered = {
            action: await self._offer(action, report.job) if facts["actions"][action] else None for action in ACTIONS
        }
        inbox = self._page.inbox(report.job.inbox)
        return {
            **facts,
            "facts": page_text.job_facts(report.job, inbox),
            "release": RELEASES.get(str(report.job.hold)),
            "quotes": offered,
            "media": await self._media_object(report.job),
        }

    async def _offer(self, action: str, job: Job) -> dict[str, Any] | None:
        found = await self._actions.offers(action, [job])
        return found[0] if found else None

    async def _media_object(self, job: Job) -> dict[str, Any]:
        """The files that can be played and downloaded; none from a folder that does not answer."""
        zip_size, source = None, None
        with suppress(FileError, RequestError, TimeoutError):
            async with asyncio.timeout(_FOLDER_SECONDS):
                archive, _ = await self._media.archive(job)
                zip_size = archive.size if archive.members else None
        with suppress(FileError, RequestError, TimeoutError):
            async with asyncio.timeout(_FOLDER_SECONDS):
                source = source_object(job) if await self._media.source_is_there(job) else None
        return {
            "tracks": track_objects(job),
            "zip": f"api/jobs/{job.id}/results.zip" if zip_size is not None else None,
            "zip_size": zip_size,
            "source": source,
        }

    async def history(self, request: Request) -> Response:
        by_month = parameters.one_of(request, "by", ("month", "day"), "month") == "month"
        now = self._page.now()

        def gathered(reports: Reports) -> dict[str, Any]:
            return gather_history(reports, now, by_month=by_month, newest=_MOST_CHARGES).facts()

        return json_answer(await self._page.store.ask(gathered))

    async def config(self, _request: Request) -> Response:
        return json_answer(config_view.config_object(self._page.settings))


def _job_and_charges(reports: Reports, job_id: int) -> tuple[JobReport, Sequence[Charge]] | None:
    try:
        report = reports.job(job_id)
    except LalaldError as error:
        raise refusal_of(error, 503, "store_unavailable") from error
    return None if report is None else (report, reports.charges(job_id))


def _filter(request: Request) -> JobFilter:
    hold = parameters.one_of(request, "hold", [str(hold) for hold in Hold])
    day = parameters.day(request, "day")
    return JobFilter(
        states=parameters.some_of(request, "state", STATES),
        hold=Hold(hold) if hold else None,
        rule=parameters.text(request, "rule"),
        inbox=parameters.text(request, "inbox"),
        text=parameters.text(request, "text") or "",
        since=day[0] if day else None,
        until=day[1] if day else None,
    )
