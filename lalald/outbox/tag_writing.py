"""A track's file becomes the one with tags: in its place where its sound need not be written again, else by a copy that replaces it.

    in place   the sound stays, or moves by whole blocks without being read (ext4, XFS); what is before and behind it is written
    copy       a whole new file beside it, which takes its name once it is durable

Either is whole and durable in the end. A fault leaves the track as it was; where not even that is possible nothing proves it any more,
and it is fetched again, as after a kill.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from lalald.filesystem.file_ranges import BLOCK_BYTES, insert_at_start, remove_at_start
from lalald.filesystem.files import RESERVED_FREE_BYTES, CrashPoint, free_bytes, sync_file
from lalald.filesystem.writeback import Writeback
from lalald.media.bounded_file import BoundedFile
from lalald.media.tags.ogg_pages import renumbered_parts
from lalald.media.tags.tag_model import Piece, Range, Renumbered, Tags, UnsuitableError, UnwritableError, size_of

_CHUNK_BYTES = 1024 * 1024
_MOST_AROUND_BYTES = 1024 * 1024  # before or behind the sound, kept in memory while it is changed in place


class Written(NamedTuple):
    size: int
    sha256: str


class HalfWrittenError(OSError):
    """The file is neither what it was nor what it should be."""


def write_tags(path: str, tags: Tags, discard_proofs: Callable[[], None], crash_point: CrashPoint) -> Written:
    """`discard_proofs` is called before the first byte changes. Raises UnsuitableError, UnwritableError, OSError: the file is as it was,
    but for HalfWrittenError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        pieces = _tagged(descriptor, size, tags)
        few, rest = _few(pieces)
        layout = None if rest else _layout(few, descriptor, size)
        if layout is not None and (written := _in_place(descriptor, few, layout, discard_proofs, crash_point)):
            return written
        return _by_copy(path, size, chain(few, rest), discard_proofs, crash_point)
    finally:
        os.close(descriptor)


def sha256_without_tags(path: str) -> str | None:
    """The digest of what the file would be without tags; None where it cannot be without them. Raises OSError.

    An MP3, WAV or AIFF track that was sent without tags has the digest that it was sent with, whatever tags it has now.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        digest = hashlib.sha256()
        pieces = _tagged(descriptor, os.fstat(descriptor).st_size, Tags())
        for part in _parts(pieces):
            digest.update(part)
        return digest.hexdigest()
    except (UnsuitableError, UnwritableError, EOFError):
        return None
    finally:
        os.close(descriptor)


def _tagged(descriptor: int, size: int, tags: Tags) -> Iterator[Piece]:
    from lalald.media.tags.writers.track_writer import tagged  # with mutagen, which an idle daemon does not load

    return tagged(BoundedFile(descriptor, size), descriptor, tags)


def _few(pieces: Iterator[Piece]) -> tuple[list[Piece], Iterable[Piece]]:
    """All of them if they are few and small; else the first ones, and the rest."""
    first: list[Piece] = []
    loaded = 0
    for piece in pieces:
        first.append(piece)
        loaded += len(piece) if isinstance(piece, bytes) else 0
        if isinstance(piece, Renumbered) or loaded > _MOST_AROUND_BYTES:
            return first, pieces
    return first, ()


# in place


class _Layout(NamedTuple):
    head: list[Piece]
    sound: Range
    tail: list[Piece]
    shift: int
    before: bytes  # what is before and behind the sound now
    behind: bytes
    size: int


def _layout(pieces: list[Piece], descriptor: int, size: int) -> _Layout | None:
    """How the file is changed in place; None where that cannot be: the sound would move by less than a block, or much is around it."""
    own = [place for place, piece in enumerate(pieces) if isinstance(piece, Range) and piece.descriptor == descriptor]
    place = max(own, key=lambda place: size_of(pieces[place]), default=None)
    if place is None or not isinstance(sound := pieces[place], Range):
        return None
    end = sound.start + sound.size
    others = sum(size_of(pieces[other]) for other in own if other != place)
    shift = sum(map(size_of, pieces[:place])) - sound.start
    if shift < 0 or shift % BLOCK_BYTES or max(others, sound.start, size - end) > _MOST_AROUND_BYTES:
        return None
    before, behind = os.pread(descriptor, sound.start, 0), os.pread(descriptor, size - end, end)
    head, tail = ([_loaded(piece, descriptor) for piece in part] for part in (pieces[:place], pieces[place + 1 :]))
    return _Layout(head, sound, tail, shift, before, behind, size)


def _loaded(piece: Piece, descriptor: int) -> Piece:
    """The bytes in the file itself, before they are overwritten."""
    if isinstance(piece, Range) and piece.descriptor == descriptor:
        return os.pread(descriptor, piece.size, piece.start)
    return piece


def _in_place(
    descriptor: int, pieces: list[Piece], layout: _Layout, discard_proofs: Callable[[], None], crash_point: CrashPoint
) -> Written | None:
    """None where the file system cannot; nothing has changed then."""
    digest, size = hashlib.sha256(), 0
    for part in _parts(pieces):
        digest.update(part)
        size += len(part)
    discard_proofs()
    crash_point("proofs removed")
    if layout.shift and not insert_at_start(descriptor, layout.shift):
        return None
    try:
        crash_point("room made")
        _write_at(descriptor, 0, layout.head, crash_point)
        _write_at(descriptor, layout.sound.start + layout.shift + layout.sound.size, layout.tail, crash_point)
        os.ftruncate(descriptor, size)
        sync_file(descriptor)
    except BaseException:
        _restore(descriptor, layout)
        raise
    return Written(size, digest.hexdigest())


def _write_at(descriptor: int, offset: int, pieces: list[Piece], crash_point: CrashPoint) -> None:
    for part in _parts(pieces):
        _pwrite(descriptor, part, offset)
        offset += len(part)
        crash_point("some tagged")


def _restore(descriptor: int, layout: _Layout) -> None:
    """The track as it was. Raises HalfWrittenError."""
    try:
        if layout.shift:
            remove_at_start(descriptor, layout.shift)
        _pwrite(descriptor, memoryview(layout.before), 0)
        _pwrite(descriptor, memoryview(layout.behind), layout.sound.start + layout.sound.size)
        os.ftruncate(descriptor, layout.size)
    except OSError as error:
        raise HalfWrittenError(error.errno, "the tags of a track could be neither written nor removed") from error


def _pwrite(descriptor: int, part: memoryview, offset: int) -> None:
    while part:
        count = os.pwrite(descriptor, part, offset)
        part, offset = part[count:], offset + count


# by a copy


def _by_copy(
    path: str, size: int, pieces: Iterable[Piece], discard_proofs: Callable[[], None], crash_point: CrashPoint
) -> Written:
    copy = f"{path}.tagging"
    if free_bytes(os.path.dirname(path)) < size + RESERVED_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    target = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            written = _copied(pieces, target, crash_point)
        finally:
            os.close(target)
        discard_proofs()
        crash_point("proofs removed")
        os.rename(copy, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(copy)
        raise
    return written


def _copied(pieces: Iterable[Piece], target: int, crash_point: CrashPoint) -> Written:
    digest, size, writeback = hashlib.sha256(), 0, Writeback(target)
    for part in _parts(pieces):
        digest.update(part)
        _pwrite(target, part, size)
        size += len(part)
        writeback.grown(size)
        crash_point("some tagged")
    sync_file(target)
    crash_point("tagged copy durable")
    return Written(size, digest.hexdigest())


def _parts(pieces: Iterable[Piece]) -> Iterator[memoryview]:
    """Their bytes. Each part is valid until the next one is read."""
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    for piece in pieces:
        if isinstance(piece, bytes):
            yield memoryview(piece)
        elif isinstance(piece, Renumbered):
            for pages in renumbered_parts(piece):
                yield memoryview(pages)
        else:
            yield from _range_parts(piece, buffer)


def _range_parts(piece: Range, buffer: memoryview) -> Iterator[memoryview]:
    offset, end = piece.start, piece.start + piece.size
    while offset < end:
        count = os.preadv(piece.descriptor, [buffer[: end - offset]], offset)
        if not count:
            raise EOFError(f"{piece.size} bytes were announced")
        yield buffer[:count]
        offset += count
