"""The license key: where it comes from, and a wrapper that never shows it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from lalald.config.key_files import BY_CONFIGURATION, BY_ENVIRONMENT, key_files
from lalald.config.secrets.secret_search import Search, SecretFile, text_of
from lalald.errors import ConfigError

_PLACEHOLDER = re.compile(
    r"no[-_ ]?key|none|null|placeholder|change[-_ ]?(?:me|this)|todo|x{3,}|\.{3}|<.*>|(?:your|paste|insert|enter|put|at[-_ ]least)[-_ ].*",
    re.IGNORECASE,
)
BY_VARIABLE = "LALALD_LICENSE_KEY"
CREDENTIAL = "the credential license-key"
_SHORTEST_SECRET = 8  # shorter texts occur in ids, numbers and words by chance
_CONCEALED = "[license key]"
_LABEL = re.compile(
    r"(bearer|authorization|x-license-key|license[-_ ]key|lalald?_license_key|api[-_]key)(?:\s|[:=])", re.IGNORECASE
)
_PATH = re.compile(r"[~.]{0,2}/")
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # visible ASCII: one word of an HTTP header


class LicenseKey:
    """Only `reveal` gives the key itself: it appears in no text, log, traceback or pickle."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def reveal(self) -> str:
        return self._key

    @property
    def can_be_sent(self) -> bool:
        return _SENDABLE.fullmatch(self._key) is not None

    def is_in(self, text: str) -> bool:
        """Whether a text contains the key. False for a key that is too short to be a secret."""
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
        raise TypeError("a license key is not written anywhere")


_NONE = "there is no license key"
_NONE_HINT = "Set license_key_file, LALALD_LICENSE_KEY or LALALD_LICENSE_KEY_FILE."


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The key and its source; or no key, the reason, and what to do. `error`: a source that cannot be used at all."""

    key: LicenseKey | None
    origin: str = ""
    problem: str = _NONE
    hint: str = _NONE_HINT
    error: ConfigError | None = None


class _Source(NamedTuple):
    """A place where a key may be, its description, and its file; the variable has none."""

    origin: str
    place: str
    path: Path | None = None


def find_key(key_file: Path | None, environ: Mapping[str, str]) -> Search[FoundKey]:
    """The key of the first source that has one: LALALD_LICENSE_KEY, the file named by LALALD_LICENSE_KEY_FILE, the file of
    `license_key_file`, systemd's credential `license-key`. Never raises.

    The credential comes last: it never changes after the start, while the same file may have a new key by now. If systemd passes a key
    on, a `license_key_file` that only root may read is not an error.
    """
    blank: FoundKey | None = None
    unusable: FoundKey | None = None
    try:
        for source in _sources(key_file, environ):
            try:
                text = yield from _text(source, environ)
                key = _key(source, text)
            except ConfigError as error:
                unusable = _unusable(error, source.origin)
                if source.origin != BY_CONFIGURATION:
                    return unusable
                continue
            if key is not None:
                return FoundKey(key, source.origin)
            blank = blank or _blank(source, text)
    except ConfigError as error:  # the environment names something that cannot be a path
        return _unusable(error, BY_ENVIRONMENT)
    return unusable or blank or FoundKey(None)


def _unusable(error: ConfigError, origin: str) -> FoundKey:
    return FoundKey(None, origin, problem=str(error), hint=error.hint, error=error)


def _blank(source: _Source, text: str) -> FoundKey | None:
    """Why a source has no key; None for a variable that is not set."""
    if not text and source.origin == BY_VARIABLE:
        return None
    what = "holds a placeholder, not a license key" if text else "is empty"
    by_variable = source.origin == BY_VARIABLE
    hint = "Set it to your key, and start lalald again." if by_variable else "Put the key alone on one line there."
    return FoundKey(None, problem=f"{_NONE}: {source.place} {what}", hint=hint)


def is_placeholder(text: str) -> bool:
    """Whether a text is a placeholder for a secret."""
    return _PLACEHOLDER.fullmatch(text) is not None


def _key(source: _Source, text: str) -> LicenseKey | None:
    """The key in a text, without quotes around it, which `docker run --env-file` leaves in place."""
    key = text
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        key = text[1:-1].strip()
    if not key or is_placeholder(key):
        return None
    if reason := _why_no_key(key):
        hint = "Put the key alone on one line."
        if _PATH.match(key) and source.origin == BY_VARIABLE:
            hint = f"{BY_ENVIRONMENT} takes the path of a file with the key."
        raise ConfigError(f"{source.origin}: what is there cannot be a license key: {reason}", hint=hint)
    return LicenseKey(key)


def _why_no_key(text: str) -> str:
    """Why a text cannot be a license key, without showing it; empty if it can."""
    if labelled := _LABEL.match(text):
        return f'it begins with "{labelled[1]}", which is not part of the key'
    if _PATH.match(text):
        return "it is a path"
    if text[0] in "\"'" or text[-1] in "\"'":
        return "it has a quote at one end"
    if lines := len(text.splitlines()) - 1:
        return f"it has {lines + 1} lines"
    if any(character.isspace() for character in text):
        return "it has spaces in it"
    return "" if _SENDABLE.fullmatch(text) else "it has characters beyond ASCII"


def _sources(key_file: Path | None, environ: Mapping[str, str]) -> Iterator[_Source]:
    """The places of the key, in order; read only as far as needed."""
    yield _Source(BY_VARIABLE, f"the variable {BY_VARIABLE}")
    for origin, path in key_files(key_file, environ):
        yield _Source(origin, f"the file {path} ({origin})", path)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and os.path.exists(handed_over := Path(directory, "license-key")):
        yield _Source(CREDENTIAL, CREDENTIAL, handed_over)


def _text(source: _Source, environ: Mapping[str, str]) -> Search[str]:
    """What is there. Raises SettingError."""
    if source.path is None:
        return environ.get(BY_VARIABLE, "").strip()
    return (yield from text_of(SecretFile(source.path, source.origin, "license key")))
