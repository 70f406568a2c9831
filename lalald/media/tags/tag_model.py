"""Tags as every container has them: fields by name, pictures, chapters. Field names are those of Vorbis comments, in lower case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Omission(StrEnum):
    """What a source carries and its results do not."""

    COVER_TOO_LARGE = "cover_too_large"
    TEXT_TOO_LONG = "text_too_long"


class UnsuitableError(Exception):
    """A file of this kind cannot hold tags, or nothing is known of how it would."""


class UnwritableError(Exception):
    """Files of this kind hold tags; this one cannot get any: it is damaged, unfinished or too large."""


class Range(NamedTuple):
    """Bytes of an open file."""

    descriptor: int
    start: int
    size: int
    owner: object = None  # who closes the file, once no range of it is left


class Renumbered(NamedTuple):
    """Pages of Ogg, with other numbers for those of one stream."""

    pages: Range
    serial: int
    shift: int


Piece = bytes | Range | Renumbered
_BLOCK_BYTES = 4096
Pieces = Iterator[Piece]  # a file as it is written: new bytes, and ranges of files that are copied


def size_of(piece: Piece) -> int:
    if isinstance(piece, Renumbered):
        return piece.pages.size
    return piece.size if isinstance(piece, Range) else len(piece)


def padding_for(head: int, sound: int, least: int) -> int:
    """Bytes of padding behind a new head of so many, so that sound which started at `sound` moves by whole blocks of a disk."""
    return least + (sound - head - least) % _BLOCK_BYTES


class Picture(NamedTuple):
    mime: str  # image/jpeg, image/png and the like
    kind: int  # as ID3 and FLAC number them: 3 is the front cover
    description: str
    data: Range


class Chapter(NamedTuple):
    start_ms: int
    end_ms: int
    title: str


@dataclass(frozen=True, slots=True)
class Tags:
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    chapters: tuple[Chapter, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.pictures or self.chapters)

    def first(self, name: str) -> str:
        """The first value of a field, or ''."""
        return next(iter(self.fields.get(name, ())), "")


@dataclass(frozen=True, slots=True)
class SourceTags:
    """The tags of a source, as far as they are kept for its results."""

    tags: Tags = field(default_factory=Tags)
    omissions: frozenset[Omission] = frozenset()
