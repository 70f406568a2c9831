"""A source's tags are read while its tracks are fetched: unreadable ones never delay a paid track."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from mutagen.id3 import ID3, TALB, TIT2
from mutagen.wave import WAVE

from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Track
from lalald.sandbox.options import Options
from lalald.sandbox.service.tracks import track_bytes
from tests.support import sounds
from tests.support.running import tree, write_wav
from tests.support.tagging import read
from tests.support.worker_driver import WorkerDriver, run


def with_tags(path: Path, title: str | None = "Song", pitch: float = 300) -> bytes:
    write_wav(path, seconds=0.1, pitch=pitch)
    file = WAVE(path)
    file.add_tags()
    file.tags.add(TALB(text=["Album"]))
    if title:
        file.tags.add(TIT2(text=[title]))
    file.save()
    return path.read_bytes()


def titles(job: Job) -> dict[str, str]:
    return {
        track.label: read(Path(job.settings.outbox) / (track.path or "")).tags.first("title")
        for task in job.tasks
        for track in task.tracks
    }


def notes(job: Job) -> set[TagNote]:
    return {note for task in job.tasks for track in task.tracks for note in track.tag_notes}


def test_results_have_the_sources_tags_and_titles_of_their_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, tags=True, labels={"no_vocals": "Instrumental"}) as driver:
            content = with_tags(driver.inbox / "a.wav")
            await driver.take("a.wav")
            (job,) = await driver.rest()
            assert titles(job) == {"vocals": "Song (vocals)", "no_vocals": "Song (Instrumental)"}
            for track in job.tasks[0].tracks:
                delivered = _delivered(job, track)
                sent = track_bytes(content, track.label, "a.wav")
                assert (track.size, track.sent_sha256) == (len(delivered), _sha256(sent))
                assert track.sha256 == _sha256(delivered) != track.sent_sha256
                assert track.declared_size is None
            assert job.state is State.DONE
            assert notes(job) == set()

    run(scenario())


def _delivered(job: Job, track: Track) -> bytes:
    return Path(job.settings.outbox, track.path or "").read_bytes()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("handling", [{}, {"tags": True}])
def test_a_source_without_tags_or_a_rule_without_them_leaves_tracks_as_they_were_sent(
    tmp_path: Path, handling: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, **handling) as driver:
            content = write_wav(driver.inbox / "a.wav", seconds=0.1) if handling else with_tags(driver.inbox / "a.wav")
            await driver.take("a.wav")
            (job,) = await driver.rest()
            for track in job.tasks[0].tracks:
                assert (driver.outbox / "a" / f"{track.label}.wav").read_bytes() == track_bytes(
                    content, track.label, "a.wav"
                )
                assert track.sent_sha256 == track.sha256

    run(scenario())


def test_a_reused_result_has_the_new_names_tags(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, tags=True) as driver:
            content = with_tags(driver.inbox / "first.wav", title=None)
            (driver.inbox / "second.wav").write_bytes(content)
            await driver.take("first.wav")
            (first,) = await driver.rest()
            await driver.take("second.wav")
            _, second = await driver.rest()
            assert titles(first)["vocals"] == "first (vocals)"
            assert titles(second)["vocals"] == "second (vocals)"
            assert second.tasks[0].paid_by == first.id
            (said,) = driver.journal.of("job.reused")
            assert (said["path"], said["same_as"], said["earlier_job"]) == ("second.wav", "first.wav", first.id)
            assert driver.charges().total() == 1
            sent = [{track.label: track.sent_sha256 for track in job.tasks[0].tracks} for job in (first, second)]
            assert sent[0] == sent[1]

    run(scenario())


def test_a_reused_result_of_a_rule_without_tags_is_as_it_was_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            content = with_tags(driver.inbox / "first.wav")
            (driver.inbox / "second.wav").write_bytes(content)
            await driver.take("first.wav", tags=True)
            await driver.rest()
            await driver.take("second.wav")
            _, second = await driver.rest()
            assert titles(second) == {"vocals": "", "no_vocals": ""}
            assert driver.charges().total() == 1

    run(scenario())


def test_a_source_that_is_not_read_in_time_leaves_its_results_without_tags(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, tags=True) as driver:
            driver.context.source_tag_seconds = 0.0
            content = with_tags(driver.inbox / "a.wav")
            await driver.take("a.wav")
            (job,) = await driver.rest()
            assert (job.state, notes(job)) == (State.DONE, {TagNote.SOURCE_SLOW})
            assert (driver.outbox / "a" / "vocals.wav").read_bytes() == track_bytes(content, "vocals", "a.wav")

    run(scenario())


def test_tags_do_not_wait_for_sources_that_move_between_the_same_folders(tmp_path: Path) -> None:
    """Such moves copy large files where the folders are on different disks."""

    async def scenario() -> None:
        options = Options(checks_per_minute=100_000, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options, tags=True, done_dir=str(tmp_path / "outbox")) as driver:
            with_tags(driver.inbox / "a.wav")
            await driver.take("a.wav")
            await driver.until_job("it is paid", stage=Stage.CHECK)
            copied = threading.Event()
            folders = (str(driver.inbox), str(driver.outbox))
            moves = [asyncio.create_task(driver.context.disks.run(folders, copied.wait)) for _ in range(4)]
            driver.pass_time(2.0)
            (job,) = await driver.rest()
            copied.set()
            await asyncio.gather(*moves)
            assert notes(job) == set()
            assert titles(job)["vocals"] == "Song (vocals)"

    run(scenario())


@pytest.mark.parametrize("what", ["changed", "gone", "a folder"])
def test_a_removed_source_leaves_its_results_without_tags(tmp_path: Path, what: str) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=100_000, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options, tags=True, on_success="keep") as driver:
            source = driver.inbox / "a.wav"
            with_tags(source)
            await driver.take("a.wav")
            await driver.until_job("it is paid", stage=Stage.CHECK)
            if what == "changed":
                os.utime(source, (1, 1))
            else:
                source.unlink()
            if what == "a folder":
                source.mkdir()
            driver.pass_time(2.0)
            (job,) = await driver.rest()
            gone = what == "gone"
            assert notes(job) == {TagNote.SOURCE_MISSING if gone else TagNote.SOURCE_CHANGED}
            assert len(tree(driver.outbox)) == 2

    run(scenario())


def test_results_whose_tags_were_edited_since_are_reused_and_nothing_is_paid_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, tags=True) as driver:
            content = (
                sounds.mp3(1) + b"TAG" + b"Old title".ljust(30, b"\0") + bytes(95)
            )  # ID3v1: its tracks have no tags
            (driver.inbox / "first.mp3").write_bytes(content)
            (driver.inbox / "second.mp3").write_bytes(content)
            await driver.take("first.mp3")
            (first,) = await driver.rest()
            assert titles(first) == {"vocals": "Old title (vocals)", "no_vocals": "Old title (no_vocals)"}
            for track in first.tasks[0].tracks:
                edited = ID3(driver.outbox / (track.path or ""))
                edited.add(TIT2(text=["Edited" * 2000]))
                edited.save()
            await driver.take("second.mp3")
            _, second = await driver.rest()
            assert titles(second) == {"vocals": "Old title (vocals)", "no_vocals": "Old title (no_vocals)"}
            assert second.tasks[0].paid_by == first.id
            assert driver.charges().total() == 1

    run(scenario())
