"""The API's origin: fifteen operations, their key, errors and faults; the sandbox's own controls beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lalald.sandbox import control, uploads
from lalald.sandbox.misbehaviour import Perform, misbehave
from lalald.sandbox.operations import JSON_OPERATIONS, JsonOperation
from lalald.sandbox.rehearsal import Rehearsal
from lalald.sandbox.service import RefusalError
from lalald.sandbox.stamp import ENTRY, Stamp
from lalald.sandbox.validation import InvalidError

PREFIX = "/api/v1"
KEY_HEADER = "x-license-key"
NO_KEY = "Provide license key in 'X-License-Key' header"
WRONG_KEY = "Invalid license key"
LARGEST_JSON_BYTES = 10 << 20


def api(rehearsal: Rehearsal, be_down: control.BeDown) -> ASGIApp:
    """The application on the API's origin; `be_down` stops listening for a while."""
    endpoints: dict[str, Endpoint] = {f"{PREFIX}/upload/": UploadEndpoint(rehearsal)}
    endpoints |= {f"{PREFIX}/{known.path}/": JsonEndpoint(rehearsal, known) for known in JSON_OPERATIONS}
    operations = {path: endpoint.operation for path, endpoint in endpoints.items()}
    return Stamp(Dispatch(endpoints, control.routes(rehearsal, be_down)), rehearsal.journal, operations)


class Dispatch:
    """Operations by a look at the path; whatever else comes, starlette's router answers."""

    def __init__(self, endpoints: Mapping[str, Endpoint], controls: Sequence[Route]) -> None:
        self._endpoints = endpoints
        routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]
        self._router = Starlette(routes=[*routes, *controls], exception_handlers={HTTPException: _http_error})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["method"] == "POST" else None
        await (endpoint or self._router)(scope, receive, send)


class Endpoint:
    """One operation on the wire: key first, then a fault if there is one, then the work."""

    def __init__(self, rehearsal: Rehearsal, operation: str) -> None:
        self.rehearsal = rehearsal
        self.operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            self._admit(request)
            answer = await self._answer(request)
        except (RefusalError, InvalidError) as error:
            answer = _told(error)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    def _admit(self, request: Request) -> None:
        key = request.headers.get(KEY_HEADER)
        if not key:
            raise RefusalError(403, NO_KEY)
        if not self.rehearsal.service.accepts_key(key):
            raise RefusalError(403, WRONG_KEY)

    async def _answer(self, request: Request) -> ASGIApp:
        raise NotImplementedError

    async def _carried(self, request: Request, subjects: Sequence[str], work: Perform) -> ASGIApp:
        """The answer to the request about the files `subjects`, by `work` and under the fault that strikes it."""
        request.scope[ENTRY].subject = ", ".join(subjects) or None
        active = self.rehearsal.faults.take(self.operation, subjects)
        if active is None:
            return await work(request)

        async def perform(request: Request) -> ASGIApp:
            try:
                return await work(request)
            except (RefusalError, InvalidError) as error:
                return _told(error)

        return await misbehave(active, self.operation, request, perform)


class UploadEndpoint(Endpoint):
    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal, "upload")

    async def _answer(self, request: Request) -> ASGIApp:
        name = uploads.name_of(request)

        async def work(request: Request) -> ASGIApp:
            return await uploads.upload(self.rehearsal, request, request.scope[ENTRY], name)

        return await self._carried(request, [name], work)


class JsonEndpoint(Endpoint):
    def __init__(self, rehearsal: Rehearsal, known: JsonOperation) -> None:
        super().__init__(rehearsal, known.operation)
        self._known = known

    async def _answer(self, request: Request) -> ASGIApp:
        asked = self._known.read(await _body(request))

        async def work(_: Request) -> ASGIApp:
            return JSONResponse(self._known.carry(self.rehearsal, asked))

        return await self._carried(request, self._subjects(asked), work)

    def _subjects(self, asked: Any) -> list[str]:
        """The names of the files that a request is about."""
        service = self.rehearsal.service
        about = getattr(asked, "items", [asked])
        sources = [service.sources.get(str(item.source_id)) for item in about if hasattr(item, "source_id")]
        tasks = [service.tasks.get(str(task_id)) for task_id in getattr(asked, "task_ids", [])]
        return [source.name for source in [*sources, *(task.source for task in tasks if task)] if source]


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_JSON_BYTES:
            raise RefusalError(413, "Request Entity Too Large")
    return body


def _told(error: RefusalError | InvalidError) -> JSONResponse:
    """An error in the service's words: `{detail}` or `{detail, code}`."""
    if isinstance(error, InvalidError):
        return JSONResponse({"detail": error.detail}, 422)
    words = {"detail": error.detail}
    return JSONResponse({**words, "code": error.code} if error.code else words, error.status)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None)
    return JSONResponse({"detail": getattr(error, "detail", "Internal Server Error")}, status, headers)
