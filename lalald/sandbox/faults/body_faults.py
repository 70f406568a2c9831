"""Faults in the body of an answer while it is sent: cut, reset, too long, slow. Works piece by piece on answers of any size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.sandbox.faults.faults import Fault
from lalald.sandbox.http.connection import Connection, connection

SLOW_PIECES_PER_SECOND = 20
LENGTH = b"content-length"
Wrap = Callable[[Connection, Send], Send]


class _EndedError(Exception):
    """The connection has ended, and the answer with it."""


class FaultyBody:
    """An answer with a fault of the kinds `cut`, `reset_during`, `slow` and `long`."""

    def __init__(self, answer: ASGIApp, fault: Fault) -> None:
        self._answer = answer
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wraps: dict[str, Wrap] = {"slow": self._slow, "long": self._too_long}
        wrap = wraps.get(self._fault.kind, self._cut_off)
        try:
            await self._answer(scope, receive, wrap(connection(scope), send))
        except _EndedError:
            return

    def _slow(self, client: Connection, send: Send) -> Send:
        piece_bytes = max(1, self._fault.bytes_per_second // SLOW_PIECES_PER_SECOND)

        async def slow(message: Message) -> None:
            body = message.get("body", b"")
            for start in range(0, len(body), piece_bytes):
                await send(_piece(body[start : start + piece_bytes]))
                await asyncio.sleep(piece_bytes / self._fault.bytes_per_second)
                if client.gone.is_set():
                    raise _EndedError
            await send({**message, "body": b""} if body else message)

        return slow

    def _cut_off(self, client: Connection, send: Send) -> Send:
        left = 0

        async def cut_off(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = self._fault.position(_length(message))
                client.pause_on_every_write()
                await send(message)
                return
            piece = message.get("body", b"")[:left]
            left -= len(piece)
            await send(_piece(piece))
            if left == 0:
                await send(_piece(b""))
                await (client.close() if self._fault.kind == "cut" else client.reset())
                raise _EndedError

        return cut_off

    def _too_long(self, client: Connection, send: Send) -> Send:
        """`declared`: Content-Length includes the surplus (`length`), is missing (`none`), or is the correct one (`less`)."""
        surplus = b"\0" * max(0, self._fault.extra_bytes)

        async def longer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send({**message, "headers": self._headers(message, len(surplus))})
            elif message.get("more_body"):
                await send(message)
            elif self._fault.declared == "less":
                await send(_piece(message.get("body", b"")))
                client.write(surplus)
                await client.close()
                raise _EndedError
            else:
                await send({**message, "body": message.get("body", b"") + surplus})

        return longer

    def _headers(self, message: Message, surplus_bytes: int) -> list[tuple[bytes, bytes]]:
        others = [(name, value) for name, value in message["headers"] if name != LENGTH]
        if self._fault.declared == "none":
            return others
        length = _length(message) + (surplus_bytes if self._fault.declared == "length" else 0)
        return [*others, (LENGTH, str(length).encode())]


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _length(message: Message) -> int:
    return next((int(value) for name, value in message["headers"] if name == LENGTH), 0)
