"""What a fault does to a request: an answer replaced, spoilt, slowed, cut or lost, on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.sandbox.connection import TRANSPORT, disconnected, reset
from lalald.sandbox.damage import damaged
from lalald.sandbox.faults import Active, Fault
from lalald.sandbox.spoilt import Spoilt

Perform = Callable[[], Awaitable[ASGIApp]]
HTML = "<!DOCTYPE html><html><head><title>LALAL.AI</title></head><body><h1>We will be back soon</h1></body></html>"
REPLACES = ("status", "html", "empty", "huge", "redirect", "dead")
DAMAGES = ("half", "missing", "null", "type", "unknown", "extra")
GONE_CHECK_SECONDS = 0.05
HUGE_PIECE = b"0123456789abcdef" * 4096


async def misbehave(active: Active, operation: str, request: Request, perform: Perform) -> ASGIApp:
    """The answer to a request that `active` strikes; `perform` carries the request out and gives its proper answer."""
    fault = active.fault
    if fault.kind in REPLACES:
        if fault.done:
            await perform()
        return _replacement(fault)
    if fault.kind == "hang":
        return await _hanging(active, request, perform)
    if fault.kind == "delay":
        return await _delayed(fault, perform)
    if fault.kind == "reset_before":
        return _reset
    if fault.kind == "reset_during" and operation == "upload":
        return await _reset_in_body(fault, request)
    if fault.kind == "slow" and operation == "upload":
        request._receive = _slowly(request.receive, fault.bytes_per_second)
        return await perform()
    return await _spoilt(fault, operation, await perform())


async def _spoilt(fault: Fault, operation: str, answer: ASGIApp) -> ASGIApp:
    if fault.kind == "reset_after":
        return _reset
    if fault.kind in DAMAGES:
        return damaged(fault, operation, answer) if isinstance(answer, Response) else answer
    return Spoilt(answer, fault)


def _replacement(fault: Fault) -> ASGIApp:
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind == "html":
        return Response(HTML, fault.status or 200, headers, "text/html; charset=utf-8")
    if fault.kind == "empty":
        return Response(b"", fault.status or 200, headers, "application/json")
    if fault.kind == "redirect":
        return RedirectResponse(fault.url or "", fault.status or 302)
    if fault.kind == "huge":
        return _huge
    status = fault.status or (404 if fault.kind == "dead" else 500)
    words = {"detail": "The sandbox was told to answer so." if fault.detail is None else fault.detail}
    return JSONResponse({**words, "code": fault.code} if fault.code else words, status, headers)


async def _huge(scope: Scope, receive: Receive, send: Send) -> None:
    """JSON that never ends; it does once the client has gone."""
    gone = asyncio.ensure_future(disconnected(receive))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"detail":"', "more_body": True})
    while not gone.done():
        await send({"type": "http.response.body", "body": HUGE_PIECE, "more_body": True})
        await asyncio.sleep(0)


async def _hanging(active: Active, request: Request, perform: Perform) -> ASGIApp:
    """No answer until the fault is lifted; where the client went meanwhile, nothing more is done for it."""
    if active.fault.done:
        answer = await perform()
        await _lifted(active, request.scope)
        return answer
    return await perform() if await _lifted(active, request.scope) else _reset


async def _lifted(active: Active, scope: Scope) -> bool:
    """Waits for the fault to be lifted; False where the client went before. Nothing is read: an unread body must stay so."""
    while not active.lifted.is_set() and not scope[TRANSPORT].is_closing():
        with suppress(TimeoutError):
            await asyncio.wait_for(active.lifted.wait(), GONE_CHECK_SECONDS)
    return not scope[TRANSPORT].is_closing()


async def _delayed(fault: Fault, perform: Perform) -> ASGIApp:
    if fault.done is False:
        await asyncio.sleep(fault.wait_seconds)
        return await perform()
    answer = await perform()
    await asyncio.sleep(fault.wait_seconds)
    return answer


async def _reset(scope: Scope, receive: Receive, send: Send) -> None:
    await reset(scope, receive)


async def _reset_in_body(fault: Fault, request: Request) -> ASGIApp:
    wanted, got = fault.position(int(request.headers.get("content-length", 0))), 0
    async for piece in request.stream():
        got += len(piece)
        if got >= wanted:
            break
    return _reset


def _slowly(receive: Receive, bytes_per_second: int) -> Receive:
    async def slow() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / bytes_per_second)
        return message

    return slow
