"""Tags read and written without a daemon; sound, covers and tags as other programs write them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lalald.media.bounded_file import BoundedFile
from lalald.media.tags.ogg_pages import renumbered_parts
from lalald.media.tags.readers.source_reader import read_tags
from lalald.media.tags.regions import Spool, parts_of, region_of
from lalald.media.tags.tag_model import Picture, Renumbered, SourceTags, Tags
from lalald.media.tags.writers.track_writer import tagged

# What ffmpeg is told for each container, beyond its name.
ENCODERS: Mapping[str, tuple[str, ...]] = {
    "mp3": ("-c:a", "libmp3lame"),
    "flac": (),
    "m4a": ("-c:a", "aac"),
    "ogg": ("-c:a", "libvorbis"),
    "opus": ("-c:a", "libopus"),
    "wav": (),
    "aiff": (),
}


def unnamed_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read(path: Path) -> SourceTags:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        file = BoundedFile(descriptor, os.fstat(descriptor).st_size)
        return read_tags(file, Spool(unnamed_file))
    finally:
        os.close(descriptor)


def write(path: Path, target: Path, tags: Tags) -> Path:
    """The track at `path` with these tags, at `target`. Raises what `tagged` does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        file = BoundedFile(descriptor, os.fstat(descriptor).st_size)
        with open(target, "wb") as copy:
            for piece in tagged(file, descriptor, tags):
                if isinstance(piece, bytes):
                    copy.write(piece)
                elif isinstance(piece, Renumbered):
                    copy.writelines(renumbered_parts(piece))
                else:
                    copy.writelines(parts_of(region_of(piece)))
    finally:
        os.close(descriptor)
    return target


def content(picture: Picture) -> bytes:
    return b"".join(parts_of(region_of(picture.data)))


def pictures(*contents: bytes) -> tuple[Picture, ...]:
    """The first is the front cover, others are back covers."""
    spool = Spool(unnamed_file)
    mime = {b"\x89PNG": "image/png"}
    return tuple(
        Picture(mime.get(data[:4], "image/jpeg"), 3 + min(1, place), "", spool.add([data]))
        for place, data in enumerate(contents)
    )


def png(size: int = 0) -> bytes:
    """One red pixel, followed by a chunk that makes it as large as wanted."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes.fromhex("00000001000000010802000000"))
    end = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    filling = max(0, size - len(head) - len(end) - 12)
    return head + (chunk(b"prVt", os.urandom(filling)) if filling else b"") + end


def jpeg(folder: Path) -> bytes:
    path = folder / "cover.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=120x120", "-frames:v", "1", str(path))
    return path.read_bytes()


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)


def sound(path: Path, *options: str, seconds: float = 3, metadata: Iterable[str] = ()) -> Path:
    """A tone that rises: every part of it differs from every other."""
    named = [word for entry in metadata for word in ("-metadata", entry)]
    source = ("-f", "lavfi", "-i", f"aevalsrc='sin(300*t*t)|sin(500*t*t)':d={seconds}:s=44100")
    encoder = () if "-c:a" in options else ENCODERS.get(path.suffix[1:], ())
    ffmpeg(*source, *encoder, *options, *named, str(path))
    return path


def decoded(path: Path) -> str:
    """A hash of every sample of sound, and whatever the decoder complains of."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-f", "md5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return done.stdout + done.stderr


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe, as many players, says: tags in lower case, codecs of pictures, chapters."""
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json", path]
    facts = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    sound = next(stream for stream in facts["streams"] if stream["codec_type"] == "audio")
    found = {**sound.get("tags", {}), **facts["format"].get("tags", {})}
    return {
        "tags": {name.lower(): value for name, value in found.items()},
        "pictures": [stream["codec_name"] for stream in facts["streams"] if stream["codec_type"] == "video"],
        "chapters": [
            (float(chapter["start_time"]), chapter.get("tags", {}).get("title")) for chapter in facts["chapters"]
        ],
    }
