"""Vorbis comments of Ogg: of Vorbis, Opus and FLAC."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lalald.media.tags.ogg_pages import FIRST, packets, page_at
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.readers.vorbis_reader import read_comments, read_flac_packet
from lalald.media.tags.regions import Readable, Region

_MOST_STREAMS = 16
_PREFIXES = {b"\x01vorbis": b"\x03vorbis", b"OpusHead": b"OpusTags"}


def read_ogg(file: Readable, start: int, collector: Collector) -> None:
    """The comments of the first sound. `start`: where its first page is.

    Raises EOFError, ValueError, OSError, struct.error on what is damaged.
    """
    for _ in range(_MOST_STREAMS):
        page = page_at(file, start)
        if not page.flags & FIRST:
            return
        head = file.read_at(page.body, 16)
        if (read := _reader(head)) is not None:
            read(file, page.end, page.serial, collector)
            return
        start = page.end


def _reader(head: bytes) -> Callable[[Readable, int, int, Collector], None] | None:
    if head.startswith(b"\x7fFLAC"):
        return _read_flac
    prefix = next((prefix for first, prefix in _PREFIXES.items() if head.startswith(first)), None)
    return partial(_read, prefix) if prefix else None


def _read(prefix: bytes, file: Readable, start: int, serial: int, collector: Collector) -> None:
    packet, _, _ = next(packets(file, start, serial))
    if packet.read_at(0, len(prefix)) == prefix:
        read_comments(Region(packet, len(prefix), packet.size), collector)


def _read_flac(file: Readable, start: int, serial: int, collector: Collector) -> None:
    """Each of FLAC's metadata blocks is a packet."""
    for packet, _, _ in packets(file, start, serial):
        if read_flac_packet(packet, collector):
            return
