"""uvicorn's server with limits: the number of connections, and timeouts for heads, bodies and slow readers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_TEXT = b"text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds: for a whole head, between two bytes of a body, between two answers, and for a reader that takes nothing."""

    head: float = 15.0
    body: float = 30.0
    idle: float = 20.0
    reader: float = 300.0
    connections: int = 256


class BoundedConnection(H11Protocol):
    """One connection. It is closed if it takes too long, and never delays others."""

    bounds = Bounds()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.abort()
            return
        own_socket = transport.get_extra_info("socket")
        with suppress(OSError):  # a unix socket has none
            own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._wait(self.bounds.head)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wait(None)
        self._stop_reader_timer()

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head()
        super().data_received(data)
        if self._is_in_head():
            if not was_in_head or self._timer is None:
                self._wait(self.bounds.head)  # of the head as a whole: a byte now and then gains nothing
        else:
            self._wait(self.bounds.body if self._is_in_body() else None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait(None)  # uvicorn's own timer ends idle connections
        if not self.transport.is_closing() and self._is_in_body():
            self._wait(self.bounds.body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader_timer = self.loop.call_later(self.bounds.reader, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reader_timer()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words name no cause
        """What is not HTTP."""
        body = b"This is not HTTP, or more than is accepted.\n"
        headers = [
            (b"content-type", _TEXT),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        with suppress(h11.LocalProtocolError):  # an answer is under way
            answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _is_in_head(self) -> bool:
        """A request is expected, or has begun, and its head is not complete."""
        return self.conn.their_state is h11.IDLE

    def _is_in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._waited)

    def _waited(self) -> None:
        """A body that the page itself does not read just now is not late."""
        if self._is_in_body() and self.flow.read_paused:
            self._wait(self.bounds.body)
        else:
            self._cut_off()

    def _stop_reader_timer(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _cut_off(self) -> None:
        self.transport.abort()


class PageServer(uvicorn.Server):
    """`before_shutdown` is called when it is about to end: streams are told so."""

    def __init__(self, app: ASGIApp, bounds: Bounds, before_shutdown: Callable[[], None]) -> None:
        class Connection(BoundedConnection):
            pass

        Connection.bounds = bounds
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                proxy_headers=False,
                server_header=False,
                log_config=None,
                access_log=False,
                timeout_keep_alive=int(bounds.idle),
                timeout_graceful_shutdown=1,
            )
        )
        self._before_shutdown = before_shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._before_shutdown()
        await super().shutdown(sockets)

    def end(self, *_: Any) -> None:
        self.should_exit = True
