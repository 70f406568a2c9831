"""The tags of a result in its container's own way. Each writer reads the track's headers, and says what the tagged file is made of."""

from __future__ import annotations

import struct
from collections.abc import Callable

from lalald.media.bounded_file import BoundedFile, is_about_content
from lalald.media.containers.tag_blocks import start_of_audio
from lalald.media.tags.tag_model import Piece, Pieces, Range, Tags, UnwritableError
from lalald.media.tags.writers.chunk_writer import aiff_pieces, wave_pieces
from lalald.media.tags.writers.id3_writer import mp3_pieces
from lalald.media.tags.writers.mp4_writer import mp4_pieces
from lalald.media.tags.writers.ogg_writer import ogg_pieces
from lalald.media.tags.writers.vorbis_writer import flac_pieces

_Writer = Callable[[BoundedFile, int, Tags], Pieces]


def tagged(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """The pieces of the track with these tags, and without any that it has; its sound stays as it is, byte for byte.

    Raises, at once or while the pieces are consumed, UnsuitableError, UnwritableError, and OSError.
    """
    writer = _writer(file)
    try:
        for piece in writer(file, descriptor, tags):
            if _is_missing(piece, file, descriptor):
                raise EOFError("it ends early")
            yield piece
    except (EOFError, ValueError, OverflowError, RecursionError, struct.error) as error:
        raise UnwritableError(f"it is damaged: {error}") from error
    except OSError as error:
        if not is_about_content(error):
            raise
        raise UnwritableError(f"it is damaged: {error}") from error


def _is_missing(piece: Piece, file: BoundedFile, descriptor: int) -> bool:
    """Whether it is a part of the track that reaches beyond its end."""
    if not isinstance(piece, Range) or piece.descriptor != descriptor:
        return False
    return not 0 <= piece.size <= file.size - piece.start


def _writer(file: BoundedFile) -> _Writer:
    """By the first bytes, never by the name."""
    head = file.read_at(0, 12)
    if head[:4] == b"OggS":
        return ogg_pieces
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        return wave_pieces
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return aiff_pieces
    if head[4:8] == b"ftyp":
        return mp4_pieces
    return flac_pieces if file.read_at(start_of_audio(file), 4) == b"fLaC" else mp3_pieces
