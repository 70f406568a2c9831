"""Send a transfer's requests on a kept connection, or on a new one if the kept one is dead."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from lalald.api import error_mapping
from lalald.api.origin import proxy_for
from lalald.api.transfers.transfer import Deadlines, Transfer, current_transfer
from lalald.api.transfers.transport import Transport

MakeRequest = Callable[[], httpx.Request]


def no_cookies() -> CookieJar:
    """Stores no cookies: what one answer sets is not sent with the next request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class TransferClient:
    """Blocks; for the threads that run transfers. Redirects are not followed. `tls` is called once, for the first https origin."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], deadlines: Deadlines) -> None:
        stall = httpx.Timeout(deadlines.stall_seconds, connect=deadlines.connect_seconds, pool=None)
        self._timeout = stall.as_dict()
        self._transport = Transport(lambda url: proxy_for(url.scheme, url.host, url.port), tls)
        self._http = httpx.Client(transport=self._transport, trust_env=False, cookies=no_cookies())

    def send(self, request: MakeRequest, transfer: Transfer, answer_seconds: float) -> httpx.Response:
        """The head of the answer, which must begin within so many seconds once the request is sent.

        A kept connection that ends before a byte of the answer is replaced: nothing that is sent here is charged for.

        Raises:
            TransientError
        """
        while True:
            transfer.begin(answer_seconds)
            made, is_fresh = request(), False
            has_content = (
                "content-length" in made.headers
            )  # its own end starts the deadline, not that of a proxy's CONNECT

            def trace(event: str, _: dict[str, Any], has_content: bool = has_content) -> None:
                nonlocal is_fresh
                is_fresh = is_fresh or event == "connection.connect_tcp.started"
                if event == "http11.send_request_body.complete" and not has_content:
                    current_transfer().await_answer()  # held here, it would outlive the request

            made.extensions = {**made.extensions, "timeout": self._timeout, "trace": trace}
            try:
                return self._http.send(made, stream=True)
            except error_mapping.FOREIGN as error:
                if is_fresh or transfer.is_answered or not isinstance(error, error_mapping.ENDED):
                    raise error_mapping.lost(error, made.url.host) from error

    def pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """The body as it arrives. A premature end is an error.

        Raises:
            TransientError
        """
        try:
            yield from response.iter_raw()
        except error_mapping.FOREIGN as error:
            raise error_mapping.lost(error, response.request.url.host) from error

    def read(self, response: httpx.Response, limit_bytes: int) -> bytes | None:
        """The whole body, or None if it is longer than the limit."""
        body = bytearray()
        for piece in self.pieces(response):
            body += piece
            if len(body) > limit_bytes:
                return None
        return bytes(body)

    def close(self) -> None:
        """Close every connection; a later request opens its own."""
        self._transport.close()
