"""The content of a track: the source's bytes, and a note that names the track.

A WAV gets a `LIST`/`INFO` chunk with the comment `lalald sandbox: LABEL of NAME` at its end and stays a valid WAV. Other files get the
line `\\nlalald sandbox: LABEL of NAME\\n`, which players skip. `encoder_format` changes the name of a track, not its bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 12  # "RIFF", size, "WAVE"
LARGEST_RIFF = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class TrackShape:
    """A track is `head`, then the rest of the source, then `tail`."""

    head: bytes
    source_size: int
    tail: bytes

    @property
    def size(self) -> int:
        return self.source_size + len(self.tail)


def track_bytes(source: bytes, label: str, source_name: str) -> bytes:
    """The whole track `label` of a source uploaded as `source_name`."""
    shape = track_shape(source[:HEAD_BYTES], len(source), label, source_name)
    return shape.head + source[len(shape.head) :] + shape.tail


def track_shape(head: bytes, source_size: int, label: str, source_name: str) -> TrackShape:
    """The same without the source in memory. `head`: its first `HEAD_BYTES` bytes, or all of them."""
    note = f"lalald sandbox: {label} of {source_name}".encode()
    chunk = _comment_chunk(note)
    if _is_whole_wav(head, source_size) and source_size + len(chunk) - 8 <= LARGEST_RIFF:
        return TrackShape(b"RIFF" + struct.pack("<I", source_size + len(chunk) - 8), source_size, chunk)
    return TrackShape(b"", source_size, b"\n" + note + b"\n")


def _is_whole_wav(head: bytes, size: int) -> bool:
    return (
        head[:4] == b"RIFF"
        and head[8:12] == b"WAVE"
        and size % 2 == 0
        and struct.unpack("<I", head[4:8])[0] == size - 8
    )


def _comment_chunk(note: bytes) -> bytes:
    text = note + b"\0" * (1 + (len(note) + 1) % 2)
    comment = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
    return b"LIST" + struct.pack("<I", len(comment)) + comment
