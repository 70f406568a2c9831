"""What a task will cost, estimated before anything is sent: the source's duration × stems."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from functools import cache
from typing import Any, BinaryIO

from lalald.presets import stems

# More than any honest header holds, cover art included; a file made to be read for ever, or into memory, ends here.
_MOST_BYTES_READ = 32 * 1024 * 1024
_MOST_READS = 50_000


def minutes(duration_seconds: float, mode: str, presets: Mapping[str, Any]) -> float:
    """Minutes that a task of this mode costs. An estimate: the service documents only multistem's price."""
    return duration_seconds / 60.0 * stems(mode, presets)


def local_duration(path: str | os.PathLike[str]) -> float | None:
    """Seconds of sound in a file, by its own word; None where it tells none: an unknown format, damage, malice.

    Reads headers only, so the figure may differ from what the service will measure.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            seconds = _told_duration(_Rationed(file, os.fspath(path))) if regular else None
    except (OSError, ValueError):
        return None
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe in the place of the file must not stop us."""
    return os.open(path, flags | os.O_NONBLOCK)


def _told_duration(file: _Rationed) -> float | None:
    import mutagen

    try:
        found = mutagen.File(file, options=_formats())
        info = found.info if found is not None else None
        length = None if info is None else float(info.length)
        rate = float(getattr(info, "bitrate", 0) or 0)
    except Exception:  # noqa: BLE001 - a parser fed with hostile bytes fails in every way there is
        return None
    if length is not None and type(info).__name__ == "WaveStreamInfo" and rate > 0:
        return min(length, file.size * 8 / rate)  # a WAV that was written to a pipe says the longest there can be
    return length


@cache
def _formats() -> list[Any]:
    """All formats of sound that mutagen knows. Named here once: left alone, it looks all of them up for each file."""
    from mutagen import (
        aac,
        ac3,
        aiff,
        asf,
        dsdiff,
        dsf,
        flac,
        monkeysaudio,
        mp3,
        mp4,
        musepack,
        oggflac,
        oggopus,
        oggspeex,
        oggtheora,
        oggvorbis,
        optimfrog,
        tak,
        trueaudio,
        wave,
        wavpack,
    )

    return [
        mp3.MP3, trueaudio.TrueAudio, oggtheora.OggTheora, oggspeex.OggSpeex, oggvorbis.OggVorbis, oggflac.OggFLAC,
        oggopus.OggOpus, flac.FLAC, aiff.AIFF, mp4.MP4, wavpack.WavPack, musepack.Musepack, monkeysaudio.MonkeysAudio,
        optimfrog.OptimFROG, asf.ASF, aac.AAC, ac3.AC3, tak.TAK, dsf.DSF, dsdiff.DSDIFF, wave.WAVE,
    ]  # fmt: skip


class _Rationed:
    """A file that gives so many bytes and no more, whatever its contents make a parser ask for."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._bytes_left = _MOST_BYTES_READ
        self._reads_left = _MOST_READS

    def read(self, size: int = -1) -> bytes:
        wanted = self.size if size < 0 else size
        expected = max(0, min(wanted, self.size - self._file.tell()))
        self._reads_left -= 1
        self._bytes_left -= expected
        if self._bytes_left < 0 or self._reads_left < 0:
            raise OSError("this header is longer than any honest one")
        return self._file.read(expected)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
