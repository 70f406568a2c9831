"""MPEG program and transport streams, which do not state their length: a lower bound by the highest bit rate."""

from __future__ import annotations

from collections.abc import Callable

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length

_MAX_BITS_PER_SECOND = 300_000_000  # MPEG-2 4:2:2 at its high level; no transport stream on a disk has more


def reader(head: bytes) -> Callable[[BoundedFile, int], Length] | None:
    """The reader for these first bytes: a pack, a video sequence, or a transport packet, with or without a time code (m2ts)."""
    is_stream = head[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\1\xbb") or head[:1] == b"\x47" or head[4:5] == b"\x47"
    return _measure if is_stream else None


def _measure(file: BoundedFile, start: int) -> Length:
    return UNKNOWN._replace(at_least=(file.size - start) * 8 / _MAX_BITS_PER_SECOND)
