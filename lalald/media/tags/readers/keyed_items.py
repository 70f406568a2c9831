"""Tags of MOV and MP4 files by keys with names, as iPhones, editors and ffmpeg (`use_metadata_tags`) write them: meta, keys, ilst.

Keys of one program about itself, a place or a device are not for results.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lalald.media.tags.fields import field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.readers.mp4_reader import atoms, child, data_of, texts_of
from lalald.media.tags.regions import Readable, Region, exactly

_MOST_KEYS = 4000
_MOST_KEY_BYTES = 256
_TEXTS_AND_NUMBERS = (0, 1, 2, 21, 22)  # kinds: of the QuickTime File Format's well-known types
_APPLE = "com.apple.quicktime."
_ARTWORK = (f"{_APPLE}artwork", "artwork")
# Of several for one field the first counts.
_FIELDS_OF_APPLE = {
    "title": "title", "displayname": "title", "artist": "artist", "performer": "artist", "author": "artist", "album": "album",
    "year": "date", "creationdate": "date", "genre": "genre", "comment": "comment", "description": "comment",
    "information": "comment", "composer": "composer", "copyright": "copyright", "publisher": "label",
}  # fmt: skip
_RANKS = {name: rank for rank, name in enumerate(_FIELDS_OF_APPLE)}


class _Item(NamedTuple):
    rank: int
    kind: int
    data: Region


def read_keyed_items(file: Readable, collector: Collector) -> None:
    """What is not known yet. Raises EOFError, ValueError, OSError, struct.error on what is damaged."""
    for path in ((b"meta",), (b"udta", b"meta")):  # as Apple says, and as ffmpeg does
        if meta := child(file, b"moov", *path):
            _read(meta, collector)


def _read(meta: Region, collector: Collector) -> None:
    keys, items = (child(meta, name) for name in (b"keys", b"ilst"))
    if keys is None or items is None:
        return
    names = dict(_names(keys))
    best: dict[str, _Item] = {}
    for item in atoms(items):
        written = names.get(int.from_bytes(item.name), "")
        kind, data = next(data_of(item), (-1, None))
        if data is None:
            continue
        if written in _ARTWORK:
            collector.add_picture(data)
        elif kind in _TEXTS_AND_NUMBERS and (field := _field(written)) and not collector.has(field):
            found = _Item(_RANKS.get(written.removeprefix(_APPLE), 0), kind, data)
            best[field] = min(best.get(field, found), found, key=lambda one: one.rank)
    for field, one in best.items():
        collector.add(field, texts_of([(one.kind, one.data)], collector))


def _names(keys: Readable) -> Iterator[tuple[int, str]]:
    """Items refer to the keys by their numbers, from 1 on."""
    offset = 8
    for number in range(1, min(_MOST_KEYS, int.from_bytes(exactly(keys, 4, 4))) + 1):
        size, space = struct.unpack(">I4s", exactly(keys, offset, 8))
        if size < 8:
            raise ValueError("a key is smaller than its header")
        if space == b"mdta":
            yield number, keys.read_at(offset + 8, min(size - 8, _MOST_KEY_BYTES)).decode("utf-8", "replace")
        offset += size


def _field(written: str) -> str | None:
    if written.startswith(_APPLE):
        return _FIELDS_OF_APPLE.get(written.removeprefix(_APPLE))
    return None if "." in written else field_name(written)
