"""Actions of the page's buttons. The shown price is sent with the request, checked here, and again by the daemon."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from lalald.errors import LalaldError
from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending.consent import tasks_to_pay, tasks_to_pay_on_retry
from lalald.jobs.spending.shown_price import Change, Objection, objection_to, price_objection
from lalald.jobs.states import Request, State
from lalald.jobs.transitions import restart
from lalald.store.page.job_list import jobs_by_id
from lalald.store.page.recorded_actions import RecordedAction, latest_ids, record_actions, recorded_with
from lalald.store.page.verdicts import ASKED
from lalald.store.queries import Reports
from lalald.store.request_writer import FITTING, Kind, Requests
from lalald.web import parameters
from lalald.web.offers import ACTIONS, REDO, RELEASE, RETRY, by_rules_of, durations, fits, offers, seen_in
from lalald.web.page import Page
from lalald.web.page_text import question
from lalald.web.responses import RequestError, json_answer, json_object, not_found

_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PENDING = "pending"
_GONE = "gone"


class ActionRoutes:
    def __init__(self, page: Page) -> None:
        self._page = page

    def routes(self) -> list[Route]:
        return [
            Route("/api/quotes", self.quotes, methods=["POST"]),
            Route("/api/actions/{key}", self.acted),
            *(Route(f"/api/{action}", self.act_on_many, methods=["POST"], name=action) for action in ACTIONS),
            *(
                Route(f"/api/jobs/{{job_id}}/{action}", self.act_on_one, methods=["POST"], name=action)
                for action in ACTIONS
            ),
            Route("/api/cancel", self.cancel_many, methods=["POST"]),
            Route("/api/jobs/{job_id}/cancel", self.cancel_one, methods=["POST"]),
            Route("/api/rescan", self.rescan, methods=["POST"]),
            Route("/api/folders/accept", self.accept_folder, methods=["POST"]),
        ]

    # prices

    async def quotes(self, request: HttpRequest) -> Response:
        body = await json_object(request)
        action = parameters.field(body, "action", str)
        if action not in ACTIONS:
            raise RequestError(400, f"action must be one of {', '.join(ACTIONS)}.")
        chosen, refused, are_named = await self._page.store.ask(_chosen, body, action)
        found = await self.offers(action, chosen, are_named=are_named)
        minutes = sum(one["minutes"] or 0.0 for one in found)
        unknown = sum(one["minutes"] is None for one in found)
        sums = {
            "minutes": minutes,
            "unknown": unknown,
            **question(action, len(found), minutes, unknown, [one["message"] for one in refused]),
        }
        return json_answer({"jobs": found, "refused": refused, **sums})

    async def offers(self, action: str, jobs: Sequence[Job], *, are_named: bool = True) -> list[dict[str, Any]]:
        """What each of the jobs would cost now."""
        if not jobs:
            return []
        seconds = await durations(self._page, jobs)
        return await self._page.store.ask(_offers, action, jobs, seconds, self._page.config, are_named)

    # buttons that can spend

    async def act_on_one(self, request: HttpRequest) -> Response:
        job_id, body = parameters.job_number(request), await json_object(request)
        quoted = parameters.field(body, "job", dict)
        if quoted.get("id") != job_id:
            raise RequestError(400, "The quote is of another job.")
        return await self._act(request, body, [quoted])

    async def act_on_many(self, request: HttpRequest) -> Response:
        body = await json_object(request)
        return await self._act(request, body, parameters.field(body, "jobs", list))

    async def _act(self, request: HttpRequest, body: Mapping[str, Any], quoted: Sequence[Any]) -> Response:
        action, key = request.url.path.rpartition("/")[2], _key(body)
        if len(quoted) > parameters.MOST_JOBS:
            raise RequestError(422, f"At most {parameters.MOST_JOBS:,} jobs at once.")
        seen = dict(seen_in(one, key) for one in quoted)
        digest = hashlib.sha256(json.dumps([action, *quoted], sort_keys=True).encode()).hexdigest()
        recorded = await self._page.store.write(self._queue, action, key, seen, digest)
        results = [one.facts() for one in recorded]
        await self._quote_again(action, results)
        return json_answer({"results": results, "daemon_running": await asyncio.to_thread(self._page.wake_daemon)})

    def _queue(
        self, requests: Requests, action: str, key: str, seen: Mapping[int, RequestTerms], digest: str
    ) -> list[RecordedAction]:
        """Within one transaction: a key that was used before gives its answer again, and does nothing."""
        if known := recorded_with(requests, key):
            if known[0].body_sha256 != digest:
                raise RequestError(409, "This key was used for another request.", code="key_reused")
            return known
        found = [self._queue_one(requests, action, job_id, shown, digest) for job_id, shown in seen.items()]
        record_actions(requests, found, self._page.now())
        return found

    def _queue_one(
        self, requests: Requests, action: str, job_id: int, seen: RequestTerms, digest: str
    ) -> RecordedAction:
        key = seen.key or ""
        try:
            report = requests.job(job_id)
        except LalaldError as error:
            return RecordedAction(key, job_id, action, digest, False, _GONE, str(error))
        if report is None:
            return RecordedAction(key, job_id, action, digest, False, _GONE, f"There is no job {job_id} any more.")
        job = report.job
        if job.request is not None:
            message = f"A {job.request} of job {job_id} was requested already; the daemon has not acted yet."
            return RecordedAction(key, job_id, action, digest, False, _PENDING, message)
        objection = self._objection(requests, action, job, seen)
        if objection is not None:
            return RecordedAction(key, job_id, action, digest, False, str(objection.code), objection.message)
        if action != REDO:
            requests.leave_for(Request(action), {job_id: seen})
        elif not requests.ask(Kind.REDO, str(job_id), seen=seen):
            message = f"A redo of job {job_id} was requested already; the daemon has not acted yet."
            return RecordedAction(key, job_id, action, digest, False, _PENDING, message)
        return RecordedAction(key, job_id, action, digest, True, ASKED, _ASKED[action].format(job_id))

    def _objection(self, reports: Reports, action: str, job: Job, seen: RequestTerms) -> Objection | None:
        now = by_rules_of(self._page.config)
        if action == RELEASE:
            return objection_to(job, Request.RELEASE, seen, tasks_to_pay(job))
        if action == RETRY:
            return objection_to(job, Request.RETRY, seen, tasks_to_pay_on_retry(now(job)))
        if not fits(job, action):
            return Objection(Change.STATE, f"Job {job.id} is {job.state} now; only a job that has ended is redone.")
        latest = latest_ids(reports, [job.id]).get(job.id)
        if seen.latest_id is not None and latest != seen.latest_id:
            return Objection(Change.CHARGED, f"This file has become job {latest} meanwhile; nothing was done.")
        return price_objection(job, seen, now(restart(job)).tasks)

    async def _quote_again(self, action: str, results: Sequence[dict[str, Any]]) -> None:
        """New figures for what was refused."""
        refused = [one["id"] for one in results if not one["accepted"] and one["code"] not in (_GONE, _PENDING)]
        if not refused:
            return
        jobs = [report.job for report in await self._page.store.ask(_jobs, refused) if fits(report.job, action)]
        quotes = {one["id"]: one for one in await self.offers(action, jobs)}
        for one in results:
            one["quote"] = quotes.get(one["id"]) if not one["accepted"] else None

    async def acted(self, request: HttpRequest) -> Response:
        """The outcome of a request."""
        found = await self._page.store.ask(recorded_with, request.path_params["key"])
        if not found:
            raise not_found("There was no request with this key within the last day.")
        return json_answer({"results": [one.facts() for one in found]})

    # buttons that cannot

    async def cancel_one(self, request: HttpRequest) -> Response:
        job_id = parameters.job_number(request)
        await json_object(request)
        return await self._cancel([job_id])

    async def cancel_many(self, request: HttpRequest) -> Response:
        return await self._cancel(parameters.ids(await json_object(request)))

    async def _cancel(self, job_ids: Sequence[int]) -> Response:
        results = await self._page.store.write(_cancelled, job_ids)
        return json_answer({"results": results, "daemon_running": await asyncio.to_thread(self._page.wake_daemon)})

    async def rescan(self, request: HttpRequest) -> Response:
        body = await json_object(request)
        wanted = parameters.field(body, "inboxes", list, required=False)
        inboxes = [str(inbox.path) for inbox in self._page.config.inboxes]
        if wanted is not None and not all(isinstance(one, str) and one in inboxes for one in wanted):
            raise RequestError(422, "There is no such inbox.")
        await self._page.store.write(_rescan, wanted)
        running = await asyncio.to_thread(self._page.wake_daemon)
        return json_answer({"inboxes": inboxes if wanted is None else wanted, "daemon_running": running})

    async def accept_folder(self, request: HttpRequest) -> Response:
        folder = parameters.field(await json_object(request), "folder", str)
        if not await self._page.store.write(_accept, folder):
            raise RequestError(
                422, "That is not a folder of the configuration.", hint="Take one that the status names."
            )
        running = await asyncio.to_thread(self._page.wake_daemon)
        return json_answer({"folder": folder, "daemon_running": running})


_ASKED = {
    RELEASE: "Job {} will be released.",
    RETRY: "Job {} will be retried.",
    REDO: "The file of job {} will be processed again.",
}


def _key(body: Mapping[str, Any]) -> str:
    key: str = parameters.field(body, "key", str)
    if not _KEY.fullmatch(key):
        raise RequestError(400, "The key must have 16 to 64 letters, digits, - or _.")
    return key


def _jobs(reports: Reports, job_ids: Sequence[int]) -> Any:
    return jobs_by_id(reports.connection, job_ids)[::-1]


def _offers(
    reports: Reports,
    action: str,
    jobs: Sequence[Job],
    seconds: Mapping[int, float | None],
    config: Any,
    are_named: bool,
) -> list[dict[str, Any]]:
    return offers(reports, action, jobs, seconds, config, are_named=are_named)


def _chosen(reports: Reports, body: Mapping[str, Any], action: str) -> tuple[list[Job], list[dict[str, Any]], bool]:
    """The jobs that are meant, oldest first; those that cannot be; and whether they were named."""
    if "ids" not in body:
        return _selected(reports, body, action), [], False
    wanted = parameters.ids(body)
    found = {report.job.id: report.job for report in _jobs(reports, wanted)}
    refused = [
        {"id": job_id, "code": _GONE, "message": f"There is no job {job_id}, or it cannot be read."}
        for job_id in wanted
        if job_id not in found
    ]
    refused += [
        {"id": job.id, "code": str(Change.STATE), "message": f"Job {job.id} is {job.state}."}
        for job in found.values()
        if not fits(job, action)
    ]
    return [job for job in found.values() if fits(job, action)], refused, True


def _selected(reports: Reports, body: Mapping[str, Any], action: str) -> list[Job]:
    """Every job of a kind, as it is now."""
    if action == REDO:
        raise RequestError(400, "redo needs ids.")
    hold = parameters.field(body, "hold", str, required=False)
    rule = parameters.field(body, "rule", str, required=False)
    states = [State.HELD] if action == RELEASE else [State.FAILED]
    found = []
    for report in reports.jobs(states=states):
        job = report.job
        if (hold is None or job.hold == hold) and (rule is None or job.rule == rule):
            found.append(job)
        if len(found) > parameters.MOST_JOBS:
            raise RequestError(422, f"More than {parameters.MOST_JOBS:,} jobs; choose fewer.")
    return found


def _cancelled(requests: Requests, job_ids: Sequence[int]) -> list[dict[str, Any]]:
    found = {report.job.id: report.job for report in _jobs(requests, job_ids)}
    results, fitting = [], []
    for job_id in job_ids:
        job = found.get(job_id)
        code, message = _GONE, f"There is no job {job_id} any more."
        if job is not None and job.state in FITTING[Request.CANCEL]:
            fitting.append(job_id)
            code, message = ASKED, f"Job {job_id} will be cancelled."
        elif job is not None:
            code, message = str(Change.STATE), f"Job {job_id} is {job.state}; nothing was done."
        results.append(
            {"id": job_id, "accepted": code == ASKED, "code": code, "message": message, "quote": None, "new_job": None}
        )
    requests.leave(Request.CANCEL, fitting)
    return results


def _rescan(requests: Requests, inboxes: Sequence[str] | None) -> None:
    for inbox in [None] if inboxes is None else inboxes:
        requests.ask(Kind.RESCAN, inbox)


def _accept(requests: Requests, folder: str) -> bool:
    known = {inbox.path for inbox in requests.inboxes()} | {one.path for one in requests.folders()}
    if folder in known:
        requests.ask(Kind.RELEASE_FOLDER, folder)
    return folder in known
