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
from lalald.errors import TransientError

_KEPT_SECONDS = 20.0  # longer than the pause between two checks, shorter than servers and routers forget


class Post:
    """Sends JSON to the service's origin, follows no redirect, keeps a connection between requests."""

    def __init__(
        self, origin: Origin, path: str, tls: Callable[[], ssl.SSLContext], user_agent: str, deadlines: Deadlines
    ) -> None:
        self._origin = origin
        self._url = httpx.URL(f"{origin.url}{path}/api/v1/")
        self._tls = tls
        self._user_agent = user_agent
        self._deadlines = deadlines
        self._http: httpx.AsyncClient | None = None

    async def send(self, path: str, body: Any, key: str) -> Reply:
        """The answer to one operation, whatever it says.

        Raises:
            TransientError: none came, or none that ends.
        """
        content = b"" if body is None else json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        headers = {"X-License-Key": key, "Content-Type": "application/json", "Content-Length": str(len(content))}
        try:
            async with asyncio.timeout(self._deadlines.answer_seconds):
                return await self._exchange(path, content, headers, key)
        except TimeoutError as error:
            raise translate.lost(error, self._origin.host) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise translate.lost(error, self._origin.host) from error

    async def _exchange(self, path: str, content: bytes, headers: dict[str, str], key: str) -> Reply:
        http = self._http = self._http or self._opened()
        async with http.stream("POST", f"{path}/", content=content, headers=headers) as response:
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > JSON_LIMIT_BYTES:
                    raise _too_long(response.status_code)
        return Reply(response.status_code, response.headers.get, translate.without_key(bytes(body), key))

    def _opened(self) -> httpx.AsyncClient:
        proxy = proxy_for(self._origin)
        headers = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else None
        return httpx.AsyncClient(
            base_url=self._url,
            headers={"User-Agent": self._user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
            verify=self._tls(),
            proxy=httpx.Proxy(f"http://{proxy.host}:{proxy.port}", headers=headers) if proxy else None,
            trust_env=False,  # the environment's proxies are read by `proxy_for`, for both stacks alike
            timeout=httpx.Timeout(None, connect=self._deadlines.connect_seconds),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=4, keepalive_expiry=_KEPT_SECONDS),
        )

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def _too_long(status: int) -> TransientError:
    told = f"the service's answer cannot be read: it is longer than {JSON_LIMIT_BYTES >> 20} MiB"
    return TransientError(told, answered=True, status=status)
