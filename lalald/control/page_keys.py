"""The keys of the page's sessions: a file of the state folder that only lalald's user can read.

`salt` turns the password into what is compared, `session` signs sessions. "Log out everywhere" replaces the second one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lalald.errors import FileError
from lalald.filesystem.disk_errors import hint_for

FILE_NAME = "web-key"
_KEY_BYTES = 32
_SCRYPT = {"n": 1 << 12, "r": 8, "p": 1}  # 4 MiB and about 10 ms for each try


@dataclass(frozen=True, slots=True)
class PageKeys:
    """`salt` stays for good: another one would end every session, as another password does."""

    salt: bytes
    session: bytes


def load(state_dir: Path) -> PageKeys:
    """The keys, made where there are none. Raises FileError."""
    path = state_dir / FILE_NAME
    try:
        with suppress(FileNotFoundError):
            return _read(path)
        _write(path, PageKeys(os.urandom(_KEY_BYTES), os.urandom(_KEY_BYTES)), replaces=False)
        return _read(path)  # another process may have been quicker
    except OSError as error:
        raise FileError(f"{path} cannot be used: {error.strerror}.", hint=hint_for(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        hint = "It holds the keys of the page's sessions. Remove it: every user must then log in again."
        raise FileError(f"{path} is damaged.", hint=hint) from error


def replace_session_key(state_dir: Path) -> PageKeys:
    """Ends every session. Raises FileError."""
    keys = PageKeys(load(state_dir).salt, os.urandom(_KEY_BYTES))
    try:
        _write(state_dir / FILE_NAME, keys, replaces=True)
    except OSError as error:
        raise FileError(f"{state_dir / FILE_NAME} cannot be written: {error.strerror}.") from error
    return keys


def stamp(state_dir: Path) -> tuple[int, int] | None:
    """Another one after each change of the keys."""
    try:
        facts = os.stat(state_dir / FILE_NAME)
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def verifier(password: str, salt: bytes) -> bytes:
    """What a password is compared by: the page's process never holds the password itself."""
    return hashlib.scrypt(password.encode("utf-8", "surrogateescape"), salt=salt, dklen=_KEY_BYTES, **_SCRYPT)


def signing_key(keys: PageKeys, password_verifier: bytes) -> bytes:
    """What sessions are signed with: they end when the password changes."""
    return hmac.digest(keys.session, b"session\0" + password_verifier, "sha256")


def _read(path: Path) -> PageKeys:
    facts = json.loads(path.read_text(encoding="ascii"))
    keys = PageKeys(bytes.fromhex(facts["salt"]), bytes.fromhex(facts["session"]))
    if len(keys.salt) < _KEY_BYTES or len(keys.session) < _KEY_BYTES:
        raise ValueError("its keys are too short")
    return keys


def _write(path: Path, keys: PageKeys, *, replaces: bool) -> None:
    """Write atomically and durably: a key lost in a power cut would log out every user."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        making.unlink()
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump({"salt": keys.salt.hex(), "session": keys.session.hex()}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        if replaces:
            making.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(making, path, follow_symlinks=False)
    finally:
        with suppress(FileNotFoundError):
            making.unlink()
