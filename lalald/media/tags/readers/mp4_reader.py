"""Tags of MP4 files as iTunes began to write them: moov, udta, meta, ilst. Walked in place: pictures are never loaded."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lalald.media.tags.fields import BY_MP4, field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.regions import Readable, Region, exactly
from lalald.media.tags.tag_model import Chapter, Omission
from lalald.media.tags.text import MOST_TEXT_BYTES

_MOST_ATOMS = 4000
_UTF8, _UTF16 = 1, 2
_ITUNES = b"com.apple.iTunes"
_PAIRS = {b"trkn": ("tracknumber", "tracktotal"), b"disk": ("discnumber", "disctotal")}


class Atom(NamedTuple):
    name: bytes
    start: int  # of its header, within what it was found in
    size: int  # the header included
    body: Region


def atoms(file: Readable, start: int = 0) -> Iterator[Atom]:
    """The atoms from `start` on. Raises EOFError or ValueError on anything else."""
    for _ in range(_MOST_ATOMS):
        if start >= file.size or (file.size - start == 4 and file.read_at(start, 4) == bytes(4)):
            return  # four zeros end lists of QuickTime
        size, name = struct.unpack(">I4s", exactly(file, start, 8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", exactly(file, start + 8, 8)), 16
        elif size == 0:
            size = file.size - start
        if size < head:
            raise ValueError("an atom is smaller than its header")
        yield Atom(name, start, size, Region(file, start + head, size - head))
        start += size


def child(file: Readable, *path: bytes) -> Region | None:
    """The first atom along a path; `meta` has four bytes before its children, but not in QuickTime files."""
    region: Readable = file
    for name in path:
        found = next((atom for atom in atoms(region) if atom.name == name), None)
        if found is None:
            return None
        region = found.body
        if name == b"meta" and region.read_at(4, 4) != b"hdlr":
            region = Region(region, 4, region.size)
    return region if isinstance(region, Region) else None


def read_mp4(file: Readable, collector: Collector) -> None:
    """Raises EOFError, ValueError, OSError, struct.error on what is damaged."""
    user_data = child(file, b"moov", b"udta")
    if user_data is None:
        return
    items = child(user_data, b"meta", b"ilst")
    for item in atoms(items) if items else ():
        _read_item(item, collector)
    if chapters := child(user_data, b"chpl"):
        collector.add_chapters(_chapters(chapters))
    for atom in atoms(user_data):
        _read_quicktime(atom, collector)


def _read_item(item: Atom, collector: Collector) -> None:
    data = list(data_of(item))
    name = BY_MP4.get(item.name.decode("latin-1"))
    if item.name == b"covr":
        for _, region in data:
            collector.add_picture(region)
    elif item.name in _PAIRS and data:
        numbers = struct.unpack(">HH", exactly(data[0][1], 2, 4))
        for field, number in zip(_PAIRS[item.name], numbers, strict=True):
            collector.add(field, [str(number)] if number else [])
    elif item.name == b"gnre" and data:
        _read_genre(data[0][1], collector)
    elif item.name == b"----":
        name = _free_name(atoms(item.body))
    if name:
        collector.add(name, texts_of(data, collector))


def _read_quicktime(atom: Atom, collector: Collector) -> None:
    """A text beside `meta`, as MOV files have it: its length and language, then itself."""
    name = BY_MP4.get(atom.name.decode("latin-1")) if atom.name.startswith(b"\xa9") else None
    if name and not collector.has(name):
        raw = atom.body.read_at(4, int.from_bytes(exactly(atom.body, 0, 2)))
        try:
            collector.add(name, [raw.decode()])
        except UnicodeDecodeError:
            collector.add(name, [raw.decode("mac_roman")])


def data_of(item: Atom) -> Iterator[tuple[int, Region]]:
    """The values of an item of `ilst`, each with its kind."""
    for part in atoms(item.body):
        if part.name == b"data":
            yield int.from_bytes(exactly(part.body, 0, 4)) & 0xFFFFFF, Region(part.body, 8, part.body.size)


def _free_name(parts: Iterable[Atom]) -> str | None:
    found = {part.name: part.body.read_at(4, 256) for part in parts if part.name in (b"mean", b"name")}
    if found.get(b"mean") != _ITUNES:
        return None
    return field_name(found.get(b"name", b"").decode("utf-8", "replace"))


def texts_of(data: Iterable[tuple[int, Region]], collector: Collector) -> Iterator[str]:
    """Texts, and whole numbers as texts."""
    for kind, region in data:
        if region.size > MOST_TEXT_BYTES:
            collector.omit(Omission.TEXT_TOO_LONG)
            continue
        raw = region.read_at(0, region.size)
        if kind in (_UTF8, _UTF16):
            yield raw.decode("utf-8" if kind == _UTF8 else "utf-16-be", "replace")
        elif len(raw) <= 8 and int.from_bytes(raw):
            yield str(int.from_bytes(raw))


def _read_genre(region: Region, collector: Collector) -> None:
    from mutagen.id3 import TCON

    number = int.from_bytes(exactly(region, 0, 2)) - 1
    collector.add("genre", TCON(text=[str(number)]).genres if number >= 0 else [])


def _chapters(region: Readable) -> Iterator[Chapter]:
    """`chpl`, as Nero began to write it: starts in units of 100 ns. Each ends where the next one starts."""
    count, offset, starts = exactly(region, 8, 1)[0], 9, []
    for _ in range(count):
        start, title_bytes = struct.unpack(">QB", exactly(region, offset, 9))
        title = region.read_at(offset + 9, title_bytes).decode("utf-8", "replace")
        starts.append((start // 10_000, title))
        offset += 9 + title_bytes
    ends = [start for start, _ in starts[1:]] + [start for start, _ in starts[-1:]]
    for (start_ms, title), end_ms in zip(starts, ends, strict=True):
        yield Chapter(start_ms, end_ms, title)
