"""MPEG program and transport streams: their length is nowhere stated. Only a lower bound is known."""

from __future__ import annotations

from collections.abc import Callable

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length

_MOST_BITS_A_SECOND = 300_000_000  # MPEG-2 4:2:2 at its high level; no transport stream on a disk has more


def reader(head: bytes) -> Callable[[BoundedFile, int], Length] | None:
    """By the first bytes: a pack, a video sequence, a transport packet, one with a time code before it (m2ts)."""
    is_stream = head[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\1\xbb") or head[:1] == b"\x47" or head[4:5] == b"\x47"
    return _measure if is_stream else None


def _measure(file: BoundedFile, start: int) -> Length:
    return UNKNOWN._replace(at_least=(file.size - start) * 8 / _MOST_BITS_A_SECOND)
