"""A track gets its tags before it is placed; killed at any moment, it is whole or as the service sent it."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mutagen.id3 import APIC, ID3, TIT2

from lalald import outbox
from lalald.filesystem.file_ranges import BLOCK_BYTES, insert_at_start
from lalald.jobs.job import Job
from lalald.jobs.job_warnings import warnings_of
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Track
from lalald.media.tags.tag_model import Omission, SourceTags, Tags
from lalald.outbox import SourceRead, Staged, TrackTags
from lalald.outbox.staging import load_record, proof_path, save_record, staged_path
from lalald.outbox.tagging import finish
from tests.support import sounds
from tests.support.delivery_process import (
    CrashPoint,
    Row,
    carry,
    deliver,
    hidden,
    job_at,
    nobody_else,
    start,
    visible,
)
from tests.support.tagging import content as picture_content
from tests.support.tagging import pictures, png, read

SENT = sounds.mp3(90)  # more than one piece of a copy
TAGS = Tags({"title": ("Song (voice)",), "artist": ("A",)})
LIMIT = 200  # more steps than any delivery has


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sent(content: bytes = SENT) -> Staged:
    return Staged(len(content), sha256(content), sent_sha256=sha256(content), sent_size=len(content))


def arrived(job: Job, content: bytes = SENT) -> str:
    """The first track as a download leaves it, with what proves it."""
    folder = Path(outbox.staging_folder(job))
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(staged_path(job, 1, 0))
    path.write_bytes(content)
    Path(proof_path(str(path))).write_text('["\\"etag\\"", "boot"]')
    return str(path)


def one_track(root: Path, **changes: object) -> Job:
    return job_at(root, labels=["voice"], **changes)  # type: ignore[arg-type]


def test_a_tagged_track_is_noted_with_both_hashes(tmp_path: Path) -> None:
    job = one_track(tmp_path)
    path = arrived(job)
    found = finish(path, sent(), TrackTags(TAGS))
    content = Path(path).read_bytes()
    assert (found.size, found.sha256) == (len(content), sha256(content))
    assert (found.sent_size, found.sent_sha256, found.is_final) == (len(SENT), sha256(SENT), True)
    assert load_record(path) == found
    assert read(Path(path)).tags == TAGS
    placed = outbox.place(outbox.reserve(job, {(1, 0): found}, is_reserved=nobody_else))
    outbox.clear(placed)
    (track,) = placed.tasks[0].tracks
    assert (track.sha256, track.sent_sha256, track.declared_size) == (sha256(content), sha256(SENT), None)
    assert visible(tmp_path / "outbox") == {"podcasts/ep1/voice.mp3": content}
    assert not hidden(tmp_path / "outbox")


def test_a_track_waits_for_tags_that_are_not_known_yet(tmp_path: Path) -> None:
    path = arrived(one_track(tmp_path))
    waiting = finish(path, sent(), None)
    assert (waiting.is_final, load_record(path), Path(path).read_bytes()) == (False, waiting, SENT)
    assert finish(path, waiting, TrackTags(TAGS)).is_final
    assert read(Path(path)).tags == TAGS


def test_without_tags_it_stays_byte_for_byte(tmp_path: Path) -> None:
    path = arrived(one_track(tmp_path))
    found = finish(path, sent(), TrackTags())
    assert (Path(path).read_bytes(), found) == (SENT, replace(sent(), is_final=True))


FTYP = sounds.box(b"ftyp", b"M4A \0\0\0\0")


def nested_tables(depth: int) -> bytes:
    heads = ((8 * (depth - place)).to_bytes(4) + b"trak" for place in range(depth))
    return FTYP + sounds.box(b"moov", b"".join(heads))


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (b"\xff\xf1\x50\x80" + bytes(500), ()),
        (sounds.m4a(more=sounds.box(b"moof", bytes(20))), (TagNote.UNWRITABLE,)),
        (sounds.opus(2) + b"x" * 30 + sounds.opus(2), (TagNote.UNWRITABLE,)),
        (FTYP + sounds.box(b"mdat", b"sound") + b"\0\1\0\0moov" + sounds.box(b"free", bytes(9)), (TagNote.UNWRITABLE,)),
        (FTYP + b"\0\0\0\1mdat\x7f" + b"\xff" * 7 + sounds.box(b"moov"), (TagNote.UNWRITABLE,)),
        (sounds.wav(sounds.chunk(b"x   ", b"") * 2500, sounds.chunk(b"data", b"ab")), (TagNote.UNWRITABLE,)),
        (nested_tables(5000) + sounds.box(b"mdat", bytes(9)), (TagNote.UNWRITABLE,)),
    ],
)
def test_what_cannot_be_tagged_is_delivered_as_it_came(
    tmp_path: Path, content: bytes, notes: tuple[TagNote, ...]
) -> None:
    path = arrived(one_track(tmp_path), content)
    wanted = TrackTags(Tags(TAGS.fields, pictures(png(100_000))))
    found = finish(path, sent(content), wanted)
    assert (Path(path).read_bytes(), found) == (content, replace(sent(content), is_final=True, notes=notes))
    assert wanted.faults == []
    assert not Path(f"{path}.tagging").exists()


class Full(CrashPoint):
    """The disk is full after so many steps."""

    def __init__(self, at: int, number: int) -> None:
        super().__init__(0)
        self._at, self._number = at, number

    def __call__(self, done: str) -> None:
        super().__call__(done)
        if self.count == self._at:
            raise OSError(self._number, os.strerror(self._number))


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the disk, where files are changed in place if it can that; and one where sound never moves without being copied."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.path.isdir("/dev/shm") or can_insert(Path("/dev/shm")):
        pytest.skip("no such file system here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def can_insert(folder: Path) -> bool:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(3 * BLOCK_BYTES))
        file.flush()
        return insert_at_start(file.fileno(), BLOCK_BYTES)


@pytest.mark.parametrize(
    ("kind", "cover_bytes"),
    [
        ("mp3", 60_000),
        ("flac", 60_000),
        ("wav", 60_000),
        ("m4a", 60_000),
        ("opus", 60_000),
        ("opus", 40_000),
        ("opus", 0),
    ],
)
def test_sound_is_not_written_again_where_that_can_be(place: Path, kind: str, cover_bytes: int) -> None:
    """A larger cover takes more pages of Ogg, so that all others get other numbers."""
    moov_first = sounds.m4a(data=300_000)
    whole = {
        "mp3": SENT, "flac": sounds.flac(500), "m4a": moov_first, "opus": sounds.opus(20),
        "wav": sounds.wav(sounds.wav_format(), sounds.chunk(b"data", bytes(range(256)) * 2000)),
    }[kind]  # fmt: skip
    path = arrived(one_track(place), whole)
    before = os.stat(path).st_ino
    covers = pictures(png(cover_bytes)) if cover_bytes else ()
    found = finish(path, sent(whole), TrackTags(Tags(TAGS.fields, covers)))
    content = Path(path).read_bytes()
    assert (found.size, found.sha256) == (len(content), sha256(content))
    assert read(Path(path)).tags.fields == TAGS.fields
    stays = kind == "wav" or ((kind != "opus" or cover_bytes < 48_000) and can_insert(place))
    assert (os.stat(path).st_ino == before) == stays


@pytest.mark.parametrize("kind", ["mp3", "wav", "opus"])
@pytest.mark.parametrize(
    ("number", "note", "words"),
    [
        (errno.EDQUOT, TagNote.NO_ROOM, "the outbox has no room to write them; free some space there"),
        (errno.EINVAL, TagNote.FAILED, "the file system reports: Invalid argument"),
    ],
)
def test_a_fault_at_any_step_leaves_the_track_as_it_came(
    place: Path, number: int, note: TagNote, words: str, kind: str
) -> None:
    wav = sounds.wav(
        sounds.wav_format(), sounds.chunk(b"data", bytes(range(250)) * 20_000), sounds.chunk(b"cue ", b"1234")
    )
    content = {"mp3": SENT, "wav": wav, "opus": sounds.opus(400)}[kind]
    path, at = arrived(one_track(place), content), 0
    while at < LIMIT:
        at += 1
        wanted = TrackTags(TAGS)
        try:
            found = finish(path, sent(content), wanted, Full(at, number))
        except OSError:  # between the tags and their record: as after a kill, it is fetched again
            break
        assert (Path(path).read_bytes(), found) == (content, replace(sent(content), is_final=True, notes=(note,)))
        assert wanted.faults == [words]
        assert not Path(f"{path}.tagging").exists()
    assert 3 < at < LIMIT
    assert load_record(path) is None
    assert read(Path(path)).tags == TAGS


def test_a_cover_that_is_gone_leaves_the_track_as_it_came(tmp_path: Path) -> None:
    path = arrived(one_track(tmp_path))
    (cover,) = pictures(png(5000))
    gone = cover._replace(data=cover.data._replace(size=9000))
    found = finish(path, sent(), TrackTags(Tags(TAGS.fields, (gone,))))
    assert (Path(path).read_bytes(), found.notes) == (SENT, (TagNote.FAILED,))


# reuse


def test_an_earlier_result_gets_the_new_tags_only(tmp_path: Path) -> None:
    earlier = one_track(tmp_path / "earlier")
    path = arrived(earlier)
    first = finish(path, sent(), TrackTags(Tags({"title": ("Old",), "comment": ("old",)}, pictures(png()))))
    placed = outbox.place(outbox.reserve(earlier, {(1, 0): first}, is_reserved=nobody_else))
    (track,) = placed.tasks[0].tracks
    job = one_track(tmp_path / "later")
    origin = str(tmp_path / "earlier" / "outbox" / (track.path or ""))
    again = replace(track, copy_from=origin, path=None, delivered=False)
    job = replace(job, tasks=(replace(job.tasks[0], tracks=(again,)),))
    copied = outbox.copy_duplicate(job, 1, 0)
    assert not copied.is_final
    tagged = outbox.tag(job, 1, 0, copied, TrackTags(TAGS))
    assert read(Path(staged_path(job, 1, 0))).tags == TAGS
    assert tagged.sent_sha256 == sha256(SENT)
    plain = outbox.tag(job, 1, 0, copied, TrackTags())
    assert (Path(staged_path(job, 1, 0)).read_bytes(), plain.sha256) == (SENT, sha256(SENT))


def delivered_once(root: Path) -> tuple[Job, Track, Path]:
    """A job whose track was delivered with tags; a later job that is to get a copy of it."""
    earlier = one_track(root / "earlier")
    first = finish(arrived(earlier), sent(), TrackTags(Tags({"title": ("Old",)})))
    placed = outbox.place(outbox.reserve(earlier, {(1, 0): first}, is_reserved=nobody_else))
    (track,) = placed.tasks[0].tracks
    result = root / "earlier" / "outbox" / (track.path or "")
    job = one_track(root / "later")
    again = replace(track, copy_from=str(result), path=None, delivered=False)
    return replace(job, tasks=(replace(job.tasks[0], tracks=(again,)),)), again, result


def test_a_result_whose_tags_were_edited_is_reused_by_what_was_sent(tmp_path: Path) -> None:
    job, track, result = delivered_once(tmp_path)
    edited = ID3(result)
    edited.add(TIT2(text=["Edited, and longer than before: " + "x" * 9000]))
    edited.save(result)
    assert result.stat().st_size != track.size
    assert outbox.is_as_sent(str(result), track)
    tagged = outbox.tag(job, 1, 0, outbox.copy_duplicate(job, 1, 0), TrackTags(TAGS))
    assert read(Path(staged_path(job, 1, 0))).tags == TAGS
    assert tagged.sent_sha256 == sha256(SENT)


def test_a_result_whose_sound_was_edited_is_not_reused(tmp_path: Path) -> None:
    job, track, result = delivered_once(tmp_path)
    result.write_bytes(result.read_bytes()[:-1] + b"x")
    assert not outbox.is_as_sent(str(result), track)
    with pytest.raises(outbox.DuplicateChangedError):
        outbox.copy_duplicate(job, 1, 0)
    result.write_bytes(b"nothing")
    assert not outbox.is_as_sent(str(result), track)


# the source


def source_with(tmp_path: Path, *contents: bytes) -> Job:
    """A job whose source has a title and these covers."""
    path = sounds.write(tmp_path / "source.mp3", sounds.mp3(1))
    tags = ID3()
    tags.add(TIT2(text=["Song"]))
    for data in contents:
        tags.add(APIC(mime="image/png", type=3, desc=str(len(data)), data=data))
    tags.save(path)
    return one_track(tmp_path, content=path.read_bytes())


def found_in(job: Job) -> SourceTags | TagNote:
    return outbox.read_source(job, f"{job.inbox}/{job.path}")


def test_covers_of_the_source_are_kept_in_a_file_without_a_name(tmp_path: Path) -> None:
    job = source_with(tmp_path, png(300_000), png(6_000_000))
    found = found_in(job)
    assert isinstance(found, SourceTags)
    assert found.omissions == {Omission.COVER_TOO_LARGE}
    assert [picture_content(picture)[:8] for picture in found.tags.pictures] == [png()[:8]]
    assert hidden(tmp_path / "outbox") == [".lalald-staging"]
    assert list(Path(outbox.staging_folder(job)).iterdir()) == []
    wanted = SourceRead(found).of_track(job, job.tasks[0], job.tasks[0].tracks[0])
    assert wanted is not None
    assert (wanted.tags.first("title"), wanted.notes) == ("Song (voice)", (TagNote.COVER_TOO_LARGE,))


def test_another_file_in_the_place_of_the_source_gives_no_tags(tmp_path: Path) -> None:
    job = source_with(tmp_path)
    assert found_in(replace(job, mtime_ns=job.mtime_ns + 1)) is TagNote.SOURCE_CHANGED
    assert found_in(replace(job, size=1)) is TagNote.SOURCE_CHANGED
    assert outbox.read_source(job, job.inbox) is TagNote.SOURCE_CHANGED
    assert outbox.read_source(job, f"{job.inbox}/missing") is TagNote.SOURCE_MISSING
    assert outbox.read_source(job, f"{job.inbox}/{job.path}/missing") is TagNote.SOURCE_MISSING
    link = Path(job.inbox) / "link.mp3"
    link.symlink_to(f"{job.inbox}/{job.path}")
    assert outbox.read_source(job, str(link)) is TagNote.SOURCE_UNREADABLE


@pytest.mark.parametrize(
    ("output", "title"),
    [
        ("{name}", "ep1"),
        ("{title} [{label}]", "Song [Clean]"),
        ("{task} {type} {rule} {mode}", "1 stem podcasts voice_clean"),
    ],
)  # fmt: skip
def test_the_title_is_the_rules(tmp_path: Path, output: str, title: str) -> None:
    job = source_with(tmp_path)
    job = replace(job, settings=replace(job.settings, labels={"voice": "Clean"}, tags=True, tag_title=output))
    found = found_in(job)
    assert isinstance(found, SourceTags)
    wanted = SourceRead(found).of_track(job, job.tasks[0], job.tasks[0].tracks[0])
    assert wanted is not None
    assert wanted.tags.first("title") == title


def test_notes_become_warnings_of_the_tracks(tmp_path: Path) -> None:
    job = job_at(tmp_path, labels=["voice", "no_voice"])
    notes = ((TagNote.COVER_TOO_LARGE, TagNote.NO_ROOM), (TagNote.NO_ROOM,))
    tracks = tuple(
        replace(track, path=track.label, tag_notes=of_track)
        for track, of_track in zip(job.tasks[0].tracks, notes, strict=True)
    )
    assert warnings_of(replace(job, tasks=(replace(job.tasks[0], tracks=tracks),))) == (
        "a picture of more than 4 MB was left out of the tags of the track voice",
        "the tracks voice, no_voice got no tags: the outbox had no room to write them",
    )


# ends at every step


def tag_and_deliver(row: Row, crash_point: CrashPoint) -> None:
    """What the worker does with a job that owes its download."""
    job = row.load()
    if job.tasks[0].tracks[0].path is None:
        staged = outbox.staged_tracks(job).get((1, 0))
        if staged is None:
            staged = save_record(arrived(job), sent())
            crash_point("fetched")
        if not staged.is_final:
            outbox.tag(job, 1, 0, staged, TrackTags(TAGS, (TagNote.TEXT_TOO_LONG,)), crash_point)
    deliver(row, crash_point)


def kill_points() -> Iterator[int]:
    yield from range(1, LIMIT)


def test_killed_at_every_step_a_delivery_is_whole_or_absent(place: Path) -> None:
    whole: bytes | None = None
    for kill_at in kill_points():
        root = place / str(kill_at)
        start(root, one_track(root, manifest=True))
        ended = carry(tag_and_deliver, root, kill_at)
        seen = visible(root / "outbox")
        assert carry(tag_and_deliver, root)
        delivered = visible(root / "outbox")
        track = delivered["podcasts/ep1/voice.mp3"]
        whole = whole or track
        assert track == whole
        assert seen.items() <= delivered.items()
        assert not hidden(root / "outbox")
        row = Row(root, CrashPoint(0)).load().tasks[0].tracks[0]
        assert (row.sha256, row.sent_sha256, row.tag_notes) == (sha256(whole), sha256(SENT), (TagNote.TEXT_TOO_LONG,))
        if ended:
            break
    else:
        pytest.fail("the delivery never ended")
    assert read(place / "1" / "outbox" / "podcasts/ep1/voice.mp3").tags == TAGS
    assert kill_at > 12  # the steps of tagging are among them
