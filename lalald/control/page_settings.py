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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lalald.config import Config
from lalald.config.license_key import files_to_read, find_license_key
from lalald.config.page.page_secrets import page_password, page_read_token, secret_files
from lalald.control import page_keys
from lalald.errors import ConfigError

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


def settings_for(
    config: Config,
    environ: Mapping[str, str],
    *,
    tries: Mapping[str, list[float]] | None = None,
    idle_seconds: float | None = None,
) -> PageSettings:
    """Reads the page's secrets, and blocks on their files.

    Raises ConfigError where there is no password, FileError where the state folder cannot hold the keys of sessions.
    """
    password, token = page_password(config.web, environ), page_read_token(config.web)
    salt = page_keys.load(config.state_dir).salt
    return PageSettings(
        config=replace(config, license_key_file=None, notify=(), warnings=(), lines={}),
        verifier=None if password is None else page_keys.verifier(password, salt),
        read_token=None if token is None else hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(),
        license_key_is_set=find_license_key(config, environ).key is not None,
        notify_names=tuple(entry.name for entry in config.notify),
        tries=tries or {},
        idle_seconds=idle_seconds,
    )


def settings_files(config: Config, environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    """The files that `settings_for` reads, each with the setting that names it."""
    with suppress(ConfigError):  # the environment names something that cannot be a path: `settings_for` reports it
        return [*secret_files(config.web, environ), *files_to_read(config.license_key_file, environ)]
    return []


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
