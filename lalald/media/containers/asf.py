"""ASF (WMA, WMV): the play duration from the file properties, if the file has the size that they state."""

from __future__ import annotations

import struct
from uuid import UUID

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length, agrees

HEADER = UUID("75b22630-668e-11cf-a6d9-00aa0062ce6c").bytes_le
_FILE_PROPERTIES = UUID("8cabdca1-a947-11cf-8ee4-00c00c205365").bytes_le
_MAX_OBJECTS = 1_000
_BROADCAST = 1  # written before its length was known


def measure(file: BoundedFile, start: int) -> Length:
    """Raises struct.error and EOFError if the file is of another type."""
    (objects,) = struct.unpack("<I", file.exactly(start + 24, 4))
    place = start + 30
    for _ in range(min(objects, _MAX_OBJECTS)):
        kind, size = struct.unpack("<16sQ", file.exactly(place, 24))
        if kind == _FILE_PROPERTIES:
            return _by_properties(file, place)
        if size < 24:
            break
        place += size
    return UNKNOWN


def _by_properties(file: BoundedFile, place: int) -> Length:
    size, play, _send, lead_in, flags = struct.unpack("<16xQ16xQQQI", file.exactly(place + 24, 68))
    if flags & _BROADCAST or not agrees(size, file.size, slack=64):
        return UNKNOWN
    return Length(play / 1e7 - lead_in / 1e3)
