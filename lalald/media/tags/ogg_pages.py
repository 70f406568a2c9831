"""Pages of Ogg: packets as they lie in them, new pages, and other sequence numbers for old ones."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from lalald.media.tags.regions import Readable, Scattered, exactly
from lalald.media.tags.tag_model import Renumbered, UnwritableError

HEADER_BYTES = 27
CONTINUED, FIRST = 1, 2
_MOST_SEGMENTS = 255
_MOST_HEADER_PAGES = 2000
_NO_PACKET_ENDS = -1
_BUFFER_BYTES = 1024 * 1024
_NUMBERS = struct.Struct("<II")  # of a page, and its checksum


class Page(NamedTuple):
    start: int
    flags: int
    serial: int
    number: int
    lacing: bytes  # lengths of packets, in parts of up to 255
    body: int  # where it starts
    end: int


def page_at(file: Readable, start: int) -> Page:
    """Raises EOFError, ValueError where there is none."""
    head = exactly(file, start, HEADER_BYTES)
    letters, version, flags, _, serial, number, _, count = struct.unpack("<4sBBqIIIB", head)
    if letters != b"OggS" or version:
        raise ValueError("no page of Ogg")
    lacing = exactly(file, start + HEADER_BYTES, count)
    body = start + HEADER_BYTES + count
    return Page(start, flags, serial, number, lacing, body, body + sum(lacing))


def packets(file: Readable, start: int, serial: int) -> Iterator[tuple[Scattered, Page, bool]]:
    """The packets of a stream from a page on: each with the page that it ends in, and whether it is the last one there."""
    parts: list[tuple[int, int]] = []
    for _ in range(_MOST_HEADER_PAGES):
        page = page_at(file, start)
        start = page.end
        if page.serial != serial:
            continue
        offset = page.body
        for place, size in enumerate(page.lacing):
            if parts and sum(parts[-1]) == offset:
                parts[-1] = (parts[-1][0], parts[-1][1] + size)
            else:
                parts.append((offset, size))
            offset += size
            if size < 255:
                yield Scattered(file, parts), page, place + 1 == len(page.lacing)
                parts = []
    raise ValueError("more header pages than any honest file has")


def page_count(sizes: Sequence[int], wanted: int) -> int:
    """How many pages packets of these sizes take: as many as wanted where that can be."""
    segments = sum(size // 255 + 1 for size in sizes)
    needed = -(-segments // _MOST_SEGMENTS)
    return wanted if needed <= wanted <= segments else needed


def paged(
    packets: Iterable[Iterable[bytes]], sizes: Sequence[int], serial: int, number: int, count: int
) -> Iterator[bytes]:
    """The packets in so many new pages, numbered from `number` on."""
    lacing = b"".join(bytes([255] * (size // 255) + [size % 255]) for size in sizes)
    body = _Joined(part for packet in packets for part in packet)
    for place in range(count):
        start, end = place * len(lacing) // count, (place + 1) * len(lacing) // count
        flags = CONTINUED if start and lacing[start - 1] == 255 else 0
        here = lacing[start:end]
        position = 0 if min(here) < 255 else _NO_PACKET_ENDS
        yield _page(flags, position, serial, number + place, here, body.take(sum(here)))


class _Joined:
    """Rejoins bytes that come in parts of other lengths."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = bytearray()

    def take(self, count: int) -> bytes:
        """Raises EOFError where there are fewer."""
        while len(self._rest) < count:
            if (part := next(self._parts, None)) is None:
                raise EOFError
            self._rest += part
        found = bytes(self._rest[:count])
        del self._rest[:count]
        return found


def _page(flags: int, position: int, serial: int, number: int, lacing: bytes, body: bytes) -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0, len(lacing))
    page = bytearray(head + lacing + body)
    page[22:26] = page_checksum(page).to_bytes(4, "little")
    return bytes(page)


# The checksum of Ogg is that of zlib without its reflection, from 0 and without a final inversion.

_MASK = 0xFFFFFFFF
_POLYNOMIAL = 0x04C11DB7
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_checksum(page: bytearray) -> int:
    """That of a page, whatever it has now."""
    data = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(data.translate(_REVERSED), _MASK) ^ _MASK
    return int(f"{reflected:032b}"[::-1], 2)


def renumber_pages(pages: bytearray, serial: int, shift: int) -> int:
    """Add to the numbers of one stream's pages in a buffer. Returns how many of its bytes are whole pages.
    Raises UnwritableError on anything else."""
    start = 0
    while start + HEADER_BYTES <= len(pages):
        if not pages.startswith(b"OggS", start):
            raise UnwritableError("something is between its pages")
        body = start + HEADER_BYTES + pages[start + 26]
        end = body + sum(pages[start + HEADER_BYTES : body])
        if max(body, end) > len(pages):
            break
        if int.from_bytes(pages[start + 14 : start + 18], "little") == serial:
            _renumber(pages, start, end - start, shift)
        start = end
    return start


def renumbered_parts(piece: Renumbered) -> Iterator[bytes]:
    """Everything in it, in parts of about a megabyte. Raises UnwritableError, OSError."""
    pages, start, left = bytearray(), piece.pages.start, piece.pages.size
    while left and (part := os.pread(piece.pages.descriptor, min(left, _BUFFER_BYTES), start)):
        start, left = start + len(part), left - len(part)
        pages += part
        whole = renumber_pages(pages, piece.serial, piece.shift)
        yield bytes(pages[:whole])
        del pages[:whole]
    yield bytes(pages)


def _renumber(pages: bytearray, start: int, size: int, shift: int) -> None:
    """A checksum is linear: what it changes by follows from what the number changes by, and from how many bytes follow it."""
    old, checksum = _NUMBERS.unpack_from(pages, start + 18)
    number = (old + shift) & _MASK
    change = int.from_bytes((old ^ number).to_bytes(4, "little"))
    zeros = (change & -change).bit_length() - 1  # a number's low bytes come first: most of the change's bits are 0
    checksum ^= _product(change >> zeros, _effect(size, zeros))
    _NUMBERS.pack_into(pages, start + 18, number, checksum)


@lru_cache(maxsize=8192)  # lengths of pages repeat
def _effect(size: int, zeros: int) -> int:
    """What the lowest bit of a change does to the checksum of a page of so many bytes, which is itself one of 32 bits behind them."""
    following = size - 22 + 4
    effect = _product(_power(following & 0xFF), _power_of_256(following >> 8))
    return _product(1 << zeros, effect)


def _product(other: int, one: int) -> int:
    """Of two polynomials over GF(2), modulo that of the checksum."""
    product = 0
    while other:
        if other & 1:
            product ^= one
        other >>= 1
        one = ((one << 1) & _MASK) ^ _POLYNOMIAL if one & 0x80000000 else one << 1
    return product


@cache
def _power(count: int) -> int:
    """x to the power of 8 · count: what `count` bytes that follow do to a checksum."""
    return 1 if count == 0 else _product(_power(count - 1), 1 << 8)


@cache
def _power_of_256(count: int) -> int:
    return 1 if count == 0 else _product(_power_of_256(count - 1), _product(_power(255), 1 << 8))
