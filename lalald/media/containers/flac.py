"""FLAC: the sample count in STREAMINFO, if the last frame agrees with it."""

from __future__ import annotations

from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length, agrees

_STREAMINFO_BYTES = 34
_LEAST_TAIL_BYTES = 64 * 1024
_MAX_TAIL_BYTES = 1024 * 1024


class _StreamInfo(NamedTuple):
    blocksize: int
    frame_bytes: int  # of the largest frame; 0: not stated
    rate: int
    samples: int


def measure(file: BoundedFile, start: int) -> Length:
    """Raises EOFError if the file is of another type."""
    if file.exactly(start + 4, 1)[0] & 0x7F != 0:
        return UNKNOWN  # the first block must be STREAMINFO
    info = _stream_info(file.exactly(start + 8, _STREAMINFO_BYTES))
    if not info.rate or not info.samples:
        return UNKNOWN
    last = _last_sample(file, start + 8 + _STREAMINFO_BYTES, info)
    if last is None or last > info.samples or not agrees(last, info.samples, slack=info.blocksize):
        return UNKNOWN
    return Length(info.samples / info.rate)


def _stream_info(block: bytes) -> _StreamInfo:
    return _StreamInfo(
        blocksize=int.from_bytes(block[2:4]),
        frame_bytes=int.from_bytes(block[7:10]),
        rate=int.from_bytes(block[10:13]) >> 4,
        samples=int.from_bytes(block[13:18]) & (1 << 36) - 1,
    )


def _last_sample(file: BoundedFile, start: int, info: _StreamInfo) -> int | None:
    """The number of the sample at which the last frame in the file starts."""
    tail_at = max(start, file.size - min(max(4 * info.frame_bytes, _LEAST_TAIL_BYTES), _MAX_TAIL_BYTES))
    tail = file.read_at(tail_at, file.size - tail_at)
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        number = _frame_number(tail[place : place + 16])
        if number is not None:
            return number if tail[place + 1] & 1 else number * info.blocksize
    return None


def _frame_number(header: bytes) -> int | None:
    """The frame or sample number in a frame header; None if its checksum is wrong."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[2] >> 4 == 0 or header[2] & 0x0F == 0x0F or header[3] & 1:
        return None
    length = max(1, next((bit for bit in range(8) if not header[4] & (0x80 >> bit)), 8))
    if length == 8 or (length == 1 and header[4] & 0x80):
        return None
    number = header[4] & (0x7F >> (length if length > 1 else 0))
    for byte in header[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    end = 4 + length + {6: 1, 7: 2}.get(header[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(header[2] & 0x0F, 0)
    return number if len(header) > end and _crc8(header[:end]) == header[end] else None


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
