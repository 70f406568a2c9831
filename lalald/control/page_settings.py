"""What the daemon hands to the page's process, and how both talk over their one pipe.

The settings hold neither the license key nor the password nor what notifications are sent to. They are pickled, with their length in
front; afterwards the page writes one JSON object a line, and the daemon nothing: when it closes its end, the page ends.
"""

from __future__ import annotations

import hashlib
import pickle
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lalald.config import Config
from lalald.config.license_key import find_key
from lalald.config.secrets.page_secrets import page_password, page_read_token
from lalald.config.secrets.secret_search import Search
from lalald.control import page_keys

HEARTBEAT_SECONDS = 5.0
_LENGTH = struct.Struct("!I")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Everything that a page needs. `verifier` is None with `auth: none`; `read_token` where there is none."""

    config: Config
    verifier: bytes | None
    read_token: bytes | None
    license_key_is_set: bool
    notify_names: tuple[str, ...] = ()
    tries: Mapping[str, list[float]] = field(default_factory=dict)
    idle_seconds: float | None = 600.0  # without a request or a stream; None: no limit


@dataclass(frozen=True, slots=True, repr=False)
class PageSecrets:
    """What the page needs of the secrets; the license key stays out of its process."""

    password: str | None
    read_token: str | None
    license_key_is_set: bool


def page_secrets(config: Config, environ: Mapping[str, str]) -> Search[PageSecrets]:
    """Raises ConfigError where there is no password."""
    password = yield from page_password(config.web, environ)
    token = yield from page_read_token(config.web)
    found = yield from find_key(config.license_key_file, environ)
    return PageSecrets(password, token, found.key is not None)


def settings_for(
    config: Config,
    given: PageSecrets,
    *,
    tries: Mapping[str, list[float]] | None = None,
    idle_seconds: float | None = None,
) -> PageSettings:
    """Blocks on the state folder. Raises FileError where it cannot hold the keys of sessions."""
    password, token = given.password, given.read_token
    salt = page_keys.load(config.state_dir).salt
    return PageSettings(
        config=replace(config, license_key_file=None, notify=(), warnings=(), lines={}),
        verifier=None if password is None else page_keys.verifier(password, salt),
        read_token=None if token is None else hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(),
        license_key_is_set=given.license_key_is_set,
        notify_names=tuple(entry.name for entry in config.notify),
        tries=tries or {},
        idle_seconds=idle_seconds,
    )


def framed(settings: PageSettings) -> bytes:
    """As they go through the pipe."""
    data = pickle.dumps(settings)
    return _LENGTH.pack(len(data)) + data


def receive_settings(pipe: socket.socket) -> PageSettings:
    """Raises EOFError where the daemon is gone before it has said everything."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    if length > _MOST_BYTES:
        raise EOFError
    settings: Any = pickle.loads(_exactly(pipe, length))  # noqa: S301 - from the daemon, which started this process
    assert isinstance(settings, PageSettings)  # noqa: S101 - narrows the type
    return settings


def _exactly(pipe: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        more = pipe.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
