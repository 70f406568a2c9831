"""What a file will cost, read from the file itself."""

from __future__ import annotations

import os
import struct
import tracemalloc
import wave
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lalald.money import local_duration, minutes


def _wav(path: Path, seconds: float, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(bytes(2 * int(seconds * rate)))
    return path


def test_a_task_costs_the_duration_once_for_each_stem() -> None:
    assert minutes(90, "voice_clean", {"stem": "voice"}) == 1.5
    assert minutes(90, "stem_separator", {"stem": "vocals", "multivocal": "lead_back"}) == 1.5
    assert minutes(90, "multistem", {"stem_list": ["drum", "bass", "piano"]}) == 4.5


@pytest.mark.parametrize("name", ["plain.wav", "LOUD.WAV", "no ending", "li\nne.wav", "\udcff\udcfe.wav"])
def test_the_duration_is_read_whatever_the_name(tmp_path: Path, name: str) -> None:
    assert local_duration(_wav(tmp_path / "made.wav", 2.5).rename(tmp_path / name)) == pytest.approx(2.5)


def test_an_mp3_without_tags_is_estimated(tmp_path: Path) -> None:
    frame = b"\xff\xfb\x90\x00" + bytes(413)  # 128 kbit/s, 44.1 kHz: 26.1 ms
    path = tmp_path / "plain.mp3"
    path.write_bytes(frame * 383)
    assert local_duration(path) == pytest.approx(10.0, abs=0.1)


def test_a_wav_that_was_written_to_a_pipe_is_no_longer_than_its_bytes(tmp_path: Path) -> None:
    path = _wav(tmp_path / "piped.wav", 3)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert local_duration(path) == pytest.approx(3, abs=0.01)


def test_what_tells_no_duration_has_none(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.flac").write_text("not sound at all\n" * 1000)
    (tmp_path / "cut.wav").write_bytes(_wav(tmp_path / "whole.wav", 1).read_bytes()[:20])
    (tmp_path / "silent.wav").write_bytes(_wav(tmp_path / "none.wav", 0).read_bytes())
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    names = ["empty.mp3", "text.flac", "cut.wav", "silent.wav", "folder.mp3", "pipe.mp3", "missing.mp3"]
    assert {name: local_duration(tmp_path / name) for name in names} == dict.fromkeys(names)


def test_a_file_made_to_fill_the_memory_is_given_up(tmp_path: Path) -> None:
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


def test_a_file_of_endless_tiny_parts_is_given_up(tmp_path: Path) -> None:
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
def test_no_bytes_make_it_fail(tmp_path: Path, start: bytes, rest: bytes, ending: str) -> None:
    path = tmp_path / f"hostile.{ending}"
    path.write_bytes(start + rest)
    found = local_duration(path)
    assert found is None or found > 0
