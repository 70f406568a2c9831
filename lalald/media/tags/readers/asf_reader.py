"""Tags of ASF (WMA, WMV): the content description and its extension, in the header. Walked in place: pictures are never loaded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from lalald.media.containers.asf import HEADER as ASF_HEADER
from lalald.media.tags.fields import field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.regions import Readable, Region, exactly
from lalald.media.tags.tag_model import Omission
from lalald.media.tags.text import MOST_TEXT_BYTES

__all__ = ["ASF_HEADER", "read_asf"]

_DESCRIPTION = UUID("75b22633-668e-11cf-a6d9-00aa0062ce6c").bytes_le
_EXTENDED = UUID("d2d0a440-e307-11d2-97f0-00a0c95ea850").bytes_le
_EXTENSION = UUID("5fbf03b5-a92e-11cf-8ee3-00c00c205365").bytes_le
_METADATA = UUID("c5f8cbea-5baf-4877-8467-aa8c44fa4cca").bytes_le
_LIBRARY = UUID("44231c94-9498-49d1-a141-1d134e457054").bytes_le  # it holds what is longer than 64 KB: pictures
_HEADER_BYTES, _EXTENSION_BYTES = 30, 22  # before the objects in them
_MOST_OBJECTS = 1000
_TEXT, _BYTES, _NUMBERS = 0, 1, {2: 4, 3: 4, 4: 8, 5: 2}  # kinds of values, and how long numbers are
_PICTURE = "wm/picture"
_MOST_PICTURE_TEXT_BYTES = 2048
_NAMES = {
    "author": "artist", "wm/albumtitle": "album", "wm/albumartist": "albumartist", "wm/year": "date",
    "wm/genre": "genre", "wm/tracknumber": "tracknumber", "wm/partofset": "discnumber", "wm/beatsperminute": "bpm",
    "wm/initialkey": "key", "wm/composer": "composer", "wm/writer": "lyricist", "wm/conductor": "conductor",
    "wm/modifiedby": "remixer", "wm/contentgroupdescription": "grouping", "wm/subtitle": "subtitle",
    "wm/lyrics": "lyrics", "wm/publisher": "label", "wm/language": "language", "wm/mood": "mood",
    "wm/iscompilation": "compilation", "wm/originalreleaseyear": "originaldate",
}  # fmt: skip


class _Entry(NamedTuple):
    name: str  # in lower case
    kind: int
    value: Region


def read_asf(file: Readable, start: int, collector: Collector) -> None:
    """Raises EOFError, ValueError, OSError, struct.error on what is damaged."""
    (size,) = struct.unpack("<Q", exactly(file, start + 16, 8))
    header = Region(file, start + _HEADER_BYTES, size - _HEADER_BYTES)
    for kind, body in _objects(header):
        if kind == _DESCRIPTION:
            _read_description(body, collector)
        elif kind == _EXTENDED:
            _read_values(_entries(body), collector)
        elif kind == _EXTENSION:
            for inner, values in _objects(Region(body, _EXTENSION_BYTES, body.size)):
                if inner in (_METADATA, _LIBRARY):
                    _read_values(_library_entries(values), collector)


def _objects(region: Readable) -> Iterator[tuple[bytes, Region]]:
    offset = 0
    for _ in range(_MOST_OBJECTS):
        if offset >= region.size:
            return
        kind, size = struct.unpack("<16sQ", exactly(region, offset, 24))
        yield kind, Region(region, offset + 24, size - 24)
        offset += max(24, size)


def _read_description(region: Readable, collector: Collector) -> None:
    offset = 10
    for name, size in zip(_DESCRIBED, struct.unpack("<5H", exactly(region, 0, 10)), strict=True):
        if name:
            collector.add(name, [_text(Region(region, offset, size))])
        offset += size


_DESCRIBED = ("title", "artist", "copyright", "comment", "")  # the last one is a rating


def _read_values(entries: Iterator[_Entry], collector: Collector) -> None:
    for written, kind, value in entries:
        name = _NAMES.get(written) or (None if "/" in written else field_name(written))
        if written == _PICTURE and kind == _BYTES:
            _read_picture(value, collector)
        elif value.size > MOST_TEXT_BYTES:
            collector.omit(Omission.TEXT_TOO_LONG)
        elif name and kind == _TEXT:
            collector.add(name, [_text(value)])
        elif name and kind in _NUMBERS:
            number = int.from_bytes(value.read_at(0, _NUMBERS[kind]), "little")
            collector.add(name, [str(number)] if number else [])


def _entries(region: Readable) -> Iterator[_Entry]:
    (count,) = struct.unpack("<H", exactly(region, 0, 2))
    offset = 2
    for _ in range(count):
        (name_bytes,) = struct.unpack("<H", exactly(region, offset, 2))
        name = _text(Region(region, offset + 2, name_bytes)).lower()
        offset += 2 + name_bytes
        kind, size = struct.unpack("<HH", exactly(region, offset, 4))
        yield _Entry(name, kind, Region(region, offset + 4, size))
        offset += 4 + size


def _library_entries(region: Readable) -> Iterator[_Entry]:
    """Those of the whole file; others are of one stream."""
    (count,) = struct.unpack("<H", exactly(region, 0, 2))
    offset = 2
    for _ in range(count):
        stream, name_bytes, kind, size = struct.unpack("<2xHHHI", exactly(region, offset, 12))
        name = _text(Region(region, offset + 12, name_bytes)).lower()
        offset += 12 + name_bytes
        if not stream:
            yield _Entry(name, kind, Region(region, offset, size))
        offset += size


def _text(region: Readable) -> str:
    return region.read_at(0, region.size).decode("utf-16-le", "replace").rstrip("\0")


def _read_picture(region: Readable, collector: Collector) -> None:
    """Its kind and size, then MIME type and description, each ended by a zero, then the picture."""
    kind, size = struct.unpack("<BI", exactly(region, 0, 5))
    texts = region.read_at(5, _MOST_PICTURE_TEXT_BYTES).decode("utf-16-le", "replace").split("\0", 2)
    if len(texts) == 3:
        start = 5 + 2 * (len(texts[0]) + len(texts[1]) + 2)
        collector.add_picture(Region(region, start, size), kind, texts[1])
