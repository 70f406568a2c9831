"""The httpx transport of transfers: httpcore's pools with a network backend of our own.

httpx's `HTTPTransport` has no parameter for a backend; `httpcore.ConnectionPool` has.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx

from lalald.api.origin import Proxy
from lalald.api.transfers.network import Backend

KEPT_AT_MOST = 16
KEPT_SECONDS = 60.0  # servers close connections that are idle longer, and a closed one costs an attempt


class Transport(httpx.BaseTransport):
    """A pool of connections for each way out: direct, or through a proxy. Raises the errors of httpcore.

    `proxy_for` tells a URL's proxy. `tls` gives the verifying context, once it is needed.
    """

    def __init__(self, proxy_for: Callable[[httpx.URL], Proxy | None], tls: Callable[[], ssl.SSLContext]) -> None:
        self._proxy_for = proxy_for
        self._tls = tls
        self._pools: dict[tuple[Proxy | None, str], httpcore.ConnectionPool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        extensions: dict[str, Any] = dict(request.extensions)
        # httpx normalizes a path; of a signed link every byte counts
        target = extensions.pop("target", url.raw_path)
        answer = self._pool(url).handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target),
                headers=request.headers.raw,
                content=request.stream,
                extensions=extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        proxy = self._proxy_for(url)
        way = (proxy, url.scheme)
        if (pool := self._pools.get(way)) is None:
            pool = self._pools.setdefault(way, self._made(proxy, url.scheme))
        return pool

    def _made(self, proxy: Proxy | None, scheme: str) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            # a context that trusts no authority will do where nothing is encrypted
            ssl_context=self._tls() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            proxy=httpcore.Proxy(proxy.url, auth=proxy.auth) if proxy else None,
            max_connections=None,
            max_keepalive_connections=KEPT_AT_MOST,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=Backend(through_proxy=proxy is not None),
        )

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
