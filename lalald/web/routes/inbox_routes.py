"""The files in the inboxes, what would happen to a file, and its price. Folders are read on their own threads."""

from __future__ import annotations

import os
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald.config import Inbox
from lalald.errors import NoStoreError
from lalald.filesystem.confined.safe_open import parts_of
from lalald.reports.files.explainer import Explainer
from lalald.reports.files.plan_json import plan_facts
from lalald.reports.files.planned_file import PlannedFile, explain_planned
from lalald.reports.formatting import iso
from lalald.reports.minutes_account import minutes_account
from lalald.reports.pricing import price_everything
from lalald.store.page.job_list import newest_of_file
from lalald.store.queries import Reports
from lalald.web import parameters
from lalald.web.files.upload_places import is_taken
from lalald.web.page import Page
from lalald.web.page_text import explained
from lalald.web.responses import RequestError, json_answer, not_found

_FILES_A_PAGE = 200


class InboxRoutes:
    def __init__(self, page: Page) -> None:
        self._page = page

    def routes(self) -> list[Route]:
        return [
            Route("/api/plan", self.plan),
            Route("/api/explain", self.explain),
            Route("/api/skipped", self.skipped),
        ]

    async def plan(self, _request: Request) -> Response:
        folders = tuple(dict.fromkeys(str(inbox.path) for inbox in self._page.config.inboxes))
        return json_answer(await self._page.disks.run_transfer(folders, self._plan))

    def _plan(self) -> dict[str, Any]:
        plan = price_everything(self._page.config)
        with Reports.open(self._page.config.state_dir) as reports:
            left = minutes_account(reports, self._page.now()).left
        return plan_facts(plan, left, None)

    async def explain(self, request: Request) -> Response:
        inbox = self._inbox(request)
        file = PlannedFile(
            path_within(parameters.required(request, "path")),
            parameters.number(request, "size", None),
            parameters.amount(request, "seconds"),
        )
        return json_answer(await self._page.disks.run_transfer(str(inbox.path), self._explain, inbox, file))

    def _explain(self, inbox: Inbox, file: PlannedFile) -> dict[str, Any]:
        try:
            with Reports.open(self._page.config.state_dir) as reports:
                return self._explained(inbox, file, reports)
        except NoStoreError:
            return self._explained(inbox, file, None)

    def _explained(self, inbox: Inbox, file: PlannedFile, reports: Reports | None) -> dict[str, Any]:
        explainer = Explainer(self._page.config, reports, self._page.now)
        full_path = os.path.join(inbox.path, file.path)
        exists = is_taken(str(inbox.path), file.path)
        report = explainer.report(full_path) if exists else explain_planned(explainer, inbox, file)
        known, left = None, None
        if reports is not None:
            known = newest_of_file(reports.connection, str(inbox.path), file.path, file.size)
            left = minutes_account(reports, self._page.now()).left
        more = {"exists": exists, "known_job": known, "minutes_left": left, "may_be_free": report.may_be_free}
        return explained({**report.facts(), **more})

    async def skipped(self, request: Request) -> Response:
        inbox = self._inbox(request)
        limit = parameters.number(request, "limit", _FILES_A_PAGE, least=1, most=_FILES_A_PAGE) or _FILES_A_PAGE
        after = parameters.text(request, "after") or ""
        return json_answer(await self._page.store.ask(_skipped, str(inbox.path), after, limit))

    def _inbox(self, request: Request) -> Inbox:
        inbox = self._page.inbox(parameters.required(request, "inbox"))
        if inbox is None:
            raise not_found("There is no such inbox.")
        return inbox


def path_within(path: str) -> str:
    """A path within an inbox. Raises RequestError where it leads elsewhere, or is none."""
    try:
        parts_of(path)
        os.fsencode(path)
    except (ValueError, UnicodeEncodeError):
        raise RequestError(422, "That is not the path of a file within the inbox.", code="not_taken") from None
    return path


def _skipped(reports: Reports, inbox: str, after: str, limit: int) -> dict[str, Any]:
    found = reports.known_files().files_without_job(inbox, after, limit + 1)
    listed = [
        {
            "path": path,
            "size": known.size,
            "modified_at": iso(known.mtime_ns / 1e9),
            "reason": known.note,
            "code": known.skip_reason and str(known.skip_reason),
        }
        for path, known in found[:limit]
    ]
    return {"files": listed, "next_after": listed[-1]["path"] if len(found) > limit else None}
