"""AIFF and AIFF-C with uncompressed sound, by its frames."""

from __future__ import annotations

import struct

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.chunks import chunks
from lalald.media.length import UNKNOWN, Length

_BYTES_PER_SAMPLE = {
    b"NONE": 0,
    b"sowt": 0,
    b"twos": 0,
    b"raw ": 0,
    b"in24": 3,
    b"in32": 4,
    b"42ni": 4,
    b"23ni": 4,
    b"fl32": 4,
    b"FL32": 4,
    b"fl64": 8,
    b"FL64": 8,
    b"ulaw": 1,
    b"ULAW": 1,
    b"alaw": 1,
    b"ALAW": 1,
}  # fmt: skip - 0: as COMM says


def measure(file: BoundedFile, start: int) -> Length:
    """Raises struct.error, EOFError, OverflowError and OSError if the file is of another type."""
    common: tuple[int, float, int] | None = None
    sound: int | None = None
    for chunk in chunks(file, start + 12, ">"):
        if chunk.name == b"COMM":
            common = _common(file.exactly(chunk.start, min(chunk.size, 64)))
        elif chunk.name == b"SSND":
            (offset,) = struct.unpack(">I", file.exactly(chunk.start, 4))
            sound = min(chunk.size, file.size - chunk.start) - 8 - offset
        if common and sound is not None:
            break
    if common is None or sound is None or sound <= 0:
        return UNKNOWN
    frames, rate, block = common
    return Length(
        min(frames, sound // block) / rate
    )  # 0 frames: written to a pipe, and other programs find no sound in it


def _common(body: bytes) -> tuple[int, float, int]:
    """Frames, their rate, and the bytes of one frame. Raises ValueError if the sound is compressed or the figures contradict."""
    channels, frames, bits, exponent, mantissa = struct.unpack_from(">HIHHQ", body)
    compression = body[18:22] or b"NONE"
    width = _BYTES_PER_SAMPLE.get(compression, -1) or (bits + 7) // 8
    rate = mantissa * 2.0 ** (exponent - 16383 - 63)
    if not (channels and 0 < width <= 8 and 1 <= rate <= 10_000_000):
        raise ValueError("no uncompressed sound")
    return frames, rate, channels * width
