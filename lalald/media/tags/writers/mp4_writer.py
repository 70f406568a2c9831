"""Tags of MP4 files: a new moov, udta, meta, ilst. Where it stands before the sound, the offsets of all chunks move with it."""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator

from lalald.media.bounded_file import BoundedFile
from lalald.media.tags.fields import BY_NAME, free_name
from lalald.media.tags.readers.mp4_reader import Atom, atoms, child
from lalald.media.tags.regions import Readable
from lalald.media.tags.tag_model import Picture, Piece, Pieces, Range, Tags, UnwritableError, padding_for, size_of

_MOST_MOOV_BYTES = 16 * 1024 * 1024
_PARENTS = (b"trak", b"mdia", b"minf", b"stbl")
_PICTURE_KINDS = {"image/jpeg": 13, "image/png": 14, "image/bmp": 27}
_UTF8, _INTEGER = 1, 21
_HANDLER = struct.pack(">I4sII4s4sIIB", 33, b"hdlr", 0, 0, b"mdir", b"appl", 0, 0, 0)
# They say how the track itself was encoded: how many samples at its start and end are not played.
_OWN_NAMES = (b"iTunSMPB", b"Encoding Params", b"encoder")


def mp4_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Raises UnwritableError where it is in fragments, or larger than its offsets can say; EOFError, ValueError on what is damaged."""
    found = list(atoms(file))
    moov = next((atom for atom in found if atom.name == b"moov"), None)
    if moov is None or any(atom.name in (b"moof", b"mfra", b"sidx") for atom in found):
        raise UnwritableError("it is in fragments")
    if moov.size > _MOST_MOOV_BYTES:
        raise UnwritableError("its tables are too long")
    user_data = list(_user_data(moov, tags))
    children = [atom for atom in atoms(moov.body) if atom.name not in (b"udta", b"meta", b"free")]
    size = 8 + sum(atom.size for atom in children) + sum(map(size_of, user_data))
    end = _end_with_padding(found, moov)
    padding = (
        _padding(moov.start + size, end)
        if any(atom.start > moov.start for atom in found if atom.name == b"mdat")
        else b""
    )
    yield Range(descriptor, 0, moov.start)
    yield struct.pack(">I4s", size, b"moov")
    for atom in children:
        yield _shifted(moov.body, atom, end, moov.start + size + len(padding) - end)
    yield from [*user_data, padding]
    yield Range(descriptor, end, file.size - end)


def _end_with_padding(found: list[Atom], moov: Atom) -> int:
    """Where what follows moov starts, behind the free room that may be there."""
    end = moov.start + moov.size
    return next((atom.start + atom.size for atom in found if atom.start == end and atom.name == b"free"), end)


def _padding(head: int, sound: int) -> bytes:
    size = padding_for(head + 8, sound, 0)
    return struct.pack(">I4s", 8 + size, b"free") + bytes(size)


def _shifted(region: Readable, atom: Atom, behind: int, shift: int) -> bytes:
    """A part of moov, in which offsets of what lies behind moov are changed."""
    content = bytearray(region.read_at(atom.start, atom.size))
    if len(content) < atom.size:
        raise EOFError
    if shift:
        _shift_offsets(memoryview(content), atom.name, behind, shift)
    return bytes(content)


def _shift_offsets(atom: memoryview, name: bytes, behind: int, shift: int) -> None:
    head = 16 if int.from_bytes(atom[:4]) == 1 else 8
    if name in (b"stco", b"co64"):
        _shift_table(
            atom[head + 8 :], int.from_bytes(atom[head + 4 : head + 8]), "I" if name == b"stco" else "Q", behind, shift
        )
    elif name in _PARENTS:
        start = head
        while start + 8 <= len(atom):
            size = int.from_bytes(atom[start : start + 4])
            if size < 8:
                raise UnwritableError("an atom of another kind than its tables have")
            _shift_offsets(atom[start : start + size], bytes(atom[start + 4 : start + 8]), behind, shift)
            start += size


def _shift_table(table: memoryview, count: int, kind: str, behind: int, shift: int) -> None:
    offsets = array(kind)
    offsets.frombytes(table[: count * offsets.itemsize])
    if len(offsets) < count:
        raise EOFError
    if sys.byteorder == "little":
        offsets.byteswap()
    try:
        moved = array(kind, [offset + shift if offset >= behind else offset for offset in offsets])
    except OverflowError as error:
        raise UnwritableError("it would become larger than its offsets can say") from error
    if sys.byteorder == "little":
        moved.byteswap()
    table[: count * offsets.itemsize] = moved.tobytes()


def _user_data(moov: Atom, tags: Tags) -> Iterator[Piece]:
    old = child(moov.body, b"udta", b"meta", b"ilst")
    items = [*_own_items(old), *_items(tags)]
    for picture in tags.pictures:
        if picture.mime in _PICTURE_KINDS:
            items += _picture(picture)
    meta = [bytes(4), _HANDLER, *_atom(b"ilst", items)]
    yield from _atom(b"udta", [*_atom(b"meta", meta), *_chapters(tags)])


def _atom(name: bytes, pieces: Iterable[Piece]) -> Iterator[Piece]:
    body = list(pieces)
    yield struct.pack(">I4s", 8 + sum(map(size_of, body)), name)
    yield from body


def _own_items(old: Readable | None) -> Iterator[bytes]:
    for atom in atoms(old) if old else ():
        is_own = atom.name == b"\xa9too" or (atom.name == b"----" and _name_of(atom) in _OWN_NAMES)
        if old and is_own and atom.size <= 4096:
            yield old.read_at(atom.start, atom.size)


def _name_of(atom: Atom) -> bytes:
    return next((part.body.read_at(4, 64) for part in atoms(atom.body) if part.name == b"name"), b"")


def _items(tags: Tags) -> Iterator[Piece]:
    for name, values in tags.fields.items():
        if name in _SPECIAL:
            yield from _SPECIAL[name](tags)
        elif not name.endswith("total"):
            yield from _item(name, values)
    for name, total, atom in (("tracknumber", "tracktotal", b"trkn"), ("discnumber", "disctotal", b"disk")):
        if number := _whole(tags.first(name), 0xFFFF):
            pair = struct.pack(">HHH", 0, number, _whole(tags.first(total), 0xFFFF))
            yield from _atom(atom, _data(0, pair + (b"\0\0" if atom == b"trkn" else b"")))


def _item(name: str, values: tuple[str, ...]) -> Iterator[Piece]:
    written = BY_NAME[name].mp4 if name in BY_NAME else ""
    data = [piece for value in values for piece in _data(_UTF8, value.encode())]
    if written and not written.startswith("----"):
        return _atom(written.encode("latin-1"), data)
    free = written.removeprefix("----:") or free_name(name)
    mean = _atom(b"mean", [bytes(4), b"com.apple.iTunes"])
    return _atom(b"----", [*mean, *_atom(b"name", [bytes(4), free.encode()]), *data])


def _data(kind: int, content: bytes) -> Iterator[Piece]:
    return _atom(b"data", [struct.pack(">II", kind, 0), content])


def _picture(picture: Picture) -> Iterator[Piece]:
    kind = _PICTURE_KINDS[picture.mime]
    return _atom(b"covr", _atom(b"data", [struct.pack(">II", kind, 0), picture.data]))


def _whole(text: str, most: int) -> int:
    """The number that a text begins with, rounded; 0 where there is none that fits."""
    match = re.match(r"\d{1,9}(?:\.\d{1,9})?", text)
    number = round(float(match[0])) if match else 0
    return number if number <= most else 0


def _tempo(tags: Tags) -> Iterator[Piece]:
    if number := _whole(tags.first("bpm"), 0xFFFF):
        yield from _atom(b"tmpo", _data(_INTEGER, struct.pack(">H", number)))


def _compilation(tags: Tags) -> Iterator[Piece]:
    if tags.first("compilation") not in ("", "0"):
        yield from _atom(b"cpil", _data(_INTEGER, b"\1"))


def _nothing(_tags: Tags) -> Iterator[Piece]:
    return iter(())


_SPECIAL: dict[str, Callable[[Tags], Iterator[Piece]]] = {
    "bpm": _tempo, "compilation": _compilation,
    **dict.fromkeys(("tracknumber", "tracktotal", "discnumber", "disctotal"), _nothing),
}  # fmt: skip


def _chapters(tags: Tags) -> Iterator[Piece]:
    """`chpl`, as Nero began to write it; it counts its chapters in a byte."""
    chapters = tags.chapters[:255]
    if chapters:
        titles = [chapter.title.encode()[:255].decode("utf-8", "ignore").encode() for chapter in chapters]
        body = b"".join(
            struct.pack(">QB", chapter.start_ms * 10_000, len(title)) + title
            for chapter, title in zip(chapters, titles, strict=True)
        )
        yield from _atom(b"chpl", [struct.pack(">IIB", 0x01000000, 0, len(chapters)), body])
