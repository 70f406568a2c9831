"""Tagged files byte by byte: what stays, what gives way, and what cannot hold tags."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lalald.media.durations import local_duration
from lalald.media.tags.ogg_pages import page_checksum
from lalald.media.tags.tag_model import Chapter, Tags, UnsuitableError, UnwritableError
from tests.support import sounds
from tests.support.tagging import pictures, png, read, write

TAGS = Tags({"title": ("Title",), "artist": ("A", "B")})
PCM = (sounds.wav_format(), sounds.chunk(b"data", bytes(range(250)) * 40))


def tagged(tmp_path: Path, content: bytes, tags: Tags = TAGS) -> bytes:
    return write(sounds.write(tmp_path / "track", content), tmp_path / "tagged", tags).read_bytes()


def test_an_mp3_keeps_its_frames_and_none_of_its_tags(tmp_path: Path) -> None:
    audio = sounds.mp3(2)
    id3v1 = b"TAG" + bytes(125)
    whole = sounds.id3() + sounds.id3(500) + audio + sounds.ape_tag() + id3v1
    found = tagged(tmp_path, whole)
    assert found.endswith(audio)
    assert found.startswith(b"ID3\4\0\0")
    assert found.count(b"ID3") == 1


def test_a_flac_keeps_seek_table_vendor_and_sound(tmp_path: Path) -> None:
    whole = sounds.flac(5)
    seek_table, audio = bytes(18 * 3), whole[42:]
    comments = struct.pack("<I", 4) + b"libF" + struct.pack("<II", 1, 5) + b"X=old"
    blocks = (
        b"\3"
        + len(seek_table).to_bytes(3)
        + seek_table
        + b"\4"
        + len(comments).to_bytes(3)
        + comments
        + b"\x81\0\0\4"
        + bytes(4)
    )
    found = tagged(tmp_path, b"fLaC\0" + whole[5:42] + blocks + audio)
    assert found.endswith(audio)
    assert found[42:100] == b"\3\0\0\x36" + seek_table
    assert b"libF" in found
    assert b"X=old" not in found
    assert local_duration(tmp_path / "tagged") == local_duration(sounds.write(tmp_path / "plain", whole))


def test_a_damaged_size_in_front_never_takes_sound_with_it(tmp_path: Path) -> None:
    flac = sounds.flac(30)
    padding = b"fLaC\0" + flac[5:42] + b"\x81" + (1000).to_bytes(3) + bytes(4) + flac[42:]
    for content in (padding, sounds.id3(2).replace(b"\0\0\2", b"\0\x10\2") + sounds.mp3(2)):
        with pytest.raises(UnwritableError):
            tagged(tmp_path, content)


@pytest.mark.parametrize("damaged", [sounds.ape_tag()[:-20], b"000005000LYRICS200", bytes(22) + b"3DI\4\0\0\0\0\7\0"])
def test_a_damaged_size_behind_never_takes_sound_with_it(tmp_path: Path, damaged: bytes) -> None:
    if damaged.startswith(b"APE"):
        damaged = damaged[32:] + struct.pack("<III", 9000, 1, 0x80000000) + bytes(8)
    whole = sounds.mp3(2) + damaged
    assert tagged(tmp_path, whole).endswith(whole)


def test_tags_of_wav_come_behind_its_sound(tmp_path: Path) -> None:
    """Simple programs take the sound to start at byte 44."""
    whole = sounds.wav(*PCM)
    found = tagged(tmp_path, whole)
    assert found[8 : len(whole)] == whole[8:]
    assert int.from_bytes(found[4:8], "little") == len(found) - 8
    assert found[len(whole) :].startswith(b"LIST")
    assert found[len(whole) :].count(b"id3 ") == 1


def test_a_wav_without_tags_is_as_it_was_before_it_had_any(tmp_path: Path) -> None:
    whole = sounds.wav(*PCM, sounds.chunk(b"cue ", bytes(4)))
    with_tags = tagged(tmp_path, whole)
    assert tagged(tmp_path, with_tags, Tags()) == whole


@pytest.mark.parametrize("kind", ["mp3", "aiff"])
def test_a_track_without_tags_is_as_it_was_before_it_had_any(tmp_path: Path, kind: str) -> None:
    whole = {"mp3": sounds.mp3(2), "aiff": sounds.aiff(1000, bytes(2000))}[kind]
    assert tagged(tmp_path, tagged(tmp_path, whole), Tags()) == whole


def test_wav_chunks_that_are_no_tags_stay(tmp_path: Path) -> None:
    others = (
        sounds.chunk(b"bext", b"b" * 602),
        sounds.chunk(b"LIST", b"adtl" + bytes(8)),
        sounds.chunk(b"cue ", bytes(4)),
    )
    old = sounds.chunk(b"LIST", b"INFOINAM\4\0\0\0old\0"), sounds.chunk(b"ID3 ", sounds.id3(100))
    found = tagged(tmp_path, sounds.wav(PCM[0], *others, *old, PCM[1]))
    assert all(chunk in found for chunk in (*others, *PCM))
    assert b"old\0" not in found


def test_a_sound_of_odd_length_gets_its_missing_byte(tmp_path: Path) -> None:
    data = struct.pack("<4sI", b"data", 3) + b"abc"
    found = tagged(tmp_path, sounds.wav(sounds.wav_format(bits=8), data))
    assert data + b"\0LIST" in found


@pytest.mark.parametrize("size", [0xFFFFFFFF, 5000])
def test_a_wav_of_unknown_length_is_not_changed(tmp_path: Path, size: int) -> None:
    with pytest.raises(UnwritableError):
        tagged(tmp_path, sounds.wav(PCM[0], sounds.chunk(b"data", bytes(2000), size=size)))


def test_a_long_wav_says_its_size_elsewhere(tmp_path: Path) -> None:
    sizes = sounds.chunk(b"ds64", struct.pack("<QQQI", 0, 2000, 1000, 0))
    whole = sounds.wav(sizes, PCM[0], sounds.chunk(b"data", bytes(2000), size=0xFFFFFFFF), magic=b"RF64")
    found = tagged(tmp_path, whole)
    assert found[:12] == b"RF64\xff\xff\xff\xffWAVE"
    assert int.from_bytes(found[20:28], "little") == len(found) - 8
    assert int.from_bytes(found[28:36], "little") == 2000
    assert found[len(whole) :].startswith(b"LIST")
    assert tagged(tmp_path, found) == found


def test_an_mp4_moves_the_offsets_of_data_behind_its_tables(tmp_path: Path) -> None:
    def offsets(*values: int) -> bytes:
        return sounds.box(b"stco", bytes(4), struct.pack(f">I{len(values)}I", len(values), *values))

    def track(*values: int) -> bytes:
        return sounds.box(b"trak", sounds.box(b"mdia", sounds.box(b"minf", sounds.box(b"stbl", offsets(*values)))))

    front = sounds.box(b"ftyp", b"M4A \0\0\0\0") + sounds.box(b"free", bytes(100))
    size = len(sounds.box(b"moov", track(0, 0)))
    behind = len(front) + size
    found = tagged(tmp_path, front + sounds.box(b"moov", track(30, behind + 8)) + sounds.box(b"mdat", b"audio" * 50))
    place = found.index(b"stco") + 12
    near, far = struct.unpack(">II", found[place : place + 8])
    assert (near, found[far : far + 5]) == (30, b"audio")


def test_an_mp4_keeps_what_says_how_it_was_encoded(tmp_path: Path) -> None:
    def free(name: bytes, value: bytes) -> bytes:
        data = sounds.box(b"data", struct.pack(">II", 1, 0), value)
        return sounds.box(
            b"----", sounds.box(b"mean", bytes(4), b"com.apple.iTunes"), sounds.box(b"name", bytes(4), name), data
        )

    gapless, other = free(b"iTunSMPB", b" 00000000 00000840"), free(b"OTHER", b"old")
    items = sounds.box(b"ilst", gapless, other, sounds.box(b"\xa9nam", bytes(20)))
    inside = sounds.box(b"udta", sounds.box(b"meta", bytes(4), sounds.box(b"hdlr", bytes(25)), items))
    found = tagged(tmp_path, sounds.m4a(inside=inside))
    assert gapless in found
    assert other not in found


def test_a_fragmented_mp4_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError):
        tagged(tmp_path, sounds.m4a(more=sounds.box(b"moof", bytes(20))))


@pytest.mark.parametrize(
    "content", [b"\xff\xf1\x50\x80" + bytes(500), b"\xff\xf9\x50\x80" + bytes(500), b"nothing" * 90, b""]
)
def test_a_file_that_cannot_hold_tags_is_not_changed(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnsuitableError):
        tagged(tmp_path, content)


@pytest.mark.parametrize("kind", ["flac", "ogg", "wav", "aiff", "m4a"])
@pytest.mark.parametrize("length", [0.01, 0.5])
def test_a_truncated_track_is_not_changed(tmp_path: Path, kind: str, length: float) -> None:
    whole = {
        "flac": b"fLaC\0" + sounds.flac(1)[5:42] + b"\x84\0\x10\0",
        "ogg": sounds.opus(1)[:120],
        "wav": sounds.wav(*PCM),
        "aiff": sounds.aiff(1000, bytes(2000)),
        "m4a": sounds.m4a(data=10),
    }[kind]
    with pytest.raises((UnsuitableError, UnwritableError)):
        tagged(tmp_path, whole[: max(14, int(len(whole) * length))])


def test_a_track_of_ogg_cut_within_its_headers_is_not_changed(tmp_path: Path) -> None:
    vorbis = [b"\x03vorbis" + bytes(8) + b"\1", b"\x05vorbis" + bytes(4000)]
    first = sounds.ogg_page(7, 0, [b"\x01vorbis" + bytes(23)], flags=2)
    headers = {len(head): head for head in (first + sounds.ogg_page(7, 0, vorbis), sounds.opus(0))}
    for size, head in headers.items():
        for length in (*range(28, min(size, 200)), size - 1000, size - 1):
            with pytest.raises((UnsuitableError, UnwritableError)):
                tagged(tmp_path, head[: max(28, length)])


@pytest.mark.parametrize("cover_bytes", [0, 200_000])
def test_pages_of_ogg_stay_in_order_with_right_checksums(tmp_path: Path, cover_bytes: int) -> None:
    tags = Tags(TAGS.fields, pictures(png(cover_bytes)) if cover_bytes else ())
    pages = list(_pages(tagged(tmp_path, _checked(sounds.opus(20)), tags)))
    assert [struct.unpack_from("<I", page, 18)[0] for page in pages] == list(range(len(pages)))
    assert all(page_checksum(bytearray(page)) == struct.unpack_from("<I", page, 22)[0] for page in pages)
    assert pages[-20:][0][27:] == list(_pages(sounds.opus(20)))[2][27:]


def test_sound_of_ogg_moves_by_whole_blocks(tmp_path: Path) -> None:
    """But for one length of 256: it would need a packet whose length and lacing take a number of bytes that no packet takes."""
    whole = _checked(sounds.opus(2))
    sound = b"".join(_pages(whole)[2:])
    moved = []
    for length in range(1, 257):
        found = tagged(tmp_path, whole, Tags({"title": ("x" * length,)}))
        assert found.endswith(sound)
        moved.append((len(found) - len(whole)) % 4096)
    assert sum(1 for distance in moved if distance) <= 1


def _checked(stream: bytes) -> bytes:
    """Numbered, and with checksums."""
    found = b""
    for number, page in enumerate(_pages(stream)):
        changed = bytearray(page)
        changed[18:22] = struct.pack("<I", number)
        changed[22:26] = struct.pack("<I", page_checksum(changed))
        found += bytes(changed)
    return found


def _pages(stream: bytes) -> list[bytes]:
    pages, start = [], 0
    while start < len(stream):
        body = start + 27 + stream[start + 26]
        end = body + sum(stream[start + 27 : body])
        pages.append(stream[start:end])
        start = end
    return pages


def test_gain_of_opus_is_written_towards_its_own_loudness(tmp_path: Path) -> None:
    found = tagged(tmp_path, sounds.opus(1), Tags({"replaygain_track_gain": ("-3.20 dB",), "title": ("T",)}))
    assert b"R128_TRACK_GAIN=-2099" in found
    assert b"REPLAYGAIN" not in found
    assert read(tmp_path / "tagged").tags.fields["replaygain_track_gain"] == ("-3.20 dB",)


def test_many_chapters_and_long_values(tmp_path: Path) -> None:
    chapters = tuple(Chapter(number * 10, number * 10 + 10, f"名{number}") for number in range(600))
    long = Tags({"title": ("T",), "lyrics": ("x" * 60_000,)}, (), chapters)
    for content in (sounds.mp3(1), sounds.flac(3), sounds.opus(2), sounds.wav(*PCM), sounds.aiff(100, bytes(200))):
        tagged(tmp_path, content, long)
        found = read(tmp_path / "tagged").tags
        assert found.fields == long.fields
        assert [(one.start_ms, one.title) for one in found.chapters] == [(one.start_ms, one.title) for one in chapters]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_finds_no_fault_in_renumbered_pages(tmp_path: Path) -> None:
    track = tmp_path / "track.ogg"
    make = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "anoisesrc=d=30",
        "-c:a",
        "libvorbis",
        "-page_duration",
        "50000",
    ]
    subprocess.run([*make, track], check=True, stdin=subprocess.DEVNULL)
    write(track, tmp_path / "tagged.ogg", Tags(TAGS.fields, pictures(png(1_000_000))))
    command = [
        "ffmpeg",
        "-v",
        "warning",
        "-err_detect",
        "explode+crccheck",
        "-i",
        tmp_path / "tagged.ogg",
        "-map",
        "0:a",
        "-f",
        "null",
        "-",
    ]
    assert subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL).stderr == b""


@pytest.mark.parametrize("behind", [b"\1" * 900, b"\xff\xfe" * 3000, bytes(5000)])
@pytest.mark.parametrize("declared", [0, 1000])
@pytest.mark.parametrize("kind", ["data", "SSND"])
def test_sound_behind_a_size_that_is_too_small_is_never_dropped(
    tmp_path: Path, kind: str, declared: int, behind: bytes
) -> None:
    """Programs that write to a pipe cannot go back to say how long the sound became; decoders read on to the end."""
    if kind == "data":
        whole = sounds.wav(PCM[0], sounds.chunk(b"data", bytes(declared) + behind, size=declared))
    else:
        sound = sounds.chunk(b"SSND", bytes(8 + declared) + behind, size=8 + declared, order=">")
        whole = b"FORM" + len(sound).to_bytes(4) + b"AIFF" + sound
    with pytest.raises(UnwritableError):
        tagged(tmp_path, whole)


def test_a_long_wav_keeps_the_chunks_behind_its_sound(tmp_path: Path) -> None:
    sizes = sounds.chunk(b"ds64", struct.pack("<QQQI", 0, 2001, 1000, 0))
    sound = sounds.chunk(b"data", bytes(2001), size=0xFFFFFFFF)
    cue = sounds.chunk(b"cue ", b"12345678")
    found = tagged(tmp_path, sounds.wav(sizes, PCM[0], sound, cue, magic=b"RF64"))
    assert cue in found
    assert read(tmp_path / "tagged").tags.fields["artist"] == ("A", "B")


def test_a_long_wav_whose_size_was_never_filled_in_is_not_changed(tmp_path: Path) -> None:
    sizes = sounds.chunk(b"ds64", bytes(28))
    with pytest.raises(UnwritableError):
        tagged(tmp_path, sounds.wav(sizes, PCM[0], sounds.chunk(b"data", bytes(2000), size=0xFFFFFFFF), magic=b"RF64"))
