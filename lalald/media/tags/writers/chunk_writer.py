"""Tags of WAV and AIFF: an ID3 tag in a chunk behind the sound, and for WAV the text chunks of RIFF INFO too."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Literal

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.chunks import TRAILING_BYTES, Chunk, chunks, wave_chunks
from lalald.media.tags.fields import FIELDS
from lalald.media.tags.readers.chunk_reader import AIFF_TEXTS, ID3_NAMES
from lalald.media.tags.tag_model import Piece, Pieces, Range, Tags, UnwritableError, size_of
from lalald.media.tags.writers.id3_writer import id3_pieces

_MOST_BYTES = 0xFFFFFFFF
_NAME = re.compile(rb"[!-~][ -~]{3}")
_EMPTY_BYTES = {b"data": 0, b"SSND": 8}
_ID3V1_BYTES = 128
_MOST_INFO_BYTES = 4096  # of a text: readers of INFO expect short ones


def wave_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Raises UnwritableError where its chunks cannot be followed, or would become larger than they can say."""
    kept = [chunk for chunk in _whole(file, wave_chunks(file)) if not _is_wave_tag(file, chunk)]
    added = [*_chunk(b"LIST", _info(tags), "<"), *_chunk(b"id3 ", id3_pieces(tags), "<")]
    size = 4 + sum(8 + chunk.size + chunk.size % 2 for chunk in kept) + sum(map(size_of, added))
    is_long = kept[0].name == b"ds64"
    yield file.read_at(0, 4) + (struct.pack("<I", _MOST_BYTES) if is_long else _counted(size, "<")) + b"WAVE"
    if is_long:
        yield b"ds64" + struct.pack("<IQ", kept[0].size, size)
        yield Range(descriptor, kept[0].start + 8, kept[0].size - 8)
    yield from _copied(descriptor, kept[is_long:], "<")
    yield from added


def aiff_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Raises what `wave_pieces` does."""
    kept = [chunk for chunk in _whole(file, chunks(file, 12, ">")) if chunk.name not in (*AIFF_TEXTS, *ID3_NAMES)]
    added = list(_chunk(b"ID3 ", id3_pieces(tags), ">"))
    size = 4 + sum(8 + chunk.size + chunk.size % 2 for chunk in kept) + sum(map(size_of, added))
    yield b"FORM" + _counted(size, ">") + file.read_at(8, 4)
    yield from _copied(descriptor, kept, ">")
    yield from added


_Order = Literal["<", ">"]


def _whole(file: BoundedFile, found: Iterator[Chunk]) -> list[Chunk]:
    """The chunks, and nothing but a few bytes behind them: a stream whose length was not known when it began says a wrong one."""
    kept, end = [], 12
    for chunk in found:
        if not _NAME.fullmatch(chunk.name):
            break  # zeros, or an ID3v1 tag, behind the last chunk
        if chunk.start + chunk.size > file.size:
            raise UnwritableError("a chunk reaches beyond the end of the file")
        kept.append(chunk)
        end = chunk.start + chunk.size + chunk.size % 2
    sound = next((chunk for chunk in kept if chunk.name in (b"data", b"SSND")), None)
    if sound is None or sound.size <= _EMPTY_BYTES[sound.name]:
        raise UnwritableError("it has no sound, or its length is not known")
    if _is_more_than_filling(file, end):
        raise UnwritableError("it is longer than its chunks")
    return kept


def _is_more_than_filling(file: BoundedFile, end: int) -> bool:
    """Whether what follows the last chunk may be sound."""
    rest = file.read_at(end, TRAILING_BYTES + 1)
    is_tag = len(rest) == _ID3V1_BYTES and rest.startswith(b"TAG")
    return len(rest) > TRAILING_BYTES or (bool(rest.strip(b"\0")) and not is_tag)


def _is_wave_tag(file: BoundedFile, chunk: Chunk) -> bool:
    return chunk.name in ID3_NAMES or (chunk.name == b"LIST" and file.read_at(chunk.start, 4) == b"INFO")


def _copied(descriptor: int, kept: list[Chunk], order: _Order) -> Iterator[Piece]:
    """Each with its header, and even: some programs forget the byte behind a sound of odd length."""
    for chunk in kept:
        yield chunk.name + struct.pack(f"{order}I", min(chunk.size, _MOST_BYTES))
        yield Range(descriptor, chunk.start, chunk.size)
        if chunk.size % 2:
            yield b"\0"


def _chunk(name: bytes, pieces: Iterator[Piece] | list[bytes], order: _Order) -> Iterator[Piece]:
    body = list(pieces)
    if not body:
        return
    size = sum(map(size_of, body))
    yield name + _counted(size, order)
    yield from body
    if size % 2:
        yield b"\0"


def _counted(size: int, order: _Order) -> bytes:
    if size > _MOST_BYTES:
        raise UnwritableError("it would become larger than 4 GB")
    return struct.pack(f"{order}I", size)


def _info(tags: Tags) -> Iterator[bytes]:
    if tags:
        yield b"INFO"
    for field in FIELDS:
        if field.info and (values := tags.fields.get(field.name)):
            text = "; ".join(values).encode()[:_MOST_INFO_BYTES].decode("utf-8", "ignore").encode() + b"\0"
            yield field.info.encode() + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
