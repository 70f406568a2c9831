"""The duration of an upload: the one set for its name, else the one that its header states reliably, else the default.

The live service decodes what it gets, so the sandbox must not repeat a client's guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, BinaryIO

import mutagen
from mutagen.flac import FLAC
from mutagen.mp3 import MP3, BitrateMode
from mutagen.mp4 import MP4
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

_PCM = (1, 3, 0xFFFE)
_READ_WAVE: Any = WAVE  # mutagen has no annotations
_FAULTS = (mutagen.MutagenError, OSError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError)
_MEASURED = {b"fLaC": FLAC, b"OggS": (OggVorbis, OggOpus), b"ID3": MP3, b"\xff": MP3}


class Durations:
    """Durations in whole seconds by patterns of names; the last pattern that matches counts."""

    def __init__(self, stated: Iterable[tuple[str, int]], default_seconds: int) -> None:
        self.stated = dict(stated)
        self._default_seconds = default_seconds

    def replace(self, stated: Mapping[str, int]) -> None:
        """Use these for later uploads, and no others."""
        self.stated = dict(stated)

    def of(self, file: BinaryIO, name: str) -> int:
        """The duration of an upload; a set one may be any number, also 0 or less."""
        found = [seconds for pattern, seconds in self.stated.items() if fnmatchcase(name, pattern)]
        return found[-1] if found else measured(file) or self._default_seconds


def measured(file: BinaryIO) -> int:
    """Whole seconds, at least 1; 0 if only decoding could tell."""
    length = _uncompressed(file) or _counted(file)
    return max(1, round(length)) if 0 < length < float("inf") else 0


def _uncompressed(file: BinaryIO) -> float:
    """Of a PCM WAV, by its size."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(4) != b"RIFF":
        return 0.0
    file.seek(0)
    try:
        info = _READ_WAVE(file).info
        return min(float(info.length), size * 8 / info.bitrate) if info.audio_format in _PCM else 0.0
    except _FAULTS:
        return 0.0


def _counted(file: BinaryIO) -> float:
    """Of FLAC, Ogg, MP4, and MP3 with a header that states it, by the number of samples or frames."""
    file.seek(0)
    head = file.read(12)
    kinds: Any = next((kind for magic, kind in _MEASURED.items() if head.startswith(magic)), None)
    kinds = MP4 if head[4:8] == b"ftyp" else kinds
    for kind in kinds if isinstance(kinds, tuple) else (kinds,) if kinds else ():
        file.seek(0)
        try:
            info = kind(file).info
        except _FAULTS:
            continue
        is_counted = kind is not MP3 or (info.bitrate_mode != BitrateMode.UNKNOWN and not info.sketchy)
        return float(info.length) if is_counted else 0.0
    return 0.0
