"""The user of the container's process: PUID, PGID and UMASK, as images for a NAS have them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from lalald.errors import ConfigError

DEFAULT_ID = 1000
_HIGHEST_ID = 2**32 - 2  # one above stands for "leave as it is"


def become(environ: Mapping[str, str], owned_folders: Iterable[Path] = ()) -> None:
    """Change from root to PUID and PGID, and set UMASK. A process that is not root keeps its user.

    `owned_folders`, and the files directly in them, are given to that user if root is allowed to. Additional groups (`group_add`) are
    kept. Raises ConfigError if a variable is not such a number, or the container may not change its user.
    """
    mask = _number("UMASK", environ, 0o022, base=8, highest=0o777)
    user, group = _number("PUID", environ, DEFAULT_ID), _number("PGID", environ, DEFAULT_ID)
    os.umask(mask)
    if os.geteuid() != 0 or user == 0:  # PUID=0: in a rootless engine, root is the user who started it
        return
    _give(list(owned_folders), user, group)
    try:
        os.setgroups([added for added in os.getgroups() if added != 0])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except PermissionError as error:
        raise ConfigError(
            f"started as root, but not allowed to become uid {user}, gid {group}",
            hint=f"add the capabilities SETUID and SETGID, or start as that user (docker run --user {user}:{group})",
        ) from error


def _give(folders: list[Path], user: int, group: int) -> None:
    """Give the folders and the files in them to the user. A failure is reported later, when a folder cannot be written.

    Without the capability DAC_OVERRIDE, root may not enter a folder that another user has closed: with CHOWN it becomes the owner
    first. The next start completes one that is interrupted there.
    """
    for folder in folders:
        with suppress(OSError):
            if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
                os.lchown(folder, os.geteuid(), os.getegid())
    for folder in reversed(folders):  # the innermost first: without the outer one root may not enter it
        with suppress(OSError):
            for entry in list(os.scandir(folder)):
                if not entry.is_dir(follow_symlinks=False):
                    _own(Path(entry), user, group)
        _own(folder, user, group)


def _own(path: Path, user: int, group: int) -> None:
    with suppress(OSError):
        facts = path.lstat()
        if (facts.st_uid, facts.st_gid) != (user, group):
            os.lchown(path, user, group)


def _number(
    variable: str, environ: Mapping[str, str], default: int, *, base: int = 10, highest: int = _HIGHEST_ID
) -> int:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    example = "022" if base == 8 else str(DEFAULT_ID)
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f'{variable}: expected a number such as {example}, got "{text}"')
    try:
        number = int(text, base)
    except ValueError:
        number = highest + 1
    if number > highest:
        raise ConfigError(f'{variable}: expected a number such as {example}, got "{text}"')
    return number
