"""MPEG audio (MP1, MP2, MP3): the Xing or VBRI header if it fits the file, else a constant bit rate."""

from __future__ import annotations

import struct
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.tag_blocks import end_of_audio
from lalald.media.length import UNKNOWN, Length, agrees

_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the header's version bits
_MAX_JUNK_BYTES = 64 * 1024  # before the first frame
_FRAMES_IN_A_ROW = 4
_PIECE_BYTES = 256 * 1024
_MAX_FOLLOWED_BYTES = 32 * 1024 * 1024  # 35 minutes at 128 kbit/s: of more, samples are followed
_SAMPLES = 256
_SAMPLE_BYTES = 64 * 1024


class _Frame(NamedTuple):
    version: int  # 1 or 2; 2.5 counts as 2
    layer: int
    rate: int
    bits: int  # per second
    samples: int
    length: int  # bytes, its padding included
    unpadded: int
    slot: int  # bytes that padding adds
    is_mono: bool


def measure(file: BoundedFile, start: int) -> Length:
    """Raises OSError if a malicious file would be read without end."""
    end = end_of_audio(file, start)
    first_at = _first_frame(file, start, end)
    if first_at is None:
        return UNKNOWN
    frame = _frame(file.read_at(first_at, 4))
    assert frame is not None  # noqa: S101 - `_first_frame` guarantees it
    at_least = (end - first_at) * 8 / (_KBITS[frame.version, frame.layer][-1] * 1000)
    headed = _by_header(file, first_at, end, frame)
    return Length(_at_constant_rate(file, first_at, end) if headed is None else headed, at_least)


def _first_frame(file: BoundedFile, start: int, end: int) -> int | None:
    """The start of the first of several consecutive frames: a single sync word may be a coincidence."""
    head = file.read_at(start, min(_MAX_JUNK_BYTES, end - start))
    place = -1
    while (place := head.find(b"\xff", place + 1)) >= 0:
        if are_frames(file, start + place, end):
            return start + place
    return None


def are_frames(file: BoundedFile, place: int, end: int) -> bool:
    """Whether several consecutive frames of one kind start at `place`; fewer where the sound ends before."""
    kind = None
    for _ in range(_FRAMES_IN_A_ROW):
        frame = _frame(file.read_at(place, 4))
        if frame is None or kind not in (None, (frame.version, frame.layer, frame.rate)):
            return False
        kind = frame.version, frame.layer, frame.rate
        place += frame.length
        if place >= end:
            return True
    return True


def _frame(header: bytes) -> _Frame | None:
    """A parsed frame header. None if it is invalid, or of free format, which does not state its length."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version_bits, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bits_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version_bits == 1 or layer == 4 or bits_index in (0, 15) or rate_index == 3:
        return None
    version = 1 if version_bits == 3 else 2
    rate = _RATES[version_bits][rate_index]
    bits = _KBITS[version, layer][bits_index - 1] * 1000
    samples = 384 if layer == 1 else 576 if layer == 3 and version == 2 else 1152
    slot = 4 if layer == 1 else 1
    unpadded = samples // 8 // slot * bits // rate * slot
    padding = slot if header[2] & 2 else 0
    return _Frame(version, layer, rate, bits, samples, unpadded + padding, unpadded, slot, header[3] >> 6 == 3)


def _by_header(file: BoundedFile, place: int, end: int, frame: _Frame) -> float | None:
    """Seconds by a Xing, Info or VBRI header whose byte count matches the file; another count means that the file was cut."""
    found = _xing(file, place, frame) or _vbri(file, place)
    if found is None:
        return None
    frames, count, trimmed = found
    if not frames or not agrees(count, end - place, slack=2 * frame.length):
        return None
    return max(0, frames * frame.samples - trimmed) / frame.rate


def _xing(file: BoundedFile, place: int, frame: _Frame) -> tuple[int, int, int] | None:
    """Frames, bytes, and samples that the encoder added at both ends."""
    side = (17 if frame.is_mono else 32) if frame.version == 1 else (9 if frame.is_mono else 17)
    header = file.read_at(place + 4 + side, 156)
    if header[:4] not in (b"Xing", b"Info") or len(header) < 156 or header[7] & 3 != 3:
        return None
    frames, count = struct.unpack_from(">II", header, 8)
    trimmed = 0
    if header[7] & 0x0F == 0x0F and header[120:124] in (b"LAME", b"Lavf", b"Lavc"):
        trimmed = (header[141] << 4 | header[142] >> 4) + ((header[142] & 0x0F) << 8 | header[143])
    return frames, count, trimmed


def _vbri(file: BoundedFile, place: int) -> tuple[int, int, int] | None:
    header = file.read_at(place + 4 + 32, 18)
    if header[:4] != b"VBRI" or len(header) < 18:
        return None
    count, frames = struct.unpack_from(">II", header, 10)
    return frames, count, 0


def _at_constant_rate(file: BoundedFile, first_at: int, end: int) -> float | None:
    """Seconds, if every examined frame has the same bit rate: all frames, or many samples of a large file."""
    first = _frame(file.read_at(first_at, 4))
    assert first is not None  # noqa: S101 - frames are followed from one that was found
    if _is_header_frame(file, first_at, first):
        first_at += first.length  # its bit rate is chosen to hold the header
        first = _frame(file.read_at(first_at, 4))
        if first is None:
            return None
    wanted = file.read_at(first_at, 4)
    if end - first_at <= _MAX_FOLLOWED_BYTES:
        stop, frames = _follow(file, first_at, end, wanted, first)
        return frames * first.samples / first.rate if _is_tail(end - stop, end - first_at, first) else None
    step = (end - first_at - _SAMPLE_BYTES) // (_SAMPLES - 1)
    for number in range(_SAMPLES):
        if not _sample_is_constant(file, first_at + number * step, wanted, first):
            return None
    return (end - first_at) * 8 / first.bits


def _is_header_frame(file: BoundedFile, place: int, frame: _Frame) -> bool:
    side = (17 if frame.is_mono else 32) if frame.version == 1 else (9 if frame.is_mono else 17)
    return file.read_at(place + 4 + side, 4) in (b"Xing", b"Info") or file.read_at(place + 36, 4) == b"VBRI"


def _is_tail(left: int, whole: int, frame: _Frame) -> bool:
    """Whether the rest after the last frame is a cut frame or negligible."""
    return left <= max(frame.length + frame.slot, whole // 200)


def _follow(file: BoundedFile, place: int, end: int, wanted: bytes, frame: _Frame) -> tuple[int, int]:
    """Where the frames of the given kind end, and how many there are."""
    frames = 0
    while place < end:
        piece = file.read_at(place, min(_PIECE_BYTES, end - place))
        at, count = _follow_within(piece, 0, wanted, frame)
        place, frames = place + at, frames + count
        if at < len(piece) - 3 or not count:
            break
    return min(place, end), frames


def _follow_within(piece: bytes, place: int, wanted: bytes, frame: _Frame) -> tuple[int, int]:
    second, third = wanted[1] & 0xFE, wanted[2] & 0xFC
    unpadded, slot, frames, last = frame.unpadded, frame.slot, 0, len(piece) - 3
    while place < last:
        flags = piece[place + 2]
        if piece[place] != 0xFF or piece[place + 1] & 0xFE != second or flags & 0xFC != third:
            break
        place += unpadded + (flags >> 1 & 1) * slot
        frames += 1
    return place, frames


def _sample_is_constant(file: BoundedFile, place: int, wanted: bytes, frame: _Frame) -> bool:
    """Whether only frames of the given kind follow from an offset within the stream."""
    piece = file.read_at(place, _SAMPLE_BYTES)
    for start in range(frame.length + frame.slot + 1):
        at, frames = _follow_within(piece, start, wanted, frame)
        if frames >= _FRAMES_IN_A_ROW:
            return at >= len(piece) - 3
    return False
