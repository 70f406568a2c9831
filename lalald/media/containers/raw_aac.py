"""Raw AAC in ADTS frames of varying size, which do not state their number: a lower bound by the highest bit rate."""

from __future__ import annotations

from lalald.media.bounded_file import BoundedFile
from lalald.media.length import UNKNOWN, Length

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_MAX_BITS_PER_CHANNEL = 6144  # of one frame of 1024 samples, by the standard
_FRAME_SAMPLES = 1024


def is_header(head: bytes) -> bool:
    """Whether an ADTS frame starts there: the sync word, layer 0, a sample rate that exists."""
    return len(head) >= 7 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0x0F < len(_RATES)


def measure(file: BoundedFile, start: int) -> Length:
    head = file.exactly(start, 7)
    channels = (head[2] & 1) << 2 | head[3] >> 6 or 8
    most = _MAX_BITS_PER_CHANNEL * max(channels, 2) * _RATES[head[2] >> 2 & 0x0F] / _FRAME_SAMPLES
    return UNKNOWN._replace(at_least=(file.size - start) * 8 / most)
