"""APEv2 tags, of WavPack, Monkey's Audio and Musepack, and behind some MP3 files. Walked in place: pictures are never loaded."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lalald.media.tags.fields import field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.regions import Readable, Region, exactly
from lalald.media.tags.tag_model import Omission
from lalald.media.tags.text import MOST_TEXT_BYTES

_FOOTER_BYTES = 32
_MOST_ITEMS = 4000
_MOST_KEY_BYTES = 255
_MOST_FILE_NAME_BYTES = 1024
_KIND, _TEXT, _BINARY = 6, 0, 2  # bits of an item's flags
_COVERS = {"cover art (front)": 3, "cover art (back)": 4}


def read_ape(tag: Readable, collector: Collector) -> None:
    """A tag that ends with its footer: fills in what is not known yet. Raises EOFError, ValueError, OSError on what is damaged."""
    footer = exactly(tag, tag.size - _FOOTER_BYTES, _FOOTER_BYTES)
    size, count = struct.unpack_from("<II", footer, 12)
    items = Region(tag, tag.size - size, size - _FOOTER_BYTES)
    for key, flags, value in _items(items, min(count, _MOST_ITEMS)):
        if flags & _KIND == _BINARY and key in _COVERS:
            _read_cover(value, _COVERS[key], collector)
        elif flags & _KIND == _TEXT and (name := field_name(key)) and not collector.has(name):
            _read_text(name, value, collector)


def _items(region: Readable, count: int) -> Iterator[tuple[str, int, Region]]:
    """Each one's key in lower case, its flags, and its value."""
    offset = 0
    for _ in range(count):
        size, flags = struct.unpack("<II", exactly(region, offset, 8))
        key, end, _ = region.read_at(offset + 8, _MOST_KEY_BYTES + 1).partition(b"\0")
        if not end:
            raise ValueError("a key without an end")
        offset += 8 + len(key) + 1
        yield key.decode("latin-1").lower(), flags, Region(region, offset, size)
        offset += size


def _read_cover(value: Region, kind: int, collector: Collector) -> None:
    """The name of a file is in front of the picture."""
    name, end, _ = value.read_at(0, _MOST_FILE_NAME_BYTES).partition(b"\0")
    if end:
        collector.add_picture(Region(value, len(name) + 1, value.size), kind)


def _read_text(name: str, value: Region, collector: Collector) -> None:
    if value.size > MOST_TEXT_BYTES:
        collector.omit(Omission.TEXT_TOO_LONG)
    else:
        collector.add(name, value.read_at(0, value.size).decode("utf-8", "replace").split("\0"))
