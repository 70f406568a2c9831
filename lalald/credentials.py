"""The licence key: where it comes from, and a wrapper that shows it to nobody."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from lalald.config.key_files import BY_CONFIGURATION, key_files
from lalald.config.model import Config
from lalald.errors import ConfigError

LARGEST_FILE_BYTES = 4096
_PLACEHOLDER = re.compile(
    r"no[-_ ]?key|none|null|placeholder|change[-_ ]?(?:me|this)|todo|x{3,}|\.{3}|<.*>|(?:your|paste|insert|enter|put)[-_ ].*",
    re.IGNORECASE,
)
CREDENTIAL = "the credential license-key"
_SHORTEST_SECRET = 8  # a shorter one is nobody's licence, and stands in ids, numbers and words by chance
_CONCEALED = "[licence key]"
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # visible ASCII: what can stand in an HTTP header as one word


class LicenseKey:
    """The key itself comes out of `reveal` only: not in texts, logs, tracebacks or pickles."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def reveal(self) -> str:
        return self._key

    def is_in(self, text: str) -> bool:
        """Whether a text tells the key. No text tells one that is too short to be a secret."""
        return len(self._key) >= _SHORTEST_SECRET and self._key in text

    def hidden_in(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, _CONCEALED) if self.is_in(text) else text

    def __repr__(self) -> str:
        return "LicenseKey(hidden)"

    def __str__(self) -> str:
        return "hidden"

    def __format__(self, _: str) -> str:
        return "hidden"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LicenseKey) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a licence key is not written anywhere")


def license_key(config: Config, environ: Mapping[str, str]) -> LicenseKey | None:
    """The key of the first source that has one: LALALD_LICENSE_KEY, the file named by LALALD_LICENSE_KEY_FILE, the file of
    `license_key_file`, systemd's credential `license-key`. None where all are empty or hold a placeholder.

    The credential comes last since it stays what it was at the start, while the same file may have a new key by now. A file of
    `license_key_file` that root alone may read is no mistake where systemd hands a key over.

    Raises:
        ConfigError: a file that was named cannot be read, or what is in it cannot be a key. Never shows the key.
    """
    return license_key_with_origin(config, environ)[0]


def license_key_with_origin(config: Config, environ: Mapping[str, str]) -> tuple[LicenseKey | None, str]:
    """`license_key`, and the source that it came from."""
    unreadable: ConfigError | None = None
    for origin, content in _sources(config, environ):
        try:
            key = _key(origin, content())
        except ConfigError as error:
            if origin != BY_CONFIGURATION:
                raise
            unreadable = error
            continue
        if key:
            return key, origin
    if unreadable:
        raise unreadable
    return None, ""


def _key(origin: str, text: str) -> LicenseKey | None:
    key = text.strip()
    if not key or _PLACEHOLDER.fullmatch(key):
        return None
    if not _SENDABLE.fullmatch(key):
        raise ConfigError(
            f"{origin}: what is there cannot be a licence key: spaces, several lines or characters beyond ASCII",
            hint="put the key alone on one line",
        )
    return LicenseKey(key)


def _sources(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, Callable[[], str]]]:
    """Where a key may come from, and how to read what is there; asked one after the other, only as far as needed."""
    yield "LALALD_LICENSE_KEY", lambda: environ.get("LALALD_LICENSE_KEY", "")
    for origin, path in key_files(config.license_key_file, environ):
        yield origin, partial(_content, path, origin)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and os.path.exists(handed_over := Path(directory, "license-key")):
        yield CREDENTIAL, partial(_content, handed_over, CREDENTIAL)


def _content(path: Path, origin: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{origin}: there is no file {path}", hint="put the licence key into it, or name another file"
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{origin}: {path} is a folder, not a file",
            hint="where it is a container's mount, the file was missing on the host",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{origin}: {path} cannot be read: {error.strerror}", hint="let the user that lalald runs as read it"
        ) from None
    if len(content) > LARGEST_FILE_BYTES:
        raise ConfigError(f"{origin}: {path} is too large to be a licence key", hint="put the key alone on one line")
    return content.decode("utf-8-sig", errors="replace")
