"""Chunks of RIFF and IFF files: four letters, a size, a body padded to an even length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lalald.media.bounded_file import BoundedFile

_MAX_CHUNKS = 2_000
_TRAILING_BYTES = 1024  # an ID3v1 tag, or zeros, behind the last chunk


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


def ends_in_chunks(file: BoundedFile, start: int, order: Literal["<", ">"]) -> bool:
    """Whether only complete chunks follow, with at most a few trailing bytes."""
    for chunk in chunks(file, start, order):
        if not chunk.name.strip().isalnum() or chunk.start + chunk.size > file.size:
            return file.size - (chunk.start - 8) <= _TRAILING_BYTES
    return True
