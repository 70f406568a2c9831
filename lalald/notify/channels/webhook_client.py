"""Post to one receiver, one request after the other, on a thread of its own.

httpx's blocking client takes a third of the processor time of its asynchronous one, and events come while the pipeline is busy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx

from lalald.config.proxies import has_proxy, proxy_may_answer
from lalald.errors import OutOfResourcesError
from lalald.filesystem.pool_threads import Call, Threads
from lalald.notify.channels.connection_errors import connection_problem, is_about_tls, proxy_refusal
from lalald.notify.channels.results import Result, TryLater
from lalald.notify.channels.webhook import result_of

ANSWER_SECONDS = 30.0  # for a whole request
_CONNECT_SECONDS = 10.0
_BODY_SECONDS = 1.0
_MOST_BODY_BYTES = 16 << 10
_PORTS = {"https": 443, "http": 80}


class WebhookClient:
    """Kept while there is something to send; it shares nothing with the client of the service. Redirects are not followed.

    Proxies are those of the environment, as for the service; this machine needs none. `tls` gives the certificate authorities, which take
    memory: only where they are needed.

    Raises ImportError, ValueError, OSError or httpx.InvalidURL for a proxy or certificates that cannot be used.
    """

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext], *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._url = url
        self._answer_seconds = answer_seconds
        authorities = tls() if url.lower().startswith("https:") else False
        self._http = httpx.Client(verify=authorities, follow_redirects=False, trust_env=_asked(has_proxy, url))
        self._proxy_may_answer = _asked(proxy_may_answer, url)
        self._threads = Threads("webhook", 1, _give)
        self._request: asyncio.Future[Result] | None = None
        self._result: Result | None = None  # of the request, from its status on; its body may follow
        self._connection: socket.socket | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> Result:
        """Send one request. The status decides; the body is ignored."""
        self._request = asyncio.get_running_loop().create_future()
        self._result = None
        try:
            self._threads.submit(Call((), self._exchange, (headers, body), self._request, time.monotonic()))
            async with asyncio.timeout(self._answer_seconds):
                return await self._request
        except TimeoutError:
            return self._result or self._unanswered()
        except OutOfResourcesError:
            return TryLater("this machine has no thread left to send it")
        finally:
            if self._request.cancelled():
                self._cut()

    def close(self) -> None:
        """The thread closes the connection, as soon as its last request ends."""
        future = asyncio.get_running_loop().create_future()
        try:
            self._threads.submit(Call((), self._http.close, (), future, time.monotonic()))
        except OutOfResourcesError:
            self._http.close()
        self._threads.stop()

    # on the thread

    def _exchange(self, headers: Mapping[str, str], body: bytes) -> Result:
        try:
            return self._answer(headers, body)
        except httpx.ConnectTimeout:
            return TryLater(f"no connection within {_CONNECT_SECONDS:g} seconds")
        except httpx.TimeoutException:
            return self._unanswered()
        except httpx.ProxyError as error:
            return TryLater(proxy_refusal(str(error)))
        except httpx.ConnectError as error:
            through = "the proxy of the environment: " if self._http.trust_env and not is_about_tls(error) else ""
            return TryLater(f"{through}{connection_problem(error)}")
        except httpx.ProtocolError:
            return TryLater("its answer is not HTTP")
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
            return TryLater("its address cannot be used")
        except (httpx.HTTPError, OSError):
            return TryLater("the connection was lost")
        finally:
            self._http.cookies.clear()

    def _answer(self, headers: Mapping[str, str], body: bytes) -> Result:
        seconds = httpx.Timeout(self._answer_seconds, connect=_CONNECT_SECONDS).as_dict()
        extensions = {"timeout": seconds, "trace": self._trace}
        request = httpx.Request("POST", self._url, content=body, headers=dict(headers), extensions=extensions)
        answer = self._http.send(request, stream=True)
        try:
            result = self._result = result_of(
                answer.status_code, answer.headers.get("retry-after"), proxy_may_answer=self._proxy_may_answer
            )
            seconds["read"] = _BODY_SECONDS  # httpcore reads it when it begins with the body
            _pass_over(answer)
        finally:
            answer.close()
        return result

    def _unanswered(self) -> TryLater:
        return TryLater(f"no answer within {self._answer_seconds:g} seconds")

    def _trace(self, event: str, facts: Mapping[str, Any]) -> None:
        """Remember the connection: https://www.encode.io/httpcore/extensions/#trace."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._connection = facts["return_value"].get_extra_info("socket")
            if self._request is None or self._request.cancelled():
                self._cut()

    def _cut(self) -> None:
        """End the request at once: nothing waits for it any more. A connection that is not made yet ends once it is."""
        if self._connection is not None:
            with suppress(OSError):
                # SSLSocket.shutdown would take the TLS state away from the thread that uses it
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


def _asked(question: Callable[[str, str, int], bool], url: str) -> bool:
    """A question about the proxy for an address: httpx reads no networks in NO_PROXY. False for an invalid one, which `post` reports."""
    try:
        parts = httpx.URL(url)
        return question(parts.scheme, parts.host, parts.port or _PORTS.get(parts.scheme, 0))
    except (httpx.InvalidURL, UnicodeError):
        return False


def _pass_over(answer: httpx.Response) -> None:
    """A short answer is read, so that its connection can be used again."""
    read, until = 0, time.monotonic() + _BODY_SECONDS
    with suppress(httpx.HTTPError):
        for chunk in answer.iter_raw():
            read += len(chunk)
            if read > _MOST_BODY_BYTES or time.monotonic() > until:
                return


def _give(call: Call, answer: Any, error: BaseException | None) -> None:
    """To the caller, who may not wait any more."""
    if call.future.done():
        return
    if error is None:
        call.future.set_result(answer)
    else:
        call.future.set_exception(error)
