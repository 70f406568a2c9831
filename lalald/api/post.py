"""Send JSON operations: one POST each, on the event loop, with one deadline."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from lalald.api import error_mapping
from lalald.api.error_mapping import JSON_LIMIT_BYTES, Reply
from lalald.api.origin import Origin, proxy_for
from lalald.api.transfers.transfer import Deadlines
from lalald.api.transfers.transfer_client import no_cookies
from lalald.config.license_key import LicenseKey
from lalald.errors import RefusedError, TransientError, UnreadableAnswerError

_KEPT_AT_MOST = 4
_KEPT_SECONDS = 20.0  # longer than the pause between two checks, shorter than servers and routers forget


class Post:
    """Sends JSON to the service's origin. Redirects are not followed; connections are kept between requests."""

    def __init__(
        self, origin: Origin, path: str, tls: Callable[[], ssl.SSLContext], user_agent: str, deadlines: Deadlines
    ) -> None:
        self._origin = origin
        self._url = f"{origin.url}{path}/api/v1/"
        self._tls = tls
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        self._deadlines = deadlines
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._under_way = 0
        self._is_closing = False

    async def send(self, path: str, body: Any, key: LicenseKey, *, charges: bool) -> Reply:
        """The answer to one operation, whatever it says.

        A kept connection that dies before it has answered is replaced once, unless the operation `charges`.

        Raises:
            TransientError: none came, or none that ends.
            RefusedError: the body is nothing that JSON could say.
        """
        content = _written(body)
        try:
            self._under_way += 1
            async with asyncio.timeout(self._deadlines.answer_seconds):
                return await self._exchange(path, content, key, charges=charges)
        except error_mapping.FOREIGN as error:
            raise error_mapping.lost(error, self._origin.host) from None  # httpx's frames hold the key
        finally:
            self._under_way -= 1
            if self._is_closing:
                await self.close()

    async def _exchange(self, path: str, content: bytes, key: LicenseKey, *, charges: bool) -> Reply:
        is_fresh = charges

        async def trace(event: str, _: dict[str, Any]) -> None:
            nonlocal is_fresh
            is_fresh = is_fresh or event == "connection.connect_tcp.started"

        while True:
            try:
                return await self._answer(self._request(path, content, key, trace), key, charges=charges)
            except error_mapping.ENDED:
                if is_fresh:
                    raise

    def _request(self, path: str, content: bytes, key: LicenseKey, trace: Any) -> httpx.Request:
        timeout = {"connect": self._deadlines.connect_seconds, "read": None, "write": None, "pool": None}
        headers = {**self._headers, "X-License-Key": key.reveal()}
        extensions = {"timeout": timeout, "trace": trace}
        return httpx.Request("POST", f"{self._url}{path}/", headers=headers, content=content, extensions=extensions)

    async def _answer(self, request: httpx.Request, key: LicenseKey, *, charges: bool) -> Reply:
        response = await self._client(charges=charges).send(request, stream=True)
        try:
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > JSON_LIMIT_BYTES:
                    raise _too_long(response.status_code)
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers.get, bytes(body), key)

    def _client(self, *, charges: bool) -> httpx.AsyncClient:
        if (client := self._clients.get(charges)) is None:
            client = self._clients[charges] = self._opened(
                self._deadlines.charge_idle_seconds if charges else _KEPT_SECONDS
            )
        return client

    def _opened(self, kept_seconds: float) -> httpx.AsyncClient:
        proxy = proxy_for(self._origin.scheme, self._origin.host, self._origin.port)
        transport = httpx.AsyncHTTPTransport(
            verify=self._tls(),
            proxy=httpx.Proxy(proxy.url, auth=proxy.auth) if proxy else None,
            limits=httpx.Limits(max_keepalive_connections=_KEPT_AT_MOST, keepalive_expiry=kept_seconds),
        )
        return httpx.AsyncClient(transport=transport, trust_env=False, cookies=no_cookies())

    async def close(self) -> None:
        """Close the connections once their requests have ended: an answer that is cut off may be one that was paid for."""
        self._is_closing = True
        if self._under_way:
            return
        while self._clients:
            await self._clients.popitem()[1].aclose()


def _written(body: Any) -> bytes:
    if body is None:
        return b""
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError) as error:
        raise RefusedError(f"the presets cannot be written as JSON: {error}") from error


def _too_long(status: int) -> TransientError:
    message = f"the service's answer cannot be read: it is longer than {JSON_LIMIT_BYTES >> 20} MiB"
    return UnreadableAnswerError(message, answered=True, status=status)
