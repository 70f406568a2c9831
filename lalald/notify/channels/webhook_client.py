"""Post to one receiver, one request after the other, each within its time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

import h11
import httpx

from lalald.config.proxies import has_proxy, proxy_may_answer
from lalald.notify.channels.connection_errors import connection_problem, is_about_tls, proxy_refusal
from lalald.notify.channels.receiver_connections import (
    CONNECT_SECONDS,
    Connection,
    DirectConnection,
    NoAnswerError,
    NotConnectedError,
    ProxiedConnection,
)
from lalald.notify.channels.results import Result, TryLater
from lalald.notify.channels.webhook import is_address, result_of

ANSWER_SECONDS = 30.0  # for a request and the head of its answer
_BODY_SECONDS = 1.0
_PORTS = {"https": 443, "http": 80}
_NO_ADDRESS = TryLater("its address cannot be used")


class WebhookClient:
    """Kept while there is something to send; it shares nothing with the client of the service. Redirects are not followed.

    Proxies are those of the environment, as for the service; this machine needs none. `tls` gives the certificate authorities, which take
    memory: only where they are needed.

    Raises ImportError, ValueError, OSError or httpx.InvalidURL for a proxy or certificates that cannot be used.
    """

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext], *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._has_proxy = self._proxy_may_answer = False
        self._connection = self._connection_to(httpx.URL(url), tls) if is_address(url) else None

    def _connection_to(self, url: httpx.URL, tls: Callable[[], ssl.SSLContext]) -> Connection | None:
        if url.scheme not in _PORTS:
            return None
        place = url.scheme, url.host, url.port or _PORTS[url.scheme]
        self._has_proxy, self._proxy_may_answer = has_proxy(*place), proxy_may_answer(*place)
        make = ProxiedConnection if self._has_proxy else DirectConnection
        return make(url, tls() if url.scheme == "https" else None)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Result:
        """Send one request. The status decides; the body is ignored."""
        if (connection := self._connection) is None:
            return _NO_ADDRESS
        try:
            async with asyncio.timeout(self._answer_seconds):
                status, retry_after = await connection.post(headers, body)
            await _pass_over_body(connection)
        except BaseException as error:
            await connection.end()
            failure = self._failure(error) if isinstance(error, Exception) else None
            if failure is None:
                raise
            return failure
        return result_of(status, retry_after, proxy_may_answer=self._proxy_may_answer)

    def _failure(self, error: Exception) -> TryLater | None:
        """The reason for an error of either kind of connection; None for one that should not happen."""
        match error:
            case NotConnectedError() if isinstance(error.__cause__, TimeoutError):
                return _unconnected()
            case httpx.ConnectTimeout():
                return _unconnected()
            case TimeoutError():
                return TryLater(f"no answer within {self._answer_seconds:g} seconds")
            case httpx.ProxyError():
                return TryLater(proxy_refusal(str(error)))
            case NotConnectedError() | httpx.ConnectError():
                through = "the proxy of the environment: " if self._has_proxy and not is_about_tls(error) else ""
                return TryLater(f"{through}{connection_problem(error)}")
            case NoAnswerError():
                return TryLater("it closed the connection without an answer")
            case h11.RemoteProtocolError() | httpx.ProtocolError():
                return TryLater("its answer is not HTTP")
            case httpx.HTTPError() | OSError():
                return TryLater("the connection was lost")
            case httpx.InvalidURL() | UnicodeError():
                return _NO_ADDRESS
        return None

    async def close(self) -> None:
        """End the connection, whatever is being sent."""
        if self._connection is not None:
            await self._connection.end()


async def _pass_over_body(connection: Connection) -> None:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            await connection.pass_over_body()
    except (TimeoutError, httpx.HTTPError, h11.ProtocolError, OSError):
        await connection.end()


def _unconnected() -> TryLater:
    return TryLater(f"no connection within {CONNECT_SECONDS:g} seconds")
