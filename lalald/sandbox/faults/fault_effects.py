"""Apply a fault to a request: its answer is replaced, changed, delayed, cut or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.sandbox.faults.active_faults import ActiveFault
from lalald.sandbox.faults.body_faults import FaultyBody
from lalald.sandbox.faults.faults import JSON_KINDS, Fault
from lalald.sandbox.faults.json_faults import change_json
from lalald.sandbox.http.connection import Connection, connection

Perform = Callable[[Request], Awaitable[ASGIApp]]
HTML = "<!DOCTYPE html><html><head><title>LALAL.AI</title></head><body><h1>We will be back soon</h1></body></html>"
REPLACES = ("status", "html", "empty", "huge", "redirect", "dead")
HUGE_PIECE = b"0123456789abcdef" * 4096


async def apply_fault(active: ActiveFault, operation: str, request: Request, perform: Perform) -> ASGIApp:
    """The answer to a request that `active` affects; `perform` performs the request and returns its correct answer."""
    fault = active.fault
    if fault.kind == "reset_before":
        return Reset()
    if fault.kind == "hang":
        return await _hanging(active, request, perform)
    if fault.kind == "delay":
        return await _delayed(fault, request, perform)
    if fault.kind in REPLACES:
        if fault.done:
            await perform(request)
        return _replacement(fault)
    if operation == "upload" and fault.kind == "reset_during":
        return await _reset_in_body(fault, request)
    if operation == "upload" and fault.kind == "slow":
        return await perform(Request(request.scope, _slow(request.receive, fault.bytes_per_second)))
    return _changed(fault, operation, await perform(request))


class Reset:
    """Instead of an answer: a TCP RST."""

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        await connection(scope).reset()


class Huge:
    """JSON that does not end before the client leaves."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"detail":"', "more_body": True})
        while not connection(scope).gone.is_set():
            await send({"type": "http.response.body", "body": HUGE_PIECE, "more_body": True})
            await asyncio.sleep(0)


def _replacement(fault: Fault) -> ASGIApp:
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind == "html":
        return Response(HTML, fault.status or 200, headers, "text/html; charset=utf-8")
    if fault.kind == "empty":
        return Response(b"", fault.status or 200, headers, "application/json")
    if fault.kind == "redirect":
        return RedirectResponse(fault.url or "", fault.status or 302)
    if fault.kind == "huge":
        return Huge()
    status = fault.status or (404 if fault.kind == "dead" else 500)
    words = {"detail": "An injected fault of the sandbox." if fault.detail is None else fault.detail}
    return JSONResponse({**words, "code": fault.code} if fault.code else words, status, headers)


def _changed(fault: Fault, operation: str, answer: ASGIApp) -> ASGIApp:
    if fault.kind == "reset_after":
        return Reset()
    if fault.kind in JSON_KINDS:
        return change_json(fault, operation, answer) if isinstance(answer, Response) else answer
    return FaultyBody(answer, fault)


async def _hanging(active: ActiveFault, request: Request, perform: Perform) -> ASGIApp:
    """No answer until the fault is lifted, and none at all if the client has left."""
    client = connection(request.scope)
    if active.fault.done:
        answer = await perform(request)
        await _wait_until_lifted(active, client)
        return answer
    await _wait_until_lifted(active, client)
    return Reset() if client.gone.is_set() else await perform(request)


async def _wait_until_lifted(active: ActiveFault, client: Connection) -> None:
    """Wait until the fault is lifted or the client leaves, without reading the request's body."""
    waits = [asyncio.ensure_future(active.lifted.wait()), asyncio.ensure_future(client.gone.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _delayed(fault: Fault, request: Request, perform: Perform) -> ASGIApp:
    if fault.done is False:
        await asyncio.sleep(fault.wait_seconds)
        return await perform(request)
    answer = await perform(request)
    await asyncio.sleep(fault.wait_seconds)
    return answer


async def _reset_in_body(fault: Fault, request: Request) -> ASGIApp:
    wanted, received = fault.position(int(request.headers.get("content-length", 0))), 0
    async for piece in request.stream():
        received += len(piece)
        if received >= wanted:
            break
    return Reset()


def _slow(receive: Receive, bytes_per_second: int) -> Receive:
    async def slow() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / bytes_per_second)
        return message

    return slow
