"""The API's origin: fifteen operations, their key, their errors and their faults; the sandbox's own controls beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lalald.sandbox import control, uploads
from lalald.sandbox.misbehaviour import misbehave
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
    upload = Route(f"{PREFIX}/upload/", UploadEndpoint(rehearsal), methods=["POST"])
    others = [
        Route(f"{PREFIX}/{operation.path}/", JsonEndpoint(rehearsal, operation), methods=["POST"])
        for operation in JSON_OPERATIONS
    ]
    app = Starlette(
        routes=[upload, *others, *control.routes(rehearsal, be_down)],
        exception_handlers={HTTPException: _http_error, RefusalError: _refused, InvalidError: _invalid},
    )
    names = {f"{PREFIX}/upload/": "upload"} | {f"{PREFIX}/{known.path}/": known.fault_name for known in JSON_OPERATIONS}
    return Stamp(app, rehearsal.journal, names)


class Endpoint:
    """One operation on the wire: key first, then a fault if there is one, then the work."""

    def __init__(self, rehearsal: Rehearsal, fault_name: str) -> None:
        self.rehearsal = rehearsal
        self.fault_name = fault_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        key = request.headers.get(KEY_HEADER)
        if not key:
            return _error(403, NO_KEY)
        if not self.rehearsal.service.accepts_key(key):
            return _error(403, WRONG_KEY)
        return await self._carried(request)

    async def _carried(self, request: Request) -> ASGIApp:
        raise NotImplementedError

    async def _with_faults(self, request: Request, subjects: Sequence[str], work: Any) -> ASGIApp:
        request.scope[ENTRY].subject = ", ".join(subjects) or None

        async def perform() -> ASGIApp:
            try:
                answer: ASGIApp = await work()
            except RefusalError as refusal:
                return _error(refusal.status, refusal.detail, refusal.code)
            except InvalidError as invalid:
                return _error(422, invalid.detail)
            return answer

        active = self.rehearsal.faults.take(self.fault_name, subjects)
        return await perform() if active is None else await misbehave(active, self.fault_name, request, perform)


class UploadEndpoint(Endpoint):
    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal, "upload")

    async def _carried(self, request: Request) -> ASGIApp:
        try:
            subjects = [uploads.name_of(request)]
        except (RefusalError, InvalidError):
            subjects = []
        return await self._with_faults(
            request, subjects, lambda: uploads.upload(self.rehearsal, request, request.scope[ENTRY])
        )


class JsonEndpoint(Endpoint):
    def __init__(self, rehearsal: Rehearsal, operation: JsonOperation) -> None:
        super().__init__(rehearsal, operation.fault_name)
        self.operation = operation

    async def _carried(self, request: Request) -> ASGIApp:
        try:
            asked = self.operation.read(await _body(request))
        except InvalidError as invalid:
            return _error(422, invalid.detail)

        async def work() -> ASGIApp:
            return JSONResponse(self.operation.carry(self.rehearsal, asked))

        return await self._with_faults(request, self._subjects(asked), work)

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


def _error(status: int, detail: Any, code: str | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail} if code is None else {"detail": detail, "code": code}, status)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  the framework asks only for this one
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusalError)  # noqa: S101
    return _error(error.status, error.detail, error.code)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidError)  # noqa: S101
    return _error(422, error.detail)
