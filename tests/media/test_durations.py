"""Lengths that containers state reliably are read, all others are unknown."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import tracemalloc
import wave
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lalald.media.durations import local_duration, measure
from tests.support import sounds
from tests.support.sounds import chunk, mp3, wav, wav_format, write

RATE = 8000
PCM = bytes(60 * RATE * 2)
FORMAT = wav_format()
EXTENSIBLE = struct.pack("<HHI", 22, 16, 3) + bytes.fromhex("0100000000001000800000aa00389b71")


def _wav(path: Path, seconds: float, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(bytes(2 * int(seconds * rate)))
    return path


def _gsm(data: int = 97_500, **stated: int) -> bytes:
    """65 bytes are 320 samples."""
    extra = struct.pack("<HH", 2, stated.get("samples_per_block", 320))
    form = wav_format(0x31, bits=0, block=65, byte_rate=stated.get("byte_rate", 1625), extra=extra)
    return wav(form, chunk(b"fact", struct.pack("<I", 480_000)), chunk(b"data", bytes(data)))


def _coded(codec: int, byte_rate: int, samples: int | None, data: int = 240_000) -> bytes:
    fact = b"" if samples is None else chunk(b"fact", struct.pack("<I", samples))
    return wav(wav_format(codec, byte_rate=byte_rate, block=1, bits=0), fact, chunk(b"data", bytes(data)))


RF64 = struct.pack("<QQQI", 0, len(PCM), 480_000, 0)

RELIABLE = {
    "PCM": wav(FORMAT, chunk(b"data", PCM)),
    "PCM, extensible": wav(wav_format(0xFFFE, extra=EXTENSIBLE), chunk(b"data", PCM)),
    "PCM, data declared 0": wav(FORMAT, chunk(b"data", PCM, size=0)),
    "PCM, data declared the most there is": wav(FORMAT, chunk(b"data", PCM, size=0xFFFF_FFFF)),
    "PCM, data declared half of that": wav(FORMAT, chunk(b"data", PCM, size=0x7FFF_FFFF)),
    "PCM, cut": wav(FORMAT, chunk(b"data", PCM, size=2 * len(PCM))),
    "PCM, an odd chunk before": wav(FORMAT, chunk(b"LIST", b"INFOodd"), chunk(b"data", PCM)),
    "PCM, chunks behind": wav(FORMAT, chunk(b"data", PCM), chunk(b"id3 ", bytes(50_000)), chunk(b"LIST", b"INFOodd")),
    "PCM, a tag behind": wav(FORMAT, chunk(b"data", PCM)) + b"TAG" + bytes(125),
    "RF64": wav(chunk(b"ds64", RF64), FORMAT, chunk(b"data", PCM, size=0xFFFF_FFFF), magic=b"RF64"),
    "BW64": wav(chunk(b"ds64", RF64), FORMAT, chunk(b"data", PCM, size=0xFFFF_FFFF), magic=b"BW64"),
    "float": wav(wav_format(3, bits=32), chunk(b"data", PCM * 2)),
    "mu-law": wav(wav_format(7, bits=8), chunk(b"data", PCM[::2])),
    "GSM in WAV": _gsm(),
    "MP3 in WAV, constant": _coded(0x55, 4000, 480_000),
    "AIFF": sounds.aiff(480_000, PCM),
    "AIFF-C, little endian": sounds.aiff(480_000, PCM, kind=b"AIFC", compression=b"sowt\0\0"),
    "AIFF-C, mu-law": sounds.aiff(480_000, PCM[::2], kind=b"AIFC", compression=b"ulaw\0\0"),
    "AIFF, fewer frames than told": sounds.aiff(960_000, PCM),
    "FLAC": sounds.flac(646),
    "FLAC behind a tag": sounds.id3() + sounds.flac(646),
    "FLAC before a tag": sounds.flac(646, tag=b"TAG" + bytes(125)),
    "MP3": mp3(60),
    "MP3, high rate": mp3(60, 320),
    "MP3 behind two tags": sounds.id3() + sounds.id3(90_000) + bytes(3000) + mp3(60),
    "MP3 before tags": mp3(60) + sounds.ape_tag() + b"LYRICSBEGIN" + b"000011LYRICS200" + b"TAG" + bytes(125),
    "MP3, its last frame cut": mp3(60)[:-200],
    "MP3, Xing": sounds.xing(2297, 417 + len(mp3(60, (32, 320)))) + mp3(60, (32, 320)),
    "MP3, Info": sounds.xing(2297, 417 + len(mp3(60)), name=b"Info") + mp3(60),
    "MP3, Xing of the whole before a cut": (sounds.xing(4594, 834 + 2 * len(mp3(60))) + mp3(60)),
    "M4A": sounds.m4a(),
    "Opus": sounds.opus(60),
    "Opus, cut": sounds.opus(90)[: len(sounds.opus(60)) + 1000],
    "Matroska": sounds.matroska(60),
    "ASF": sounds.asf(60),
}  # fmt: skip

STREAM = mp3(20, (32, 320, 128))
UNKNOWN = {
    "PCM, no block": wav(wav_format(block=3), chunk(b"data", PCM)),
    "PCM, another byte rate": wav(wav_format(byte_rate=1), chunk(b"data", PCM)),
    "PCM, a size that wrapped": wav(FORMAT, chunk(b"data", b"\1" * len(PCM), size=1000)),
    "PCM of no rate": wav(wav_format(rate=0), chunk(b"data", PCM)),
    "RF64, length not told": wav(chunk(b"ds64", bytes(28)), FORMAT, chunk(b"data", PCM, size=0xFFFF_FFFF), magic=b"RF64"),
    "GSM in WAV, its byte rate wrong": _gsm(byte_rate=16_000),
    "GSM in WAV, samples not told": _gsm(samples_per_block=0),
    "MP3 in WAV, variable": _coded(0x55, 4000, 600_000),
    "MP3 in WAV, nothing to compare": _coded(0x55, 4000, None),
    "AIFF, no frames told": sounds.aiff(0, PCM),
    "AIFF-C, compressed": sounds.aiff(7500, PCM[:255_000], kind=b"AIFC", compression=b"ima4\0\0"),
    "FLAC, no samples told": sounds.flac(646, stated=0),
    "FLAC, cut": sounds.flac(646)[: len(sounds.flac(323))],
    "FLAC, more samples than told": sounds.flac(646, stated=2_000_000),
    "MP3, variable": STREAM,
    "MP3, variable after silence": mp3(10, 32) + mp3(50, 320),
    "MP3, variable at the end": mp3(59, 128) + mp3(1, 320),
    "MP3, variable in the middle": mp3(29, 128) + mp3(2, 32) + mp3(29, 128),
    "MP3, Xing of another file": sounds.xing(766, 100_000) + STREAM,
    "MP3, Xing without frames": sounds.xing(None, 417 + len(STREAM)) + STREAM,
    "MP3, Xing without bytes": sounds.xing(2297, None) + STREAM,
    "MP3, garbage in the middle": mp3(30) + bytes(20_000) + mp3(30),
    "AAC, raw": b"\xff\xf1\x50\x80\x2e\x7f\xfc" + bytes(1000),
    "AAC, raw, behind a tag": sounds.id3() + (b"\xff\xf1\x50\x80\x2e\x7f\xfc" + bytes(364)) * 100,
    "M4A, header says too much": sounds.m4a(header=600),
    "M4A, all say too much": sounds.m4a(header=4e6, table=4e6, movie=4e6),
    "M4A, film longer than its sound": sounds.m4a(movie=90),
    "M4A, table empty": sounds.m4a(table=0),
    "M4A, header empty": sounds.m4a(header=0),
    "M4A, in fragments": sounds.m4a(more=sounds.box(b"moof", bytes(8)) + sounds.box(b"mdat", bytes(100))),
    "M4A, to be continued": sounds.m4a(inside=sounds.box(b"mvex", bytes(8))),
    "M4A, cut": sounds.m4a()[:-1000],
    "Opus, recorded from the middle": sounds.opus(60, start=30),
    "Opus, recorded after 3 seconds": sounds.opus(60, start=3),
    "Opus, chained": sounds.opus(30) + sounds.opus(30, serial=8),
    "Opus, chained under one number": sounds.opus(30) + sounds.opus(30),
    "Opus, garbage behind": sounds.opus(60) + bytes(200_000),
    "Matroska, no duration": sounds.matroska(None),
    "Matroska, never finished": sounds.matroska(60, size=b"\x01" + b"\xff" * 7),
    "Matroska, cut": sounds.matroska(60)[:-1000],
    "Matroska, two in one": sounds.matroska(60) + sounds.matroska(60),
    "Matroska, more than can be": sounds.matroska(1e300),
    "Matroska, not a number": sounds.matroska(float("nan")),
    "Matroska, for its bytes too long": sounds.matroska(3600 * 30, 100_000),
    "ASF, broadcast": sounds.asf(60, flags=1),
    "ASF, cut": sounds.asf(60, missing=50_000),
    "MPEG program stream": b"\0\0\1\xba" + bytes(2000) + mp3(10),
    "MPEG transport stream": (b"\x47\x40\x00\x10" + bytes(184)) * 500,
    "AVI": wav(chunk(b"LIST", b"hdrl" + bytes(500))).replace(b"WAVE", b"AVI ") + mp3(10),
    "one frame of MP3 in text": b"not sound " * 100 + mp3(0.03) + b" at all" * 1000,
}  # fmt: skip


@pytest.mark.parametrize("name", RELIABLE)
def test_reliable_lengths_are_read(tmp_path: Path, name: str) -> None:
    found = local_duration(write(tmp_path / "file", RELIABLE[name]))
    assert found == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize("name", UNKNOWN)
def test_unreliable_lengths_are_unknown(tmp_path: Path, name: str) -> None:
    assert local_duration(write(tmp_path / "file", UNKNOWN[name])) is None


def test_a_large_mp3_is_sampled_throughout(tmp_path: Path) -> None:
    hour = mp3(3600, 128)
    assert local_duration(write(tmp_path / "constant.mp3", hour)) == pytest.approx(3600, rel=0.001)
    assert local_duration(write(tmp_path / "variable.mp3", hour[: 417 * 100_000] + mp3(60, 320) + hour)) is None


def test_the_lower_bound_uses_the_highest_bit_rate_of_the_format(tmp_path: Path) -> None:
    stream = mp3(60, (32, 320))
    found = measure(write(tmp_path / "variable.mp3", sounds.id3(900_000) + stream + sounds.ape_tag(900_000)))
    assert found == (None, pytest.approx(len(stream) * 8 / 320_000))
    for name in ("AAC, raw", "MPEG program stream", "MPEG transport stream"):
        least = measure(write(tmp_path / name, UNKNOWN[name])).at_least
        assert 0 < least < 1, name


@pytest.mark.parametrize("name", ["plain.wav", "LOUD.WAV", "no ending", "li\nne.wav", "\udcff\udcfe.wav"])
def test_the_duration_is_read_whatever_the_name(tmp_path: Path, name: str) -> None:
    assert local_duration(_wav(tmp_path / "made.wav", 2.5).rename(tmp_path / name)) == pytest.approx(2.5)


def test_files_without_a_stated_length_have_none(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.flac").write_text("not sound at all\n" * 1000)
    (tmp_path / "cut.wav").write_bytes(_wav(tmp_path / "whole.wav", 1).read_bytes()[:20])
    (tmp_path / "silent.wav").write_bytes(_wav(tmp_path / "none.wav", 0).read_bytes())
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    names = ["empty.mp3", "text.flac", "cut.wav", "silent.wav", "folder.mp3", "pipe.mp3", "missing.mp3"]
    assert {name: local_duration(tmp_path / name) for name in names} == dict.fromkeys(names)


def test_a_file_made_to_fill_the_memory_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mp3"
    size = 900 * 1024 * 1024
    sync_safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    with path.open("wb") as file:
        file.write(b"ID3\x03\x00\x00" + sync_safe)
        file.truncate(1024 * 1024 * 1024)
    tracemalloc.start()
    try:
        assert local_duration(path) is None
        assert tracemalloc.get_traced_memory()[1] < 80 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_file_of_endless_tiny_parts_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "parts.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 0x7FFFFFFF) + b"WAVE" + b"junk\x00\x00\x00\x00" * 400_000)
    assert local_duration(path) is None


STARTS = [
    b"", b"fLaC", b"OggS\x00\x02", b"ID3\x03\x00\x00", b"\xff\xfb\x90\x00", b"RIFF\x24\x00\x00\x00WAVE",
    b"FORM\x00\x00\x01\x00AIFF", b"\x00\x00\x00\x18ftypM4A ", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=600),
    ending=st.sampled_from(["mp3", "wav", "flac", "ogg", "opus", "aiff", "m4a", "wma", "aac", "mkv"]),
)
def test_no_bytes_raise_an_error(tmp_path: Path, start: bytes, rest: bytes, ending: str) -> None:
    path = tmp_path / f"hostile.{ending}"
    path.write_bytes(start + rest)
    found = local_duration(path)
    assert found is None or found > 0


@pytest.mark.parametrize("name", [*RELIABLE, *UNKNOWN])
def test_damage_neither_raises_nor_reads_without_end(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    whole = ({**RELIABLE, **UNKNOWN})[name]
    for _ in range(5):
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[chance.randrange(min(len(damaged), 400))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        found = local_duration(write(tmp_path / "damaged", bytes(damaged)))
        assert found is None or 0 < found <= 3_600_000


NOISE = ("-f", "lavfi", "-i", "anoisesrc=c=pink:d=20:r=44100:a=0.5,adelay=10s:all=1")
FILM = (*NOISE, "-f", "lavfi", "-i", "testsrc=s=160x120:d=30:r=25")
ENCODED = {  # encoder and container: the file's name, what ffmpeg is told, and whether its length can be known
    "pcm_s24le": ("a.wav", (), True),
    "pcm_f32le": ("a.wav", (), True),
    "pcm_s16le, rf64": ("a.wav", ("-rf64", "always"), True),
    "pcm_mulaw": ("a.wav", (), True),
    "libgsm_ms": ("a.wav", ("-ar", "8000"), True),
    "libmp3lame in wav": ("a.wav", ("-b:a", "128k"), True),
    "libmp3lame in wav, variable": ("a.wav", ("-q:a", "0"), False),
    "pcm_s16be": ("a.aiff", (), True),
    "adpcm_ima_qt": ("a.aiff", (), False),
    "flac": ("a.flac", (), True),
    "libmp3lame, variable, Xing": ("a.mp3", ("-q:a", "0"), True),
    "libmp3lame, variable": ("a.mp3", ("-q:a", "0", "-write_xing", "0"), False),
    "libmp3lame, constant": ("a.mp3", ("-b:a", "192k", "-write_xing", "0"), True),
    "libmp3lame, constant, MPEG-2": ("a.mp3", ("-ar", "22050", "-b:a", "48k", "-write_xing", "0"), True),
    "libmp3lame, constant, MPEG-2.5": ("a.mp3", ("-ar", "8000", "-b:a", "16k", "-write_xing", "0"), True),
    "mp2": ("a.mp2", (), True),
    "aac, raw": ("a.aac", (), False),
    "aac": ("a.m4a", (), True),
    "alac": ("a.m4a", (), True),
    "aac, faststart": ("a.mp4", ("-movflags", "faststart"), True),
    "aac, fragments": ("a.mp4", ("-movflags", "frag_keyframe", "-frag_duration", "2000000"), False),
    "pcm_s16le in mov": ("a.mov", (), True),
    "libvorbis": ("a.ogg", (), True),
    "libopus": ("a.opus", (), True),
    "flac in ogg": ("a.oga", (), True),
    "libspeex": ("a.spx", ("-ar", "16000"), True),
    "libopus in webm": ("a.webm", (), True),
    "aac in matroska": ("a.mka", (), True),
    "wmav2": ("a.wma", (), True),
    "ac3": ("a.ac3", (), False),
    "film: dvd": ("a.mpg", ("-target", "pal-dvd"), False),
    "film: vcd": ("a.mpg", ("-target", "pal-vcd"), False),
    "film: mpeg2video and mp2": ("a.ts", ("-c:v", "mpeg2video"), False),
    "film: mpeg4 and mp3": ("a.avi", (), False),
    "film: mpeg4 and aac": ("a.mp4", ("-c:v", "mpeg4"), True),
    "film: mjpeg and pcm": ("a.mov", ("-c:v", "mjpeg", "-c:a", "pcm_s16le"), True),
    "film: mpeg4 and vorbis": ("a.mkv", ("-c:v", "mpeg4"), True),
    "film: theora and vorbis": ("a.ogv", (), True),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("name", ENCODED)
def test_files_of_real_encoders_are_read_or_unknown(tmp_path: Path, name: str) -> None:
    file, options, is_reliable = ENCODED[name]
    encoder = name.partition(",")[0].partition(" ")[0]
    chosen = () if name.startswith("film") else ("-c:a", encoder)
    command = ["ffmpeg", "-v", "error", *(FILM if name.startswith("film") else NOISE), *chosen, "-ac", "1", *options]
    if subprocess.run(
        [*command, tmp_path / file], stdin=subprocess.DEVNULL, capture_output=True, check=False
    ).returncode:
        pytest.skip("this ffmpeg has no such encoder")
    found = local_duration(tmp_path / file)
    assert (found is not None) == is_reliable, found
    assert found is None or found == pytest.approx(30, rel=0.01)
