"""Write large files so that little is left for the final fsync, and copy files durably."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from io import FileIO

from lalald.filesystem.files import CrashPoint, no_crash_point, sync_file

_CHUNK_BYTES = 1024 * 1024
_FLUSH_BYTES = 8 * 1024 * 1024


class Writeback:
    """Start writing a growing file to its disk early, so that the final fsync has little left to do.

    posix_fadvise(2), DONTNEED: Linux begins to write dirty pages, and does not wait for them.
    """

    def __init__(self, descriptor: int, size: int = 0) -> None:
        self._descriptor = descriptor
        self._begun = size

    def grown(self, size: int) -> None:
        """Tell that the file now has this many bytes."""
        fresh_bytes = size - self._begun
        if fresh_bytes < _FLUSH_BYTES:
            return
        with suppress(OSError):  # it is advice
            os.posix_fadvise(self._descriptor, self._begun, fresh_bytes, os.POSIX_FADV_DONTNEED)
        self._begun = size


def copy_durably(source: str, target: str, crash_point: CrashPoint = no_crash_point) -> str:
    """Copy the bytes of a file into a new one under a hidden name, durable when this returns. Returns their SHA-256.

    The copy's mode follows the umask; owner, mode and attributes are not copied.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    with _opened(source, os.O_RDONLY) as reading, _opened(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as writing:
        writeback = Writeback(writing.fileno())
        while count := reading.readinto(buffer):
            digest.update(buffer[:count])
            left = buffer[:count]
            while left:
                left = left[writing.write(left) :]
            writeback.grown(writing.tell())
            crash_point("some copied")
        sync_file(writing.fileno())
    return digest.hexdigest()


def _opened(path: str, flags: int) -> FileIO:
    """Open without following a symlink. A new file's mode follows the umask."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return FileIO(descriptor, "r" if flags == os.O_RDONLY else "w")
