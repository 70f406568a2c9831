"""Bytes that can be read at any offset: parts of a file, scattered parts, and what is encoded in them. Constant memory."""

from __future__ import annotations

import base64
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from lalald.media.tags.tag_model import Range

COPIED_AT_ONCE_BYTES = 48 * 1024  # whole groups of base64


class Readable(Protocol):
    """`BoundedFile`, and each class here."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, count: int) -> bytes: ...


class Region:
    """A part of another one. What reaches beyond its end is cut off."""

    def __init__(self, of: Readable, start: int, size: int) -> None:
        self._of = of
        self.start = start
        self.size = max(0, min(size, of.size - start))

    def read_at(self, offset: int, count: int) -> bytes:
        return self._of.read_at(self.start + offset, max(0, min(count, self.size - offset)))


class Scattered:
    """Parts that follow each other in sense, not in place, as the packets of Ogg in its pages."""

    def __init__(self, of: Readable, parts: Sequence[tuple[int, int]]) -> None:
        """`parts`: start and size of each."""
        self._of = of
        self._parts = parts
        self._starts = []
        self.size = 0
        for _, size in parts:
            self._starts.append(self.size)
            self.size += size

    def read_at(self, offset: int, count: int) -> bytes:
        found = bytearray()
        count = max(0, min(count, self.size - offset))
        place = bisect_right(self._starts, offset) - 1
        while len(found) < count:
            within = offset + len(found) - self._starts[place]
            start, size = self._parts[place]
            wanted = min(size - within, count - len(found))
            part = self._of.read_at(start + within, wanted)
            found += part
            if len(part) < wanted:
                break  # the file ends before its header says so
            place += 1
        return bytes(found)


class Base64:
    """What is encoded in base64, without line breaks. Reading raises ValueError where it is not that."""

    def __init__(self, of: Readable) -> None:
        self._of = of
        end = of.read_at(max(0, of.size - 2), 2)
        self.size = of.size // 4 * 3 - (len(end) - len(end.rstrip(b"=")))

    def read_at(self, offset: int, count: int) -> bytes:
        count = max(0, min(count, self.size - offset))
        start, end = offset // 3, -(-(offset + count) // 3)
        decoded = base64.b64decode(self._of.read_at(start * 4, (end - start) * 4), validate=True)
        return decoded[offset - start * 3 :][:count]


class Spool:
    """A temporary file that keeps large parts of a source at hand, made when there is something to keep."""

    def __init__(self, make: Callable[[], int]) -> None:
        """`make` opens a file that has no name, and returns its descriptor. It is closed once nothing refers to the spool."""
        self._make = make
        self._descriptor = -1
        self.size = 0

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(count, self.size - offset)), offset)

    def add(self, parts: Iterable[bytes]) -> Range:
        """Raises OSError."""
        if self._descriptor < 0:
            self._descriptor = self._make()
        start = self.size
        for part in parts:
            left = memoryview(part)
            while left:
                written = os.pwrite(self._descriptor, left, self.size)
                self.size += written
                left = left[written:]
        return Range(self._descriptor, start, self.size - start, self)

    def keep(self, region: Readable) -> Range:
        """A copy of it. Raises OSError, and EOFError where it ends early."""
        kept = self.add(parts_of(region))
        if kept.size != region.size:
            raise EOFError
        return kept


class _File:
    """A range of an open file."""

    def __init__(self, of: Range) -> None:
        self._range = of
        self.size = of.size

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._range.descriptor, max(0, min(count, self.size - offset)), self._range.start + offset)


def region_of(kept: Range) -> Readable:
    return _File(kept)


def parts_of(region: Readable) -> Iterator[bytes]:
    """All of it, a part at a time."""
    offset = 0
    while part := region.read_at(offset, COPIED_AT_ONCE_BYTES):
        offset += len(part)
        yield part


def exactly(region: Readable, offset: int, count: int) -> bytes:
    """Raises EOFError where the region is shorter."""
    found = region.read_at(offset, count)
    if len(found) < count:
        raise EOFError
    return found
