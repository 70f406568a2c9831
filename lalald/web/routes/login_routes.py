"""Logging in and out."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald import __version__
from lalald.reports.formatting import iso
from lalald.store.page import logins
from lalald.web import parameters
from lalald.web.access.auth import Credential, Session
from lalald.web.access.origins import Visitor
from lalald.web.labels import labels
from lalald.web.page import Page
from lalald.web.responses import RequestError, json_answer, json_object, no_content

SESSION = "lalald.session"
VISITOR = "lalald.visitor"
_LONGEST_SECRET = 4096
_LARGEST_LOGIN_BYTES = 32 << 10  # a stranger sends it


class LoginRoutes:
    """`end_streams` closes the streams of a session, or with None those of all."""

    def __init__(self, page: Page, end_streams: Callable[[str | None], None]) -> None:
        self._page = page
        self._end_streams = end_streams

    def routes(self) -> list[Route]:
        return [
            Route("/api/session", self.session),
            Route("/api/login", self.log_in, methods=["POST"]),
            Route("/api/logout", self.log_out, methods=["POST"]),
        ]

    async def session(self, request: Request) -> Response:
        return json_answer(self._session_object(request.scope[SESSION]))

    async def log_in(self, request: Request) -> Response:
        visitor: Visitor = request.scope[VISITOR]
        auth = self._page.auth
        body = await json_object(request, _LARGEST_LOGIN_BYTES)
        if not auth.is_needed:
            return json_answer(self._session_object(Session("everybody", Credential.NONE_NEEDED)))
        counted_as = auth.counted_as(request.headers, visitor)
        if "link" in body:
            await self._use_link(_secret(body, "link"), request)
        else:
            auth.check_password(_secret(body, "password"), counted_as)
        response = json_answer({})
        session = auth.log_in(response, visitor)
        response.body = json_answer(self._session_object(session)).body
        response.headers["content-length"] = str(len(response.body))
        return response

    async def _use_link(self, token: str, request: Request) -> None:
        """A link works once. Raises RequestError."""
        auth = self._page.auth
        counted_as = auth.counted_as(request.headers, request.scope[VISITOR])
        auth.check_tries(counted_as)
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        is_right = await self._page.store.write(logins.use_link, digest, self._page.now())
        auth.count_try(counted_as, is_wrong=not is_right)
        if not is_right:
            hint = "`lalald web --link` makes a new one. A link works once, within 5 minutes."
            raise RequestError(401, "This link was used already, or is too old.", code="wrong_link", hint=hint)

    async def log_out(self, request: Request) -> Response:
        session: Session = request.scope[SESSION]
        body = await json_object(request)
        auth, store = self._page.auth, self._page.store
        if parameters.field(body, "everywhere", bool, required=False):
            await asyncio.to_thread(auth.end_all)
            self._end_streams(None)
        elif session.expires_at is not None:
            await store.write(logins.end_session, session.key, session.expires_at, self._page.now())
            auth.end(session)
            self._end_streams(session.key)
        response = no_content()
        auth.forget_cookie(response, request.scope[VISITOR])
        return response

    def _session_object(self, session: Session) -> dict[str, object]:
        settings = self._page.settings
        return {
            "auth": settings.config.web.auth,
            "version": __version__,
            "uploads": settings.config.web.uploads,
            "can_spend": session.can_act,
            "labels": labels(),
            "server_time": iso(time.time()),
            "expires_at": iso(session.expires_at),
        }


def _secret(body: dict[str, object], name: str) -> str:
    found: str = parameters.field(body, name, str)
    if len(found) > _LONGEST_SECRET:
        raise RequestError(401, "That is too long.", code=f"wrong_{name}")
    try:
        os.fsencode(found)
    except UnicodeEncodeError:
        raise RequestError(401, "That is not text.", code=f"wrong_{name}") from None
    return found
