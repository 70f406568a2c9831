"""Ogg with Vorbis, Opus, FLAC or Speex: from a first page near 0 to the last one, by walking all pages.

A stream that was recorded in its middle starts far from 0, and one that was chained starts over: their length is unknown.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length

_MAX_PAGES = 60_000
_NO_POSITION = -1
_FIRST_OF_STREAM = 2
_OPUS_RATE = 48_000
_OPUS_FRAMES = (
    (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
)  # samples at 48 kHz, by configuration
_TRAILING_BYTES = 1024


class _Page(NamedTuple):
    flags: int
    position: int
    serial: int
    lacing: bytes  # lengths of packets, in parts of up to 255
    body: int
    end: int


class _Sound(NamedTuple):
    serial: int
    rate: int
    most_samples: int  # in one packet; 0: each Opus packet says it
    lead_in: int  # samples that are decoded but not played


def measure(file: BoundedFile, start: int) -> Length:
    """Raises struct.error, EOFError, ValueError and OSError if the file is of another type."""
    sound: _Sound | None = None
    first_end, last, is_under_way = None, None, False
    for _ in range(_MAX_PAGES):
        page = _page(file, start)
        if page is None:
            break
        if page.flags & _FIRST_OF_STREAM:
            if is_under_way:
                return UNKNOWN
            sound = sound or _sound(page.serial, file.read_at(page.body, 80))
        else:
            is_under_way = True
            if sound is not None and page.serial == sound.serial and page.position not in (0, _NO_POSITION):
                last = page.position
                if first_end is None:
                    first_end = page.position
                    if not _is_near_start(file, page, sound):
                        return UNKNOWN
        start = page.end
    if sound is None or last is None or file.size - start > max(_TRAILING_BYTES, 65_307):
        return UNKNOWN
    return Length((last - sound.lead_in) / sound.rate)


def _page(file: BoundedFile, start: int) -> _Page | None:
    """The page that starts there; None at the end, or if it is cut or invalid."""
    header = file.read_at(start, 27)
    if len(header) < 27 or header[:5] != b"OggS\0":
        return None
    flags, position, serial = struct.unpack_from("<BqI", header, 5)
    lengths = file.read_at(start + 27, header[26])
    body = start + 27 + header[26]
    end = body + sum(lengths)
    if len(lengths) < header[26] or end > file.size:
        return None
    return _Page(flags, position, serial, lengths, body, end)


def _sound(serial: int, packet: bytes) -> _Sound | None:
    """The properties in the first packet of a sound stream; None for other streams."""
    if packet[:7] == b"\x01vorbis":
        (rate,) = struct.unpack_from("<I", packet, 12)
        return _Sound(serial, rate, 1 << (packet[28] >> 4), 0)
    if packet[:8] == b"OpusHead":
        (lead_in,) = struct.unpack_from("<H", packet, 10)
        return _Sound(serial, _OPUS_RATE, 0, lead_in)
    if packet[:5] == b"\x7fFLAC":
        info = packet[17:]
        most, rate = struct.unpack_from(">H", info, 2)[0], int.from_bytes(info[10:13]) >> 4
        return _Sound(serial, rate, most, 0)
    if packet[:8] == b"Speex   ":
        rate, frame, frames = (struct.unpack_from("<I", packet, at)[0] for at in (36, 56, 64))
        return _Sound(serial, rate, frame * max(1, frames), 0)
    return None


def _is_near_start(file: BoundedFile, page: _Page, sound: _Sound) -> bool:
    """Whether the first page with sound ends no later than its own packets reach."""
    if sound.most_samples:
        packets = sum(length < 255 for length in page.lacing)
        return page.position <= (packets + 1) * sound.most_samples
    return page.position <= _opus_samples(file, page) + _OPUS_RATE // 10


def _opus_samples(file: BoundedFile, page: _Page) -> int:
    samples, place, is_start = 0, page.body, True
    for length in page.lacing:
        if is_start and length:
            first, second = file.read_at(place, 2).ljust(2, b"\0")
            frames = (1, 2, 2, second & 0x3F)[first & 3]
            samples += _OPUS_FRAMES[first >> 3] * frames
        place += length
        is_start = length < 255
    return samples
