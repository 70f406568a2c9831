"""The page's routes, and what surrounds each of them: host names, login, requests of other sites, headers, errors."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.errors import FileError, FolderUnavailableError, LalaldError, StoreError
from lalald.web.access.origins import SAFE_METHODS
from lalald.web.page import Page
from lalald.web.responses import CODES, PlainTextError, RequestError, json_answer, not_found, refusal_of
from lalald.web.routes.action_routes import ActionRoutes
from lalald.web.routes.inbox_routes import InboxRoutes
from lalald.web.routes.log_routes import LogRoutes
from lalald.web.routes.login_routes import LoginRoutes
from lalald.web.routes.media_routes import MediaRoutes
from lalald.web.routes.read_routes import ReadRoutes
from lalald.web.routes.upload_routes import UploadRoutes
from lalald.web.status_stream import StatusStreams

STATIC = Path(__file__).parent / "static"
SESSION = "lalald.session"
VISITOR = "lalald.visitor"
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_NEEDS_NO_LOGIN = frozenset({"", "healthz", "api/login"})
_SHELL = "static/"  # so that links in notifications show the login
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
        " connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none';"
        " form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TYPES = {
    ".css": "text/css", ".html": "text/html", ".ico": "image/x-icon", ".js": "text/javascript", ".json": "application/json",
    ".mjs": "text/javascript", ".png": "image/png", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
}  # fmt: skip

ReportFault = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True)
class App:
    """The whole application, and its open streams."""

    asgi: ASGIApp
    streams: StatusStreams


def build(page: Page, report_fault: ReportFault) -> App:
    actions, media = ActionRoutes(page), MediaRoutes(page)
    read = ReadRoutes(page, actions, media)
    streams = StatusStreams(page, read.job_facts)
    routes = [
        Route("/", _index),
        Route("/static/{name:path}", _static),
        Route("/healthz", _healthy),
        *LoginRoutes(page, streams.end).routes(),
        *streams.routes(),
        *actions.routes(),
        *media.routes(),
        *UploadRoutes(page).routes(),
        *InboxRoutes(page).routes(),
        *LogRoutes(page).routes(),
        *read.routes(),
    ]
    return App(Guard(Router(routes, redirect_slashes=False), page, report_fault), streams)


class Guard:
    """Lets through what may pass, and answers every error."""

    def __init__(self, inner: ASGIApp, page: Page, report_fault: ReportFault) -> None:
        self._inner = inner
        self._page = page
        self._report_fault = report_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        is_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        scope["app"] = self  # starlette's routes raise their errors only where an application answers them
        try:
            self._admit(scope)
            await self._inner(scope, receive, send_with_headers)
        except Exception as error:
            if is_started:
                raise
            await self._answer_to(error, scope)(scope, receive, send_with_headers)

    def _admit(self, scope: Scope) -> None:
        """Raises RequestError where the request may not pass."""
        visitor = scope[VISITOR] = self._page.origins.visitor(scope)
        headers, path = Headers(scope=scope), str(scope["path"]).removeprefix("/")
        if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may see another end of the body
            raise PlainTextError(400, "The request has two lengths.", headers={"Connection": "close"})
        auth = self._page.auth
        if scope["method"] not in SAFE_METHODS:
            self._page.origins.check_unsafe(scope, visitor, has_cookie=auth.has_cookie(headers, visitor))
        if path in _NEEDS_NO_LOGIN or path.startswith(_SHELL):
            return
        if not (path == "metrics" or path.startswith("api/")):
            raise not_found()  # not left to the routes: their patterns match before a final line feed, too
        session = auth.session(headers, visitor, path)
        if session is None:
            raise RequestError(401, "Log in first.", code="login_required")
        scope[SESSION] = session

    def _answer_to(self, error: Exception, scope: Scope) -> Response:
        if isinstance(error, RequestError):
            return error.answer()
        if isinstance(error, HTTPException):
            words = {404: "There is nothing here.", 405: "This cannot be done here."}
            code = CODES.get(error.status_code, "internal")
            facts = {"error": words.get(error.status_code, error.detail), "hint": None, "code": code}
            return json_answer(facts, status=error.status_code, headers=error.headers)
        if isinstance(error, StoreError):
            return refusal_of(error, 503, "store_unavailable").answer()
        if isinstance(error, FolderUnavailableError):
            return refusal_of(error, 503, "folder_unavailable").answer()
        if isinstance(error, FileError | LalaldError):
            return refusal_of(error, 503, "unavailable").answer()
        if isinstance(error, OSError) and error.errno in _SCARCE:
            return RequestError(503, f"The page is short of resources: {error.strerror}.", code="unavailable").answer()
        self._report_fault(f"{scope['method']} {scope['path']}", error)
        hint = "The log of lalald has more. Please report it."
        return RequestError(500, "Something unexpected went wrong.", code="internal", hint=hint).answer()


async def _index(request: Request) -> Response:
    return _file(STATIC / "index.html", request)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if any(part in ("", "..") or part.startswith(".") for part in name.split("/")) or "\\" in name or "\0" in name:
        raise HTTPException(404)
    return _file(STATIC / name, request)


def _file(path: Path, request: Request) -> Response:
    """A file of the package, which is small. Its tag is made of its content: files of packages may all have the same time."""
    if path.suffix not in _TYPES or not path.is_file():
        raise HTTPException(404)
    content = path.read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[path.suffix])


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})
