"""Connections to the receiver of a webhook. A direct one takes a fraction of the processor time of one by httpx."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

import h11
import httpx

CONNECT_SECONDS = 10.0
_MOST_BODY_BYTES = 16 << 10
_MOST_UNREAD_BYTES = 1 << 20  # four times what the event loop reads at once
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305, 5
_ERRNO = re.compile(r"\[Errno (\d+)\]")


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
    """HTTP/1.1 by h11, as httpx has it, over a transport of the event loop."""

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._place = url.raw_host.decode("ascii"), url.port or (443 if tls else 80)
        self._target = url.raw_path
        self._headers = [("host", url.netloc.decode("ascii")), *_login(url)]
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._arrivals = _Arrivals()
        self._http = h11.Connection(h11.CLIENT)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answered:
        """Raises NotConnectedError, NoAnswerError, h11.RemoteProtocolError."""
        was_used = self._transport is not None
        try:
            return await self._exchange(headers, body)
        except NoAnswerError:
            await self.end()
            if not was_used:
                raise
        return await self._exchange(headers, body)  # it was being closed; receivers know an event by its id

    async def _exchange(self, headers: Mapping[str, str], body: bytes) -> Answered:
        if self._arrivals.has_news:
            await self.end()  # the receiver has closed it, or sent something that is not an answer
        transport = self._transport = self._transport or await self._connected()
        length = ("content-length", str(len(body)))
        request = h11.Request(method="POST", target=self._target, headers=[*self._headers, *headers.items(), length])
        parts = (self._http.send(part) for part in (request, h11.Data(data=body), h11.EndOfMessage()))
        transport.write(b"".join(filter(None, parts)))
        while not isinstance(event := await self._next_event(), h11.Response):
            pass  # what announces another answer, such as 103 (RFC 9110, 15.2)
        retry_after = [value.decode("latin-1") for name, value in event.headers if name == b"retry-after"]
        return Answered(event.status_code, retry_after[0] if retry_after else None)

    async def _connected(self) -> asyncio.Transport:
        self._http = h11.Connection(h11.CLIENT)
        connect = partial(asyncio.get_running_loop().create_connection, _Arrivals, *self._place, ssl=self._tls)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, self._arrivals = await connect(happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
        except (OSError, UnicodeError) as error:
            raise NotConnectedError from _first(error)
        return transport

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            received = await self._arrivals.read()
            if not received and self._http.their_state is h11.SEND_RESPONSE and not self._http.trailing_data[0]:
                raise NoAnswerError
            self._http.receive_data(received)
        return event

    async def pass_over_body(self) -> None:
        """Raises h11.RemoteProtocolError."""
        read = 0
        while read <= _MOST_BODY_BYTES and isinstance(event := await self._next_event(), h11.Data):
            read += len(event.data)
        is_over = self._http.our_state is self._http.their_state is h11.DONE
        if is_over and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        else:
            await self.end()

    async def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._transport, self._arrivals = None, _Arrivals()


class _Arrivals(asyncio.Protocol):
    """What a connection has received and was not read yet. It ends where that is too much."""

    def __init__(self) -> None:
        self._transport: asyncio.BaseTransport | None = None
        self._received = bytearray()
        self._is_over = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is something to read, its end included."""
        return bool(self._received) or self._is_over

    async def read(self) -> bytes:
        """What there is, or what comes next; b"" at its end."""
        if not self.has_news:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        found = bytes(self._received)
        self._received.clear()
        return found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_UNREAD_BYTES and isinstance(self._transport, asyncio.Transport):
            self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature; any end is the same here
        self._is_over = True
        self._wake()

    def eof_received(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


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


def _first(error: OSError | UnicodeError) -> Exception:
    """Of several addresses the first one's error: asyncio joins their texts."""
    joined = _ERRNO.search(str(error)) if type(error) is OSError else None
    return OSError(int(joined[1]), os.strerror(int(joined[1]))) if joined else error
