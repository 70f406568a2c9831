"""WAV, RF64 and BW64: the frames of PCM; for other codecs the byte rate, if block size and sample count agree."""

from __future__ import annotations

import struct
from typing import NamedTuple

from lalald.media.bounded_file import BoundedFile
from lalald.media.containers.chunks import chunks, ends_in_chunks
from lalald.media.length import UNKNOWN, Length, agrees

_PCM, _MS_ADPCM, _FLOAT, _A_LAW, _MU_LAW, _IMA_ADPCM, _GSM = 1, 2, 3, 6, 7, 0x11, 0x31
_EXTENSIBLE = 0xFFFE
_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")  # follows the two bytes of the codec
_TO_THE_END = 0xFFFF_FFFF
_HALF_OF_ALL = 0x7FFF_0000  # SoX and others write about this if the length is not known yet


class _Format(NamedTuple):
    codec: int
    channels: int
    rate: int
    byte_rate: int
    block: int
    bits: int
    samples_per_block: int


def measure(file: BoundedFile, start: int) -> Length:
    """Raises struct.error, EOFError and OSError if the file is of another type."""
    wide_data: int | None = None
    samples: int | None = None
    format_: _Format | None = None
    for chunk in chunks(file, start + 12, "<"):
        if chunk.name == b"ds64":
            wide_data = struct.unpack("<8xQ", file.exactly(chunk.start, 16))[0]
        elif chunk.name == b"fmt ":
            format_ = _format(file.exactly(chunk.start, min(chunk.size, 64)))
        elif chunk.name == b"fact" and chunk.size >= 4:
            samples = struct.unpack("<I", file.exactly(chunk.start, 4))[0]
        elif chunk.name == b"data":
            declared = wide_data if wide_data is not None and chunk.size == _TO_THE_END else chunk.size
            there = None if wide_data == 0 else _data_bytes(file, chunk.start, declared)  # 0: programs differ on it
            return UNKNOWN if format_ is None or there is None else Length(_seconds(format_, there, samples))
    return UNKNOWN


def _format(body: bytes) -> _Format:
    codec, channels, rate, byte_rate, block, bits = struct.unpack_from("<HHIIHH", body)
    samples_per_block = struct.unpack_from("<H", body, 18)[0] if len(body) >= 20 else 0
    if codec == _EXTENSIBLE:
        codec = struct.unpack_from("<H", body, 24)[0] if body[26:40] == _SUBFORMAT else _EXTENSIBLE
        samples_per_block = 0
    return _Format(codec, channels, rate, byte_rate, block, bits, samples_per_block)


def _data_bytes(file: BoundedFile, start: int, declared: int) -> int | None:
    """Bytes of sound in the file; None if the header does not fit the file.

    What was written to a pipe declares 0, or the most there can be: then the sound reaches to the end of the file.
    """
    there = file.size - start
    if declared == 0:
        return 0 if ends_in_chunks(file, start, "<") else there
    if declared >= there or _HALF_OF_ALL <= declared <= 0x7FFF_FFFF:
        return there
    return declared if ends_in_chunks(file, start + declared + declared % 2, "<") else None


def _seconds(format_: _Format, data: int, samples: int | None) -> float | None:
    codec, channels, rate, byte_rate, block, bits, samples_per_block = format_
    if not (channels and rate and block):
        return None
    if codec in (_PCM, _FLOAT, _A_LAW, _MU_LAW):
        width = block // channels
        is_consistent = block == width * channels and 0 < (bits + 7) // 8 == width <= 8 and byte_rate == rate * block
        return data // block / rate if is_consistent else None
    if not byte_rate:
        return None
    seconds = data / byte_rate
    if codec in (_MS_ADPCM, _IMA_ADPCM, _GSM):
        return seconds if agrees(seconds, data / block * samples_per_block / rate) else None
    return seconds if samples and agrees(seconds, samples / rate) else None
