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

from lalald.sandbox.faults.fault_effects import Perform, misbehave
from lalald.sandbox.http import control, uploads
from lalald.sandbox.http.middleware import ENTRY, Stamp
from lalald.sandbox.http.operations import JSON_OPERATIONS, JsonOperation
from lalald.sandbox.sandbox_state import Rehearsal
from lalald.sandbox.service import leniency
from lalald.sandbox.service.leniency import Doubt, tolerated
from lalald.sandbox.service.service import RefusalError, Service
from lalald.sandbox.service.validation import InvalidError

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
    return Stamp(
        Dispatch(endpoints, control.routes(rehearsal, be_down), is_strict=rehearsal.options.strict),
        rehearsal.journal,
        operations,
    )


class Dispatch:
    """Operations by a look at the path; whatever else comes, starlette's router answers."""

    def __init__(self, endpoints: Mapping[str, Endpoint], controls: Sequence[Route], *, is_strict: bool) -> None:
        self._endpoints = endpoints
        self._is_strict = is_strict
        routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]
        self._router = Starlette(routes=[*routes, *controls], exception_handlers={HTTPException: _http_error})
        self._router.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(scope) if scope["method"] == "POST" else None
        await (endpoint or self._router)(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        path = scope["path"]
        if path in self._endpoints or self._is_strict:
            return self._endpoints.get(path)
        endpoint = self._endpoints.get(f"{path}/")
        if endpoint is not None:
            scope[ENTRY].doubts += (leniency.NO_SLASH,)
        return endpoint


class Endpoint:
    """One operation on the wire: key first, then a fault if there is one, then the work."""

    def __init__(self, rehearsal: Rehearsal, operation: str) -> None:
        self.rehearsal = rehearsal
        self.operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request, self._admitted(request))
        except (RefusalError, InvalidError) as error:
            answer = _told(error)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    def _admitted(self, request: Request) -> Service:
        """The account of the request's key."""
        key = request.headers.get(KEY_HEADER)
        if not key:
            raise RefusalError(403, NO_KEY)
        account = self.rehearsal.accounts.of(key)
        if account is None:
            raise RefusalError(403, WRONG_KEY)
        return account

    async def _answer(self, request: Request, account: Service) -> ASGIApp:
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

    async def _answer(self, request: Request, account: Service) -> ASGIApp:
        name = uploads.name_of(request)

        async def work(request: Request) -> ASGIApp:
            return await uploads.upload(self.rehearsal, account, request, request.scope[ENTRY], name)

        return await self._carried(request, [name], work)


class JsonEndpoint(Endpoint):
    def __init__(self, rehearsal: Rehearsal, known: JsonOperation) -> None:
        super().__init__(rehearsal, known.operation)
        self._known = known

    async def _answer(self, request: Request, account: Service) -> ASGIApp:
        asked = self._known.read(self._tolerated(request, await _body(request)))

        async def work(_: Request) -> ASGIApp:
            return JSONResponse(self._known.carry(self.rehearsal, account, asked))

        return await self._carried(request, self._subjects(asked, account), work)

    def _tolerated(self, request: Request, body: bytes) -> bytes:
        """The body as the validation wants it; under `--strict` as it came, unless it is refused."""
        if self._known.model is None:
            return body
        reading, where = tolerated(body), self._known.place
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            reading.doubts.append(Doubt(leniency.OTHER_TYPE, []))
        if self.rehearsal.options.strict and reading.doubts:
            words = ({"loc": [*where, *doubt.at], "msg": doubt.words, "type": "strict"} for doubt in reading.doubts)
            raise InvalidError(list(words))
        request.scope[ENTRY].doubts += tuple(dict.fromkeys(doubt.words for doubt in reading.doubts))
        return reading.body

    def _subjects(self, asked: Any, account: Service) -> list[str]:
        """The names of the files that a request is about."""
        about = getattr(asked, "items", [asked])
        sources = [account.sources.get(str(item.source_id)) for item in about if hasattr(item, "source_id")]
        tasks = [account.tasks.get(str(task_id)) for task_id in getattr(asked, "task_ids", [])]
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
