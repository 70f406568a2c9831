"""A zip archive that stores its files as they are, made while it is sent: its length is known before its first byte.

Checksums follow each file (a data descriptor), since a file is read only once. Every size has 64 bits (zip64), so that no file is too
large. APPNOTE.TXT 6.3.9, sections 4.3 and 4.4.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

_VERSION = 45  # zip64
_FLAGS = 0x0808  # a data descriptor follows; the name is UTF-8
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_DESCRIPTOR = struct.Struct("<4sIQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")
_LOCAL_EXTRA = struct.Struct("<HHQQ")
_CENTRAL_EXTRA = struct.Struct("<HHQQQ")
_IN_EXTRA = 0xFFFFFFFF
_MADE_BY_UNIX = 3 << 8
_MODE = 0o100644 << 16


class Member(NamedTuple):
    """One file. `name`: within the archive, with `/` between its parts."""

    name: str
    size: int
    modified_at: float


class StoredZip:
    """Call `head`, then `content` for each of its pieces, then `tail` for each member in order; then `end`."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._offset = 0
        self._checksum = 0
        self._central: list[bytes] = []

    @property
    def size(self) -> int:
        """Bytes of the whole archive."""
        names = [len(_name(member)) for member in self.members]
        each = _LOCAL.size + _LOCAL_EXTRA.size + _DESCRIPTOR.size + _CENTRAL.size + _CENTRAL_EXTRA.size
        contents = sum(member.size for member in self.members)
        return contents + len(names) * each + 2 * sum(names) + _END64.size + _LOCATOR.size + _END.size

    def head(self, member: Member) -> bytes:
        self._checksum = 0
        name = _name(member)
        time, date = _moment(member.modified_at)
        extra = _LOCAL_EXTRA.pack(1, 16, 0, 0)
        return (
            _LOCAL.pack(b"PK\x03\x04", _VERSION, _FLAGS, 0, time, date, 0, _IN_EXTRA, _IN_EXTRA, len(name), len(extra))
            + name
            + extra
        )

    def content(self, piece: bytes) -> bytes:
        self._checksum = zlib.crc32(piece, self._checksum)
        return piece

    def tail(self, member: Member) -> bytes:
        name = _name(member)
        time, date = _moment(member.modified_at)
        extra = _CENTRAL_EXTRA.pack(1, 24, member.size, member.size, self._offset)
        self._central.append(
            _CENTRAL.pack(
                b"PK\x01\x02", _MADE_BY_UNIX | _VERSION, _VERSION, _FLAGS, 0, time, date, self._checksum, _IN_EXTRA,
                _IN_EXTRA, len(name), len(extra), 0, 0, 0, _MODE, _IN_EXTRA,
            ) + name + extra
        )  # fmt: skip
        self._offset += _LOCAL.size + len(name) + _LOCAL_EXTRA.size + member.size + _DESCRIPTOR.size
        return _DESCRIPTOR.pack(b"PK\x07\x08", self._checksum, member.size, member.size)

    def end(self) -> bytes:
        central, count = b"".join(self._central), len(self._central)
        end64_at = self._offset + len(central)
        return (
            central
            + _END64.pack(
                b"PK\x06\x06", _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, len(central), self._offset
            )
            + _LOCATOR.pack(b"PK\x06\x07", 0, end64_at, 1)
            + _END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, _IN_EXTRA, _IN_EXTRA, 0)
        )


def _name(member: Member) -> bytes:
    return member.name.encode("utf-8", "replace")


def _moment(at: float) -> tuple[int, int]:
    """DOS time and date: local, even seconds, from 1980 to 2107."""
    when = datetime.fromtimestamp(max(0.0, min(at, 4e9))).astimezone()
    if not 1980 <= when.year <= 2107:
        return 0, (1 << 5) | 1
    date = (when.year - 1980) << 9 | when.month << 5 | when.day
    return when.hour << 11 | when.minute << 5 | when.second // 2, date
