"""Vorbis comments, and the files that have them: FLAC, and Ogg with Vorbis or Opus. The program that encoded the track stays named."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.tag_blocks import start_of_audio
from lalald.media.tags.fields import free_name
from lalald.media.tags.readers.vorbis_reader import OPUS_REFERENCE_DB, flac_blocks
from lalald.media.tags.regions import Readable, exactly, parts_of, region_of
from lalald.media.tags.tag_model import Picture, Piece, Pieces, Range, Tags, UnwritableError, padding_for, size_of

_STREAMINFO, _PADDING, _VORBIS_COMMENT, _PICTURE = 0, 1, 4, 6
_LAST = 0x80
_PADDING_BYTES = 4096  # for programs that change tags in place
_MOST_VENDOR_BYTES = 1024
_GAIN = "replaygain_track_gain"


def flac_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Replaces comments, pictures and padding of the track, and an ID3 tag in front of it. Raises EOFError if it is not FLAC."""
    start = start_of_audio(file)
    pieces: list[Piece] = [b"fLaC"]
    vendor, audio = b"", start
    for kind, block in flac_blocks(file, start):
        audio = block.start + block.size
        if kind == _VORBIS_COMMENT:
            vendor = vendor_of(block)
        elif kind not in (_PADDING, _PICTURE):
            pieces += [bytes([kind]) + block.size.to_bytes(3), Range(descriptor, block.start, block.size)]
    first, second = file.exactly(audio, 2)
    if first != 0xFF or second & 0xFE != 0xF8:  # RFC 9639, 9.1: how each frame of sound starts
        raise UnwritableError("no sound follows its headers, one of which may be damaged")
    pieces += _block(_VORBIS_COMMENT, comment_block(vendor, tags))
    for picture in tags.pictures:
        pieces += _block(_PICTURE, flac_picture(picture))
    yield from pieces
    padding = padding_for(sum(map(size_of, pieces)) + 4, audio, _PADDING_BYTES)
    yield bytes([_PADDING | _LAST]) + padding.to_bytes(3) + bytes(padding)
    yield Range(descriptor, audio, file.size - audio)


def _block(kind: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    body = list(pieces)
    size = sum(map(size_of, body))
    if size >= 1 << 24:
        raise UnwritableError("a block of FLAC holds 16 MB")
    yield bytes([kind]) + size.to_bytes(3)
    yield from body


def vendor_of(comments: Readable) -> bytes:
    """The name of the encoder, which is at the start of all comments."""
    size = int.from_bytes(exactly(comments, 0, 4), "little")
    return exactly(comments, 4, size) if size <= _MOST_VENDOR_BYTES else b""


def comment_block(vendor: bytes, tags: Tags, more: Sequence[tuple[int, Iterator[bytes]]] = ()) -> Iterator[bytes]:
    """`more`: comments that are made in parts, each with its length."""
    lines = [f"{name}={value}".encode() for name, value in _comments(tags)]
    head = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(lines) + len(more))
    yield head + b"".join(struct.pack("<I", len(line)) + line for line in lines)
    for size, parts in more:
        yield struct.pack("<I", size)
        yield from parts


def _comments(tags: Tags) -> Iterator[tuple[str, str]]:
    for name, values in tags.fields.items():
        for value in values:
            yield free_name(name), value
    for number, chapter in enumerate(tags.chapters[:999], start=1):
        seconds, milliseconds = divmod(chapter.start_ms, 1000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
        yield f"CHAPTER{number:03}", clock
        yield f"CHAPTER{number:03}NAME", chapter.title


def flac_picture(picture: Picture) -> Iterator[bytes | Range]:
    """A picture as FLAC has it. Zeros stand for width, height and colors: readers take them from the picture."""
    mime, text = picture.mime.encode(), picture.description.encode()
    head = struct.pack(">II", picture.kind, len(mime)) + mime + struct.pack(">I", len(text)) + text
    yield head + struct.pack(">IIIII", 0, 0, 0, 0, picture.data.size)
    yield picture.data


def picture_comment(picture: Picture) -> tuple[int, Iterator[bytes]]:
    """The same as a comment: its length, and its parts."""
    size = sum(map(size_of, flac_picture(picture)))
    name = b"METADATA_BLOCK_PICTURE="
    return len(name) + -(-size // 3) * 4, _encoded(name, flac_picture(picture))


def _encoded(name: bytes, pieces: Iterator[bytes | Range]) -> Iterator[bytes]:
    yield name
    rest = b""
    for part in _loaded(pieces):
        rest += part
        whole = len(rest) // 3 * 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest)


def _loaded(pieces: Iterator[bytes | Range]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        yield from parts_of(region_of(piece))


def for_opus(tags: Tags) -> Tags:
    """RFC 7845: gain is a whole number of 1/256 dB towards -23 LUFS, under a name of its own."""
    fields = dict(tags.fields)
    gain = next(iter(fields.pop(_GAIN, ())), "")
    fields.pop("replaygain_album_gain", None)
    try:
        steps = round((float(gain.lower().removesuffix("db")) - OPUS_REFERENCE_DB) * 256)
    except (ValueError, OverflowError):
        return Tags(fields, tags.pictures, tags.chapters)
    if -0x8000 <= steps < 0x8000:
        fields["r128_track_gain"] = (str(steps),)
    return Tags(fields, tags.pictures, tags.chapters)
