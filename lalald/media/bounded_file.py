"""Give parsers of untrusted files a limited number of reads and bytes, in constant memory."""

from __future__ import annotations

import errno
import os

# More than any real header has, cover art included, and enough to follow the frames of an hour of MP3.
_MAX_BYTES_READ = 64 * 1024 * 1024
_MAX_READS = 200_000
_PIECE_BYTES = 8192


def is_about_content(error: OSError) -> bool:
    """Whether an error is about what a file says, not about reading it: parsers raise it where a file has more than any real one."""
    return error.errno in (None, errno.EFBIG)


class BoundedFile:
    """Limited reads of one open file. Raises OSError once more was read than a real file needs.

    Reads are buffered, since a parser goes back and forth within a header.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._piece = b""
        self._piece_at = 0
        self._bytes_left = _MAX_BYTES_READ
        self._reads_left = _MAX_READS

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer at the end of the file. Raises ValueError for an offset before its start."""
        if offset < 0:
            raise ValueError("an offset before the start of the file")
        expected = max(0, min(count, self.size - offset))
        start = offset - self._piece_at
        if not expected:
            self._spend(0)  # without a read: the system may refuse an absurd offset
            return b""
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
