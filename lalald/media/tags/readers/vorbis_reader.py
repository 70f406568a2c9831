"""Vorbis comments, of FLAC, Vorbis and Opus, and the pictures of FLAC. Walked in place: large values are never loaded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from lalald.media.tags.fields import field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.regions import Base64, Readable, Region, exactly
from lalald.media.tags.tag_model import Chapter, Omission
from lalald.media.tags.text import MOST_TEXT_BYTES

_MOST_COMMENTS = 4000
_NAME_BYTES = 80
_PICTURE = "metadata_block_picture"
_CHAPTER = re.compile(r"chapter(\d{1,4})(name)?")
_TIME = re.compile(r"(\d{1,4}):(\d\d):(\d\d)(?:\.(\d{1,3}))?")
_VORBIS_COMMENT, _FLAC_PICTURE = 4, 6
_FRAME = 0xFF
OPUS_REFERENCE_DB = 5.0  # R128 gain is towards -23 LUFS, ReplayGain towards -18


def read_flac(file: Readable, start: int, collector: Collector) -> None:
    """`start`: where `fLaC` is. Raises EOFError, OSError, ValueError, struct.error on what is none."""
    for kind, region in flac_blocks(file, start):
        _read_block(kind, region, collector)


def _read_block(kind: int, region: Readable, collector: Collector) -> None:
    if kind == _VORBIS_COMMENT:
        read_comments(region, collector)
    elif kind == _FLAC_PICTURE:
        read_picture(region, collector)


def read_flac_packet(packet: Readable, collector: Collector) -> bool:
    """A metadata block as Ogg has it, in a packet of its own. Whether it is the last one."""
    head = exactly(packet, 0, 1)[0]
    _read_block(head & 0x7F, Region(packet, 4, packet.size), collector)
    return bool(head & 0x80) or head == _FRAME


def flac_blocks(file: Readable, start: int) -> Iterator[tuple[int, Region]]:
    """The metadata blocks, each with its kind."""
    offset, is_last = start + 4, False
    while not is_last:
        head = exactly(file, offset, 4)
        size, is_last = int.from_bytes(head[1:]), bool(head[0] & 0x80)
        yield head[0] & 0x7F, Region(file, offset + 4, size)
        offset += 4 + size


def read_picture(region: Readable, collector: Collector) -> None:
    """A picture as FLAC has it. One that is damaged is passed over."""
    with suppress(EOFError, ValueError, struct.error):
        _read_picture(region, collector)


def _read_picture(region: Readable, collector: Collector) -> None:
    kind, mime_bytes = struct.unpack(">II", exactly(region, 0, 8))
    (text_bytes,) = struct.unpack(">I", exactly(region, 8 + mime_bytes, 4))
    text = exactly(region, 12 + mime_bytes, min(text_bytes, 1024)).decode("utf-8", "replace")
    data_at = 12 + mime_bytes + text_bytes + 20
    (size,) = struct.unpack(">I", exactly(region, data_at - 4, 4))
    collector.add_picture(Region(region, data_at, size), kind, text)


def comments(region: Readable) -> Iterator[tuple[str, Region]]:
    """Each comment's name in lower case, and its value. Raises EOFError, struct.error."""
    (vendor_bytes,) = struct.unpack("<I", exactly(region, 0, 4))
    (count,) = struct.unpack("<I", exactly(region, 4 + vendor_bytes, 4))
    offset = 8 + vendor_bytes
    for _ in range(min(count, _MOST_COMMENTS)):
        (size,) = struct.unpack("<I", exactly(region, offset, 4))
        comment = Region(region, offset + 4, size)
        name, equals, _ = comment.read_at(0, _NAME_BYTES).partition(b"=")
        if equals:
            yield name.decode("ascii", "replace").lower(), Region(comment, len(name) + 1, size)
        offset += 4 + size


def read_comments(region: Readable, collector: Collector) -> None:
    chapters: dict[str, dict[str, str]] = {}
    try:
        for name, value in comments(region):
            if name == _PICTURE:
                read_picture(Base64(value), collector)
            elif value.size > MOST_TEXT_BYTES:
                collector.omit(Omission.TEXT_TOO_LONG)
            else:
                _read_comment(name, value.read_at(0, value.size).decode("utf-8", "replace"), collector, chapters)
    finally:
        collector.add_chapters(_chapters(chapters.values()))


def _read_comment(name: str, text: str, collector: Collector, chapters: dict[str, dict[str, str]]) -> None:
    if match := _CHAPTER.fullmatch(name):
        chapters.setdefault(match[1], {})[match[2] or "time"] = text
    elif name == "r128_track_gain" and re.fullmatch(r"[+-]?\d{1,5}", text):
        collector.add("replaygain_track_gain", [f"{int(text) / 256 + OPUS_REFERENCE_DB:+.2f} dB"])
    elif known := field_name(name):
        collector.add(known, [text])


def _chapters(found: Iterable[dict[str, str]]) -> Iterator[Chapter]:
    """Each ends where the next one starts; where the last one ends is not said."""
    starts = []
    for facts in found:
        if match := _TIME.fullmatch(facts.get("time", "")):
            seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
            starts.append((seconds * 1000 + int((match[4] or "0").ljust(3, "0")), facts.get("name", "")))
    starts.sort()
    for place, (start_ms, title) in enumerate(starts):
        end_ms = starts[place + 1][0] if place + 1 < len(starts) else start_ms
        yield Chapter(start_ms, end_ms, title)
