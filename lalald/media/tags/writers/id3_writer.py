"""An ID3v2.4 tag: as the start of an MP3 file, and as a chunk of WAV and AIFF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from mutagen import id3

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.mpeg_audio import are_frames
from lalald.media.containers.tag_blocks import end_of_audio, start_of_audio
from lalald.media.tags.fields import BY_NAME, free_name
from lalald.media.tags.readers.id3_reader import sync_safe_bytes
from lalald.media.tags.tag_model import (
    Picture,
    Piece,
    Pieces,
    Range,
    Tags,
    UnsuitableError,
    UnwritableError,
    padding_for,
    size_of,
)

_UTF8 = id3.Encoding.UTF8
_PADDING_BYTES = 1024  # for programs that change a tag in place
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?)?)?")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_NO_OFFSET = 0xFFFFFFFF
_TOP_LEVEL, _ORDERED = 2, 1
_MOST_IN_A_TABLE = 255


def mp3_pieces(file: BoundedFile, descriptor: int, tags: Tags) -> Pieces:
    """Replaces every tag of the track, in front and behind. Raises UnsuitableError if it is not MPEG audio,
    UnwritableError if what its tag in front covers may be sound."""
    start = start_of_audio(file)
    first, second = file.read_at(start, 2).ljust(2, b"\0")
    is_synchronized = first == 0xFF and second & 0xE0 == 0xE0
    is_aac = is_synchronized and not second & 0x06  # ADTS has no layer
    if is_aac or not (start or is_synchronized):
        raise UnsuitableError("no MPEG audio")
    end = end_of_audio(file, start)
    if start and not are_frames(file, start, end):
        raise UnwritableError("no sound follows its tag, which may be damaged")
    yield from id3_pieces(tags, start)
    yield Range(descriptor, start, end - start)


def id3_pieces(tags: Tags, sound: int | None = None) -> Pieces:
    """The tag; nothing where there is nothing to say. `sound`: where sound starts that will follow it."""
    if not tags:
        return
    frames = _text_frames(tags)
    pictures = [piece for picture in tags.pictures for piece in _picture(picture)]
    size = len(frames) + sum(size_of(piece) for piece in pictures)
    padding = _PADDING_BYTES if sound is None else padding_for(10 + size, sound, _PADDING_BYTES)
    yield b"ID3\4\0\0" + sync_safe_bytes(size + padding) + frames
    yield from pictures
    yield bytes(padding)


def _picture(picture: Picture) -> Iterator[Piece]:
    head = b"\3" + picture.mime.encode() + b"\0" + bytes([picture.kind]) + picture.description.encode() + b"\0"
    yield b"APIC" + sync_safe_bytes(len(head) + picture.data.size) + b"\0\0" + head
    yield picture.data


def _text_frames(tags: Tags) -> bytes:
    fields = [frame for name, values in tags.fields.items() for frame in _frames(name, list(values), tags)]
    return _rendered(fields) + b"".join(_rendered([frame]) for frame in _chapters(tags))


def _rendered(frames: list[Any]) -> bytes:
    """mutagen puts them in an order of its own."""
    if not frames:
        return b""
    tag, target = id3.ID3(), io.BytesIO()
    for frame in frames:
        tag.add(frame)
    tag.save(target, v1=0, v2_version=4, padding=lambda _: 0)
    return target.getvalue()[10:]


def _frames(name: str, values: list[str], tags: Tags) -> Iterator[Any]:
    """mutagen's classes are untyped."""
    if name in ("tracknumber", "discnumber"):
        total = tags.first({"tracknumber": "tracktotal", "discnumber": "disctotal"}[name])
        numbers = id3.TRCK if name == "tracknumber" else id3.TPOS
        yield numbers(encoding=_UTF8, text=[f"{values[0]}/{total}" if total else values[0]])
    elif name == "comment":
        yield id3.COMM(encoding=_UTF8, lang="eng", desc="", text=values)
    elif name == "lyrics":
        yield id3.USLT(encoding=_UTF8, lang="eng", desc="", text="\n\n".join(values))
    elif name in ("date", "originaldate"):
        times = id3.TDRC if name == "date" else id3.TDOR
        if dates := [date for value in values if (date := _date(value))]:
            yield times(encoding=_UTF8, text=dates)
    elif name not in ("tracktotal", "disctotal"):
        yield _frame(name, values)


def _date(value: str) -> str:
    match = _DATE.match(value) or _YEAR.search(value)
    return match[0] if match else ""


def _frame(name: str, values: list[str]) -> Any:
    frame = BY_NAME[name].id3 if name in BY_NAME else ""
    if frame and not frame.startswith("TXXX"):
        return getattr(id3, frame)(encoding=_UTF8, text=values)
    return id3.TXXX(encoding=_UTF8, desc=frame.removeprefix("TXXX:") or free_name(name), text=values)


def _chapters(tags: Tags) -> Iterator[Any]:
    """In the order of time: some programs show them as they come. A table of contents counts its chapters in a byte."""
    names = [f"chp{number}" for number in range(len(tags.chapters))]
    for part in range(0, len(names), _MOST_IN_A_TABLE):
        flags = _ORDERED if part else _ORDERED | _TOP_LEVEL
        children = names[part : part + _MOST_IN_A_TABLE]
        yield id3.CTOC(
            element_id=f"toc{part // _MOST_IN_A_TABLE or ''}", flags=flags, child_element_ids=children, sub_frames=[]
        )
    for name, chapter in zip(names, tags.chapters, strict=True):
        title = [id3.TIT2(encoding=_UTF8, text=[chapter.title])] if chapter.title else []
        times = {"start_time": chapter.start_ms, "end_time": chapter.end_ms}
        yield id3.CHAP(element_id=name, **times, start_offset=_NO_OFFSET, end_offset=_NO_OFFSET, sub_frames=title)
