"""Tags as programs, and enemies, write them. Made byte by byte: no encoder is needed."""

from __future__ import annotations

import base64
import io
import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import pytest
from mutagen import id3

from lalald.media.tags.tag_model import Chapter, Omission, SourceTags, Tags
from tests.support import sounds
from tests.support.tagging import content, png, read


def tag(*frames: bytes, version: int = 3, flags: int = 0) -> bytes:
    body = b"".join(frames)
    return b"ID3" + bytes([version, 0, flags]) + safe(len(body)) + body


def safe(size: int) -> bytes:
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def frame(name: bytes, body: bytes, *, version: int = 3, flags: bytes = b"\0\0", size: bytes | None = None) -> bytes:
    if version == 2:
        return name + len(body).to_bytes(3) + body
    return name + (size or (safe(len(body)) if version == 4 else len(body).to_bytes(4))) + flags + body


def text(name: bytes, value: str, encoding: int = 3, **options: object) -> bytes:
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    return frame(name, bytes([encoding]) + value.encode(codec), **options)  # type: ignore[arg-type]


def apic(data: bytes, *, mime: bytes = b"image/png", kind: int = 3, description: bytes = b"") -> bytes:
    return b"\0" + mime + b"\0" + bytes([kind]) + description + b"\0" + data


def mp3(tmp_path: Path, front: bytes = b"", behind: bytes = b"") -> SourceTags:
    return read(sounds.write(tmp_path / "source.mp3", front + sounds.mp3(1) + behind))


def comment(*values: bytes, vendor: bytes = b"x") -> bytes:
    body = b"".join(struct.pack("<I", len(value)) + value for value in values)
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(values)) + body


def flac(tmp_path: Path, *blocks: tuple[int, bytes]) -> SourceTags:
    whole = sounds.flac(3)
    info, audio = whole[8:42], whole[42:]
    found = [(0, info), *blocks]
    body = b"".join(
        bytes([kind | (0x80 if place == len(found) - 1 else 0)]) + len(data).to_bytes(3) + data
        for place, (kind, data) in enumerate(found)
    )
    return read(sounds.write(tmp_path / "source.flac", b"fLaC" + body + audio))


def flac_picture(data: bytes, mime: bytes = b"image/png") -> bytes:
    return (
        struct.pack(">II", 3, len(mime)) + mime + struct.pack(">I", 0) + bytes(16) + struct.pack(">I", len(data)) + data
    )


# ID3


def test_text_in_every_encoding_of_id3(tmp_path: Path) -> None:
    found = mp3(tmp_path, tag(text(b"TIT2", "Größe", 0), text(b"TPE1", "名前", 1), text(b"TALB", "名", 2), version=4))
    assert found.tags.fields == {"title": ("Größe",), "artist": ("名前",), "album": ("名",)}


def test_the_first_version_of_id3v2_is_read(tmp_path: Path) -> None:
    picture = frame(b"PIC", b"\0PNG\3\0" + png(), version=2)
    found = mp3(
        tmp_path, tag(text(b"TT2", "T", 0, version=2), text(b"TRK", "3/9", 0, version=2), picture, version=2)
    ).tags
    assert found.fields == {"title": ("T",), "tracknumber": ("3",), "tracktotal": ("9",)}
    assert content(found.pictures[0]) == png()


@pytest.mark.parametrize(("encoding", "title"), [("cp1251", "Группа крови"), ("shift_jis", "宇多田ヒカル")])
def test_wrongly_encoded_text_is_put_right(tmp_path: Path, encoding: str, title: str) -> None:
    raw = title.encode(encoding)
    as_latin = frame(b"TIT2", b"\0" + raw) + frame(b"TPE1", b"\0" + raw) + text(b"TALB", "é", 1)
    assert mp3(tmp_path, tag(as_latin)).tags.fields == {"title": (title,), "artist": (title,), "album": ("é",)}


@pytest.mark.parametrize(("encoding", "title"), [("cp1251", "Кино"), ("latin-1", "Café"), ("utf-8", "Café")])
def test_the_first_id3_is_read_where_nothing_else_is(tmp_path: Path, encoding: str, title: str) -> None:
    raw = (
        b"TAG"
        + title.encode(encoding).ljust(30, b"\0")
        + "Группа".encode("cp1251").ljust(30, b" ")[: 30 * (encoding == "cp1251")]
    )
    block = raw.ljust(125, b"\0") + b"\0\7\21"
    found = mp3(tmp_path, behind=block).tags
    assert found.first("title") == title
    assert found.first("tracknumber") == "7"
    assert found.first("genre") == "Rock"


def test_dates_and_genres_of_older_versions(tmp_path: Path) -> None:
    frames = [text(b"TYER", "1999", 0), text(b"TDAT", "0506", 0), text(b"TCON", "(17)(20)Other", 0)]
    found = mp3(tmp_path, tag(*frames)).tags
    assert found.first("date") == "1999-06-05"
    assert found.fields["genre"] == ("Rock", "Alternative", "Other")


def test_several_values_of_one_field(tmp_path: Path) -> None:
    assert mp3(tmp_path, tag(text(b"TPE1", "A\0B\0A"), version=4)).tags.fields == {"artist": ("A", "B")}


def test_comments_of_programs_are_none(tmp_path: Path) -> None:
    def comm(description: str, value: str) -> bytes:
        return frame(b"COMM", b"\0eng" + description.encode() + b"\0" + value.encode())

    found = mp3(tmp_path, tag(comm("iTunNORM", " 0001"), comm("iTunSMPB", " 0"), comm("", "mine"))).tags
    assert found.fields == {"comment": ("mine",)}


def test_what_merges_recordings_or_speaks_of_the_encoding_is_dropped(tmp_path: Path) -> None:
    def own(name: str, value: str) -> bytes:
        return frame(b"TXXX", b"\0" + name.encode() + b"\0" + value.encode())

    frames = [
        text(b"TSRC", "DEXXX"), text(b"TSSE", "LAME"), text(b"TENC", "x"), text(b"TLEN", "1000"),
        frame(b"UFID", b"http://musicbrainz.org\0abc"), own("MusicBrainz Album Id", "x"), own("Acoustid Id", "x"),
        own("REPLAYGAIN_TRACK_PEAK", "1.0"), own("replaygain_track_gain", "-3.1 dB"), own("MusicBrainz Artist Id", "a"),
        frame(b"PRIV", b"x\0y"), frame(b"GEOB", b"\0x\0y\0z\0\0"), frame(b"WOAR", b"http://x"),
    ]  # fmt: skip
    assert mp3(tmp_path, tag(*frames, version=3)).tags.fields == {
        "replaygain_track_gain": ("-3.1 dB",),
        "musicbrainz artist id": ("a",),
    }


def test_chapters_are_read_with_their_titles(tmp_path: Path) -> None:
    tags = id3.ID3()
    tags.add(id3.TIT2(text=["T"]))
    for number in range(2):
        title = [id3.TIT2(encoding=3, text=[f"Часть {number}"])]
        tags.add(
            id3.CHAP(element_id=f"c{number}", start_time=number * 500, end_time=number * 500 + 400, sub_frames=title)
        )
    tags.add(id3.CTOC(element_id="toc", flags=3, child_element_ids=["c0", "c1"], sub_frames=[]))
    target = io.BytesIO()
    tags.save(target)
    assert mp3(tmp_path, target.getvalue()).tags.chapters == (Chapter(0, 400, "Часть 0"), Chapter(500, 900, "Часть 1"))


def test_zeros_inserted_between_bytes_are_removed(tmp_path: Path) -> None:
    cover = png(70_000) + b"\xff\xfe\xff\0\0\xff"
    body = frame(b"APIC", apic(cover)) + text(b"TIT2", "ÿþ", 1)
    spread = body.replace(b"\xff", b"\xff\0")
    found = mp3(tmp_path, b"ID3\3\0\x80" + safe(len(spread)) + spread).tags
    assert (found.first("title"), content(found.pictures[0])) == ("ÿþ", cover)


def test_zeros_in_one_frame_are_removed(tmp_path: Path) -> None:
    cover = png(70_000) + b"\xff\0\xff"
    spread = apic(cover).replace(b"\xff", b"\xff\0")
    found = mp3(
        tmp_path, tag(frame(b"APIC", spread, version=4, flags=b"\0\2"), text(b"TIT2", "T", version=4), version=4)
    )
    assert (found.tags.first("title"), content(found.tags.pictures[0])) == ("T", cover)


def test_sizes_as_itunes_once_wrote_them(tmp_path: Path) -> None:
    data = apic(png(200))
    picture = frame(b"APIC", data, version=4, size=len(data).to_bytes(4))
    assert mp3(tmp_path, tag(picture, text(b"TIT2", "T", version=4), version=4)).tags.first("title") == "T"


def test_an_extended_header_is_passed_over(tmp_path: Path) -> None:
    old = struct.pack(">IHI", 6, 0, 0) + text(b"TIT2", "T")
    assert mp3(tmp_path, tag(old, flags=0x40)).tags.first("title") == "T"
    new = safe(6) + b"\1\0" + text(b"TIT2", "T", version=4)
    assert mp3(tmp_path, tag(new, version=4, flags=0x40)).tags.first("title") == "T"


# covers


def test_several_covers_are_kept_with_their_kinds(tmp_path: Path) -> None:
    jpeg = b"\xff\xd8\xff\xe0" + bytes(100)
    found = mp3(
        tmp_path,
        tag(frame(b"APIC", apic(png())), frame(b"APIC", apic(jpeg, kind=4, description=b"back", mime=b"image/jpg"))),
    ).tags.pictures
    assert [(picture.mime, picture.kind, picture.description) for picture in found] == [
        ("image/png", 3, ""),
        ("image/jpeg", 4, "back"),
    ]


@pytest.mark.parametrize("kind", ["mp3", "flac", "comment"])
def test_a_cover_above_4_mb_is_left_out_and_the_rest_stays(tmp_path: Path, kind: str) -> None:
    large = png(20_000_000) if kind == "mp3" else png(12_000_000)
    if kind == "mp3":
        found = mp3(tmp_path, tag(frame(b"APIC", apic(large)), text(b"TIT2", "T")))
    elif kind == "flac":
        found = flac(tmp_path, (6, flac_picture(large)), (4, comment(b"TITLE=T")))
    else:
        block = b"METADATA_BLOCK_PICTURE=" + base64.b64encode(flac_picture(large))
        found = flac(tmp_path, (4, comment(block, b"TITLE=T")))
    assert found == SourceTags(Tags({"title": ("T",)}), frozenset({Omission.COVER_TOO_LARGE}))


def test_data_that_is_not_a_picture_is_ignored(tmp_path: Path) -> None:
    found = mp3(
        tmp_path,
        tag(frame(b"APIC", apic(b"http://x", mime=b"-->")), frame(b"APIC", apic(b"<svg/>")), text(b"TIT2", "T")),
    )
    assert found == SourceTags(Tags({"title": ("T",)}))


def test_a_damaged_picture_does_not_spoil_the_comments(tmp_path: Path) -> None:
    found = flac(tmp_path, (6, flac_picture(png())[:30]), (4, comment(b"METADATA_BLOCK_PICTURE=!!!!", b"TITLE=T")))
    assert found == SourceTags(Tags({"title": ("T",)}))


# Vorbis comments, MP4, WAV, AIFF


def test_names_of_comments_that_programs_write(tmp_path: Path) -> None:
    values = [
        b"Album Artist=AA", b"YEAR=2001", b"track=4/10", b"DISC=1", b"TOTALDISCS=2", b"INITIALKEY=Am", b"tempo=99.5",
        b"DESCRIPTION=c", b"ORGANIZATION=L", b"UNSYNCEDLYRICS=la", b"MY OWN=x", b"BAD\xc3\x84=x", b"=x", b"none",
    ]  # fmt: skip
    assert flac(tmp_path, (4, comment(*values))).tags.fields == {
        "albumartist": ("AA",), "date": ("2001",), "tracknumber": ("4",), "tracktotal": ("10",), "discnumber": ("1",),
        "disctotal": ("2",), "key": ("Am",), "bpm": ("99.5",), "comment": ("c",), "label": ("L",), "lyrics": ("la",),
        "my own": ("x",),
    }  # fmt: skip


def test_chapters_in_comments(tmp_path: Path) -> None:
    values = [b"CHAPTER002=00:00:01.500", b"CHAPTER002NAME=Two", b"CHAPTER001=00:00:00.000", b"CHAPTER001NAME=One"]
    assert flac(tmp_path, (4, comment(*values))).tags.chapters == (Chapter(0, 1500, "One"), Chapter(1500, 1500, "Two"))


def test_gain_of_opus_is_towards_another_loudness(tmp_path: Path) -> None:
    tags = b"OpusTags" + comment(b"R128_TRACK_GAIN=-2099")
    head = b"OpusHead\x01\x02" + struct.pack("<HIhB", 312, 48000, 0, 0)
    pages = sounds.ogg_page(7, 0, [head], flags=2) + sounds.ogg_page(7, 0, [tags], number=1)
    found = read(sounds.write(tmp_path / "source.opus", pages))
    assert found.tags.fields == {"replaygain_track_gain": ("-3.20 dB",)}


def test_genre_and_numbers_of_older_mp4_files(tmp_path: Path) -> None:
    def item(name: bytes, kind: int, data: bytes) -> bytes:
        return sounds.box(name, sounds.box(b"data", struct.pack(">II", kind, 0), data))

    items = sounds.box(
        b"ilst", item(b"gnre", 0, struct.pack(">H", 18)), item(b"trkn", 0, struct.pack(">HHHH", 0, 3, 0, 0)),
        item(b"tmpo", 21, struct.pack(">H", 120)), item(b"cpil", 21, b"\0"), item(b"covr", 14, png()),
    )  # fmt: skip
    meta = sounds.box(b"meta", bytes(4), sounds.box(b"hdlr", bytes(25)), items)
    found = read(sounds.write(tmp_path / "source.m4a", sounds.m4a(inside=sounds.box(b"udta", meta)))).tags
    assert found.fields == {"genre": ("Rock",), "tracknumber": ("3",), "bpm": ("120",)}
    assert content(found.pictures[0]) == png()


@pytest.mark.parametrize("encoding", ["utf-8", "mac_roman"])
def test_texts_of_quicktime(tmp_path: Path, encoding: str) -> None:
    """As cameras and editors write them in MOV files; four zeros end the list."""
    texts = {b"\xa9nam": "Größe", b"\xa9ART": "A", b"\xa9mak": "a camera"}
    atoms = b"".join(
        sounds.box(name, struct.pack(">HH", len(value.encode(encoding)), 0), value.encode(encoding), bytes(3))
        for name, value in texts.items()
    )
    found = read(sounds.write(tmp_path / "source.mov", sounds.m4a(inside=sounds.box(b"udta", atoms, bytes(4))))).tags
    assert found.fields == {"title": ("Größe",), "artist": ("A",)}


def keyed(entries: Iterable[tuple[str, int, bytes]], version: bytes = b"") -> bytes:
    """Items by named keys. `entries`: key, kind, content."""
    keys, items = b"", b""
    for number, (name, kind, data) in enumerate(entries, 1):
        keys += sounds.box(b"mdta", name.encode())
        items += sounds.box(number.to_bytes(4), sounds.box(b"data", struct.pack(">II", kind, 0), data))
    heading = sounds.box(b"keys", struct.pack(">II", 0, keys.count(b"mdta")), keys)
    handler = sounds.box(b"hdlr", bytes(8) + b"mdta" + bytes(12))
    return sounds.box(b"meta", version, handler, heading, sounds.box(b"ilst", items))


IPHONE = (
    ("com.apple.quicktime.author", 1, b"Author"), ("com.apple.quicktime.artist", 1, "Künstler".encode()),
    ("com.apple.quicktime.title", 2, "Titel".encode("utf-16-be")), ("com.apple.quicktime.creationdate", 1, b"2024-05-01T12:00:00+0200"),
    ("com.apple.quicktime.location.ISO6709", 1, b"+52.5+013.4/"), ("com.apple.quicktime.model", 1, b"iPhone"),
    ("com.apple.quicktime.artwork", 14, png()), ("com.android.capture.fps", 23, b"\x42\0\0\0"),
    ("com.apple.quicktime.album", 23, b"\x42\0\0\0"),
)  # fmt: skip
FFMPEG = (
    ("title", 1, b"T"), ("track", 1, b"3/12"), ("album_artist", 1, b"AA"), ("encoder", 1, b"Lavf"), ("minor_version", 1, b"512"),
    ("BPM", 21, b"\x78"), ("comment", 1, b"x" * 70_000),
)  # fmt: skip


@pytest.mark.parametrize("version", [b"", bytes(4)], ids=["quicktime", "mp4"])
def test_items_by_named_keys(tmp_path: Path, version: bytes) -> None:
    """As iPhones and ffmpeg write them: in MOV files without a version, in MP4 files with one."""
    found = read(sounds.write(tmp_path / "source.mov", sounds.m4a(inside=keyed(IPHONE, version)))).tags
    assert found.fields == {"artist": ("Künstler",), "title": ("Titel",), "date": ("2024-05-01T12:00:00+0200",)}
    assert content(found.pictures[0]) == png()
    other = sounds.box(b"udta", sounds.box(b"\xa9nam", struct.pack(">HH", 5, 0), b"Other"))
    expected = {"tracknumber": ("3",), "tracktotal": ("12",), "albumartist": ("AA",), "bpm": ("120",)}
    for inside, title in (
        (other + keyed(FFMPEG, version), "Other"),
        (sounds.box(b"udta", keyed(FFMPEG, version)), "T"),
    ):
        both = read(sounds.write(tmp_path / "source.mov", sounds.m4a(inside=inside)))
        assert both.tags.fields == {**expected, "title": (title,)}
        assert both.omissions == {Omission.TEXT_TOO_LONG}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_text_chunks_of_wav_fill_in_what_id3_does_not_say(tmp_path: Path, encoding: str) -> None:
    names = {b"INAM": "Название песни", b"IART": "Группа", b"IPRD": "Альбом"}
    info = b"INFO" + b"".join(sounds.chunk(name, value.encode(encoding) + b"\0") for name, value in names.items())
    sound = (sounds.wav_format(), sounds.chunk(b"data", bytes(1001)))
    whole = sounds.wav(*sound, sounds.chunk(b"LIST", info), sounds.chunk(b"id3 ", tag(text(b"TIT2", "Title"))))
    found = read(sounds.write(tmp_path / "source.wav", whole)).tags
    assert found.fields == {"title": ("Title",), "artist": ("Группа",), "album": ("Альбом",)}


def test_text_chunks_of_aiff(tmp_path: Path) -> None:
    whole = (
        sounds.aiff(100, bytes(200)) + sounds.chunk(b"NAME", b"T", order=">") + sounds.chunk(b"AUTH", b"A", order=">")
    )
    assert read(sounds.write(tmp_path / "s.aiff", whole)).tags.fields == {"title": ("T",), "artist": ("A",)}


def matroska_tag(level: int, *entries: tuple[str, str], track: int = 0) -> bytes:
    targets = b"".join(
        sounds.element(id_, bytes([value])) for id_, value in ((0x68CA, level), (0x63C5, track)) if value
    )
    simple = (
        sounds.element(0x67C8, sounds.element(0x45A3, name.encode()) + sounds.element(0x4487, value.encode()))
        for name, value in entries
    )
    return sounds.element(0x7373, sounds.element(0x63C0, targets) + b"".join(simple))


def matroska(front: bytes, behind: bytes = b"", *, shift: int = 0) -> bytes:
    """With an index in front, if there is something behind the sound."""
    size = 0
    for _ in range(2):  # the index says where it ends itself
        entry = sounds.element(0x53AB, behind[:4]) + sounds.element(0x53AC, struct.pack(">Q", size + shift))
        index = sounds.element(0x114D9B74, sounds.element(0x4DBB, entry)) if behind else b""
        before = index + front + sounds.element(0x1F43B675, bytes(30_000))
        size = len(before)
    return sounds.element(0x1A45DFA3, b"") + sounds.element(0x18538067, before + behind)


def test_tags_of_matroska(tmp_path: Path) -> None:
    """As RFC 9559 has them: those of a song and of its album, an attached cover, chapters; in front, and behind the sound."""
    album = matroska_tag(50, ("TITLE", "Album"), ("ARTIST", "All"), ("TOTAL_PARTS", "9"), ("DATE_RELEASED", "1999"))
    song = matroska_tag(
        30, ("TITLE", "Song"), ("ARTIST", "A"), ("ARTIST", "B"), ("PART_NUMBER", "3"), ("COMMENT", "x" * 70_000)
    )
    others = (
        matroska_tag(40, ("PART_NUMBER", "2")),
        matroska_tag(70, ("TITLE", "No")),
        matroska_tag(50, ("MOOD", "no"), track=1),
    )
    tags = sounds.element(0x1254C367, b"".join((album, *others, song)))
    cover = sounds.element(0x466E, b"cover.png") + sounds.element(0x465C, png(30_000))
    attached = sounds.element(0x1941A469, sounds.element(0x61A7, cover))
    shown = sounds.element(0x80, sounds.element(0x85, "Größe".encode()))
    times = sounds.element(0x91, (5_000_000).to_bytes(4)) + sounds.element(0x92, (7_000_000).to_bytes(4))
    chapters = sounds.element(0x1043A770, sounds.element(0x45B9, sounds.element(0xB6, times + shown)))
    for whole in (matroska(tags + attached + chapters), matroska(attached + chapters, tags)):
        found = read(sounds.write(tmp_path / "source.mka", whole))
        assert found.tags.fields == {
            "title": ("Song",), "artist": ("A", "B"), "tracknumber": ("3",), "discnumber": ("2",),
            "album": ("Album",), "albumartist": ("All",), "tracktotal": ("9",), "date": ("1999",),
        }  # fmt: skip
        assert [(content(picture), picture.kind) for picture in found.tags.pictures] == [(png_of(cover), 3)]
        assert found.tags.chapters == (Chapter(5, 7, "Größe"),)
        assert found.omissions == {Omission.TEXT_TOO_LONG}


def png_of(attached: bytes) -> bytes:
    return attached[attached.index(png()[:8]) :]


def test_tags_behind_the_sound_of_matroska_need_no_index(tmp_path: Path) -> None:
    """As a program leaves them that writes to a pipe. Bytes of the sound that look like the start of tags are none."""
    tags = sounds.element(0x1254C367, matroska_tag(30, ("TITLE", "Song")))
    cues, title = sounds.element(0x1C53BB6B, bytes(900)), sounds.element(0x1549A966, sounds.element(0x7BA9, b"Title"))
    lookalike = sounds.element(0x1254C367, bytes(70_000))
    segment = title + sounds.element(0x1F43B675, bytes(300_000) + lookalike + bytes(5)) + cues + tags
    for size in (None, b"\x01" + b"\xff" * 7):  # known, and as written to a pipe
        whole = sounds.element(0x1A45DFA3, b"") + sounds.element(0x18538067, segment, size=size)
        assert read(sounds.write(tmp_path / "source.mka", whole)).tags.fields == {"title": ("Song",)}
        cut = read(sounds.write(tmp_path / "cut.mka", whole[:-3]))
        assert cut.tags.fields == {"title": ("Title",)}, "what is cut off does not reach the end"


@pytest.mark.parametrize("shift", [1, 3, 2**40, 2**63])
def test_a_wrong_index_of_matroska_hides_nothing(tmp_path: Path, shift: int) -> None:
    title = sounds.element(0x1549A966, sounds.element(0x7BA9, b"Title"))
    whole = matroska(title, sounds.element(0x1254C367, matroska_tag(50, ("ARTIST", "A"))), shift=shift)
    assert read(sounds.write(tmp_path / "source.webm", whole)).tags.fields == {"title": ("Title",), "artist": ("A",)}
    assert not read(sounds.write(tmp_path / "cut.webm", whole[:40])).tags


@pytest.mark.parametrize("kind", ["wav", "rf64", "aiff", "opus", "flac", "m4a"])
def test_tags_behind_an_id3_in_front_are_read(tmp_path: Path, kind: str) -> None:
    """Programs that know nothing but ID3 put it in front of every kind of file."""
    named = frame(b"TPE1", b"\3A")
    chunk = sounds.chunk(b"id3 ", tag(named))
    sizes = sounds.chunk(b"ds64", struct.pack("<QQQI", 0, 100, 50, 0))
    ilst = sounds.box(b"ilst", sounds.box(b"\xa9ART", sounds.box(b"data", struct.pack(">II", 1, 0), b"A")))
    comments = comment(b"ARTIST=A")
    opus = sounds.ogg_page(7, 0, [b"OpusHead" + bytes(11)], flags=2) + sounds.ogg_page(7, 0, [b"OpusTags" + comments])
    whole = {
        "wav": sounds.wav(sounds.wav_format(), sounds.chunk(b"data", bytes(100)), chunk),
        "rf64": sounds.wav(sizes, sounds.chunk(b"data", bytes(100), size=0xFFFFFFFF), chunk, magic=b"RF64"),
        "aiff": sounds.aiff(100, bytes(200)) + sounds.chunk(b"ID3 ", tag(named), order=">"),
        "opus": opus,
        "flac": b"fLaC\x84" + len(comments).to_bytes(3) + comments,
        "m4a": sounds.m4a(
            inside=sounds.box(b"udta", sounds.box(b"meta", bytes(4), sounds.box(b"hdlr", bytes(25)), ilst))
        ),
    }[kind]
    found = read(sounds.write(tmp_path / "source", tag(text(b"TIT2", "Title")) + whole)).tags
    assert found.fields == {"title": ("Title",), "artist": ("A",)}


# hostile files


def test_a_comment_of_10_mb_is_left_out(tmp_path: Path) -> None:
    large = b"x" * 10_000_000
    found = mp3(tmp_path, tag(frame(b"COMM", b"\0eng\0" + large), text(b"TIT2", "T")))
    assert found == SourceTags(Tags({"title": ("T",)}), frozenset({Omission.TEXT_TOO_LONG}))
    found = flac(tmp_path, (4, comment(b"COMMENT=" + large, b"TITLE=T")))
    assert found == SourceTags(Tags({"title": ("T",)}), frozenset({Omission.TEXT_TOO_LONG}))


def test_thousands_of_fields_are_bounded(tmp_path: Path) -> None:
    values = [b"F%d=x" % number for number in range(10_000)] + [b"ARTIST=%d" % number for number in range(1000)]
    found = flac(tmp_path, (4, comment(*values)))
    assert len(found.tags.fields) == 256
    assert found.omissions == {Omission.TEXT_TOO_LONG}


def test_a_file_without_tags_has_none(tmp_path: Path) -> None:
    for content_ in (
        sounds.mp3(1),
        sounds.flac(3),
        sounds.m4a(),
        sounds.opus(1),
        sounds.wav(sounds.wav_format()),
        b"",
        b"x" * 5000,
    ):
        assert read(sounds.write(tmp_path / "source", content_)) == SourceTags()


def test_only_tags_that_are_dropped_are_no_tags(tmp_path: Path) -> None:
    assert mp3(tmp_path, tag(text(b"TSSE", "Lavf58"))) == SourceTags()


@pytest.mark.parametrize("seed", range(8))
def test_damaged_tags_are_read_as_far_as_they_go(tmp_path: Path, seed: int) -> None:
    """Nothing but tags, or nothing, comes of bytes that were changed at random; and nothing is ever raised."""
    chance = random.Random(seed)
    whole = {
        "mp3": tag(text(b"TIT2", "T"), frame(b"APIC", apic(png(3000))), text(b"TPE1", "A", 1)) + sounds.mp3(1),
        "flac": b"fLaC\0\0\0\x22" + bytes(34) + b"\x04\0\0\x40" + comment(b"TITLE=T", b"A=" + bytes(40)),
        "opus": sounds.opus(1),
        "m4a": sounds.m4a(inside=sounds.box(b"udta", sounds.box(b"meta", bytes(4), sounds.box(b"ilst", bytes(99))))),
        "wav": sounds.wav(sounds.wav_format(), sounds.chunk(b"id3 ", tag(text(b"TIT2", "T")))),
        "mka": matroska(sounds.element(0x1254C367, matroska_tag(30, ("TITLE", "T"), ("ARTIST", "A"))), bytes(9)),
        "mov": sounds.box(b"ftyp", b"qt  ") + sounds.box(b"moov", keyed(FFMPEG[:6])),
        "pipe.mka": sounds.element(0x1A45DFA3, b"")
        + sounds.element(
            0x18538067,
            sounds.element(0x1F43B675, bytes(90)) + sounds.element(0x1254C367, matroska_tag(30, ("TITLE", "T"))),
            size=b"\x01" + b"\xff" * 7,
        ),
    }
    for kind, content_ in whole.items():
        for _ in range(40):
            damaged = bytearray(content_)
            for _ in range(chance.randrange(1, 12)):
                damaged[chance.randrange(min(len(damaged), 600))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x20))
            cut = damaged[: chance.randrange(len(damaged))] if chance.random() < 0.3 else damaged
            found = read(sounds.write(tmp_path / f"source.{kind}", bytes(cut)))
            assert isinstance(found, SourceTags)


def test_a_tag_that_says_it_is_endless_ends(tmp_path: Path) -> None:
    assert mp3(tmp_path, b"ID3\4\0\0\x7f\x7f\x7f\x7f" + text(b"TIT2", "T", version=4)).tags.first("title") == "T"
    size = os.path.getsize(tmp_path / "source.mp3")
    assert size < 1_000_000


def chapter(*frames: bytes, start: int = 0) -> bytes:
    return frame(b"CHAP", b"c%d\0" % start + struct.pack(">4I", start, start + 9, 0, 0) + b"".join(frames), version=4)


def test_nothing_in_a_chapter_is_decompressed(tmp_path: Path) -> None:
    """A hundred kilobytes can hold a hundred megabytes."""
    title = b"\0\0\0\6" + zlib.compress(b"\3Title")
    compressed = frame(b"TIT2", title, version=4, flags=b"\0\x09")
    found = mp3(tmp_path, tag(chapter(compressed), chapter(text(b"TIT2", "Two", version=4), start=9), version=4))
    assert found.tags.chapters == (Chapter(0, 9, ""), Chapter(9, 18, "Two"))


def test_a_chapter_with_a_picture_keeps_its_title(tmp_path: Path) -> None:
    cover = frame(b"APIC", apic(png(300_000)), version=4)
    found = mp3(tmp_path, tag(chapter(cover, text(b"TIT2", "One", version=4)), version=4))
    assert found.tags.chapters == (Chapter(0, 9, "One"),)


@pytest.mark.parametrize(("encoding", "end"), [(0, b"\0"), (1, b"\0\0"), (3, b"\0")])
def test_a_frame_of_a_hundred_thousand_values_is_left_out(tmp_path: Path, encoding: int, end: bytes) -> None:
    many = frame(b"TPE1", bytes([encoding]) + end * 60_000, version=4)
    found = mp3(tmp_path, tag(many, text(b"TIT2", "Title", version=4), version=4))
    assert found == SourceTags(Tags({"title": ("Title",)}), frozenset({Omission.TEXT_TOO_LONG}))


def test_long_texts_in_an_unknown_encoding_take_little_memory(tmp_path: Path) -> None:
    many = [frame(b"TXXX", b"\0k%d\0" % number + b"\xe9\xea\xeb" * 20_000) for number in range(10)]
    path = sounds.write(tmp_path / "source.mp3", tag(*many) + sounds.mp3(1))
    assert peak_bytes(path) < 8_000_000


def test_a_comment_of_many_pages_takes_little_memory(tmp_path: Path) -> None:
    first = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<II", 1, 200 * 65025) + b"A="
    head = sounds.ogg_page(7, 0, [b"OpusHead" + bytes(11)], flags=2)
    pages = [_full_page((first if not number else b"") + bytes(65025)) for number in range(200)]
    path = sounds.write(tmp_path / "source.opus", head + b"".join(pages) + sounds.ogg_page(7, 0, [b"x"], flags=1))
    assert peak_bytes(path) < 1_000_000


def _full_page(body: bytes) -> bytes:
    return struct.pack("<4sBBqIIIB", b"OggS", 0, 1, -1, 7, 1, 0, 255) + b"\xff" * 255 + body[:65025]


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        read(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def ape(*items: tuple[bytes, bytes], binary: tuple[bytes, ...] = ()) -> bytes:
    body = b"".join(
        struct.pack("<II", len(value), 2 if key in binary else 0) + key + b"\0" + value for key, value in items
    )
    return body + b"APETAGEX" + struct.pack("<IIII8x", 2000, len(body) + 32, len(items), 0)


@pytest.mark.parametrize("front", [b"", tag(text(b"TSSE", "Lavf"))])
@pytest.mark.parametrize("start", [b"wvpk" + bytes(500), b"MAC " + bytes(500), sounds.mp3(1)])
def test_tags_behind_the_sound(tmp_path: Path, start: bytes, front: bytes) -> None:
    """As WavPack, Monkey's Audio and Musepack have them."""
    name = b"Cover Art (Front)"
    items = ape((b"Title", "Tïtle".encode()), (b"Artist", b"A\0B"), (b"Year", b"1999"), (b"Track", b"3/12"),
                (b"ISRC", b"x"), (name, b"cover.png\0" + png()), binary=(name,))  # fmt: skip
    found = read(sounds.write(tmp_path / "source", front + start + items + b"TAG" + b"cut off".ljust(125, b"\0"))).tags
    assert found.fields == {
        "title": ("Tïtle",), "artist": ("A", "B"), "date": ("1999",), "tracknumber": ("3",), "tracktotal": ("12",),
    }  # fmt: skip
    assert [content(picture) for picture in found.pictures] == [png()]


def test_tags_behind_the_sound_fill_in_what_id3_does_not_say(tmp_path: Path) -> None:
    """Programs that measure loudness write nothing but the gain there."""
    behind = ape((b"TITLE", b"Other"), (b"REPLAYGAIN_TRACK_GAIN", b"-3.00 dB"))
    found = mp3(tmp_path, tag(text(b"TIT2", "Title")), behind)
    assert found.tags.fields == {"title": ("Title",), "replaygain_track_gain": ("-3.00 dB",)}


@pytest.mark.parametrize("size", [0, 31, 33, 2**31, 2**32 - 1])
def test_a_tag_behind_the_sound_of_an_absurd_size_ends(tmp_path: Path, size: int) -> None:
    whole = ape((b"Title", b"x"))
    damaged = whole[:-20] + struct.pack("<I", size) + whole[-16:]
    assert not mp3(tmp_path, b"", damaged).tags


def asf_object(kind: str, data: bytes) -> bytes:
    return UUID(kind).bytes_le + struct.pack("<Q", 24 + len(data)) + data


def test_tags_of_windows_media(tmp_path: Path) -> None:
    def wide(value: str) -> bytes:
        return value.encode("utf-16-le") + b"\0\0"

    def entry(name: str, kind: int, value: bytes) -> bytes:
        return struct.pack("<H", len(wide(name))) + wide(name) + struct.pack("<HH", kind, len(value)) + value

    picture = b"\3" + len(png()).to_bytes(4, "little") + wide("image/png") + wide("front") + png()
    entries = [
        entry("WM/AlbumTitle", 0, wide("Album")), entry("WM/TrackNumber", 3, b"\7\0\0\0"), entry("Mood", 0, wide("calm")),
        entry("WM/ProviderStyle", 0, wide("x")), entry("WM/Picture", 1, picture), entry("WM/Genre", 0, wide("Жанр")),
    ]  # fmt: skip

    def in_library(stream: int, name: str, kind: int, value: bytes) -> bytes:
        head = struct.pack("<HHHHI", 0, stream, len(wide(name)), kind, len(value))
        return head + wide(name) + value

    large = png(200_000)
    back = b"\4" + len(large).to_bytes(4, "little") + wide("image/png") + wide("") + large
    library = [
        in_library(1, "Mood", 0, wide("no")),
        in_library(0, "WM/Picture", 1, back),
        in_library(0, "WM/Mood", 0, wide("!")),
    ]
    texts = [wide("Title"), wide("Artist"), b"", wide("Comment"), b""]
    inner = asf_object("44231c94-9498-49d1-a141-1d134e457054", struct.pack("<H", len(library)) + b"".join(library))
    objects = [
        (UUID("75b22633-668e-11cf-a6d9-00aa0062ce6c"), struct.pack("<5H", *map(len, texts)) + b"".join(texts)),
        (UUID("d2d0a440-e307-11d2-97f0-00a0c95ea850"), struct.pack("<H", len(entries)) + b"".join(entries)),
        (UUID("5fbf03b5-a92e-11cf-8ee3-00c00c205365"), bytes(18) + struct.pack("<I", len(inner)) + inner),
    ]
    body = b"".join(asf_object(str(kind), data) for kind, data in objects)
    head = UUID("75b22630-668e-11cf-a6d9-00aa0062ce6c").bytes_le + struct.pack("<QI2x", 30 + len(body), len(objects))
    found = read(sounds.write(tmp_path / "source.wma", head + body)).tags
    assert found.fields == {
        "title": ("Title",), "artist": ("Artist",), "comment": ("Comment",), "album": ("Album",),
        "tracknumber": ("7",), "mood": ("calm", "!"), "genre": ("Жанр",),
    }  # fmt: skip
    assert [(content(picture), picture.kind, picture.description) for picture in found.pictures] == [
        (png(), 3, "front"),
        (large, 4, ""),
    ]
