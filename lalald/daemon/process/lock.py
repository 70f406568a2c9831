"""One daemon per state folder."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lalald.errors import DaemonError
from lalald.filesystem.disk_errors import hint_for

_NAME = re.compile(rb"[0-9a-f]{16}")


@contextmanager
def only_daemon(state_dir: Path) -> Iterator[str]:
    """Hold the state folder's lock; the kernel releases it however the process ends. Raises DaemonError.

    Yields a name that stays the same from start to start and that the daemon of no other state folder has.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state_dir / "lalald.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = f"{hint_for(error)} Or choose another `state_dir`."
        raise DaemonError(f"the state folder {state_dir} cannot be used: {error.strerror}.", hint=hint) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        hint = "See `lalald status`. To run a second one, give it its own `state_dir`."
        raise DaemonError(f"another lalald is running with the state folder {state_dir}.", hint=hint) from error
    try:
        yield _name(lock)
    finally:
        os.close(lock)


def _name(lock: int) -> str:
    """By what the lock file holds, which is written if it holds nothing, and by its inode: the folder may be copied with it."""
    name = secrets.token_hex(8)
    with suppress(OSError):  # a full disk, or one that fails: another name at the next start
        if found := _NAME.fullmatch(os.pread(lock, 4096, 0)):
            name = found[0].decode()
        else:
            os.pwrite(lock, name.encode(), 0)
            os.ftruncate(lock, len(name))
    return f"{name}-{os.fstat(lock).st_ino:x}"
