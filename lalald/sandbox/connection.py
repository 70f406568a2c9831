"""Connections that can be cut: uvicorn's protocol, with the transport handed to the application.

ASGI has no word for a broken connection, and breaking them is half of what a sandbox is for.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

TRANSPORT = "lalald.transport"
NO_LINGER = struct.pack("ii", 1, 0)  # on, zero seconds: close by RST
BACKLOG = 2048


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, whose requests know their transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = functools.partial(_with_transport, self.app, transport)


async def _with_transport(app: Any, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send) -> None:
    scope[TRANSPORT] = transport
    await app(scope, receive, send)


async def reset(scope: Scope, receive: Receive) -> None:
    """Ends the request's connection by a TCP RST: what is not yet sent is lost."""
    _abort(scope[TRANSPORT])
    await disconnected(receive)


async def close(scope: Scope, receive: Receive) -> None:
    """Ends the request's connection in order (FIN), once what was written is sent."""
    scope[TRANSPORT].close()
    await disconnected(receive)


async def written(scope: Scope) -> None:
    """Waits until the operating system has everything that was written."""
    while scope[TRANSPORT].get_write_buffer_size() and not scope[TRANSPORT].is_closing():
        await asyncio.sleep(0.001)


async def disconnected(receive: Receive) -> None:
    """Waits for the other side to go, swallowing what it sends."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _abort(transport: asyncio.Transport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()


class Listener:
    """An application on a port of its own. It can stop listening and begin again on the same port: a service that is down."""

    def __init__(
        self, app: ASGIApp, host: str, port: int, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self.host = host
        self.port = port
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
        self._server = await loop.create_server(
            lambda: Connection(self._config, self._state, {}, loop),
            self.host,
            self.port,
            ssl=self._tls,
            backlog=BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more, resets every connection there is, and ends what was under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            _abort(connection.transport)
        under_way = [task for task in self._state.tasks if task is not asyncio.current_task()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
