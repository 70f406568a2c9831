"""The folder of a sandbox's uploads: deleted when it ends, or by the next sandbox if it was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "lalald-sandbox-"
_LOCK = "lock"  # locked while the sandbox runs: the kernel releases it however the process ends
_UPLOADS = "uploads"  # created after the lock: a folder without it belongs to a sandbox that is starting


@contextmanager
def upload_folder(parent: Path | None) -> Iterator[Path]:
    """Create a folder in `parent`, or in the system's temporary folder. Raises OSError."""
    place = Path(tempfile.gettempdir()) if parent is None else parent
    _remove_abandoned(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        (folder / _UPLOADS).mkdir()
        yield folder / _UPLOADS
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or in use
            _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.geteuid() and (folder / _UPLOADS).is_dir():
            shutil.rmtree(folder)
    finally:
        os.close(descriptor)
