"""What readers find, within bounds: hostile tags hold 10 MB of comments, thousands of fields, pictures of 100 MB."""

from __future__ import annotations

from collections.abc import Iterable

from lalald.media.tags.fields import numbered
from lalald.media.tags.policy import is_kept
from lalald.media.tags.regions import Readable, Spool
from lalald.media.tags.tag_model import Chapter, Omission, Picture, SourceTags, Tags
from lalald.media.tags.text import MOST_FIELDS, MOST_VALUES, cleaned, is_too_long

MOST_PICTURE_BYTES = 4 * 1024 * 1024
_MOST_PICTURES = 16
_MOST_CHAPTERS = 1000
_MOST_TEXT = 1024 * 1024  # characters, of all fields together
_NUMBERS = {"tracknumber": "tracktotal", "discnumber": "disctotal"}
_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


class Collector:
    """One for each source. `spool` keeps its pictures."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._fields: dict[str, list[str]] = {}
        self._pictures: list[Picture] = []
        self._chapters: list[Chapter] = []
        self._omissions: set[Omission] = set()
        self._text_left = _MOST_TEXT

    def add(self, name: str, values: Iterable[str]) -> None:
        """Values of a field, as they were read. A field that is not for the results is passed over."""
        if not is_kept(name):
            return
        for value in values:
            if is_too_long(value):
                self.omit(Omission.TEXT_TOO_LONG)
            elif text := cleaned(name, value):
                self._add(name, text)

    def omit(self, omission: Omission) -> None:
        self._omissions.add(omission)

    def has(self, name: str) -> bool:
        return name in self._fields

    def _add(self, name: str, text: str) -> None:
        if name in _NUMBERS:
            text, total = numbered(text)
            if total and not self.has(_NUMBERS[name]):
                self._append(_NUMBERS[name], total)
            if not text:
                return
        self._append(name, text)

    def _append(self, name: str, text: str) -> None:
        values = self._fields.setdefault(name, []) if len(self._fields) < MOST_FIELDS else self._fields.get(name, [])
        self._text_left -= len(text)
        if len(values) >= MOST_VALUES or self._text_left < 0 or (not values and name not in self._fields):
            self.omit(Omission.TEXT_TOO_LONG)
        elif text not in values:
            values.append(text)

    def add_picture(self, data: Readable, kind: int = 3, description: str = "") -> None:
        """A picture's bytes are kept in the spool. Anything but a picture is skipped. Raises OSError, EOFError, ValueError."""
        head = data.read_at(0, 16)
        mime = next((mime for magic, mime in _MAGIC.items() if head.startswith(magic)), None)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            mime = "image/webp"
        if mime is None:
            return
        if data.size > MOST_PICTURE_BYTES or len(self._pictures) >= _MOST_PICTURES:
            self.omit(Omission.COVER_TOO_LARGE)
            return
        text = cleaned("", description)[:64]
        self._pictures.append(Picture(mime, kind if kind <= 20 else 0, text, self.spool.keep(data)))

    def add_chapters(self, chapters: Iterable[Chapter]) -> None:
        for chapter in chapters:
            if len(self._chapters) < _MOST_CHAPTERS and 0 <= chapter.start_ms <= chapter.end_ms < 2**32:
                self._chapters.append(chapter._replace(title=cleaned("", chapter.title)[:256]))

    def has_chapters(self) -> bool:
        return bool(self._chapters)

    def source_tags(self) -> SourceTags:
        fields = {name: tuple(values) for name, values in self._fields.items() if values}
        chapters = tuple(sorted(self._chapters))
        return SourceTags(Tags(fields, tuple(self._pictures), chapters), frozenset(self._omissions))
