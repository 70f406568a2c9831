"""Connections to the receiver of a webhook. A direct one takes a fraction of the processor time of one by httpx."""

from __future__ import annotations

import base64
import select
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

import anyio
import h11
import httpx
from anyio.abc import ByteStream, SocketAttribute

CONNECT_SECONDS = 10.0
_MOST_BODY_BYTES = 16 << 10
_PIECE_BYTES = 16 << 10


class Answered(NamedTuple):
    """The head of an answer, as far as it matters. `retry_after`: the header."""

    status: int
    retry_after: str | None


class NotConnectedError(Exception):
    """The receiver was not reached, and nothing was sent; its cause says why."""


class NoAnswerError(Exception):
    """The receiver closed the connection instead of answering."""


class Connection(Protocol):
    """Kept from request to request, and made again where it ended."""

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send a request, and read the head of its answer. It may be waited for without end."""

    async def pass_over_body(self) -> None:
        """Read a short body, so that the connection can be used again, and end the connection if it is longer."""

    async def end(self) -> None:
        """At once, whatever is being sent."""


class DirectConnection:
    """HTTP/1.1 by h11 over a connection by anyio, as httpx itself has it."""

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._place = url.raw_host.decode("ascii"), url.port or (443 if tls else 80)
        self._target = url.raw_path
        self._headers = [("host", url.netloc.decode("ascii")), *_login(url)]
        self._tls = tls
        self._stream: ByteStream | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answered:
        """Raises NotConnectedError, NoAnswerError, h11.RemoteProtocolError, anyio.BrokenResourceError."""
        if self._stream is not None and _is_readable(self._stream):
            await self.end()  # the receiver has closed it, or sent something that is no answer
        stream = self._stream = self._stream or await self._connected()
        length = ("content-length", str(len(body)))
        request = h11.Request(method="POST", target=self._target, headers=[*self._headers, *headers.items(), length])
        parts = (self._http.send(part) for part in (request, h11.Data(data=body), h11.EndOfMessage()))
        await stream.send(b"".join(filter(None, parts)))
        while not isinstance(event := await self._next_event(stream), h11.Response):
            pass  # what announces another answer, such as 103 (RFC 9110, 15.2)
        retry_after = [value.decode("latin-1") for name, value in event.headers if name == b"retry-after"]
        return Answered(event.status_code, retry_after[0] if retry_after else None)

    async def _connected(self) -> ByteStream:
        self._http = h11.Connection(h11.CLIENT)
        host, port = self._place
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                if self._tls is None:
                    return await anyio.connect_tcp(host, port)
                return await anyio.connect_tcp(host, port, ssl_context=self._tls, tls_standard_compatible=False)
        except (OSError, UnicodeError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise NotConnectedError from error

    async def _next_event(self, stream: ByteStream) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                received = await stream.receive(_PIECE_BYTES)
            except anyio.EndOfStream:
                if self._http.their_state is h11.SEND_RESPONSE and not self._http.trailing_data[0]:
                    raise NoAnswerError from None
                received = b""
            self._http.receive_data(received)
        return event

    async def pass_over_body(self) -> None:
        """Raises h11.RemoteProtocolError, anyio.BrokenResourceError."""
        read = 0
        while self._stream is not None and read <= _MOST_BODY_BYTES:
            event = await self._next_event(self._stream)
            if not isinstance(event, h11.Data):
                break
            read += len(event.data)
        is_over = self._http.our_state is self._http.their_state is h11.DONE
        if is_over and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        else:
            await self.end()

    async def end(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await anyio.aclose_forcefully(stream)


class ProxiedConnection:
    """By httpx, which knows the proxies of the environment."""

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._tls = tls
        self._http: httpx.AsyncClient | None = self._client()
        self._response: httpx.Response | None = None

    def _client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        return httpx.AsyncClient(verify=self._tls or False, follow_redirects=False, timeout=timeout)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answered:
        """Raises httpx.HTTPError."""
        client = self._http = self._http or self._client()
        request = client.build_request("POST", self._url, content=body, headers=headers)
        response = self._response = await client.send(request, stream=True)
        client.cookies.clear()
        return Answered(response.status_code, response.headers.get("retry-after"))

    async def pass_over_body(self) -> None:
        """Raises httpx.HTTPError."""
        if (response := self._response) is not None:
            read = 0
            async for piece in response.aiter_raw():
                read += len(piece)
                if read > _MOST_BODY_BYTES:
                    break
            await response.aclose()

    async def end(self) -> None:
        if self._http is not None:
            client, self._http, self._response = self._http, None, None
            await client.aclose()


def _login(url: httpx.URL) -> list[tuple[str, str]]:
    """The name and password of an address as a header (RFC 7617)."""
    if not url.userinfo:
        return []
    name, _, password = url.userinfo.partition(b":")
    login = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return [("authorization", f"Basic {base64.b64encode(login).decode()}")]


def _is_readable(stream: ByteStream) -> bool:
    """Whether something came that was not asked: most often its end."""
    connected: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django's
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
