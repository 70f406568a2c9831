"""Files of known length in many containers, built byte by byte without an encoder."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # MPEG-1 layer III
RATE = 44_100


def chunk(name: bytes, body: bytes, *, size: int | None = None, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def wav_format(
    codec: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, *, byte_rate: int | None = None, block: int = 0,
    extra: bytes = b"",
) -> bytes:  # fmt: skip
    block = block or channels * ((bits + 7) // 8)
    fixed = struct.pack("<HHIIHH", codec, channels, rate, rate * block if byte_rate is None else byte_rate, block, bits)
    return chunk(b"fmt ", fixed + extra)


def wav(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if magic == b"RIFF" else 0xFFFFFFFF) + body


def mp3_frame(kbits: int, *, padded: bool = False, fill: int = 0) -> bytes:
    """MPEG-1 layer III, 44.1 kHz, stereo: 1152 samples."""
    length = 144 * kbits * 1000 // RATE + padded
    return bytes((0xFF, 0xFB, KBITS.index(kbits) << 4 | padded << 1, 0)).ljust(length, bytes((fill,)))


def mp3(seconds: float, kbits: int | Sequence[int] = 128) -> bytes:
    """Frames of these bit rates, in equal shares of the time. Padding as encoders do it."""
    rates = (kbits,) if isinstance(kbits, int) else kbits
    pieces = []
    for rate in rates:
        count = round(seconds / len(rates) * RATE / 1152)
        exact = 144 * rate * 1000 / RATE
        pieces += [mp3_frame(rate, padded=int((n + 1) * exact) - int(n * exact) > int(exact)) for n in range(count)]
    return b"".join(pieces)


def xing(frames: int | None, count: int | None, *, name: bytes = b"Xing") -> bytes:
    """A frame with a header of so many frames and bytes."""
    flags = (frames is not None) | (count is not None) << 1
    body = name + struct.pack(">I", flags) + b"".join(struct.pack(">I", n) for n in (frames, count) if n is not None)
    frame = bytearray(mp3_frame(128))
    frame[36 : 36 + len(body)] = body
    return bytes(frame)


def id3(size: int = 2000, fill: bytes = b"\xff\xfb\x90\x64") -> bytes:
    """A tag in front, whose cover looks like sound."""
    sync_safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + sync_safe + (fill * (size // len(fill) + 1))[:size]


def ape_tag(size: int = 2000) -> bytes:
    head = b"APETAGEX" + struct.pack("<III", 2000, size, 1)
    flags = struct.pack("<I", 0xA0000000) + bytes(8), struct.pack("<I", 0x80000000) + bytes(8)
    return head + flags[0] + b"\xff\xfb\x90\x64" * ((size - 32) // 4) + head + flags[1]


def aiff(frames: int, sound: bytes, *, kind: bytes = b"AIFF", compression: bytes = b"", bits: int = 16) -> bytes:
    rate = bytes.fromhex("400bfa00000000000000")  # 8000 Hz
    common = chunk(b"COMM", struct.pack(">HIH", 1, frames, bits) + rate + compression, order=">")
    body = kind + common + chunk(b"SSND", bytes(8) + sound, order=">")
    return b"FORM" + struct.pack(">I", len(body)) + body


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def m4a(
    *, header: float = 60, table: float = 60, movie: float = 60, data: int = 200_000, more: bytes = b"", inside: bytes = b""
) -> bytes:  # fmt: skip
    """One track of sound at 1000 ticks a second; `more` behind everything, `inside` the movie box."""
    full = bytes(4)
    times = box(b"stts", full, struct.pack(">III", 1, round(table * 10), 100))
    handler = box(b"hdlr", full, bytes(4), b"soun", bytes(12))
    media = box(b"mdhd", full, bytes(8), struct.pack(">II", 1000, round(header * 1000)), bytes(4))
    track = box(b"trak", box(b"mdia", media, handler, box(b"minf", box(b"stbl", times))))
    movie_header = box(b"mvhd", full, bytes(8), struct.pack(">II", 1000, round(movie * 1000)), bytes(80))
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", movie_header, track, inside) + box(b"mdat", bytes(data)) + more


def ogg_page(serial: int, position: int, packets: Sequence[bytes], *, flags: int = 0, number: int = 0) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
    head = b"OggS\0" + struct.pack("<BqIIIB", flags, position, serial, number, 0, len(lacing))
    return head + lacing + b"".join(packets)


def opus(seconds: int, *, start: float = 0, serial: int = 7, packet_bytes: int = 100) -> bytes:
    """Pages of one second: 50 packets of 20 ms. `start`: where the recording begins, in seconds of the stream."""
    head = b"OpusHead\x01\x02" + struct.pack("<HIhB", 312, 48000, 0, 0)
    pages = [ogg_page(serial, 0, [head], flags=2), ogg_page(serial, 0, [b"OpusTags" + bytes(8)], number=1)]
    for second in range(1, seconds + 1):
        position = round((start + second) * 48000) + (312 if second == seconds else 0)
        packets, flags = [b"\x78" + bytes(packet_bytes - 1)] * 50, 4 if second == seconds else 0
        pages.append(ogg_page(serial, position, packets, flags=flags, number=second + 1))
    return b"".join(pages)


def element(id_: int, body: bytes, *, size: bytes | None = None) -> bytes:
    written = bytes.fromhex(f"{id_:x}")
    return written + (size or struct.pack(">Q", len(body) | 1 << 56)) + body


def matroska(seconds: float | None, data: int = 200_000, *, size: bytes | None = None) -> bytes:
    info = element(0x2AD7B1, struct.pack(">I", 1_000_000))
    if seconds is not None:
        info += element(0x4489, struct.pack(">d", seconds * 1000))
    segment = element(0x1549A966, info) + element(0x1F43B675, bytes(data))
    return element(0x1A45DFA3, element(0x4282, b"matroska")) + element(0x18538067, segment, size=size)


def crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc


def flac(frames: int, *, stated: int | None = None, tag: bytes = b"") -> bytes:
    """Frames of 4096 samples at 44.1 kHz, 16 bits, stereo; their contents are zeros. `stated`: samples in STREAMINFO."""
    samples = frames * 4096 if stated is None else stated
    packed = (RATE << 44 | 1 << 41 | 15 << 36 | samples).to_bytes(8, "big")
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed + bytes(16)
    body = b"".join(_flac_frame(number) for number in range(frames))
    return b"fLaC\x80\x00\x00\x22" + info + body + tag


def _flac_frame(number: int) -> bytes:
    head = bytes((0xFF, 0xF8, 0xC9, 0x18)) + chr(number).encode()
    return head + bytes((crc8(head),)) + bytes(200)


def asf(seconds: float, data: int = 100_000, *, flags: int = 2, missing: int = 0) -> bytes:
    """File properties and data of zeros; the file is `missing` bytes shorter than it says."""
    size = 30 + 104 + data
    properties = bytes(16) + struct.pack(
        "<QQQQQQIIII", size, 0, 100, round((seconds + 3) * 1e7), round(seconds * 1e7), 3000, flags, 3200, 3200, 128_000
    )
    kind = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    header = kind + struct.pack("<Q", 24 + len(properties)) + properties
    whole = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QIBB", 30 + len(header), 1, 1, 2) + header
    return (whole + bytes(data))[: size - missing]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def flac_of(samples: Sequence[int], rate: int = 8000) -> bytes:
    """A FLAC file of 16-bit mono samples, stored as they are: one that every decoder gives back to the sample."""
    size = 4096
    info = struct.pack(">HH6xQ16x", size, size, rate << 44 | 15 << 36 | len(samples))
    frames = [
        _verbatim_flac_frame(number, samples[at : at + size]) for number, at in enumerate(range(0, len(samples), size))
    ]
    return b"fLaC" + bytes((0x80, 0, 0, len(info))) + info + b"".join(frames)


def _verbatim_flac_frame(number: int, samples: Sequence[int]) -> bytes:
    counted = chr(number).encode()  # the frame's number is written as UTF-8 writes a character
    head = (
        b"\xff\xf8\x70\x08" + counted + struct.pack(">H", len(samples) - 1)
    )  # rate as in the stream's head, mono, 16 bits
    head += bytes((_crc(head, 8, 0x07),))
    frame = head + b"\x02" + struct.pack(f">{len(samples)}h", *samples)  # one verbatim subframe
    return frame + struct.pack(">H", _crc(frame, 16, 0x8005))


def _crc(content: bytes, bits: int, polynomial: int) -> int:
    table = _crc_table(bits, polynomial)
    value = 0
    for byte in content:
        value = (value << 8 ^ table[(value >> (bits - 8) ^ byte) & 0xFF]) & (1 << bits) - 1
    return value


@cache
def _crc_table(bits: int, polynomial: int) -> tuple[int, ...]:
    def entry(byte: int) -> int:
        value = byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)
        return value & (1 << bits) - 1

    return tuple(map(entry, range(256)))
