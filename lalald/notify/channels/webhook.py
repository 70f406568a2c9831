"""Send each event as one signed POST, as specified by https://www.standardwebhooks.com. Redirects are not followed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import httpx

from lalald import __version__
from lalald.config.proxies import has_proxy, proxy_may_answer
from lalald.notify.channels.connection_errors import PROXY_LOGIN, connection_problem, is_about_tls, proxy_refusal
from lalald.notify.channels.results import Refused, Result, Sent, TryLater, redirected

ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_BODY_SECONDS = 1.0
_MOST_BODY_BYTES = 16 << 10
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
_HOST = re.compile(r"[\w.:-]+")  # letters of any script; colons are those of an IPv6 address
_PORTS = {"https": 443, "http": 80}
_LOGIN_STATUS = 407  # of a proxy
_PASSING = frozenset({408, 425, 429})
_LONGEST_RETRY_AFTER_SECONDS = 3600.0


class SecretError(ValueError):
    """The text cannot be a signing secret."""


def key_from(secret: str) -> bytes:
    """The key that a secret such as `whsec_MfKQ9r8…` stands for. Raises SecretError."""
    text = secret.strip().removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("the signing secret is not base64; `openssl rand -base64 32` makes one") from None
    if not key:
        raise SecretError("the signing secret is empty; `openssl rand -base64 32` makes one")
    return key


def is_address(url: str) -> bool:
    """Whether a request can be sent there, as far as its words go."""
    try:
        return _HOST.fullmatch(httpx.URL(url).host) is not None
    except (httpx.InvalidURL, UnicodeError):
        return False


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers(key: bytes | None, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Without a key the request is not signed."""
    signed = {"webhook-signature": signature(key, message_id, timestamp, body)} if key else {}
    return {
        "content-type": "application/json",
        "user-agent": f"lalald/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        **signed,
    }


@asynccontextmanager
async def open_client(url: str, tls: Callable[[], ssl.SSLContext]) -> AsyncIterator[httpx.AsyncClient]:
    """A separate client, kept while there is something to send; it shares nothing with the client of the service.

    Proxies are those of the environment, as for the service; this machine needs none. `tls` gives the certificate authorities, which take
    memory: only where they are needed.
    """
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    authorities = tls() if url.lower().startswith("https:") else False
    async with httpx.AsyncClient(
        timeout=timeout, verify=authorities, follow_redirects=False, trust_env=_asks(has_proxy, url)
    ) as client:
        yield client


def _asks(question: Callable[[str, str, int], bool], url: str) -> bool:
    """A question about the proxy for an address: httpx reads no networks in NO_PROXY. False for an invalid one, which `post` reports."""
    try:
        parts = httpx.URL(url)
        return question(parts.scheme, parts.host, parts.port or _PORTS.get(parts.scheme, 0))
    except (httpx.InvalidURL, UnicodeError):
        return False


async def post(client: httpx.AsyncClient, url: str, sent: Mapping[str, str], body: bytes) -> Result:
    """Send one request. The status decides; the body is ignored."""
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            client.stream("POST", url, content=body, headers=dict(sent)) as answer,
        ):
            result = _result(answer.status_code, answer.headers.get("retry-after"), _asks(proxy_may_answer, url))
            await _pass_over(answer)
            return result
    except httpx.ConnectTimeout:
        return TryLater(f"no connection within {_CONNECT_SECONDS:g} seconds")
    except (TimeoutError, httpx.TimeoutException):
        return TryLater(f"no answer within {ANSWER_SECONDS:g} seconds")
    except httpx.ProxyError as error:
        return TryLater(proxy_refusal(str(error)))
    except httpx.ConnectError as error:
        through = "the proxy of the environment: " if client.trust_env and not is_about_tls(error) else ""
        return TryLater(f"{through}{connection_problem(error)}")
    except httpx.ProtocolError:
        return TryLater("its answer is not HTTP")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
        return TryLater("its address cannot be used")
    except (httpx.HTTPError, OSError):
        return TryLater("the connection was lost")
    finally:
        client.cookies.clear()


async def _pass_over(answer: httpx.Response) -> None:
    """A short answer is read, so that its connection can be used again."""
    read = 0
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in answer.aiter_raw():
                read += len(chunk)
                if read > _MOST_BODY_BYTES:
                    return


def _result(status: int, retry_after: str | None, proxy_may_answer: bool) -> Result:
    if 200 <= status < 300:
        return Sent()
    if 300 <= status < 400:
        return TryLater(redirected(status))
    if status == _LOGIN_STATUS and proxy_may_answer:
        return TryLater(PROXY_LOGIN)
    if 400 <= status < 500 and status not in _PASSING:
        return Refused(f"it answered {status}")
    return TryLater(f"it answered {status}", _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Seconds alone: what names a moment depends on the receiver's clock."""
    if retry_after is None or not retry_after.strip().isascii() or not retry_after.strip().isdigit():
        return None
    return min(float(retry_after.strip()[:9]), _LONGEST_RETRY_AFTER_SECONDS)
