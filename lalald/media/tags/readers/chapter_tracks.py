"""Chapters of audiobooks (M4B) as QuickTime has them: titles are samples of a text track, which the track of the sound refers to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from lalald.media.tags.readers.mp4_reader import atoms, child
from lalald.media.tags.regions import Readable, exactly
from lalald.media.tags.tag_model import Chapter

_MOST_CHAPTERS = 1000
_MOST_REFERENCES = 16
_MOST_TITLE_BYTES = 1024
_TEXT_HANDLERS = (b"text", b"sbtl")
_UTF16_MARKS = (b"\xfe\xff", b"\xff\xfe")


def chapters_of_track(file: Readable) -> Iterator[Chapter]:
    """Raises EOFError, ValueError, struct.error on what is damaged."""
    moov = child(file, b"moov")
    tracks = [atom.body for atom in atoms(moov) if atom.name == b"trak"] if moov else []
    wanted = {number for track in tracks for number in _chapter_tracks(track)}
    for track in tracks:
        if _number(child(track, b"tkhd")) in wanted and _is_text(track):
            yield from _chapters(file, track)
            return


def _chapter_tracks(track: Readable) -> tuple[int, ...]:
    """The numbers of the tracks with its chapters: titles, and often pictures."""
    reference = child(track, b"tref", b"chap")
    count = min(reference.size // 4, _MOST_REFERENCES) if reference else 0
    return struct.unpack(f">{count}I", exactly(reference, 0, 4 * count)) if reference else ()


def _number(header: Readable | None) -> int:
    """Of a track, or the units of its times in a second: behind two times, which are longer in version 1."""
    if header is None:
        return -1
    return int.from_bytes(exactly(header, 20 if exactly(header, 0, 1)[0] else 12, 4))


def _is_text(track: Readable) -> bool:
    handler = child(track, b"mdia", b"hdlr")
    return handler is not None and handler.read_at(8, 4) in _TEXT_HANDLERS


def _chapters(file: Readable, track: Readable) -> Iterator[Chapter]:
    units, table = _number(child(track, b"mdia", b"mdhd")), child(track, b"mdia", b"minf", b"stbl")
    if table is None or units <= 0:
        return
    start = 0
    for (offset, size), duration in zip(_samples(table), _durations(table), strict=False):
        end = start + duration
        yield Chapter(
            start * 1000 // units, end * 1000 // units, _title(file.read_at(offset, min(size, _MOST_TITLE_BYTES)))
        )
        start = end


def _title(sample: bytes) -> str:
    text = sample[2 : 2 + int.from_bytes(sample[:2])]
    return text.decode("utf-16" if text[:2] in _UTF16_MARKS else "utf-8", "replace")


def _samples(table: Readable) -> Iterator[tuple[int, int]]:
    """Where each is in the file, and its size."""
    sizes = iter(_sizes(table))
    counts = {row[0]: row[1] for row in _rows(table, b"stsc", "II4x")}  # samples in a chunk, from this chunk on
    count = 0
    for place, start in enumerate(_chunks(table), start=1):
        count, offset = counts.get(place, count), start
        for size in islice(sizes, count):
            yield offset, size
            offset += size


def _sizes(table: Readable) -> list[int]:
    sizes = child(table, b"stsz")
    if sizes is None:
        return []
    size, count = struct.unpack(">II", exactly(sizes, 4, 8))
    count = min(count, _MOST_CHAPTERS)
    return [size] * count if size else list(struct.unpack(f">{count}I", exactly(sizes, 12, 4 * count)))


def _chunks(table: Readable) -> Iterator[int]:
    for name, kind in ((b"stco", "I"), (b"co64", "Q")):
        yield from (offset for (offset,) in _rows(table, name, kind))


def _durations(table: Readable) -> Iterator[int]:
    for count, duration in _rows(table, b"stts", "II"):
        yield from (duration for _ in range(min(count, _MOST_CHAPTERS)))


def _rows(table: Readable, name: bytes, kind: str) -> Iterator[tuple[int, ...]]:
    """Those of a table, up to as many as chapters are read."""
    region, row = child(table, name), struct.Struct(">" + kind)
    if region is not None:
        count = min(int.from_bytes(exactly(region, 4, 4)), _MOST_CHAPTERS)
        yield from row.iter_unpack(exactly(region, 8, row.size * count))
