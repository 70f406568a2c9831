"""Chunks of RIFF and IFF files: four letters, a size, a body padded to an even length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lalald.media.bounded_file import BoundedFile

_MAX_CHUNKS = 2_000
_IN_DS64 = 0xFFFFFFFF
TRAILING_BYTES = 1024  # an ID3v1 tag, or zeros, behind the last chunk


class Chunk(NamedTuple):
    name: bytes
    start: int
    size: int  # as declared; may exceed the file


def chunks(file: BoundedFile, start: int, order: Literal["<", ">"]) -> Iterator[Chunk]:
    """The chunks from `start` to the end of the file. Raises OSError if there are more than any real file has."""
    for _ in range(_MAX_CHUNKS):
        header = file.read_at(start, 8)
        if len(header) < 8:
            return
        name, size = struct.unpack(f"{order}4sI", header)
        yield Chunk(name, start + 8, size)
        start += 8 + size + size % 2
    raise OSError("this file has more chunks than any real one")


def wave_chunks(file: BoundedFile, start: int = 0) -> Iterator[Chunk]:
    """The chunks of a WAV file; the size of a sound beyond 4 GB is in the `ds64` chunk before it (RF64, BW64). Raises OSError."""
    first = start + 12
    for chunk in chunks(file, first, "<"):
        if chunk.name != b"data" or chunk.size != _IN_DS64 or file.read_at(first, 4) != b"ds64":
            yield chunk
            continue
        size = int.from_bytes(file.read_at(first + 16, 8), "little")
        yield chunk._replace(size=size)
        yield from chunks(file, chunk.start + size + size % 2, "<")
        return


def ends_in_chunks(file: BoundedFile, start: int, order: Literal["<", ">"]) -> bool:
    """Whether only complete chunks follow, with at most a few trailing bytes."""
    for chunk in chunks(file, start, order):
        if not chunk.name.strip().isalnum() or chunk.start + chunk.size > file.size:
            return file.size - (chunk.start - 8) <= TRAILING_BYTES
    return True
