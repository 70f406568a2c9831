"""The server of the API: fifteen operations with their key, errors and faults, and the sandbox's own controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lalald.sandbox.faults.fault_effects import Perform, apply_fault
from lalald.sandbox.http import control, uploads
from lalald.sandbox.http.middleware import ENTRY, RequestRecorder
from lalald.sandbox.http.operations import JSON_OPERATIONS, JsonOperation
from lalald.sandbox.sandbox_state import SandboxState
from lalald.sandbox.service import leniency
from lalald.sandbox.service.leniency import Doubt, normalize
from lalald.sandbox.service.service import Account, RefusalError
from lalald.sandbox.service.validation import InvalidError

PREFIX = "/api/v1"
KEY_HEADER = "x-license-key"
NO_KEY = "Provide license key in 'X-License-Key' header"
WRONG_KEY = "Invalid license key"
LARGEST_JSON_BYTES = 10 << 20


def api(sandbox: SandboxState, go_down: control.GoDown) -> ASGIApp:
    """The application of the API's server; `go_down` stops listening for a while."""
    endpoints: dict[str, Endpoint] = {f"{PREFIX}/upload/": UploadEndpoint(sandbox)}
    endpoints |= {f"{PREFIX}/{known.path}/": JsonEndpoint(sandbox, known) for known in JSON_OPERATIONS}
    operations = {path: endpoint.operation for path, endpoint in endpoints.items()}
    return RequestRecorder(
        Dispatch(endpoints, control.routes(sandbox, go_down), is_strict=sandbox.options.strict),
        sandbox.journal,
        operations,
    )


class Dispatch:
    """Dispatches operations by path; starlette's router answers every other request."""

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
    """One operation: check the key, then perform the request, with a fault if one matches."""

    def __init__(self, sandbox: SandboxState, operation: str) -> None:
        self.sandbox = sandbox
        self.operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request, self._account(request))
        except (RefusalError, InvalidError) as error:
            answer = _error_answer(error)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    def _account(self, request: Request) -> Account:
        """The account of the request's key. Raises RefusalError if the key is missing or wrong."""
        key = request.headers.get(KEY_HEADER)
        if not key:
            raise RefusalError(403, NO_KEY)
        account = self.sandbox.accounts.of(key)
        if account is None:
            raise RefusalError(403, WRONG_KEY)
        return account

    async def _answer(self, request: Request, account: Account) -> ASGIApp:
        raise NotImplementedError

    async def _perform(self, request: Request, subjects: Sequence[str], work: Perform) -> ASGIApp:
        """Do `work` for a request about the files `subjects`, with the fault that affects it."""
        request.scope[ENTRY].subject = ", ".join(subjects) or None
        active = self.sandbox.faults.take(self.operation, subjects)
        if active is None:
            return await work(request)

        async def perform(request: Request) -> ASGIApp:
            try:
                return await work(request)
            except (RefusalError, InvalidError) as error:
                return _error_answer(error)

        return await apply_fault(active, self.operation, request, perform)


class UploadEndpoint(Endpoint):
    def __init__(self, sandbox: SandboxState) -> None:
        super().__init__(sandbox, "upload")

    async def _answer(self, request: Request, account: Account) -> ASGIApp:
        name = uploads.name_of(request)

        async def work(request: Request) -> ASGIApp:
            return await uploads.upload(self.sandbox, account, request, request.scope[ENTRY], name)

        return await self._perform(request, [name], work)


class JsonEndpoint(Endpoint):
    def __init__(self, sandbox: SandboxState, known: JsonOperation) -> None:
        super().__init__(sandbox, known.operation)
        self._known = known

    async def _answer(self, request: Request, account: Account) -> ASGIApp:
        body = self._known.read(self._normalized(request, await _body(request)))

        async def work(_: Request) -> ASGIApp:
            return JSONResponse(self._known.perform(self.sandbox, account, body))

        return await self._perform(request, self._subjects(body, account), work)

    def _normalized(self, request: Request, body: bytes) -> bytes:
        """The body in the form that the validation accepts. Raises InvalidError with `--strict` if that differs from the document."""
        if self._known.model is None:
            return body
        reading, where = normalize(body), self._known.place
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            reading.doubts.append(Doubt(leniency.OTHER_TYPE, []))
        if self.sandbox.options.strict and reading.doubts:
            words = ({"loc": [*where, *doubt.at], "msg": doubt.words, "type": "strict"} for doubt in reading.doubts)
            raise InvalidError(list(words))
        request.scope[ENTRY].doubts += tuple(dict.fromkeys(doubt.words for doubt in reading.doubts))
        return reading.body

    def _subjects(self, asked: Any, account: Account) -> list[str]:
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


def _error_answer(error: RefusalError | InvalidError) -> JSONResponse:
    """An error in the service's words: `{detail}` or `{detail, code}`."""
    if isinstance(error, InvalidError):
        return JSONResponse({"detail": error.detail}, 422)
    words = {"detail": error.detail}
    return JSONResponse({**words, "code": error.code} if error.code else words, error.status)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None)
    return JSONResponse({"detail": getattr(error, "detail", "Internal Server Error")}, status, headers)
