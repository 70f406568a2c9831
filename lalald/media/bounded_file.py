"""Give parsers of untrusted files a limited number of reads and bytes, in constant memory."""

from __future__ import annotations

import errno
import os

# More than any real header has, cover art included, and enough to follow the frames of an hour of MP3.
_MAX_BYTES_READ = 64 * 1024 * 1024
_MAX_READS = 200_000
_PIECE_BYTES = 8192


class BoundedFile:
    """Limited reads of one open file. Raises OSError once more was read than a real file needs.

    Reads are buffered, since a parser goes back and forth within a header.
    """

    def __init__(self, descriptor: int, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._descriptor = descriptor
        self._position = 0
        self._piece = b""
        self._piece_at = 0
        self._bytes_left = _MAX_BYTES_READ
        self._reads_left = _MAX_READS

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer at the end of the file."""
        expected = max(0, min(count, self.size - offset))
        start = offset - self._piece_at
        if start < 0 or start + expected > len(self._piece):
            wanted = max(expected, _PIECE_BYTES)
            self._spend(wanted)
            self._piece = os.pread(self._descriptor, wanted, offset)
            self._piece_at, start = offset, 0
        else:
            self._spend(0)
        return self._piece[start : start + expected]

    def _spend(self, count: int) -> None:
        self._reads_left -= 1
        self._bytes_left -= count
        if self._bytes_left < 0 or self._reads_left < 0:
            raise OSError(errno.EFBIG, "this header is longer than any real one")

    def exactly(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`. Raises EOFError if the file is shorter."""
        found = self.read_at(offset, count)
        if len(found) < count:
            raise EOFError
        return found

    def read(self, size: int = -1) -> bytes:
        found = self.read_at(self._position, self.size if size < 0 else size)
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = position
        return position

    def tell(self) -> int:
        return self._position
