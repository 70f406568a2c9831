"""Check the volumes: state and results must not be deleted with the container, and folders must be writable."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lalald.config import Config
from lalald.errors import ConfigError
from lalald.filesystem import disk_errors, mounts

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_ANSWER_SECONDS = 5.0  # a share that hangs must not delay the start: the daemon waits for it
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})

REMEDY = "change its owner to that user on the host, or start with its owner as PUID and PGID, or as --user"
OWN_REMEDY = f"{REMEDY}; a container that starts as root with the capability CHOWN changes the owner itself"
_SILENT_REMEDY = "its disk or server does not answer; lalald uses it as soon as it does"


class Unwritable(NamedTuple):
    """A folder that this process cannot write, the reason, and what to do."""

    folder: Path
    reason: str
    remedy: str


def is_trial(environ: Mapping[str, str]) -> bool:
    """LALALD_EPHEMERAL: everything may be deleted with the container. Raises ConfigError."""
    word = environ.get("LALALD_EPHEMERAL", "").strip().casefold()
    if word in _YES | _NO:
        return word in _YES
    raise ConfigError(f'LALALD_EPHEMERAL: expected 1 or 0, got "{word}"')


def refuse_to_lose_state(state_dir: Path, mountinfo: Path = mounts.MOUNTINFO) -> None:
    """Raise ConfigError if the state would be deleted with the container: paid work would be forgotten, and paid for again."""
    mount = mounts.mount_of(state_dir, mountinfo)
    if mount.point == "/":
        where = f"{state_dir} is inside the container"
    elif mount.kind in _IN_MEMORY:
        where = f"{state_dir} is in memory ({mount.point} is a {mount.kind})"
    else:
        return
    raise ConfigError(
        f"{where}: the record of paid work would be deleted with the container, and the work paid for again",
        hint="mount a folder of the host at /config (docker run -v /path/on/the/host:/config), or LALALD_EPHEMERAL=1 for a trial",
    )


def refuse_to_lose_results(
    config: Config, mountinfo: Path = mounts.MOUNTINFO, seconds: float = _ANSWER_SECONDS
) -> None:
    """Raise ConfigError if an inbox or outbox that exists is part of the container: it would not be visible outside.

    A folder that does not answer within `seconds` is on a mount.
    """

    def inside(folder: Path) -> bool:
        return not _is_absent(folder) and mounts.mount_of(folder, mountinfo).point == "/"

    names = {folder: name for name, folder in _folders(config)}
    for folder, is_inside in _answers(inside, names, seconds):
        if is_inside is True:
            raise ConfigError(
                f"{folder} ({names[folder]}) is inside the container: its files would be deleted with it",
                hint=f"mount a folder of the host there (docker run -v /path/on/the/host:{folder}), or LALALD_EPHEMERAL=1 for a trial",
            )


def unwritable(config: Config, seconds: float = _ANSWER_SECONDS) -> Iterator[Unwritable]:
    """Existing folders that lalald must write but cannot, or that do not answer within `seconds`; not those inside another one."""
    named: list[Path] = []
    folders = dict.fromkeys(folder for _, folder in _written(config))
    for folder, found in _answers(why_unwritable_if_there, folders, seconds):
        reason = (
            Unwritable(folder, f"it has not answered for {seconds:g} s", _SILENT_REMEDY) if found is _SILENT else found
        )
        if isinstance(reason, Unwritable) and not any(reason.folder.is_relative_to(parent) for parent in named):
            named.append(reason.folder)
            yield reason


def why_unwritable(folder: Path, remedy: str = REMEDY) -> Unwritable | None:
    """`uid 1026, gid 100 may not write it: it belongs to 0:0, mode 755`; None where it can be written. Raises nothing."""
    try:
        if os.access(f"{folder}/.", os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            return None
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return Unwritable(folder, "it is mounted read-only", "mount it without :ro")
        facts = folder.stat()
    except PermissionError:
        return _closed(folder, remedy)
    except OSError as error:
        return Unwritable(folder, error.strerror or str(error), disk_errors.hint_for(error))
    if not stat.S_ISDIR(facts.st_mode):
        return Unwritable(folder, "it is not a folder", "mount a folder of the host there")
    return _refused(folder, facts, "write", remedy)


def why_unwritable_if_there(folder: Path, remedy: str = REMEDY) -> Unwritable | None:
    """As `why_unwritable`; None if the folder does not exist."""
    return None if _is_absent(folder) else why_unwritable(folder, remedy)


def _closed(folder: Path, remedy: str) -> Unwritable:
    """Which folder above it this process may not enter."""
    for above in reversed(folder.parents):
        try:
            if not os.access(above, os.X_OK, effective_ids=True):
                return _refused(above, above.stat(), "enter", remedy)
        except OSError:
            break
    return Unwritable(folder, os.strerror(errno.EACCES), remedy)


def _refused(folder: Path, facts: os.stat_result, act: str, remedy: str) -> Unwritable:
    user, owner = f"uid {os.geteuid()}, gid {os.getegid()}", f"{facts.st_uid}:{facts.st_gid}"
    reason = f"{user} may not {act} it: it belongs to {owner}, mode {facts.st_mode & 0o7777:o}"
    return Unwritable(folder, reason, remedy)


def _is_absent(folder: Path) -> bool:
    """Whether the folder does not exist. After another error it may: the folder above may be closed, or its disk may fail."""
    try:
        folder.stat()
    except OSError as error:
        return error.errno in _ABSENT
    return False


_SILENT = object()


def _answers(check: Callable[[Path], object], folders: Iterable[Path], seconds: float) -> Iterator[tuple[Path, object]]:
    """Each folder with what `check` returned for it, in order; `_SILENT` if it has not returned within `seconds`.

    A thread that waits for a dead share cannot be stopped; it ends with the process.
    """
    found: dict[Path, object] = {}

    def answer(folder: Path) -> None:
        found[folder] = check(folder)

    threads = {folder: threading.Thread(target=answer, args=(folder,), daemon=True) for folder in folders}
    deadline = time.monotonic() + seconds
    for thread in threads.values():
        thread.start()
    for folder, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        yield folder, found.get(folder, _SILENT)


def _folders(config: Config) -> Iterator[tuple[str, Path]]:
    for inbox in config.inboxes:
        yield "an inbox", inbox.path
        yield "an outbox", inbox.outbox
        if inbox.on_success == "move":
            yield "a done_dir", inbox.done_dir
        if inbox.on_failure == "move":
            yield "a failed_dir", inbox.failed_dir


def _written(config: Config) -> Iterator[tuple[str, Path]]:
    """All folders except inboxes from which nothing is ever moved."""
    kept = {inbox.path for inbox in config.inboxes if inbox.on_success == "keep" and inbox.on_failure == "keep"}
    yield from (found for found in _folders(config) if found[1] not in kept)
