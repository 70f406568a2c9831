"""Find where the tags before and after a stream (ID3, APE, Lyrics3) end and start, without reading their contents."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lalald.media.bounded_file import BoundedFile

_MAX_TAGS = 16


def start_of_audio(file: BoundedFile) -> int:
    """The offset after all ID3v2 tags at the start; some programs write several."""
    start = 0
    for _ in range(_MAX_TAGS):
        header = file.read_at(start, 10)
        if len(header) < 10 or header[:3] != b"ID3":
            break
        start += 10 + _sync_safe(header[6:10]) + (10 if header[5] & 0x10 else 0)
    return start


def end_of_audio(file: BoundedFile, start: int) -> int:
    """The offset at which the tags after the stream start."""
    return min((first for first, _ in tags_behind(file, start)), default=file.size)


def tags_behind(file: BoundedFile, start: int) -> Iterator[tuple[int, int]]:
    """Where each tag after the stream starts and ends, the last one first."""
    end = file.size
    for _ in range(_MAX_TAGS):
        length = _tag_before(file, end)
        if not length or end - length < start:
            break
        yield end - length, end
        end -= length


def _tag_before(file: BoundedFile, end: int) -> int:
    """The size of the tag that ends there, or 0."""
    if file.read_at(max(0, end - 128), 3) == b"TAG":
        return 128
    length, beginning = _by_footer(file.read_at(max(0, end - 32), 32))
    return length if length <= end and file.read_at(end - length, len(beginning)) == beginning else 0


def _by_footer(footer: bytes) -> tuple[int, bytes]:
    """The size of the tag with this end, and how it starts: a damaged size must not reach into the sound."""
    if footer[:8] == b"APETAGEX":
        size, _, flags = struct.unpack_from("<III", footer, 12)
        return (int(size) + 32, b"APETAGEX") if flags & 0x8000_0000 else (int(size), b"")
    if footer[-9:] == b"LYRICS200" and footer[-15:-9].isdigit():
        return int(footer[-15:-9]) + 15, b"LYRICSBEGIN"
    if footer[-10:-7] == b"3DI":
        return _sync_safe(footer[-4:]) + 20, b"ID3"
    return 0, b""


def _sync_safe(digits: bytes) -> int:
    return digits[0] << 21 | digits[1] << 14 | digits[2] << 7 | digits[3]
