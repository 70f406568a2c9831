"""One table of fields: what each is called in every container. Fields that are not in it keep their own names."""

from __future__ import annotations

import re
from typing import NamedTuple


class Field(NamedTuple):
    name: str
    id3: str  # a frame of ID3v2.4; TXXX:… for one without
    vorbis: str
    mp4: str  # an atom; ----:… for a free-form one
    info: str = ""  # a chunk of RIFF INFO
    aliases: tuple[str, ...] = ()  # other names that programs write, in Vorbis comments and free-form ones


FIELDS: tuple[Field, ...] = (
    Field("title", "TIT2", "TITLE", "©nam", "INAM"),
    Field("artist", "TPE1", "ARTIST", "©ART", "IART"),
    Field("album", "TALB", "ALBUM", "©alb", "IPRD"),
    Field("albumartist", "TPE2", "ALBUMARTIST", "aART", aliases=("album artist", "album_artist")),
    Field("date", "TDRC", "DATE", "©day", "ICRD", aliases=("year",)),
    Field("originaldate", "TDOR", "ORIGINALDATE", "----:ORIGINALDATE"),
    Field("genre", "TCON", "GENRE", "©gen", "IGNR"),
    Field("tracknumber", "", "TRACKNUMBER", "", "ITRK", aliases=("track", "track number")),
    Field("tracktotal", "", "TRACKTOTAL", "", aliases=("totaltracks", "track total")),
    Field("discnumber", "", "DISCNUMBER", "", aliases=("disc", "disk", "disknumber")),
    Field("disctotal", "", "DISCTOTAL", "", aliases=("totaldiscs", "disc total")),
    Field("bpm", "TBPM", "BPM", "tmpo", aliases=("tempo",)),
    Field("key", "TKEY", "INITIALKEY", "----:initialkey", aliases=("key", "initial key", "initial_key")),
    Field("comment", "", "COMMENT", "©cmt", "ICMT", aliases=("description",)),
    Field("lyrics", "", "LYRICS", "©lyr", aliases=("unsyncedlyrics",)),
    Field("composer", "TCOM", "COMPOSER", "©wrt"),
    Field("lyricist", "TEXT", "LYRICIST", "----:LYRICIST"),
    Field("conductor", "TPE3", "CONDUCTOR", "----:CONDUCTOR"),
    Field("remixer", "TPE4", "REMIXER", "----:REMIXER", aliases=("mixartist",)),
    Field("grouping", "TIT1", "GROUPING", "©grp"),
    Field("subtitle", "TIT3", "SUBTITLE", "----:SUBTITLE"),
    Field("compilation", "TCMP", "COMPILATION", "cpil"),
    Field("label", "TPUB", "LABEL", "----:LABEL", aliases=("publisher", "organization")),
    Field("copyright", "TCOP", "COPYRIGHT", "cprt", "ICOP"),
    Field("language", "TLAN", "LANGUAGE", "----:LANGUAGE"),
    Field("mood", "TMOO", "MOOD", "----:MOOD"),
    Field("titlesort", "TSOT", "TITLESORT", "sonm"),
    Field("artistsort", "TSOP", "ARTISTSORT", "soar"),
    Field("albumsort", "TSOA", "ALBUMSORT", "soal"),
    Field("albumartistsort", "TSO2", "ALBUMARTISTSORT", "soaa"),
    Field("composersort", "TSOC", "COMPOSERSORT", "soco"),
    Field("replaygain_track_gain", "TXXX:replaygain_track_gain", "REPLAYGAIN_TRACK_GAIN", "----:replaygain_track_gain"),
    Field("replaygain_album_gain", "TXXX:replaygain_album_gain", "REPLAYGAIN_ALBUM_GAIN", "----:replaygain_album_gain"),
)
BY_NAME = {field.name: field for field in FIELDS}
BY_INFO = {field.info: field.name for field in FIELDS if field.info} | {"IPRT": "tracknumber"}
BY_ID3 = {field.id3: field.name for field in FIELDS if field.id3 and not field.id3.startswith("TXXX")}
BY_MP4 = {field.mp4: field.name for field in FIELDS if field.mp4 and not field.mp4.startswith("----")}
_BY_FREE_NAME = {
    name.lower(): field.name
    for field in FIELDS
    for name in (
        field.name,
        field.vorbis,
        field.id3.removeprefix("TXXX:"),
        field.mp4.removeprefix("----:"),
        *field.aliases,
    )
    if name
}

_FREE_NAME = re.compile(r"[ -<>-}]{1,64}")  # of a Vorbis comment: printable ASCII but `=`
_NUMBERED = re.compile(r"\s*(\d{1,9})\s*(?:/\s*(\d{1,9}))?\s*")


def field_name(written: str) -> str | None:
    """The field that a Vorbis comment, a TXXX frame or a free-form atom of this name holds; None for a name that not all can hold."""
    name = " ".join(written.lower().split())
    return _BY_FREE_NAME.get(name) or (name if _FREE_NAME.fullmatch(name) else None)


def free_name(name: str) -> str:
    """What a field that is not in the table is called where it is written."""
    return BY_NAME[name].vorbis if name in BY_NAME else name.upper()


def numbered(text: str) -> tuple[str, str]:
    """`3/12` as its two numbers, without leading zeros in the second; '' for each that is not there."""
    match = _NUMBERED.fullmatch(text)
    if not match:
        return ("", "") if "/" in text else (text.strip(), "")
    return match[1], (match[2] or "")
