"""Read the file of a secret: the license key, the page's password or token.

No message shows its content. A path is shown as far as it exists: the rest may be the secret, written in the place of its file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from lalald.errors import SettingError

LARGEST_FILE_BYTES = 4096
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


def secret_text(path: Path, origin: str, what: str) -> str:
    """The content of a regular file, as text. Raises SettingError, which names the setting `origin`, and says what to do.

    `what` is the secret's name in sentences, such as "license key".
    """
    try:
        content = _content(path, origin, what)
    except IsADirectoryError:
        hint = "Where it is a container's mount, the file was missing on the host."
        raise SettingError(origin, f"{path} is a folder, not a file", hint=hint) from None
    except PermissionError:
        raise SettingError(
            origin,
            f"{_place(path)} cannot be read by user {os.geteuid()}, group {os.getegid()}: {_mode(path)}",
            hint="Let that user read it: `chown` or `chgrp` the file, `chmod 640` it.",
        ) from None
    except OSError as error:
        if error.errno in _ABSENT:
            hint = f"Put the {what} into that file. The setting takes its path, never the {what} itself."
            raise SettingError(origin, _absence(path), hint=hint) from None
        hint = "Check the path, and its disk."
        raise SettingError(origin, f"{_place(path)} cannot be read: {error.strerror}", hint=hint) from None
    if len(content) > LARGEST_FILE_BYTES:
        raise SettingError(origin, f"{path} is too large to be a {what}", hint=f"Put the {what} alone on one line.")
    return _decoded(content, path, origin)


def _content(path: Path, origin: str, what: str) -> bytes:
    """One byte more than allowed, if there is so much. Raises OSError, or SettingError for a pipe or a device."""
    # A pipe that no program writes to would keep a plain open waiting, and with it the daemon's start.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            hint = f"Put the {what} into a regular file: it is read again at every reload."
            raise SettingError(
                origin, f"{path} is a {'pipe' if stat.S_ISFIFO(mode) else 'device'}, not a file", hint=hint
            )
        return file.read(LARGEST_FILE_BYTES + 1)


def _decoded(content: bytes, path: Path, origin: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SettingError(origin, f"{path} is saved as UTF-16, not as plain text", hint="Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingError(origin, f"{path} is not UTF-8 text", hint="Save it as UTF-8.") from None


def _absence(path: Path) -> str:
    if os.path.lexists(path):
        return f"{path} is a link to a file that does not exist"
    return f"there is no such file in {_existing(path)}"


def _place(path: Path) -> str:
    return str(path) if os.path.lexists(path) else f"a file in {_existing(path)}"


def _existing(path: Path) -> Path:
    """The nearest folder above that exists."""
    return next((folder for folder in path.parents if os.path.lexists(folder)), Path("/"))


def _mode(path: Path) -> str:
    """A file's owner and mode, as far as they can be read."""
    try:
        facts = path.stat()
    except OSError:
        return "a folder above it is closed to that user"
    return f"it belongs to user {facts.st_uid}, group {facts.st_gid}, and its mode is {facts.st_mode & 0o7777:04o}"
