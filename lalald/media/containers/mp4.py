"""MP4, M4A, MOV, 3GP: the media header of the first sound track, if the sample table and the movie header agree."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length, agrees

_MAX_BOXES = 5_000
_MAX_TIME_ENTRIES = 100_000


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


def measure(file: BoundedFile, start: int) -> Length:
    """Raises struct.error, EOFError, ValueError and OSError if the file is cut or of another type."""
    top = list(_boxes(file, start, file.size))
    movies = [box for box in top if box.kind == b"moov"]
    if len(movies) != 1 or any(box.kind in (b"moof", b"styp") for box in top):
        return UNKNOWN  # fragmented: the header describes the first fragment, or none
    parts = list(_boxes(file, movies[0].start, movies[0].end))
    if any(part.kind == b"mvex" for part in parts):
        return UNKNOWN
    movie_seconds = _header_seconds(file, _one(parts, b"mvhd"))
    for track in (part for part in parts if part.kind == b"trak"):
        media = _inside(file, track, b"mdia")
        if file.exactly(_inside(file, media, b"hdlr").start + 8, 4) == b"soun":
            return Length(_agreed(movie_seconds, *_track_seconds(file, media)))
    return UNKNOWN


def _agreed(movie: float, header: float, table: float) -> float | None:
    return header if agrees(header, table, slack=0.1) and agrees(header, movie, slack=0.1) else None


def _track_seconds(file: BoundedFile, media: _Box) -> tuple[float, float]:
    """By the media header, and by its table of samples."""
    header = _inside(file, media, b"mdhd")
    seconds = _header_seconds(file, header)
    table = _inside(file, _inside(file, _inside(file, media, b"minf"), b"stbl"), b"stts")
    (count,) = struct.unpack(">I", file.exactly(table.start + 4, 4))
    if count > _MAX_TIME_ENTRIES or table.start + 8 + 8 * count > table.end:
        raise ValueError("the table of samples contradicts itself")
    entries = struct.iter_unpack(">II", file.exactly(table.start + 8, 8 * count))
    return seconds, sum(samples * ticks for samples, ticks in entries) / _timescale(file, header)


def _header_seconds(file: BoundedFile, box: _Box) -> float:
    """Seconds of a `mvhd` or `mdhd`, which have the same layout. Raises ValueError if the length is not stated."""
    wide = file.exactly(box.start, 1)[0] == 1
    layout, offset, untold = (">Q", 24, 0xFFFF_FFFF_FFFF_FFFF) if wide else (">I", 16, 0xFFFF_FFFF)
    (ticks,) = struct.unpack(layout, file.exactly(box.start + offset, struct.calcsize(layout)))
    if ticks in (0, untold):
        raise ValueError("no duration")
    return float(ticks / _timescale(file, box))


def _timescale(file: BoundedFile, box: _Box) -> int:
    wide = file.exactly(box.start, 1)[0] == 1
    scale: int = struct.unpack(">I", file.exactly(box.start + (20 if wide else 12), 4))[0]
    if not scale:
        raise ValueError("no timescale")
    return scale


def _inside(file: BoundedFile, box: _Box, kind: bytes) -> _Box:
    return _one(_boxes(file, box.start, box.end), kind)


def _one(boxes: Iterator[_Box] | list[_Box], kind: bytes) -> _Box:
    found = next((box for box in boxes if box.kind == kind), None)
    if found is None:
        raise ValueError(f"no {kind!r}")
    return found


def _boxes(file: BoundedFile, start: int, end: int) -> Iterator[_Box]:
    """The boxes in a range of the file. Raises ValueError if one does not fit, because the file was cut."""
    for _ in range(_MAX_BOXES):
        if end - start < 8:
            return
        size, kind = struct.unpack(">I4s", file.exactly(start, 8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.exactly(start + 8, 8))
            header = 16
        elif size == 0:
            if kind == b"\0\0\0\0":
                return  # QuickTime ends some lists with zeros
            size = end - start
        if size < header or start + size > end:
            raise ValueError("a box that does not fit")
        yield _Box(kind, start + header, start + size)
        start += size
    raise OSError("this file has more boxes than any real one")
