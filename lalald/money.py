"""What a task will cost, estimated before anything is sent: the source's duration × stems."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping
from functools import cache
from typing import Any

from lalald.presets import stems

# More than any honest header holds, cover art included; a file made to be read for ever, or into memory, ends here.
_MOST_BYTES_READ = 32 * 1024 * 1024
_MOST_READS = 50_000
_PIECE_BYTES = 8192


def minutes(duration_seconds: float, mode: str, presets: Mapping[str, Any]) -> float:
    """Minutes that a task of this mode costs. An estimate: the service documents only multistem's price."""
    return duration_seconds / 60.0 * stems(mode, presets)


def local_duration(path: str | os.PathLike[str]) -> float | None:
    """Seconds of sound in a file, by its own word; None where it tells none: an unknown format, damage, malice.

    Reads headers only, so the figure may differ from what the service will measure.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe in its place must not stop us
        try:
            facts = os.fstat(descriptor)
            regular = stat.S_ISREG(facts.st_mode)
            seconds = _told_duration(_Rationed(descriptor, os.fspath(path), facts.st_size)) if regular else None
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None


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
    """A file that gives so many bytes and no more, whatever its contents make a parser ask for.

    It reads a piece at a time: a parser goes to and fro within a header, which the system need not hear of.
    """

    def __init__(self, descriptor: int, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._descriptor = descriptor
        self._place = 0
        self._piece = b""
        self._piece_at = 0
        self._bytes_left = _MOST_BYTES_READ
        self._reads_left = _MOST_READS

    def read(self, size: int = -1) -> bytes:
        wanted = self.size if size < 0 else size
        expected = max(0, min(wanted, self.size - self._place))
        self._reads_left -= 1
        self._bytes_left -= expected
        if self._bytes_left < 0 or self._reads_left < 0:
            raise OSError("this header is longer than any honest one")
        start = self._place - self._piece_at
        if start < 0 or start + expected > len(self._piece):
            self._piece = os.pread(self._descriptor, max(expected, _PIECE_BYTES), self._place)
            self._piece_at, start = self._place, 0
        found = self._piece[start : start + expected]
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        if place < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._place = place
        return place

    def tell(self) -> int:
        return self._place
