"""Tags, attached pictures and chapters of Matroska and WebM (RFC 9559). Walked in place, without the sound: pictures are never loaded.

Tags of a single track are ignored: they describe its encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.matroska import INFO, SEGMENT, Element, elements
from lalald.media.tags.fields import field_name
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.regions import Region
from lalald.media.tags.tag_model import Chapter, Omission
from lalald.media.tags.text import MOST_TEXT_BYTES

EBML_HEADER = b"\x1a\x45\xdf\xa3"
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_CLUSTER, _CUES, _VOID, _CRC = 0x1F43B675, 0x1C53BB6B, 0xEC, 0xBF
_TAGS, _TAG, _TARGETS, _LEVEL, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = (
    0x1254C367, 0x7373, 0x63C0, 0x68CA, 0x67C8, 0x45A3, 0x4487,
)  # fmt: skip
_OWNERS = (0x63C5, 0x63C4, 0x63C9, 0x63C6)  # a track, a chapter, an edition, an attachment
_ATTACHMENTS, _ATTACHED_FILE, _FILE_NAME, _FILE_DATA = 0x1941A469, 0x61A7, 0x466E, 0x465C
_CHAPTERS, _EDITION, _CHAPTER, _START, _END, _DISPLAY, _DISPLAYED = 0x1043A770, 0x45B9, 0xB6, 0x91, 0x92, 0x80, 0x85
_TITLE = 0x7BA9
_WANTED = (INFO, _TAGS, _ATTACHMENTS, _CHAPTERS)
_BEHIND = frozenset({*_WANTED, _SEEK_HEAD, _CUES, _VOID, _CRC})  # what follows the sound
_BEGINS_BEHIND = re.compile(b"|".join(re.escape(id_.to_bytes(4)) for id_ in _WANTED))
_TAIL_BYTES = 256 * 1024
_MOST_PLACES, _MOST_BEHIND = 64, 50
_MOST_NAME_BYTES = 1024
_SONG, _DISC, _ALBUM = 30, 40, 50  # levels
_NAMES = {
    "part_number": "tracknumber", "total_parts": "tracktotal", "date_released": "date", "date_recorded": "originaldate",
    "lead_performer": "artist", "remixed_by": "remixer", "replaygain_gain": "replaygain_track_gain",
}  # fmt: skip
_NAMES_OF_DISC = {"part_number": "discnumber", "title": "subtitle"}
_NAMES_OF_ALBUM = {"title": "album", "artist": "albumartist"}  # where the song has its own


class _Tag(NamedTuple):
    level: int
    body: Element


def read_matroska(file: BoundedFile, start: int, collector: Collector) -> None:
    """Raises EOFError, ValueError, OSError on what is damaged."""
    segment = next((element for element in elements(file, start, file.size) if element.id == SEGMENT), None)
    parts = [] if segment is None else _parts(file, segment)
    tags = [tag for part in parts if part.id == _TAGS for tag in _tags(file, part)]
    for tag in sorted(tags, key=lambda tag: tag.level):
        _read_tag(file, tag, collector)
    for part in parts:
        if part.id == INFO and not collector.has("title"):
            collector.add("title", [_text(file, _child(file, part, _TITLE))])
        elif part.id == _ATTACHMENTS:
            _read_attachments(file, part, collector)
        elif part.id == _CHAPTERS and (edition := _child(file, part, _EDITION)):
            collector.add_chapters(_chapters(file, edition))


def _parts(file: BoundedFile, segment: Element) -> list[Element]:
    """Those before the sound, those that an index before the sound names, and without tags there those at the end; each once."""
    end = file.size if segment.end is None else segment.end
    found: dict[int, Element] = {}
    places: list[int] = []
    with suppress(EOFError, ValueError):  # what is damaged hides nothing that comes before it
        for element in elements(file, segment.start, end):
            if element.id == _CLUSTER:
                break
            if element.id == _SEEK_HEAD:
                places += (segment.start + place for place in _places(file, element))
            found[element.start] = element
    for place in places:
        with suppress(EOFError, ValueError):
            found |= {element.start: element for element in islice(elements(file, place, end), 1)}
    if not any(element.id == _TAGS for element in found.values()):
        found |= {element.start: element for element in _behind(file, segment.start, min(end, file.size))}
    return [element for element in found.values() if element.id in _WANTED]


def _behind(file: BoundedFile, start: int, end: int) -> list[Element]:
    """Those at the end of the file that no index names: from one of them on, element by element, to the very end."""
    start = max(start, end - _TAIL_BYTES)
    tail = file.read_at(start, end - start)
    for match in islice(_BEGINS_BEHIND.finditer(tail), _MOST_PLACES):
        with suppress(EOFError, ValueError):
            found = list(islice(elements(file, start + match.start(), end), _MOST_BEHIND))
            if found[-1].end == end and _BEHIND.issuperset(element.id for element in found):
                return found
    return []


def _places(file: BoundedFile, index: Element) -> Iterator[int]:
    for entry in _children(file, index):
        if entry.id == _SEEK and _number(file, _child(file, entry, _SEEK_ID)) in _WANTED:
            yield _number(file, _child(file, entry, _SEEK_POSITION))


def _children(file: BoundedFile, parent: Element) -> Iterator[Element]:
    return elements(file, parent.start, file.size if parent.end is None else parent.end)


def _child(file: BoundedFile, parent: Element, id_: int) -> Element | None:
    return next((element for element in _children(file, parent) if element.id == id_), None)


def _region(file: BoundedFile, element: Element) -> Region:
    return Region(file, element.start, (file.size if element.end is None else element.end) - element.start)


def _number(file: BoundedFile, element: Element | None) -> int:
    return 0 if element is None else int.from_bytes(_region(file, element).read_at(0, 8))


def _text(file: BoundedFile, element: Element | None, most_bytes: int = MOST_TEXT_BYTES) -> str:
    region = None if element is None else _region(file, element)
    if region is None or region.size > most_bytes:
        return ""
    return region.read_at(0, region.size).partition(b"\0")[0].decode("utf-8", "replace")


def _tags(file: BoundedFile, part: Element) -> Iterator[_Tag]:
    """Those of the whole file."""
    for tag in _children(file, part):
        targets = _child(file, tag, _TARGETS) if tag.id == _TAG else None
        facts = {} if targets is None else {fact.id: _number(file, fact) for fact in _children(file, targets)}
        if tag.id == _TAG and not any(facts.get(owner) for owner in _OWNERS):
            yield _Tag(facts.get(_LEVEL) or _ALBUM, tag)


def _read_tag(file: BoundedFile, tag: _Tag, collector: Collector) -> None:
    """A lower level wins over a higher one. Levels above albums describe collections, and are ignored."""
    own: set[str] = set()
    for simple in _children(file, tag.body) if tag.level <= _ALBUM else ():
        if simple.id != _SIMPLE_TAG:
            continue
        name = _name(_text(file, _child(file, simple, _TAG_NAME), _MOST_NAME_BYTES).lower(), tag.level, collector, own)
        value = _child(file, simple, _TAG_STRING)
        if name is None or value is None or (collector.has(name) and name not in own):
            continue
        own.add(name)
        if _region(file, value).size > MOST_TEXT_BYTES:
            collector.omit(Omission.TEXT_TOO_LONG)
        collector.add(name, [_text(file, value)])


def _name(written: str, level: int, collector: Collector, own: set[str]) -> str | None:
    if level == _DISC and written in _NAMES_OF_DISC:
        return _NAMES_OF_DISC[written]
    name = _NAMES.get(written) or field_name(written)
    if level == _ALBUM and name in _NAMES_OF_ALBUM and collector.has(name) and name not in own:
        return _NAMES_OF_ALBUM[name]
    return name


def _read_attachments(file: BoundedFile, part: Element, collector: Collector) -> None:
    for attached in _children(file, part):
        if attached.id == _ATTACHED_FILE and (data := _child(file, attached, _FILE_DATA)):
            is_cover = _text(file, _child(file, attached, _FILE_NAME), _MOST_NAME_BYTES).lower().startswith("cover.")
            collector.add_picture(_region(file, data), 3 if is_cover else 0)


def _chapters(file: BoundedFile, edition: Element) -> Iterator[Chapter]:
    """Their times are in nanoseconds."""
    for chapter in _children(file, edition):
        if chapter.id == _CHAPTER:
            start_ms, end_ms = (_number(file, _child(file, chapter, id_)) // 1_000_000 for id_ in (_START, _END))
            shown = _child(file, chapter, _DISPLAY)
            title = "" if shown is None else _text(file, _child(file, shown, _DISPLAYED), _MOST_NAME_BYTES)
            yield Chapter(start_ms, max(start_ms, end_ms), title)
