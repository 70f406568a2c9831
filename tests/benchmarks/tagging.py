"""What tags cost: the time of a track of 50 MB besides its second hash, and the most memory with covers of 20 MB in the source."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from mutagen.id3 import APIC, ID3, TIT2

from lalald.filesystem.writeback import Writeback
from lalald.media.tags.tag_model import Tags
from lalald.outbox import Staged, TrackTags
from lalald.outbox.tagging import finish
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import QUICK, Tail, daemon, drop, folder, pid_of
from tests.benchmarks.process import MIB, peak_resident_bytes
from tests.support import sounds
from tests.support.running import files_below
from tests.support.tagging import pictures, png

SMALL = {"track_bytes": 200_000, "tries": 1, "source_bytes": 500_000, "cover_bytes": 5_000_000}
GOAL_SECONDS = 0.020
GOAL_MIB = 64
COVER_BYTES, SMALL_COVER_BYTES = 300_000, 40_000  # a small one leaves the numbers of Ogg's pages as they are
OPUS = "opus, 1 s a page"
FIELDS = {"title": ("Title (vocals)",), "artist": ("Artist",), "album": ("Album",), "date": ("1999",)}


def measure(
    *,
    track_bytes: int = 50_000_000,
    tries: int = 9,
    source_bytes: int = 50_000_000,
    cover_bytes: int = 20_000_000,
) -> list[Figure]:
    tags, with_small_cover = (Tags(FIELDS, pictures(png(size))) for size in (COVER_BYTES, SMALL_COVER_BYTES))
    with folder() as root:
        tracks = _tracks(track_bytes)
        costs = [_cost(kind, content, tags, root, tries) for kind, content in tracks.items()]
        small = _cost(f"{OPUS}, a cover of 40 kB", tracks[OPUS], with_small_cover, root, tries)
    return [*costs, small, _memory(source_bytes, cover_bytes)]


def _tracks(size: int) -> dict[str, bytes]:
    """Of each family, with as many frames or pages as such a track has."""
    return {
        "mp3": sounds.mp3(size / 40_000, 320),
        "flac": sounds.flac(10) + bytes(size),
        "wav": sounds.wav(sounds.wav_format(channels=2, rate=44_100), sounds.chunk(b"data", bytes(size))),
        "m4a": sounds.m4a(data=size),
        OPUS: sounds.opus(max(2, size // 16_000), packet_bytes=320),
    }


def _cost(kind: str, content: bytes, tags: Tags, root: Path, tries: int) -> Figure:
    """The median of tagging and of delivering as it came, each from a track that a download has just written."""
    tagged, plain, hashing = [], [], []
    for _ in range(tries):
        plain.append(_seconds(lambda path: finish(path, _sent(content), TrackTags()), content, root))
        tagged.append(_seconds(lambda path: finish(path, _sent(content), TrackTags(tags)), content, root))
        started = time.perf_counter()
        hashlib.sha256(content).digest()
        hashing.append(time.perf_counter() - started)
    hash_seconds = statistics.median(hashing)
    cost, reference = statistics.median(tagged) - hash_seconds, statistics.median(plain)
    return Figure(
        f"a track of {len(content) / 1e6:.0f} MB gets its tags and a cover, durable ({kind}), besides the second hash",
        f"{cost * 1000:.0f} ms",
        f"the same track durable as it came: {reference * 1000:.0f} ms; the hash: {hash_seconds * 1000:.0f} ms",
        f"≤ {GOAL_SECONDS * 1000:.0f} ms",
        cost <= GOAL_SECONDS,
    )


def _sent(content: bytes) -> Staged:
    return Staged(len(content), "", sent_sha256="", sent_size=len(content))


def _seconds(act: Callable[[str], object], content: bytes, root: Path) -> float:
    path = root / "track"
    with path.open("wb", buffering=0) as file:
        writeback = Writeback(file.fileno())
        for start in range(0, len(content), MIB):
            file.write(content[start : start + MIB])
            writeback.grown(start + MIB)
    started = time.perf_counter()
    act(str(path))
    elapsed = time.perf_counter() - started
    for left in root.iterdir():
        left.unlink()
    return elapsed


def _memory(source_bytes: int, cover_bytes: int) -> Figure:
    with folder() as root, Sandbox(Options(checks_per_minute=QUICK)) as service:
        source = root / "song.mp3"
        sounds.write(source, sounds.mp3(source_bytes / 40_000, 320))
        _tag(source, cover_bytes)
        with daemon(root, service.url, checks_per_minute=QUICK) as home:
            drop([source], home)
            Tail(home, "job.done").until(1, 120.0)
            results = sorted(path.stat().st_size for path in files_below(home.outbox) if path.suffix == ".mp3")
            assert len(results) == 2, results
            peak = peak_resident_bytes(pid_of(home)) / MIB
    covers = f"a cover of {cover_bytes / 1e6:g} MB, which is left out, and four of 4 MB"
    return Figure(
        f"peak RSS, a source of {source_bytes / 1e6:g} MB with {covers}",
        f"{peak:.0f} MiB", "–", f"≤ {GOAL_MIB} MiB", peak <= GOAL_MIB,
    )  # fmt: skip


def _tag(path: Path, cover_bytes: int) -> None:
    tags = ID3()
    tags.add(TIT2(text=["Title"]))
    for number, size in enumerate((cover_bytes, *(4_000_000,) * 4)):
        tags.add(APIC(mime="image/png", type=3 + number, desc=str(number), data=png(size)))
    tags.save(path)


if __name__ == "__main__":
    show(measure)
