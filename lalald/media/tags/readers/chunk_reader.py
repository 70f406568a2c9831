"""Tags of WAV and AIFF: an ID3 tag in a chunk, and the text chunks of RIFF INFO or AIFF."""

from __future__ import annotations

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.chunks import chunks, wave_chunks
from lalald.media.tags.fields import BY_INFO
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.readers.id3_reader import id3_size, read_id3
from lalald.media.tags.regions import Region
from lalald.media.tags.tag_model import Omission
from lalald.media.tags.text import MOST_TEXT_BYTES, legacy_encoding

ID3_NAMES = (b"id3 ", b"ID3 ", b"ID32")
AIFF_TEXTS = {b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment", b"(c) ": "copyright"}


def read_wave(file: BoundedFile, start: int, collector: Collector) -> None:
    """ID3 first: INFO fills in what it does not say. `start`: where `RIFF` is.

    Raises EOFError, ValueError, OSError, struct.error on what is damaged.
    """
    texts: list[tuple[str, bytes]] = []
    for chunk in wave_chunks(file, start):
        if chunk.name in ID3_NAMES:
            _read_id3(Region(file, chunk.start, chunk.size), collector)
        elif chunk.name == b"LIST" and file.read_at(chunk.start, 4) == b"INFO":
            texts += _info(Region(file, chunk.start, chunk.size), collector)
    _add_texts(texts, collector)


def read_aiff(file: BoundedFile, start: int, collector: Collector) -> None:
    """Raises what `read_wave` does."""
    texts: list[tuple[str, bytes]] = []
    for chunk in chunks(file, start + 12, ">"):
        region = Region(file, chunk.start, chunk.size)
        if chunk.name in ID3_NAMES:
            _read_id3(region, collector)
        elif chunk.name in AIFF_TEXTS:
            texts += _text(AIFF_TEXTS[chunk.name], region, collector)
    _add_texts(texts, collector)


def _read_id3(region: Region, collector: Collector) -> None:
    if id3_size(region):
        read_id3(region, collector)


def _info(region: Region, collector: Collector) -> list[tuple[str, bytes]]:
    texts: list[tuple[str, bytes]] = []
    offset = 4
    while len(head := region.read_at(offset, 8)) == 8:
        size = int.from_bytes(head[4:], "little")
        if name := BY_INFO.get(head[:4].decode("latin-1")):
            texts += _text(name, Region(region, offset + 8, size), collector)
        offset += 8 + size + size % 2
    return texts


def _text(name: str, region: Region, collector: Collector) -> list[tuple[str, bytes]]:
    if region.size > MOST_TEXT_BYTES:
        collector.omit(Omission.TEXT_TOO_LONG)
        return []
    return [(name, region.read_at(0, region.size).rstrip(b"\0"))]


def _add_texts(texts: list[tuple[str, bytes]], collector: Collector) -> None:
    """In the encoding of the system that wrote them, or UTF-8."""
    encoding = legacy_encoding(raw.decode("latin-1") for _, raw in texts)
    for name, raw in texts:
        if not collector.has(name):
            collector.add(name, [raw.decode(encoding, "replace")])
