"""Connections that can be cut: uvicorn's protocol, handed to the application with each request.

ASGI has no word for a broken connection, and breaking them is half of what a sandbox is for.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
import ssl
import struct
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
    """uvicorn's HTTP/1.1, with the ways to end a connection that a server should not use."""

    read_seconds = 60.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.gone = asyncio.Event()
        self.app = functools.partial(_introduced, self, self.app)
        self._silence: asyncio.TimerHandle | None = None
        self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._expect_nothing()
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_waited_for():
            self._expect_more()
        else:
            self._expect_nothing()

    def _is_waited_for(self) -> bool:
        """Whether a request has begun, or may, and its rest is still to come."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.cycle.more_body and not self.flow.read_paused

    def _expect_more(self) -> None:
        """The client has so long for its next byte: half requests would stay for ever."""
        self._expect_nothing()
        self._silence = self.loop.call_later(self.read_seconds, self._give_up_waiting)

    def _expect_nothing(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _give_up_waiting(self) -> None:
        if self._is_waited_for() and not self.flow.read_paused:
            self.abort()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets an answer like any other: JSON with an `x-request-id`."""
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
        """A TCP RST: what is not yet sent is lost."""
        own_socket = self.transport.get_extra_info("socket")
        with suppress(OSError):  # the client may have gone before us
            own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    async def reset(self) -> None:
        """Ends the connection by a TCP RST."""
        self.abort()
        await self.gone.wait()

    async def close(self) -> None:
        """Ends the connection in order (FIN), once what was written is sent."""
        self.transport.close()
        await self.gone.wait()

    def write(self, surplus: bytes) -> None:
        """Bytes that no answer has announced."""
        self.transport.write(surplus)

    def pause_on_every_write(self) -> None:
        """From now on a send waits until the operating system, or TLS, has everything that was sent before it."""
        over_tls = self.transport.get_extra_info("sslcontext") is not None
        high = 1 if over_tls else 0  # asyncio's TLS waits for ever where 0 bytes are too many
        self.transport.set_write_buffer_limits(high, 0)


def connection(scope: Scope) -> Connection:
    """The connection that a request came by."""
    return cast("Connection", scope[CONNECTION])


async def _introduced(by: Connection, app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    scope[CONNECTION] = by
    await app(scope, receive, send)


class Listener:
    """An application on a port of its own; it can stop listening and begin again there, as a service that is down."""

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
        """Listens.

        Raises:
            OSError: the address is taken or is not this machine's.
        """
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            connection = Connection(self._config, self._state, {}, loop)
            connection.read_seconds = self._read_seconds
            return connection

        self._server = await loop.create_server(connect, self.host, self.port, ssl=self._tls, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more, resets every connection there is, and ends what was under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
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
        file.open().close()  # the error of the TLS library does not say which one is missing
    context.load_cert_chain(certificate, key)
    return context
