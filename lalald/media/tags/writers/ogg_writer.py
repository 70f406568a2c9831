"""Ogg with Vorbis or Opus: new header pages. Pages of sound keep their bytes; if there are more header pages now, their numbers change.

Where the numbers stay, zeros behind the comments (RFC 7845, 5.2; decoders of Vorbis ignore them, too) let the sound move by whole blocks.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.tags.ogg_pages import HEADER_BYTES as PAGE_HEADER_BYTES
from lalald.media.tags.ogg_pages import Page, packets, page_at, page_count, paged
from lalald.media.tags.regions import Region, Scattered, parts_of
from lalald.media.tags.tag_model import Pieces, Range, Renumbered, Tags, UnsuitableError, UnwritableError, padding_for
from lalald.media.tags.writers.vorbis_writer import comment_block, for_opus, picture_comment, vendor_of

_OPUS = b"OpusTags"


class _Headers(NamedTuple):
    """Of a stream, behind its first page."""

    prefix: bytes  # of the comments
    vendor: bytes
    framing: bytes  # behind the comments
    others: tuple[Scattered, ...]  # packets behind the comments
    page_count: int
    end: int


def ogg_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Raises UnsuitableError where it holds anything but one stream of Vorbis or Opus; EOFError, ValueError on what is damaged."""
    first = page_at(file, 0)
    headers = _headers(file, first)
    tags = for_opus(tags) if headers.prefix == _OPUS else tags
    pictures = [picture_comment(picture) for picture in tags.pictures]
    block = comment_block(headers.vendor, tags, pictures)
    text = headers.prefix + next(block)
    size = len(text) + sum(4 + size for size, _ in pictures) + len(headers.framing)
    sizes = [size, *(packet.size for packet in headers.others)]
    padding = _padding(sizes, first.end, headers) if tags else 0
    sizes[0] += padding
    count = page_count(sizes, headers.page_count)
    yield Range(descriptor, 0, first.end)
    contents = [chain([text], block, [headers.framing, bytes(padding)]), *map(parts_of, headers.others)]
    yield from paged(contents, sizes, first.serial, first.number + 1, count)
    if count == headers.page_count:
        yield Range(descriptor, headers.end, file.size - headers.end)
    else:
        rest = Range(descriptor, headers.end, file.size - headers.end)
        yield Renumbered(rest, first.serial, count - headers.page_count)


def _padding(sizes: list[int], start: int, headers: _Headers) -> int:
    """Bytes behind the comments so that the sound moves by whole blocks; 0 where more pages are needed, or where no number does that."""
    comments, *others = sizes
    lengths = sum(size // 255 + 1 for size in others) + 1  # beyond one for each 255 bytes of comments
    fixed = start + PAGE_HEADER_BYTES * headers.page_count + lengths + sum(others)
    least = max(fixed + comments + comments // 255, headers.end)
    size = least + padding_for(least, headers.end, 0) - fixed
    padding = size - size // 256 - comments  # 255 bytes and their length take 256
    fits = page_count([comments + padding, *others], headers.page_count) == headers.page_count
    return padding if fits and size % 256 < 255 else 0


def _headers(file: BoundedFile, first: Page) -> _Headers:
    head = file.read_at(first.body, 16)
    if head.startswith(b"OpusHead"):
        prefix, packet_count, framing = _OPUS, 1, b""
    elif head.startswith(b"\x01vorbis"):
        prefix, packet_count, framing = b"\x03vorbis", 2, b"\1"
    else:
        raise UnsuitableError("neither Vorbis nor Opus")
    if page_at(file, first.end).serial != first.serial:
        raise UnsuitableError("several streams")
    found = list(islice(packets(file, first.end, first.serial), packet_count))
    comments, (_, last, is_whole_page) = found[0][0], found[-1]
    if comments.read_at(0, len(prefix)) != prefix or not is_whole_page:
        raise UnwritableError("its comments are not where they belong")
    if last.end > file.size:
        raise EOFError
    vendor = vendor_of(Region(comments, len(prefix), comments.size))
    others = tuple(packet for packet, _, _ in found[1:])
    return _Headers(prefix, vendor, framing, others, last.number - first.number, last.end)
