"""ID3v2.2 to v2.4, and ID3v1. Frames are walked here, so that large ones are never loaded; what they say is read by mutagen."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from mutagen import id3

from lalald.media.tags.fields import BY_ID3, field_name
from lalald.media.tags.readers.collecting import MOST_PICTURE_BYTES, Collector
from lalald.media.tags.regions import Readable, Region, exactly, parts_of
from lalald.media.tags.tag_model import Chapter, Omission
from lalald.media.tags.text import MOST_TEXT_BYTES, legacy_encoding

_MOST_FRAMES = 4000
_MOST_FRAME_BYTES = 2 * MOST_TEXT_BYTES + 1024  # text in UTF-16
_MOST_LOADED_BYTES = 1024 * 1024
_MOST_RESYNCHRONIZED_BYTES = 32 * 1024 * 1024
_READ = ("T", "COM", "ULT", "USLT", "RVA2")
_MOST_VALUES_READ = 1000  # of a frame
_CHAPTER_TIMES_BYTES = 16
_MOST_IN_A_CHAPTER = 32  # frames
_MOST_TITLE_BYTES = 8192
_DESCRIPTION_BYTES = 1024
_HEADER_BYTES = 10


class _Frame(NamedTuple):
    name: bytes
    body: Readable


def read_id3(tag: Readable, collector: Collector) -> None:
    """The tag at the start of a region. Raises EOFError, ValueError, OSError, struct.error on what is none."""
    version, flags = exactly(tag, 0, _HEADER_BYTES)[3:6:2]
    frames = _frames(_resynchronized(tag, version, flags, collector), version, flags, collector)
    small = _Small(version, collector)
    try:
        for frame in frames:
            if frame.name in (b"PIC", b"APIC"):
                _picture(frame, version, collector)
            elif frame.name == b"CHAP":
                small.add(_chapter(frame, version, collector))
            elif frame.name.decode("latin-1").startswith(_READ):
                small.add(frame)
    finally:
        _read_frames(version, b"".join(small.frames), collector)


class _Small:
    """Frames of text that are loaded, within bounds."""

    def __init__(self, version: int, collector: Collector) -> None:
        self.frames: list[bytes] = []
        self._left = _MOST_LOADED_BYTES
        self._version = version
        self._collector = collector

    def add(self, frame: _Frame) -> None:
        content = (
            frame.body.read_at(0, frame.body.size) if frame.body.size <= min(_MOST_FRAME_BYTES, self._left) else b""
        )
        if content and _value_count(content) <= _MOST_VALUES_READ:
            self._left -= len(content)
            self.frames.append(_header(frame.name, len(content), self._version) + content)
        else:
            self._collector.omit(Omission.TEXT_TOO_LONG)


def _value_count(content: bytes) -> int:
    """mutagen copies the rest of a frame for each value, so that thousands of them take minutes."""
    return content.count(b"\0\0" if content[0] in (1, 2) else b"\0")


def _chapter(frame: _Frame, version: int, collector: Collector) -> _Frame:
    """With nothing in it but its times and title: other frames in it may be pictures, or compressed without bound."""
    head = frame.body.read_at(0, _DESCRIPTION_BYTES)
    end = head.find(b"\0") + 1 + _CHAPTER_TIMES_BYTES
    inner = islice(_frames(Region(frame.body, end, frame.body.size), version, 0, collector), _MOST_IN_A_CHAPTER)
    title = next((one.body for one in inner if one.name == b"TIT2" and one.body.size <= _MOST_TITLE_BYTES), None)
    content = head[:end]
    if title is not None:
        content += _header(b"TIT2", title.size, version) + title.read_at(0, title.size)
    return _Frame(frame.name, _Bytes(content))


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._content[offset : offset + count]


def id3_size(tag: Readable) -> int:
    """Bytes of the tag, its header included; 0 where there is none."""
    header = tag.read_at(0, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:3] != b"ID3":
        return 0
    return _HEADER_BYTES + _sync_safe(header[6:])


def _sync_safe(digits: bytes) -> int:
    return digits[0] << 21 | digits[1] << 14 | digits[2] << 7 | digits[3]


def _resynchronized(tag: Readable, version: int, flags: int, collector: Collector) -> Readable:
    """The frames, and what comes before them. Up to v2.3 the whole tag may hold zeros that were put between its bytes."""
    body = Region(tag, _HEADER_BYTES, id3_size(tag) - _HEADER_BYTES)
    return _without_zeros(body, collector) if flags & 0x80 and version < 4 else body


def _without_zeros(region: Readable, collector: Collector) -> Readable:
    if region.size > _MOST_RESYNCHRONIZED_BYTES:
        raise ValueError("more than any honest tag")
    kept = collector.spool.add(_resynchronize(parts_of(region)))
    return Region(collector.spool, kept.start, kept.size)


def _resynchronize(parts: Iterable[bytes]) -> Iterator[bytes]:
    ends_in_ff = False
    for part in parts:
        if ends_in_ff and part[:1] == b"\0":
            yield part[1:].replace(b"\xff\0", b"\xff")
        else:
            yield part.replace(b"\xff\0", b"\xff")
        ends_in_ff = part[-1:] == b"\xff"


def _frames(tag: Readable, version: int, flags: int, collector: Collector) -> Iterator[_Frame]:
    offset = _extended_header_size(tag, version) if flags & 0x40 and version > 2 else 0
    for _ in range(_MOST_FRAMES):
        name_bytes, head_bytes = (3, 6) if version == 2 else (4, 10)
        head = tag.read_at(offset, head_bytes)
        name = head[:name_bytes]
        if len(head) < head_bytes or not name.isalnum():
            return
        size = _frame_size(tag, offset, head, version)
        region = Region(tag, offset + head_bytes, size)
        body = region if version == 2 else _unpacked(region, head[8:10], version, collector)
        offset += head_bytes + size
        if body is not None and body.size:
            yield _Frame(name, body)


def _extended_header_size(tag: Readable, version: int) -> int:
    digits = exactly(tag, 0, 4)
    return _sync_safe(digits) if version == 4 else 4 + int.from_bytes(digits)


def _frame_size(tag: Readable, offset: int, head: bytes, version: int) -> int:
    """In v2.4 seven bits a byte; iTunes once wrote eight, which shows where the next frame does not follow."""
    if version == 2:
        return int.from_bytes(head[3:6])
    plain = int.from_bytes(head[4:8])
    if version == 3:
        return plain
    safe = _sync_safe(head[4:8])
    if max(head[4:8]) > 0x7F:
        return plain
    return (
        safe
        if safe == plain or _is_frame(tag, offset + 10 + safe) or not _is_frame(tag, offset + 10 + plain)
        else plain
    )


def _is_frame(tag: Readable, offset: int) -> bool:
    name = tag.read_at(offset, 4)
    return offset == tag.size or name == bytes(4) or (len(name) == 4 and name.isalnum() and name.isupper())


def _unpacked(body: Readable, flags: bytes, version: int, collector: Collector) -> Readable | None:
    """A frame's content; None where it is compressed or encrypted, as hardly any is."""
    if version == 3:
        return None if flags[1] & 0xC0 else Region(body, 1 if flags[1] & 0x20 else 0, body.size)
    if flags[1] & 0x0C:
        return None
    body = Region(body, (1 if flags[1] & 0x40 else 0) + (4 if flags[1] & 0x01 else 0), body.size)
    return _without_zeros(body, collector) if flags[1] & 0x02 and body.size <= MOST_PICTURE_BYTES * 2 else body


def _header(name: bytes, size: int, version: int) -> bytes:
    """With flags that say nothing."""
    if version == 2:
        return name + size.to_bytes(3)
    if version == 3:
        return name + size.to_bytes(4) + b"\0\0"
    return name + sync_safe_bytes(size) + b"\0\0"


def sync_safe_bytes(size: int) -> bytes:
    """28 bits in four bytes. Raises OverflowError where it takes more."""
    if size >= 1 << 28:
        raise OverflowError
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _picture(frame: _Frame, version: int, collector: Collector) -> None:
    """APIC: encoding, MIME type, kind, description, picture. PIC of v2.2 has three letters for the MIME type."""
    head = frame.body.read_at(0, _DESCRIPTION_BYTES)
    kind_at = 4 if version == 2 else head.find(b"\0", 1) + 1
    if kind_at <= 0 or kind_at >= len(head):
        return
    kind, text, wide = head[kind_at], head[kind_at + 1 :], head[0] in (1, 2)
    end = next((at for at in range(0, len(text), 2) if text[at : at + 2] == b"\0\0"), -1) if wide else text.find(b"\0")
    if end < 0:
        return
    encoding = {0: "latin-1", 1: "utf-16", 2: "utf-16-be"}.get(head[0], "utf-8")
    data = kind_at + 1 + end + (2 if wide else 1)
    collector.add_picture(Region(frame.body, data, frame.body.size), kind, text[:end].decode(encoding, "replace"))


# what frames say


def _read_frames(version: int, frames: bytes, collector: Collector) -> None:
    if not frames:
        return
    header = b"ID3" + bytes([version, 0, 0]) + sync_safe_bytes(len(frames))
    found = id3.ID3(io.BytesIO(header + frames))
    _add_frames(found, collector)


def read_id3v1(block: bytes, collector: Collector) -> None:
    """The last 128 bytes of a file: only for fields that nothing else has given."""
    if found := id3.ParseID3v1(block):
        tags = id3.ID3()
        for frame in found.values():
            tags.add(frame)
        _add_frames(tags, collector)


def _add_frames(found: Any, collector: Collector) -> None:
    """mutagen's classes are made at run time, and untyped."""
    encoding = legacy_encoding(text for frame in found.values() for text in _texts(frame) if _is_latin(frame))
    for frame in found.values():
        name = _field_of(frame)
        if name and not (frame.FrameID == "COMM" and frame.desc.startswith(("iTun", "Songs-DB"))):
            collector.add(name, (_decoded(text, frame, encoding) for text in _texts(frame)))
    for frame in found.getall("RVA2"):
        if frame.desc.lower() == "track" and not collector.has("replaygain_track_gain"):
            collector.add("replaygain_track_gain", [f"{frame.gain:+.2f} dB"])
    collector.add_chapters(_chapters(found, encoding))


def _is_latin(frame: Any) -> bool:
    return getattr(frame, "encoding", None) == id3.Encoding.LATIN1


def _texts(frame: Any) -> list[str]:
    if frame.FrameID == "TCON":
        return [str(genre) for genre in frame.genres]
    text = getattr(frame, "text", [])
    return [text] if isinstance(text, str) else [str(one) for one in text]


def _decoded(text: str, frame: Any, encoding: str) -> str:
    if encoding == "latin-1" or not _is_latin(frame):
        return text
    return text.encode("latin-1", "replace").decode(encoding, "replace")


_OTHERS = {"COMM": "comment", "USLT": "lyrics", "TRCK": "tracknumber", "TPOS": "discnumber"}


def _field_of(frame: Any) -> str | None:
    name = frame.FrameID
    if name == "TXXX":
        return field_name(frame.desc)
    return BY_ID3.get(name) or _OTHERS.get(name)


def _chapters(found: Any, encoding: str) -> Iterator[Chapter]:
    for frame in found.getall("CHAP"):
        titles = [sub for sub in frame.sub_frames.values() if sub.FrameID == "TIT2"]
        title = _decoded(_texts(titles[0])[0], titles[0], encoding) if titles and _texts(titles[0]) else ""
        yield Chapter(frame.start_time, frame.end_time, title)
