"""What should be known about the tags of a result: why it has none, or what of the source's was left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum


class TagNote(StrEnum):
    SOURCE_MISSING = "source_missing"
    SOURCE_UNREADABLE = "source_unreadable"
    SOURCE_SLOW = "source_slow"
    SOURCE_CHANGED = "source_changed"
    UNWRITABLE = "unwritable"
    NO_ROOM = "no_room"
    FAILED = "failed"
    COVER_TOO_LARGE = "cover_too_large"
    TEXT_TOO_LONG = "text_too_long"


_WITHOUT_TAGS = {
    TagNote.SOURCE_MISSING: "the source was no longer in its place",
    TagNote.SOURCE_UNREADABLE: "the source could not be read",
    TagNote.SOURCE_SLOW: "the source could not be read within 10 seconds",
    TagNote.SOURCE_CHANGED: "the source is not the file that was uploaded any more",
    TagNote.UNWRITABLE: "they are damaged, unfinished or too large to get any",
    TagNote.NO_ROOM: "the outbox had no room to write them",
    TagNote.FAILED: "writing them failed, see the log",
}
_LEFT_OUT = {
    TagNote.COVER_TOO_LARGE: "a picture of more than 4 MB",
    TagNote.TEXT_TOO_LONG: "a text of more than 64 kB, or too many texts",
}


def tag_warnings(noted: Iterable[tuple[str, tuple[TagNote, ...]]]) -> Iterator[str]:
    """Sentences without their full stops, from labels and notes of a task's tracks."""
    labels: dict[TagNote, list[str]] = {}
    for label, notes in noted:
        for note in notes:
            labels.setdefault(note, []).append(label)
    for note, those in labels.items():
        tracks = f"the track{'s' if len(those) > 1 else ''} {', '.join(those)}"
        if note in _WITHOUT_TAGS:
            yield f"{tracks} got no tags: {_WITHOUT_TAGS[note]}"
        else:
            yield f"{_LEFT_OUT[note]} was left out of the tags of {tracks}"
