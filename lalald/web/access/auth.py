"""Who may do what: sessions by cookie, programs by Bearer, login by password or by a link that works once.

A session is a signed cookie: who has it has logged in, with this password, less than 30 days ago, and has not logged out since.
A device cookie says that a browser has logged in before: its tries are counted apart from those of strangers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from lalald.control import page_keys
from lalald.web.access.login_tries import LoginTries
from lalald.web.access.origins import Visitor
from lalald.web.responses import RequestError

SESSION_SECONDS = 30 * 86400.0
_DEVICE_SECONDS = 400 * 86400  # as long as browsers keep a cookie
_SESSION = struct.Struct("!d16s")
_MAC_BYTES = 32
_READ_ONLY_PATHS = frozenset({"metrics", "api/status"})


class Credential(StrEnum):
    """How a request has shown who it is from."""

    COOKIE = "cookie"
    PASSWORD = "password"  # noqa: S105 - the kind, not one
    READ_TOKEN = "read_token"  # noqa: S105 - likewise
    NONE_NEEDED = "none_needed"


@dataclass(frozen=True, slots=True)
class Session:
    """Who a request is from. `key` tells sessions apart, for their streams."""

    key: str
    credential: Credential
    expires_at: float | None = None

    @property
    def can_act(self) -> bool:
        return self.credential is not Credential.READ_TOKEN


class CountedAs(NamedTuple):
    """Whose tries a password is counted with."""

    group: str
    is_known_device: bool


class Auth:
    """The sessions of one page. `verifier` is None where no login is needed."""

    def __init__(
        self,
        state_dir: Path,
        verifier: bytes | None,
        read_token: bytes | None,
        tries: LoginTries,
        now: Callable[[], float],
    ) -> None:
        self._state_dir = state_dir
        self._verifier = verifier
        self._read_token = read_token
        self.tries = tries
        self._now = now
        self._keys = page_keys.load(state_dir)
        self._stamp = page_keys.stamp(state_dir)
        self._own_key = os.urandom(32)
        self._known_passwords: set[bytes] = set()  # digests by a key of this process, of those that were right
        self.ended: dict[str, float] = {}  # sessions that were logged out, and when they would have ended

    @property
    def is_needed(self) -> bool:
        return self._verifier is not None

    # who asks

    def session(self, headers: Headers, visitor: Visitor, path: str) -> Session | None:
        """Who a request is from, None where it does not say. Raises RequestError where it says it wrongly."""
        if self._verifier is None:
            return Session(f"everybody at {visitor.group}", Credential.NONE_NEEDED)
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(word.strip(), path, self.counted_as(headers, visitor))
        return self._of_cookie(_cookies(headers).get(session_cookie(visitor), ""))

    def has_cookie(self, headers: Headers, visitor: Visitor) -> bool:
        return session_cookie(visitor) in _cookies(headers)

    def _of_cookie(self, value: str) -> Session | None:
        content = self._signed(value, b"session")
        if content is None or len(content) != _SESSION.size:
            return None
        issued_at, identity = _SESSION.unpack(content)
        expires_at = issued_at + SESSION_SECONDS
        if not issued_at <= self._now() + 60.0 < expires_at + 60.0 or identity.hex() in self.ended:
            return None
        return Session(identity.hex(), Credential.COOKIE, expires_at)

    def _bearer(self, word: str, path: str, counted_as: CountedAs) -> Session:
        given = word.encode("latin-1")  # as it was sent; clients send UTF-8
        if self._read_token is not None and hmac.compare_digest(hashlib.sha256(given).digest(), self._read_token):
            if path not in _READ_ONLY_PATHS:
                raise RequestError(403, "This token can only read metrics and api/status.", code="read_only")
            return Session("read token", Credential.READ_TOKEN)
        if hmac.digest(self._own_key, given, "sha256") not in self._known_passwords:
            self.check_password(given.decode("utf-8", "surrogateescape"), counted_as)
        return Session("password", Credential.PASSWORD)

    # login

    def check_tries(self, counted_as: CountedAs) -> None:
        """Raises RequestError where too many were made."""
        group, is_known_device = counted_as
        wait = self.tries.wait_seconds(group, is_known_device=is_known_device)
        if wait > 0.0:
            seconds = max(1, math.ceil(wait))
            raise RequestError(
                429,
                "Too many passwords were tried.",
                code="too_many_tries",
                hint=f"Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )

    def count_try(self, counted_as: CountedAs, *, is_wrong: bool) -> None:
        group, is_known_device = counted_as
        self.tries.count(group, is_known_device=is_known_device, is_wrong=is_wrong)

    def check_password(self, word: str, counted_as: CountedAs) -> None:
        """Takes about 10 ms. Raises RequestError where it is wrong, or was tried too often."""
        self.check_tries(counted_as)
        assert self._verifier is not None  # noqa: S101 - narrows the type: who needs no login is not asked for a password
        is_right = hmac.compare_digest(page_keys.verifier(word, self._keys.salt), self._verifier)
        self.count_try(counted_as, is_wrong=not is_right)
        if not is_right:
            raise RequestError(401, "The password is wrong.", code="wrong_password")
        if len(self._known_passwords) < 16:
            self._known_passwords.add(hmac.digest(self._own_key, word.encode("utf-8", "surrogateescape"), "sha256"))

    def counted_as(self, headers: Headers, visitor: Visitor) -> CountedAs:
        """A browser that has logged in before, with this password and key, has a count of its own."""
        device = self._signed(_cookies(headers).get(device_cookie(visitor), ""), b"device")
        if device is not None:
            return CountedAs(f"device {device.hex()}", True)
        return CountedAs(visitor.group, False)

    def log_in(self, response: Response, visitor: Visitor) -> Session:
        """A new session, whose cookies the response sets."""
        issued_at, identity = self._now(), os.urandom(16)
        value = self._sign(_SESSION.pack(issued_at, identity), b"session")
        _set_cookie(response, session_cookie(visitor), value, int(SESSION_SECONDS), secure=visitor.is_secure)
        device = self._sign(os.urandom(16), b"device")
        _set_cookie(response, device_cookie(visitor), device, _DEVICE_SECONDS, secure=visitor.is_secure)
        return Session(identity.hex(), Credential.COOKIE, issued_at + SESSION_SECONDS)

    def forget_cookie(self, response: Response, visitor: Visitor) -> None:
        _set_cookie(response, session_cookie(visitor), "", 0, secure=visitor.is_secure)

    def end(self, session: Session) -> None:
        """The session is over, though its cookie may be kept somewhere."""
        if session.expires_at is not None:
            self.ended[session.key] = session.expires_at

    def end_all(self) -> None:
        """Raises FileError where the state folder cannot be written: then no session has ended."""
        self._keys = page_keys.replace_session_key(self._state_dir)
        self._stamp = page_keys.stamp(self._state_dir)

    # signatures

    def _mac(self, content: bytes, purpose: bytes) -> bytes:
        if (stamp := page_keys.stamp(self._state_dir)) != self._stamp:
            self._keys, self._stamp = page_keys.load(self._state_dir), stamp
        key = page_keys.signing_key(self._keys, self._verifier or b"")
        return hmac.digest(key, purpose + b"\0" + content, "sha256")

    def _sign(self, content: bytes, purpose: bytes) -> str:
        return base64.urlsafe_b64encode(content + self._mac(content, purpose)).decode("ascii").rstrip("=")

    def _signed(self, value: str, purpose: bytes) -> bytes | None:
        """What was signed, None where it was not by this key."""
        try:
            whole = base64.urlsafe_b64decode(value.encode("ascii") + b"==")
        except (ValueError, binascii.Error):
            return None
        content, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        return content if content and hmac.compare_digest(mac, self._mac(content, purpose)) else None


def session_cookie(visitor: Visitor) -> str:
    """Cookies know no ports: several pages of one machine each have their own name."""
    name = f"lalald_{visitor.port}"
    return f"__Secure-{name}" if visitor.is_secure else name


def device_cookie(visitor: Visitor) -> str:
    return f"{session_cookie(visitor)}_device"


def _cookies(headers: Headers) -> dict[str, str]:
    return {name: value for line in headers.getlist("cookie") for name, value in cookie_parser(line).items()}


def _set_cookie(response: Response, name: str, value: str, seconds: int, *, secure: bool) -> None:
    """Without a path: the browser takes the folder of the request, so that any sub-path works without a setting."""
    ending = "; Secure" if secure else ""
    cookie = f"{name}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict{ending}"
    response.raw_headers.append((b"set-cookie", cookie.encode("ascii")))
