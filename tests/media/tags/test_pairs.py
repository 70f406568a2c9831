"""Every container as source and as result: what players see, and that the sound stays as it is, sample for sample."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mutagen import File
from mutagen.flac import Picture as FlacPicture

from lalald.media.tags.policy import for_track
from lalald.media.tags.tag_model import Chapter, Tags
from lalald.media.tags.title_template import DEFAULT_TITLE
from tests.support.tagging import ENCODERS, content, decoded, jpeg, pictures, png, probed, read, sound, write

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
pytestmark = needs_ffmpeg

FIELDS = {
    "title": ("Größe 名前",),
    "artist": ("First", "Second"),
    "album": ("Album",),
    "albumartist": ("Everybody",),
    "date": ("1999-05-06",),
    "genre": ("Rock", "Pop"),
    "tracknumber": ("3",),
    "tracktotal": ("12",),
    "discnumber": ("1",),
    "disctotal": ("2",),
    "bpm": ("128",),
    "key": ("Am",),
    "comment": ("one line\nand another",),
    "composer": ("Composer",),
    "compilation": ("1",),
    "replaygain_track_gain": ("-3.20 dB",),
    "catalognumber": ("X 1",),
}
IDENTIFIERS = ("isrc", "musicbrainz_trackid", "musicbrainz_albumid", "acoustid_id", "replaygain_track_peak")
DROPPED = {name: (f"value of {name}",) for name in IDENTIFIERS}
CHAPTERS = (Chapter(0, 1000, "Start"), Chapter(1000, 3000, "Ende"))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A track of each kind, as a service sends it: with a title and an encoder of its own."""
    folder = tmp_path_factory.mktemp("tracks")
    return {kind: sound(folder / f"track.{kind}", metadata=["title=own", "artist=own"]) for kind in ENCODERS}


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Tags:
    return Tags(FIELDS, pictures(png(50_000), jpeg(tmp_path_factory.mktemp("cover"))), CHAPTERS)


@pytest.mark.parametrize("result", ENCODERS)
@pytest.mark.parametrize("source", ENCODERS)
def test_what_a_source_carries_is_in_its_result(
    tmp_path: Path, tracks: dict[str, Path], tags: Tags, source: str, result: str
) -> None:
    of_source = replace(tags, fields={**FIELDS, **DROPPED})
    tagged_source = write(tracks[source], tmp_path / f"source.{source}", of_source)
    assert all(value.encode() in tagged_source.read_bytes() for (value,) in DROPPED.values())
    found = read(tagged_source)
    of_track = for_track(found.tags, DEFAULT_TITLE, {"label": "vocals", "name": "source"})
    written = write(tracks[result], tmp_path / f"result.{result}", of_track)
    again = read(written).tags
    assert again.fields == {**FIELDS, "title": ("Größe 名前 (vocals)",)}
    assert [content(picture) for picture in again.pictures] == [content(picture) for picture in tags.pictures]
    assert [(chapter.start_ms, chapter.title) for chapter in again.chapters] == [(0, "Start"), (1000, "Ende")]
    covers = [content(picture) for picture in tags.pictures]
    assert _view(File(written), result) == (
        ["Größe 名前 (vocals)"],
        ["First", "Second"],
        ["Album"],
        GAIN[result],
        covers,
    )
    assert not [value for (value,) in DROPPED.values() if value.encode() in written.read_bytes()]
    assert decoded(written) == decoded(tracks[result])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "source.mka",
            ("-attach", "COVER", "-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png"),
        ),
        ("source.webm", ("-c:a", "libopus")),
        (
            "source.mp4",
            ("-f", "lavfi", "-i", "testsrc=s=64x64:d=3", "-map", "0:a", "-map", "1:v", "-c:v", "mpeg4", "-c:a", "aac"),
        ),
        ("source.wma", ("-c:a", "wmav2")),
        ("source.wv", ("-c:a", "wavpack")),
        ("source.mp3", ("-id3v2_version", "3")),
        ("source.flac", ()),
        ("source.m4a", ()),
        ("source.ogg", ()),
        ("source.opus", ()),
        ("source.wav", ()),
        ("source.aiff", ("-write_id3v2", "1")),
    ],
)
def test_what_other_programs_write_is_in_the_result(
    tmp_path: Path, tracks: dict[str, Path], name: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "cover.png").write_bytes(png(50_000))
    words = [str(tmp_path / "cover.png") if word == "COVER" else word for word in options]
    metadata = ["title=Größe 名前", "artist=First", "album=Album", "track=3/12", "ISRC=XX1-dropped"]
    found = read(sound(tmp_path / name, *words, metadata=metadata))
    of_track = for_track(found.tags, DEFAULT_TITLE, {"label": "vocals", "name": "source"})
    seen = probed(write(tracks["mp3"], tmp_path / "result.mp3", of_track))
    expected = {"title": "Größe 名前 (vocals)", "artist": "First", "album": "Album", "track": "3/12"}
    assert seen["tags"].items() >= expected.items()
    assert b"XX1-dropped" not in (tmp_path / "result.mp3").read_bytes()
    assert seen["pictures"] == ["png"] * ("-attach" in options)


def test_chapters_of_an_audiobook_are_read_from_their_track(tmp_path: Path) -> None:
    listed = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n" for start, end, title in CHAPTERS
    )
    (tmp_path / "chapters").write_text(f";FFMETADATA1\n{listed}")
    book = sound(
        tmp_path / "source.m4b", "-i", str(tmp_path / "chapters"), "-map_metadata", "1", "-movflags", "disable_chpl"
    )
    assert b"chpl" not in book.read_bytes()
    found = read(book)
    assert [(chapter.start_ms, chapter.title) for chapter in found.tags.chapters] == [(0, "Start"), (1000, "Ende")]
    damaged = bytearray(book.read_bytes())
    for place in range(damaged.index(b"moov"), len(damaged), 7):
        changed = damaged[:place] + b"\xff" * 4 + damaged[place + 4 :]
        (tmp_path / "damaged.m4b").write_bytes(changed)
        assert len(read(tmp_path / "damaged.m4b").tags.chapters) <= 1000


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_player_sees_title_artist_album_and_picture(
    tmp_path: Path, tracks: dict[str, Path], tags: Tags, kind: str
) -> None:
    seen = probed(write(tracks[kind], tmp_path / f"result.{kind}", tags))
    assert seen["tags"]["title"] == "Größe 名前"
    assert seen["tags"]["artist"] in ("First;Second", "First; Second", "First")
    assert seen["tags"]["album"] == "Album"
    assert seen["tags"]["track"] in ("3/12", "3")
    assert seen["pictures"] == ["png", "mjpeg"]
    if kind not in ("wav", "aiff"):
        assert seen["chapters"] == [(0.0, "Start"), (1.0, "Ende")]


@pytest.mark.parametrize("kind", ENCODERS)
def test_another_reader_finds_the_same(tmp_path: Path, tracks: dict[str, Path], tags: Tags, kind: str) -> None:
    found = File(write(tracks[kind], tmp_path / f"result.{kind}", tags))
    covers = [content(picture) for picture in tags.pictures]
    assert _view(found, kind) == (["Größe 名前"], ["First", "Second"], ["Album"], GAIN[kind], covers)
    assert abs(found.info.length - 3) < 0.2


GAIN = dict.fromkeys(ENCODERS, "-3.20 dB") | {"opus": "-2099"}  # RFC 7845, 5.2.1: 1/256 dB towards -23 LUFS


def _view(found: Any, kind: str) -> tuple[list[str], list[str], list[str], str, list[bytes]]:
    """mutagen's, which has other names for each container: title, artists, album, gain, pictures."""
    import base64

    if kind in ("mp3", "wav", "aiff"):
        frames = found.tags
        covers = [frame.data for frame in frames.getall("APIC")]
        gain = frames["TXXX:replaygain_track_gain"].text[0]
        return frames["TIT2"].text, frames["TPE1"].text, frames["TALB"].text, gain, covers
    if kind == "m4a":
        gain = bytes(found["----:com.apple.iTunes:replaygain_track_gain"][0]).decode()
        return found["©nam"], found["©ART"], found["©alb"], gain, [bytes(cover) for cover in found["covr"]]
    if kind == "flac":
        covers = [picture.data for picture in found.pictures]
    else:
        blocks = found["metadata_block_picture"]
        covers = [FlacPicture(base64.b64decode(block)).data for block in blocks]
    gain = found["r128_track_gain" if kind == "opus" else "replaygain_track_gain"][0]
    return found["title"], found["artist"], found["album"], gain, covers


@needs_exiftool
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_third_reader_has_no_complaint(tmp_path: Path, tracks: dict[str, Path], tags: Tags, kind: str) -> None:
    path = write(tracks[kind], tmp_path / f"result.{kind}", tags)
    command = ["exiftool", "-s3", "-Title", "-Album", "-Warning", "-Error", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Größe 名前", "Album"]


@pytest.mark.parametrize("kind", ENCODERS)
def test_tags_of_the_track_itself_are_removed(tmp_path: Path, tracks: dict[str, Path], tags: Tags, kind: str) -> None:
    once = write(tracks[kind], tmp_path / f"once.{kind}", tags)
    other = Tags({"title": ("Other",)})
    assert read(write(once, tmp_path / f"twice.{kind}", other)).tags == other


@pytest.mark.parametrize("kind", ENCODERS)
def test_tags_written_twice_are_the_same_bytes(tmp_path: Path, tracks: dict[str, Path], tags: Tags, kind: str) -> None:
    once = write(tracks[kind], tmp_path / f"once.{kind}", tags)
    assert write(once, tmp_path / f"twice.{kind}", tags).read_bytes() == once.read_bytes()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("track.m4a", ("-movflags", "faststart")),
        ("track.m4a", ("-c:a", "alac")),
        ("track.flac", ("-c:a", "flac", "-compression_level", "12")),
        ("track.wav", ("-c:a", "pcm_s24le", "-ac", "1")),
        ("track.wav", ("-c:a", "pcm_u8", "-ac", "1", "-ar", "44099")),  # an odd number of bytes
        ("track.wav", ("-c:a", "pcm_s16le", "-rf64", "always")),
        ("track.mp3", ("-c:a", "libmp3lame", "-q:a", "2", "-write_id3v1", "1", "-id3v2_version", "3")),
        ("track.mp3", ("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0")),
        ("track.ogg", ("-c:a", "libvorbis", "-page_duration", "100000")),
        ("track.opus", ("-c:a", "libopus", "-page_duration", "20000")),
    ],
)
@pytest.mark.parametrize("cover_bytes", [0, 3_000_000])
def test_other_layouts_keep_their_sound(tmp_path: Path, name: str, options: tuple[str, ...], cover_bytes: int) -> None:
    track = sound(tmp_path / name, *options, seconds=20)
    covers = pictures(png(cover_bytes)) if cover_bytes else ()
    written = write(track, tmp_path / f"tagged-{name}", Tags(FIELDS, covers))
    assert decoded(written) == decoded(track)
    assert read(written).tags.fields == FIELDS
    assert probed(written)["tags"]["title"] == "Größe 名前"
