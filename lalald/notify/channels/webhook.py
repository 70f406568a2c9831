"""The signed request of an event, and what an answer leads to, as specified by https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

import httpx

from lalald import __version__
from lalald.notify.channels.connection_errors import PROXY_LOGIN
from lalald.notify.channels.results import Refused, Result, Sent, TryLater, redirected

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
_HOST = re.compile(r"[\w.:-]+")  # letters of any script; colons are those of an IPv6 address
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


def result_of(status: int, retry_after: str | None, *, proxy_may_answer: bool) -> Result:
    """What an answer leads to. `retry_after`: the header."""
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
