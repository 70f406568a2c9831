"""Translate foreign errors into lalald's own: a table for network errors, a function for answers."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from lalald.config.license_key import LicenseKey
from lalald.errors import (
    LicenseRefusedError,
    RateLimitedError,
    RefusedError,
    ServiceError,
    TransientError,
    UnreadableAnswerError,
    UnusableAnswerError,
)

JSON_LIMIT_BYTES = 16 << 20  # the largest real answer, 200 tasks with six tracks each, has less than 1 MiB
_WORDS_LIMIT = 600
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_CODE = re.compile(r"[\x21-\x7e]{1,80}")
_NOT_CARRIED_OUT = frozenset({408, 425, 429})
_LATER = _NOT_CARRIED_OUT | {421}
_RETRIED_CODE = "internal_error"  # the only code of the service that is worth a retry
_ABOUT_THE_JOB = frozenset(
    {"idempotency_key_used", "exceeded_duration", "exceeded_size", "max_duration", "batch_not_avaliable"}
)
_KEY_HINT = "Check the license key, and whether its plan includes the API."


@dataclass(frozen=True, slots=True)
class Fault:
    """How a request failed, in words, and whether it may have reached the service."""

    words: str
    sent: bool


_LOST = "the connection broke before the answer was complete"
_GARBLED = "the answer is not valid HTTP, or ended too early"
_UNTRUSTED = "its certificate is not trusted (is the clock right, are CA certificates installed?)"

# by the name of the error's class: httpx and httpcore use the same names
NETWORK: dict[str, Fault] = {
    "ConnectTimeout": Fault("no connection in time", sent=False),
    "ReadTimeout": Fault("no answer in time", sent=True),
    "WriteTimeout": Fault("it took no more bytes in time", sent=True),
    "PoolTimeout": Fault("no free connection in time", sent=False),
    "ConnectError": Fault("no connection", sent=False),
    "ReadError": Fault(_LOST, sent=True),
    "WriteError": Fault(_LOST, sent=True),
    "CloseError": Fault(_LOST, sent=True),
    "LocalProtocolError": Fault("the request could not be written as HTTP", sent=False),
    "RemoteProtocolError": Fault(_GARBLED, sent=True),
    "ProxyError": Fault("the proxy refuses", sent=False),
    "UnsupportedProtocol": Fault("its scheme is not supported", sent=False),
    "ConnectionNotAvailable": Fault(_LOST, sent=True),
    "DecodingError": Fault(_GARBLED, sent=True),
    "TooManyRedirects": Fault("it redirects without end", sent=True),
    "HTTPError": Fault(_LOST, sent=True),
    "InvalidURL": Fault("its address is not a URL", sent=False),
    "StreamError": Fault(_LOST, sent=True),
    "gaierror": Fault("its name cannot be resolved", sent=False),
    "SSLCertVerificationError": Fault(_UNTRUSTED, sent=False),
    "SSLEOFError": Fault(_LOST, sent=True),
    "SSLZeroReturnError": Fault(_LOST, sent=True),
    "SSLError": Fault("the encrypted connection failed", sent=True),
    "ConnectionRefusedError": Fault("the connection was refused", sent=False),
    "ConnectionError": Fault(_LOST, sent=True),
    "TimeoutError": Fault("not a byte in time", sent=True),
    "OSError": Fault("the network failed", sent=True),
    "Exception": Fault(_LOST, sent=True),
}
_CORE = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)
FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, *_CORE, httpcore.UnsupportedProtocol, OSError)
ENDED = (
    httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError,
    httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError,
)  # fmt: skip
"""How the end of a kept connection appears to the next request on it."""


def fault_of(error: BaseException) -> Fault:
    """The table's row for an error, or for its nearest base class."""
    return next(NETWORK[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in NETWORK)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. httpcore hides causes, so `__context__` counts too; of several addresses the first is used."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__
        if isinstance(at, BaseExceptionGroup):
            at = at.exceptions[0]


def lost(error: BaseException, host: str) -> TransientError:
    """The error of a request without an answer."""
    fault = fault_of(error)
    root = _root_of(error)
    detail = root.strerror if isinstance(root, OSError) and not isinstance(root, ssl.SSLError) else None
    detail = _tidy(detail or str(root))
    message = f"{host}: {fault_of(root).words}" + (f" ({detail})" if detail else "")
    return TransientError(message, answered=False, carried_out_possible=fault.sent)


def _root_of(error: BaseException) -> BaseException:
    """The system's message, if there is one: "Connection refused" says more than "All connection attempts failed"."""
    if "Timeout" in type(error).__name__:
        return error
    of_the_system = (cause for cause in causes(error) if isinstance(cause, OSError))
    return next((cause for cause in of_the_system if cause.errno or isinstance(cause, ssl.SSLError)), error)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of either stack: its status, a look at its headers, and its body.

    `key`: what it was asked with. An answer that repeats it must not bring it into a log or a row.
    """

    status: int
    header: Callable[[str], str | None]
    body: bytes
    key: LicenseKey | None = None


def reading(reply: Reply) -> Any:
    """The JSON of a good answer.

    Raises:
        ServiceError: what any other answer means.
    """
    if not 200 <= reply.status < 300:
        raise refusal(reply)
    try:
        return _json(reply)
    except (ValueError, RecursionError):
        raise unreadable(reply, _what_it_is_instead(reply)) from None


def _json(reply: Reply) -> Any:
    """What a body says. Halves of characters, which no file or database takes, are replaced, and the license key is hidden."""
    text = reply.body.decode(json.detect_encoding(reply.body), "surrogatepass")
    said = json.loads(text)
    if "\\ud" in text.lower():
        said = json.loads(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"))
    if reply.key and ("\\" in text or reply.key.is_in(text)):  # a backslash may escape letters of the key
        return _without(reply.key, said)
    return said


def _without(key: LicenseKey, said: Any) -> Any:
    if isinstance(said, str):
        return key.hidden_in(said)
    if isinstance(said, list):
        return [_without(key, item) for item in said]
    if isinstance(said, dict):
        return {key.hidden_in(name): _without(key, value) for name, value in said.items()}
    return said


def unreadable(reply: Reply, why: str) -> UnreadableAnswerError:
    """The error of an answer that is not as documented; whether the request took effect is unknown."""
    message = f"the service's answer cannot be read: {why}"
    return UnreadableAnswerError(message, answered=True, status=reply.status, request_id=request_id(reply))


def unusable(reply: Reply, why: str) -> UnusableAnswerError:
    """The error of a JSON answer in which a required value is missing or unusable."""
    message = f"the service's answer cannot be used: {why}"
    return UnusableAnswerError(message, answered=True, status=reply.status, request_id=request_id(reply))


def _what_it_is_instead(reply: Reply) -> str:
    if not reply.body.strip():
        return "it is empty"
    if reply.body.lstrip()[:1] == b"<":
        return "it is a web page"
    return "it is not complete JSON"


def refusal(reply: Reply) -> ServiceError:
    """The error for an answer other than 2xx."""
    said = _json_or_none(reply)
    code = _code(said)
    words = _words_of(said) or f"the service answered HTTP {reply.status} without a reason"
    status = reply.status
    facts: dict[str, Any] = {"status": status, "code": code, "request_id": request_id(reply)}
    if 300 <= status < 400:
        words = "the service redirects, which its document does not know; the license key follows no redirect"
    if status < 400 or status >= 500 or status in _LATER or code == _RETRIED_CODE:
        kind = RateLimitedError if status == 429 else TransientError
        facts |= {"answered": True, "carried_out_possible": status not in _NOT_CARRIED_OUT}
        return kind(words, retry_after_seconds=retry_after_seconds(reply), **facts)
    if status in (401, 403) and code not in _ABOUT_THE_JOB:
        refused = LicenseRefusedError(words, hint=_KEY_HINT, **facts)
        refused.sent_with = reply.key
        return refused
    return RefusedError(words, **facts)


def _json_or_none(reply: Reply) -> Any:
    try:
        return _json(reply)
    except (ValueError, RecursionError):
        return None


def _code(said: Any) -> str | None:
    code = said.get("code") if isinstance(said, dict) else None
    if code is None and isinstance(said, dict) and isinstance(said.get("detail"), dict):
        code = said["detail"].get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _words_of(said: Any) -> str:
    if isinstance(said, dict):
        return words(said.get("detail", said.get("error", said.get("message"))))
    return words(said)


def words(detail: Any) -> str:
    """The service's message in any of its formats, as one sentence without its period; empty if there is none."""
    try:
        return _tidy(_sentence(detail)).rstrip(".")
    except RecursionError:  # what can be read may still be nested too deep to be walked through
        return ""


def _sentence(detail: Any) -> str:
    if isinstance(detail, str):
        quoted = re.fullmatch(r"""\[(['"])(.*)\1\]""", detail, re.DOTALL)  # a list of one, printed as Python does
        return quoted[2] if quoted else detail
    if isinstance(detail, list):
        return "; ".join(filter(None, map(_complaint, detail)))
    if isinstance(detail, dict):
        return _complaint(detail)
    return "" if detail is None else json.dumps(detail)


def _complaint(item: Any) -> str:
    """`{loc, msg, type}` as "presets.stem: Field required"; another object by its message, else unchanged."""
    if not isinstance(item, dict):
        return _sentence(item)
    said = item.get("msg") or item.get("detail") or item.get("message") or item.get("error")
    if not isinstance(said, str):
        return _sentence(said) if said else json.dumps(item)
    where = item.get("loc")
    if not isinstance(where, list):
        return said
    place = ".".join(str(step) for step in where if step not in ("body", "split_input"))
    return f"{place}: {said}" if place else said


def _tidy(text: str) -> str:
    """The text in one line of limited length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * _WORDS_LIMIT]).split())
    return line if len(line) <= _WORDS_LIMIT else line[: _WORDS_LIMIT - 1] + "…"


def request_id(reply: Reply) -> str | None:
    """The request id, by which the service's support finds a request."""
    given = reply.header("x-request-id")
    contains_key = given and reply.key and reply.key.is_in(given)
    return given if given and not contains_key and _REQUEST_ID.fullmatch(given) else None


def retry_after_seconds(reply: Reply) -> float | None:
    """`Retry-After`, in seconds or as a date, which counts from the answer's own `Date`: our clock may be wrong."""
    given = (reply.header("retry-after") or "").strip()
    if re.fullmatch(r"\d{1,9}", given):
        return float(given)
    at = _moment(given)
    if at is None:
        return None
    now = _moment(reply.header("date") or "") or datetime.now(UTC)
    return max(0.0, (at - now).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
