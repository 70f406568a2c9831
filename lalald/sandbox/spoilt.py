"""A proper answer spoilt as it is sent: cut, reset, too long, slow. Works on answers of any size, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.sandbox.connection import TRANSPORT, close, reset, written
from lalald.sandbox.faults import Fault

SLOW_PIECES_PER_SECOND = 20
LENGTH = b"content-length"


class _EndedError(Exception):
    """The connection is over, and the answer with it."""


class Spoilt:
    """An answer under a fault of the kinds `cut`, `reset_during`, `slow` and `long`."""

    def __init__(self, answer: ASGIApp, fault: Fault) -> None:
        self._answer = answer
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ways = {"slow": self._slowly, "long": self._too_long}
        spoil = ways.get(self._fault.kind, self._broken_off)
        try:
            await self._answer(scope, receive, spoil(scope, receive, send))
        except _EndedError:
            return

    def _slowly(self, scope: Scope, receive: Receive, send: Send) -> Send:
        piece_bytes = max(1, self._fault.bytes_per_second // SLOW_PIECES_PER_SECOND)

        async def slow(message: Message) -> None:
            body = message.get("body", b"")
            for start in range(0, len(body), piece_bytes):
                await send({"type": "http.response.body", "body": body[start : start + piece_bytes], "more_body": True})
                await asyncio.sleep(piece_bytes / self._fault.bytes_per_second)
                _stop_where_gone(scope)
            await send({**message, "body": b""} if body else message)

        return slow

    def _broken_off(self, scope: Scope, receive: Receive, send: Send) -> Send:
        left = 0

        async def broken(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = self._fault.position(_length(message))
                await send(message)
                return
            piece = message.get("body", b"")[:left]
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if left == 0:
                await self._end(scope, receive)

        return broken

    async def _end(self, scope: Scope, receive: Receive) -> None:
        await written(scope)
        end: Callable[[Scope, Receive], Awaitable[None]] = close if self._fault.kind == "cut" else reset
        await end(scope, receive)
        raise _EndedError

    def _too_long(self, scope: Scope, receive: Receive, send: Send) -> Send:
        """More than it should be: `declared` "length" says the longer length, "none" says none, "less" says the proper one."""
        surplus = b"\0" * max(0, self._fault.extra_bytes)

        async def longer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send({**message, "headers": self._longer_headers(message, len(surplus))})
            elif message.get("more_body"):
                await send(message)
            elif self._fault.declared == "less":
                await send(message)
                scope[TRANSPORT].write(surplus)
                await close(scope, receive)
                raise _EndedError
            else:
                await send({**message, "body": message.get("body", b"") + surplus})

        return longer

    def _longer_headers(self, message: Message, surplus_bytes: int) -> list[tuple[bytes, bytes]]:
        others = [(name, value) for name, value in message["headers"] if name != LENGTH]
        if self._fault.declared == "none":
            return others
        length = _length(message) + (surplus_bytes if self._fault.declared == "length" else 0)
        return [*others, (LENGTH, str(length).encode())]


def _length(message: Message) -> int:
    return next((int(value) for name, value in message["headers"] if name == LENGTH), 0)


def _stop_where_gone(scope: Scope) -> None:
    if scope[TRANSPORT].is_closing():
        raise _EndedError
