"""One part of a file, as a Range header asks for it (RFC 9110)."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*")
_MOST_DIGITS = 18


class ByteRange(NamedTuple):
    """From the first byte up to, and without, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class UnsatisfiableRangeError(ValueError):
    """It begins behind the end."""


def wanted_range(header: str | None, size: int) -> ByteRange | None:
    """None where the whole file is requested, or by a header that means nothing, or several parts.

    Raises UnsatisfiableRangeError.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or max(map(len, found.groups())) > _MOST_DIGITS:
        return None
    first, last = found.groups()
    if not first:
        return _suffix(int(last), size) if last else None
    start, end = int(first), int(last) + 1 if last else size
    if last and end <= start:
        return None
    if start >= size:
        raise UnsatisfiableRangeError
    return ByteRange(start, min(end, size))


def _suffix(count: int, size: int) -> ByteRange:
    if count == 0 or size == 0:
        raise UnsatisfiableRangeError
    return ByteRange(max(0, size - count), size)
