"""Connections that the application can break: uvicorn's protocol, passed to it with each request.

ASGI has no message for a broken connection.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

CONNECTION = "lalald.connection"
NO_LINGER = struct.pack("ii", 1, 0)  # on, zero seconds: close by RST
BACKLOG = 2048


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, with ways to break a connection."""

    read_seconds = 60.0
    is_wanted: Callable[[], bool] = staticmethod(lambda: True)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # the base class takes any transport
        super().connection_made(transport)
        self.gone = asyncio.Event()
        self.app = functools.partial(_with_connection, self, self.app)
        self._read_timer: asyncio.TimerHandle | None = None
        self._start_read_timer()
        if not self.is_wanted():  # accepted just before the server was closed
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_read_timer()
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_reading():
            self._start_read_timer()
        else:
            self._stop_read_timer()

    def _is_reading(self) -> bool:
        """Whether the server waits for a request or for the rest of one."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.cycle.more_body and not self.flow.read_paused

    def _start_read_timer(self) -> None:
        """Limit the time until the client's next byte: an incomplete request must not stay for ever."""
        self._stop_read_timer()
        self._read_timer = self.loop.call_later(self.read_seconds, self._abort_if_reading)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _abort_if_reading(self) -> None:
        if self._is_reading() and not self.flow.read_paused:
            self.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP like any other request: with JSON and an `x-request-id`."""
        body = json.dumps({"detail": msg}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", os.urandom(16).hex().encode()),
        ]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def abort(self) -> None:
        """End the connection by a TCP RST: data that is not sent yet is lost."""
        own_socket = self.transport.get_extra_info("socket")
        with suppress(OSError):  # the client may have left already
            own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    async def reset(self) -> None:
        """End the connection by a TCP RST, and wait for the end."""
        self.abort()
        await self.gone.wait()

    async def close(self) -> None:
        """End the connection regularly (FIN), after everything that was written is sent."""
        self.transport.close()
        await self.gone.wait()

    def write(self, surplus: bytes) -> None:
        """Send bytes that the answer has not declared."""
        self.transport.write(surplus)

    def pause_on_every_write(self) -> None:
        """From now on, let a send wait until the operating system, or TLS, has everything that was sent before."""
        over_tls = self.transport.get_extra_info("sslcontext") is not None
        high = 1 if over_tls else 0  # with a limit of 0 bytes asyncio's TLS waits for ever
        self.transport.set_write_buffer_limits(high, 0)


def connection(scope: Scope) -> Connection:
    """The connection of a request."""
    return cast("Connection", scope[CONNECTION])


async def _with_connection(client: Connection, app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    scope[CONNECTION] = client
    await app(scope, receive, send)


class Listener:
    """An application on a port; it can stop listening and start again on the same port, as a service that is down."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        read_seconds: float,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._read_seconds = read_seconds
        self._tls = _tls(certificate, key)
        self._config = uvicorn.Config(
            app, http=Connection, ws="none", lifespan="off", interface="asgi3", log_level="critical", access_log=False
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    @property
    def origin(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def open(self) -> None:
        """Start to listen. Raises OSError if the address is in use or not of this machine."""
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            connection = Connection(self._config, self._state, {}, loop)
            connection.read_seconds = self._read_seconds
            connection.is_wanted = lambda: self._server is not None
            return connection

        self._server = await loop.create_server(connect, self.host, self.port, ssl=self._tls, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, reset every open connection, and cancel every request."""
        if self._server is not None:
            server, self._server = self._server, None
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(
                0
            )  # what was accepted just now is connected: asyncio (3.11) forgets it once the server is closed
            server.close()
        for open_connection in list(self._state.connections):
            cast("Connection", open_connection).abort()
        under_way = [task for task in self._state.tasks if task is not asyncio.current_task()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for file in filter(None, (certificate, key)):
        file.open().close()  # the TLS library does not say which file is missing
    context.load_cert_chain(certificate, key)
    return context
