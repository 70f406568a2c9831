"""Read how long a file plays, if its container states that reliably; never guess.

    PCM WAV, AIFF        the frames in the file
    WAV, other codecs    the byte rate, if the header's other figures agree
    FLAC                 STREAMINFO, if the last frame agrees
    MP1, MP2, MP3        a Xing, Info or VBRI header that fits the file, or a constant bit rate
    MP4, M4A, MOV        the media header, if sample table and movie header agree; not if fragmented
    Ogg                  the last page, if the first one is near 0 and there is one stream
    Matroska, WebM, ASF  the header of a file that is finished and complete

Other lengths (raw AAC, MPEG program and transport streams, AVI, …) are unknown until the service has measured them.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers import aiff, asf, flac, matroska, mp4, mpeg_audio, mpeg_video, ogg, raw_aac, wave
from lalald.media.containers.tag_blocks import start_of_audio
from lalald.media.length import UNKNOWN, Length

MAX_SECONDS = 1_000 * 3600.0  # a header with more is damaged
_MIN_BITS_PER_SECOND = 200.0  # even silence takes more: a header with less belongs to another file
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def local_duration(path: str | os.PathLike[str]) -> float | None:
    """Seconds of sound in a file, or None if its container does not state them reliably."""
    return measure(path).seconds


def measure(path: str | os.PathLike[str]) -> Length:
    """The length that a file states; unknown if it cannot be read. Raises nothing; reads a limited number of bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # NONBLOCK: it may be a pipe
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                return UNKNOWN
            return _sane(_measured(BoundedFile(descriptor, facts.st_size)), facts.st_size)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return UNKNOWN


def _measured(file: BoundedFile) -> Length:
    try:
        start = start_of_audio(file)
        reader = _reader(file.read_at(start, 16), is_tagged=start > 0)
        return UNKNOWN if reader is None else reader(file, start)
    except Exception:  # noqa: BLE001 - parsers of hostile bytes may raise anything
        return UNKNOWN


def _reader(head: bytes, *, is_tagged: bool) -> Callable[[BoundedFile, int], Length] | None:
    """The reader for a file with these first bytes; names are ignored."""
    if head[:4] == b"fLaC":
        return flac.measure
    if head[:1] == b"\xff" and raw_aac.is_header(head):
        return raw_aac.measure
    if is_tagged:
        return mpeg_audio.measure
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return wave.measure if head[8:12] == b"WAVE" else None
    if head[:4] == b"FORM":
        return aiff.measure if head[8:12] in (b"AIFF", b"AIFC") else None
    if head[4:8] in _QUICKTIME:
        return mp4.measure
    known = {b"OggS": ogg.measure, b"\x1a\x45\xdf\xa3": matroska.measure, asf.HEADER[:4]: asf.measure}
    return known.get(head[:4]) or mpeg_video.reader(head) or mpeg_audio.measure


def _sane(length: Length, size: int) -> Length:
    seconds = length.seconds
    if seconds is None or not math.isfinite(seconds) or not 0 < seconds <= MAX_SECONDS:
        return length._replace(seconds=None)
    return length if size * 8 / seconds >= _MIN_BITS_PER_SECOND else length._replace(seconds=None)
