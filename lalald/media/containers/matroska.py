"""Matroska and WebM: their elements; the duration in the segment information, if the file is complete."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length, agrees

SEGMENT, INFO = 0x18538067, 0x1549A966
_TIMESTAMP_SCALE, _DURATION = 0x2AD7B1, 0x4489
_MAX_ELEMENTS = 2_000
_USUAL_SCALE = 1_000_000  # nanoseconds of one tick


class Element(NamedTuple):
    id: int
    start: int
    end: int | None  # None: unknown, as written to a pipe


def measure(file: BoundedFile, start: int) -> Length:
    """Raises EOFError, struct.error, ValueError and OSError if the file is of another type."""
    for element in elements(file, start, file.size):
        if element.id == SEGMENT:
            if element.end is None or element.end > file.size or not agrees(element.end, file.size):
                return UNKNOWN  # not finished, cut, or followed by more data
            return Length(_seconds(file, element.start, element.end))
    return UNKNOWN


def _seconds(file: BoundedFile, start: int, end: int) -> float | None:
    for element in elements(file, start, end):
        if element.id == INFO and element.end is not None:
            return _duration(file, element.start, element.end)
    return None


def _duration(file: BoundedFile, start: int, end: int) -> float | None:
    scale, ticks = _USUAL_SCALE, None
    for element in elements(file, start, end):
        if element.end is None:
            return None
        body = file.exactly(element.start, min(8, element.end - element.start))
        if element.id == _TIMESTAMP_SCALE:
            scale = int.from_bytes(body)
        elif element.id == _DURATION:
            (ticks,) = struct.unpack({4: ">f", 8: ">d"}[len(body)], body)
    return None if ticks is None else ticks * scale / 1e9


def elements(file: BoundedFile, start: int, end: int) -> Iterator[Element]:
    """Successive elements; one of unknown length is the last. Raises EOFError, ValueError or OSError on anything else."""
    for _ in range(_MAX_ELEMENTS):
        if start >= end:
            return
        id_, start = _number(file, start, keeps_marker=True)
        size, start = _number(file, start, keeps_marker=False)
        element = Element(id_, start, None if size is None else start + size)  # type: ignore[arg-type]  # an id is never None
        yield element
        if element.end is None:
            return
        start = element.end
    raise OSError("this file has more elements than any real one")


def _number(file: BoundedFile, place: int, *, keeps_marker: bool) -> tuple[int | None, int]:
    """A number of variable length and the offset behind it; None: all bits set, an unknown size."""
    first = file.exactly(place, 1)[0]
    if not first:
        raise ValueError("no element")
    length = 9 - first.bit_length()
    value = int.from_bytes(file.exactly(place, length))
    if keeps_marker:
        return value, place + length
    value &= (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else value, place + length
