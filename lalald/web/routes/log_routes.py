"""What happened, in the words of notifications; and metrics for monitoring."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald.filesystem.names import fold
from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import EventKind
from lalald.notify.event_text import event_text
from lalald.reports.formatting import iso
from lalald.reports.metrics import prometheus
from lalald.store.events.event_log import EventLog
from lalald.store.queries import Reports
from lalald.web import parameters
from lalald.web.page import Page, folders
from lalald.web.responses import json_answer

_EVENTS_A_PAGE = 100
_MOST_READ = 5000  # events that one request looks through for a text
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class LogRoutes:
    def __init__(self, page: Page) -> None:
        self._page = page

    def routes(self) -> list[Route]:
        return [Route("/api/log", self.log), Route("/metrics", self.metrics)]

    async def log(self, request: Request) -> Response:
        limit = parameters.number(request, "limit", _EVENTS_A_PAGE, least=1, most=_EVENTS_A_PAGE) or _EVENTS_A_PAGE
        kinds = parameters.some_of(request, "event", [str(kind) for kind in EventKind])
        before, text = parameters.number(request, "before", None), parameters.text(request, "text") or ""
        chosen = [EventKind(kind) for kind in kinds]
        return json_answer(await self._page.store.ask(_page_of_log, chosen, fold(text), before, limit))

    async def metrics(self, _request: Request) -> Response:
        page = self._page

        def exposition(_reports: Reports) -> str:
            return prometheus(page.config.state_dir, folders(page.config), None, page.now()).text

        text = await page.store.ask(exposition)
        return Response(text, headers={"Cache-Control": "no-store"}, media_type=_METRICS_TYPE)


def _page_of_log(reports: Reports, kinds: list[EventKind], text: str, before: int | None, limit: int) -> dict[str, Any]:
    """The newest events that say the text; what was looked through counts, however little was found."""
    log, found, read = EventLog(reports.connection), list[dict[str, Any]](), 0
    while read < _MOST_READ:
        events = log.page(before=before, limit=limit, kinds=kinds)
        for event in events:
            before, read = event.id, read + 1
            facts = _event(event)
            if text in fold(f"{facts['title']} {facts['message']} {facts['path'] or ''}"):
                found.append(facts)
            if len(found) == limit:
                return {"events": found, "next_before": before}
        if len(events) < limit:
            return {"events": found, "next_before": None}
    return {"events": found, "next_before": before}


def _event(event: Event) -> dict[str, Any]:
    fact, text = event.fact, event_text(event.fact)
    about = fact.data.get("job", fact.data)
    return {
        "id": event.id,
        "at": iso(fact.at),
        "event": str(fact.kind),
        "problem": fact.is_problem,
        "title": f"{text.headline}.",
        "message": text.reason,
        "hint": text.remedy or None,
        "job": about.get("id"),
        "path": about.get("path"),
        "count": fact.count,
    }
