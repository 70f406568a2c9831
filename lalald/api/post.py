"""JSON operations: one POST each, on the event loop, with one deadline for all of it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from lalald.api import translate
from lalald.api.address import Origin, proxy_for
from lalald.api.translate import JSON_LIMIT_BYTES, Reply
from lalald.api.wire import Deadlines
from lalald.credentials import LicenseKey
from lalald.errors import RefusedError, TransientError

_KEPT_AT_MOST = 4
_KEPT_SECONDS = 20.0  # longer than the pause between two checks, shorter than servers and routers forget


class Post:
    """Sends JSON to the service's origin, follows no redirect, keeps a connection between requests."""

    def __init__(
        self, origin: Origin, path: str, tls: Callable[[], ssl.SSLContext], user_agent: str, deadlines: Deadlines
    ) -> None:
        self._origin = origin
        self._url = f"{origin.url}{path}/api/v1/"
        self._urls: dict[str, httpx.URL] = {}
        self._tls = tls
        self._headers = [
            (b"User-Agent", user_agent.encode("ascii")),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", b"application/json"),
        ]
        self._deadlines = deadlines
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._under_way = 0
        self._is_closing = False

    async def send(self, path: str, body: Any, key: LicenseKey) -> Reply:
        """The answer to one operation, whatever it says.

        Raises:
            TransientError: none came, or none that ends.
            RefusedError: the body is nothing that JSON could say.
        """
        request = self._request(path, _written(body), key)
        try:
            self._under_way += 1
            async with asyncio.timeout(self._deadlines.answer_seconds):
                return await self._exchange(request, key)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise translate.lost(error, self._origin.host) from None  # httpx's frames hold the key
        finally:
            self._under_way -= 1
            if self._is_closing:
                await self.close()

    def _request(self, path: str, content: bytes, key: LicenseKey) -> httpx.Request:
        url = self._urls.get(path) or self._urls.setdefault(path, httpx.URL(f"{self._url}{path}/"))
        headers = [*self._headers, (b"X-License-Key", key.reveal().encode("ascii"))]
        timeout = {"connect": self._deadlines.connect_seconds, "read": None, "write": None, "pool": None}
        return httpx.Request("POST", url, headers=headers, content=content, extensions={"timeout": timeout})

    async def _exchange(self, request: httpx.Request, key: LicenseKey) -> Reply:
        """By the connection that was used last, as the likeliest to live. A pool of several looks at each of them for each request."""
        transport = self._idle.pop() if self._idle else self._opened()
        try:
            response = await transport.handle_async_request(request)
            body = bytearray()
            try:
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > JSON_LIMIT_BYTES:
                        raise _too_long(response.status_code)
            finally:
                await response.aclose()
        finally:
            self._idle.append(transport)
            if len(self._idle) > _KEPT_AT_MOST:
                await self._idle.pop(0).aclose()
        return Reply(response.status_code, response.headers.get, bytes(body), key)

    def _opened(self) -> httpx.AsyncHTTPTransport:
        """The layer of httpx beneath its client, which would add cookies, redirects and authentication at twice the cost.

        It holds one connection.
        """
        proxy = proxy_for(self._origin)
        headers = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else None
        return httpx.AsyncHTTPTransport(
            verify=self._tls(),
            proxy=httpx.Proxy(f"http://{proxy.host}:{proxy.port}", headers=headers) if proxy else None,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=_KEPT_SECONDS),
        )

    async def close(self) -> None:
        """Closes the connections once nothing is under way on them: an answer cut off may be one that was paid for."""
        self._is_closing = True
        if self._under_way:
            return
        while self._idle:
            await self._idle.pop().aclose()


def _written(body: Any) -> bytes:
    if body is None:
        return b""
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError) as error:
        raise RefusedError(f"the presets cannot be written as JSON: {error}") from error


def _too_long(status: int) -> TransientError:
    told = f"the service's answer cannot be read: it is longer than {JSON_LIMIT_BYTES >> 20} MiB"
    return TransientError(told, answered=True, status=status)
