"""What lies on no volume dies with the container; what cannot be written is told with its folder and the user."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lalald import mounts
from lalald.config import Config
from lalald.errors import ConfigError

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


REMEDY = "give it to that user on the host, or start with its owner as PUID and PGID, or as --user"


class Unwritable(NamedTuple):
    """A folder that this process cannot write, why, and what to do about it."""

    folder: Path
    reason: str
    remedy: str


def is_trial(environ: Mapping[str, str]) -> bool:
    """LALALD_EPHEMERAL: everything may die with the container. Raises ConfigError."""
    word = environ.get("LALALD_EPHEMERAL", "").strip().casefold()
    if word in _YES | _NO:
        return word in _YES
    raise ConfigError(f'LALALD_EPHEMERAL: expected 1 or 0, got "{word}"')


def refuse_to_lose_state(state_dir: Path, mountinfo: Path = mounts.MOUNTINFO) -> None:
    """Raises ConfigError where the state would die with the container: paid work would be forgotten, and paid for again."""
    mount = mounts.mount_of(state_dir, mountinfo)
    if mount.point == "/":
        where = f"{state_dir} lies in the container itself"
    elif mount.kind in _IN_MEMORY:
        where = f"{state_dir} lies in memory ({mount.point} is a {mount.kind})"
    else:
        return
    raise ConfigError(
        f"{where}: what lalald knows of paid work would die with the container, and be paid for again",
        hint="mount a folder of the host at /config (docker run -v /path/on/the/host:/config), or LALALD_EPHEMERAL=1 for a trial",
    )


def refuse_to_lose_results(config: Config, mountinfo: Path = mounts.MOUNTINFO) -> None:
    """Raises ConfigError where an inbox or outbox that is there is part of the container: nobody outside would ever see it."""
    for name, folder in _folders(config):
        if folder.is_dir() and mounts.mount_of(folder, mountinfo).point == "/":
            raise ConfigError(
                f"{folder} ({name}) lies in the container itself: its files would die with the container",
                hint=f"mount a folder of the host there (docker run -v /path/on/the/host:{folder}), or LALALD_EPHEMERAL=1 for a trial",
            )


def unwritable(config: Config) -> Iterator[Unwritable]:
    """Folders that are there and that lalald needs to write, but cannot."""
    for _, folder in dict.fromkeys(_written(config)):
        if folder.is_dir() and (found := why_unwritable(folder)):
            yield found


def why_unwritable(folder: Path) -> Unwritable | None:
    """`uid 1026, gid 100 may not write it: it belongs to 0:0, mode 755`; None where it can be written."""
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return None
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return Unwritable(folder, "it is mounted read-only", "mount it without :ro")
    facts = folder.stat()
    who, owner = f"uid {os.geteuid()}, gid {os.getegid()}", f"{facts.st_uid}:{facts.st_gid}"
    reason = f"{who} may not write it: it belongs to {owner}, mode {facts.st_mode & 0o7777:o}"
    return Unwritable(folder, reason, REMEDY)


def _folders(config: Config) -> Iterator[tuple[str, Path]]:
    for inbox in config.inboxes:
        yield "an inbox", inbox.path
        yield "an outbox", inbox.outbox
        if inbox.on_success == "move":
            yield "a done_dir", inbox.done_dir
        if inbox.on_failure == "move":
            yield "a failed_dir", inbox.failed_dir


def _written(config: Config) -> Iterator[tuple[str, Path]]:
    """All of them, but an inbox from which nothing is ever moved."""
    kept = {inbox.path for inbox in config.inboxes if inbox.on_success == "keep" and inbox.on_failure == "keep"}
    yield from (found for found in _folders(config) if found[1] not in kept)
