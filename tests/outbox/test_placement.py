"""A result is complete or absent, delivered once, and never replaces another program's file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lalald import outbox
from lalald.errors import DuplicateChangedError, FileError, FolderUnavailableError, NameTakenError, StagingLostError
from lalald.filesystem import names as naming
from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task, Track
from tests.support.delivery_process import (
    carry,
    content_of,
    deliver,
    delivered,
    hidden,
    job_at,
    nobody_else,
    saved,
    staged,
    start,
    tree,
    visible,
)

VOICE, NO_VOICE = content_of("voice"), content_of("no_voice")


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("one file system only")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def paths(job: Job) -> list[str | None]:
    return [track.path for task in job.tasks for track in task.tracks]


def test_tracks_land_in_a_folder_of_their_own_and_nothing_is_left_behind(tmp_path: Path) -> None:
    job = delivered(job_at(tmp_path))
    assert tree(tmp_path / "outbox") == {"podcasts/ep1/voice.mp3": VOICE, "podcasts/ep1/no_voice.mp3": NO_VOICE}
    assert not hidden(tmp_path / "outbox")
    assert paths(job) == ["podcasts/ep1/voice.mp3", "podcasts/ep1/no_voice.mp3"]
    assert all(track.delivered and track.sha256 and track.size for track in job.tasks[0].tracks)


def test_results_follow_the_umask(tmp_path: Path) -> None:
    earlier = delivered(job_at(tmp_path))
    job = job_at(tmp_path, "b.mp3", ["voice"], job_id=8)
    track = replace(job.tasks[0].tracks[0], copy_from=str(tmp_path / "outbox/podcasts/ep1/voice.mp3"))
    track = replace(track, size=earlier.tasks[0].tracks[0].size, sha256=earlier.tasks[0].tracks[0].sha256)
    job = replace(job, tasks=(replace(job.tasks[0], tracks=(track,)),))
    before = os.umask(0o027)
    try:
        copied = {(1, 0): outbox.copy_duplicate(job, 1, 0)}
        outbox.place(outbox.reserve(job, copied, is_reserved=nobody_else))
    finally:
        os.umask(before)
    assert (tmp_path / "outbox/b/voice.mp3").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "outbox/b").stat().st_mode & 0o777 == 0o750


def test_a_second_file_of_the_same_name_gets_a_numbered_folder(tmp_path: Path) -> None:
    delivered(job_at(tmp_path))
    delivered(job_at(tmp_path, job_id=8))
    delivered(job_at(tmp_path, job_id=9))
    assert sorted(visible(tmp_path / "outbox")) == [
        "podcasts/ep1 (2)/no_voice.mp3",
        "podcasts/ep1 (2)/voice.mp3",
        "podcasts/ep1 (3)/no_voice.mp3",
        "podcasts/ep1 (3)/voice.mp3",
        "podcasts/ep1/no_voice.mp3",
        "podcasts/ep1/voice.mp3",
    ]


def test_without_a_folder_per_job_every_file_of_a_job_is_numbered(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox/no_voice.mp3").write_bytes(b"another program's")
    delivered(job_at(tmp_path, output="{label}.{ext}"))
    assert visible(tmp_path / "outbox") == {
        "no_voice.mp3": b"another program's",
        "voice (2).mp3": VOICE,
        "no_voice (2).mp3": NO_VOICE,
    }


def test_names_are_compared_as_disks_do_that_ignore_case_and_normal_forms(tmp_path: Path) -> None:
    there = tmp_path / "outbox/Podcasts/CAFE\u0301/VOICE.MP3"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another program's")
    job = delivered(job_at(tmp_path, "podcasts/caf\u00e9.mp3"))
    assert paths(job) == ["podcasts/caf\u00e9 (2)/voice.mp3", "podcasts/caf\u00e9 (2)/no_voice.mp3"]
    assert there.read_bytes() == b"another program's"


def test_a_name_that_another_job_is_about_to_use_is_not_free(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    named = outbox.reserve(job, staged(job), is_reserved={"podcasts/ep1/voice.mp3"}.__contains__)
    assert paths(named) == ["podcasts/ep1 (2)/voice.mp3", "podcasts/ep1 (2)/no_voice.mp3"]


def test_a_file_where_the_folder_should_be_is_numbered_around(tmp_path: Path) -> None:
    (tmp_path / "outbox/podcasts").mkdir(parents=True)
    (tmp_path / "outbox/podcasts/ep1").write_bytes(b"another program's")
    assert paths(delivered(job_at(tmp_path)))[0] == "podcasts/ep1 (2)/voice.mp3"


def test_a_name_that_no_number_makes_free_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox/podcasts").write_bytes(b"another program's")
    job = job_at(tmp_path)
    with pytest.raises(FileError, match=r"podcasts/ep1/voice\.mp3 cannot be created"):
        outbox.reserve(job, staged(job), is_reserved=nobody_else)


def test_a_free_number_is_found_in_few_steps_among_thousands(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox/voice.mp3").touch()
    for number in range(2, 3000):
        (tmp_path / f"outbox/voice ({number}).mp3").touch()
    asked: list[str] = []
    job = job_at(tmp_path, labels=["voice"], output="{label}.{ext}")
    named = outbox.reserve(job, staged(job), is_reserved=lambda path: bool(asked.append(path)))
    assert paths(named) == ["voice (3000).mp3"]
    assert len(asked) < 20


def test_overwrite_keeps_the_spelling_of_the_replaced_files(tmp_path: Path) -> None:
    there = tmp_path / "outbox/podcasts/ep1/Voice.mp3"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"old")
    delivered(job_at(tmp_path, on_conflict="overwrite"))
    assert visible(tmp_path / "outbox") == {"podcasts/ep1/Voice.mp3": VOICE, "podcasts/ep1/no_voice.mp3": NO_VOICE}


def test_overwrite_never_replaces_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outbox/podcasts/ep1/voice.mp3").mkdir(parents=True)
    assert paths(delivered(job_at(tmp_path, on_conflict="overwrite")))[0] == "podcasts/ep1 (2)/voice.mp3"


def test_skip_keeps_existing_files_and_warns(tmp_path: Path) -> None:
    there = tmp_path / "outbox/podcasts/ep1/voice.mp3"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"old")
    job = delivered(job_at(tmp_path, on_conflict="skip", manifest=True))
    found = visible(tmp_path / "outbox")
    report = json.loads(found.pop("podcasts/ep1/lalald.json"))
    assert found == {"podcasts/ep1/voice.mp3": b"old", "podcasts/ep1/no_voice.mp3": NO_VOICE}
    assert [track["label"] for track in report["tasks"][0]["tracks"]] == ["no_voice"]
    assert job.warning is not None
    assert "on_conflict: skip): voice" in job.warning
    assert all(track.delivered for track in job.tasks[0].tracks)
    assert not hidden(tmp_path / "outbox")


def test_skip_of_everything_writes_no_manifest(tmp_path: Path) -> None:
    first = delivered(job_at(tmp_path))
    before = tree(tmp_path / "outbox")
    delivered(replace(job_at(tmp_path, job_id=8, on_conflict="skip", manifest=True)))
    assert tree(tmp_path / "outbox") == before
    assert first.warning is None


def test_a_file_created_meanwhile_gives_the_whole_set_the_next_number(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    named = outbox.reserve(job, staged(job), is_reserved=nobody_else)
    stranger = tmp_path / "outbox/podcasts/ep1/no_voice.mp3"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"another program's")
    with pytest.raises(NameTakenError, match=r"no_voice\.mp3"):
        outbox.place(named)
    assert visible(tmp_path / "outbox") == {"podcasts/ep1/no_voice.mp3": b"another program's"}
    outbox.clear(outbox.place(outbox.reserve(named, outbox.staged_tracks(named), is_reserved=nobody_else)))
    assert tree(tmp_path / "outbox") == {
        "podcasts/ep1/no_voice.mp3": b"another program's",
        "podcasts/ep1 (2)/voice.mp3": VOICE,
        "podcasts/ep1 (2)/no_voice.mp3": NO_VOICE,
    }


def test_tracks_returned_to_staging_keep_their_extension(tmp_path: Path) -> None:
    job = job_at(tmp_path, labels=["voice"])
    known = {(1, 0): replace(staged(job)[1, 0], headers=outbox.DownloadHeaders(content_type="audio/flac"))}
    named = outbox.reserve(job, known, is_reserved=nobody_else)
    (tmp_path / "outbox/podcasts/ep1").mkdir(parents=True)
    (tmp_path / "outbox/podcasts/ep1/voice.flac").write_bytes(b"another program's")
    with pytest.raises(NameTakenError):
        outbox.place(named)
    assert paths(outbox.reserve(named, known, is_reserved=nobody_else)) == ["podcasts/ep1 (2)/voice.flac"]


def test_a_missing_staged_track_is_fetched_again(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    named = outbox.reserve(job, staged(job), is_reserved=nobody_else)
    Path(outbox.staged_path(job, 1, 1)).unlink()
    with pytest.raises(StagingLostError, match="no_voice"):
        outbox.place(named)
    assert not visible(tmp_path / "outbox")
    assert paths(outbox.without_names(named)) == [None, None]
    assert set(outbox.staged_tracks(named)) == {(1, 0)}


def test_a_truncated_staged_track_is_never_placed(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    named = outbox.reserve(job, staged(job), is_reserved=nobody_else)
    os.truncate(outbox.staged_path(job, 1, 1), 10)
    with pytest.raises(StagingLostError, match="not complete in the staging folder"):
        outbox.place(named)
    assert not visible(tmp_path / "outbox")


def test_a_missing_outbox_is_unavailable_and_not_created(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    named = outbox.reserve(job, staged(job), is_reserved=nobody_else)
    (tmp_path / "outbox").rename(tmp_path / "unmounted")
    with pytest.raises(FolderUnavailableError):
        outbox.place(named)
    with pytest.raises(FolderUnavailableError):
        staged(job)
    assert not (tmp_path / "outbox").exists()
    (tmp_path / "unmounted").rename(tmp_path / "outbox")
    outbox.place(named)
    assert len(visible(tmp_path / "outbox")) == 2


def test_the_manifest_describes_source_and_results(tmp_path: Path) -> None:
    job = delivered(replace(job_at(tmp_path, manifest=True), sha256="ab", duration=210.0, source_id="s-1"))
    report = json.loads((tmp_path / "outbox/podcasts/ep1/lalald.json").read_bytes())
    assert report["source"] == {
        "path": "podcasts/ep1.mp3",
        "size": 10,
        "sha256": "ab",
        "duration_seconds": 210.0,
        "source_id": "s-1",
    }
    assert (report["job"], report["rule"], report["minutes"]) == (7, "podcasts", 3.5)
    voice = report["tasks"][0]["tracks"][0]
    assert voice == {
        "label": "voice",
        "type": "stem",
        "path": "podcasts/ep1/voice.mp3",
        "size": len(VOICE),
        "sha256": job.tasks[0].tracks[0].sha256,
    }
    assert (report["tasks"][0]["mode"], report["tasks"][0]["task_id"]) == ("voice_clean", "t-1")


def test_the_manifest_is_numbered_with_its_set(tmp_path: Path) -> None:
    delivered(job_at(tmp_path, manifest=True))
    delivered(job_at(tmp_path, job_id=8, manifest=True))
    assert json.loads((tmp_path / "outbox/podcasts/ep1 (2)/lalald.json").read_bytes())["job"] == 8
    delivered(job_at(tmp_path, job_id=9, manifest=True, output="{name} {label}.{ext}"))
    delivered(job_at(tmp_path, job_id=10, manifest=True, output="{name} {label}.{ext}"))
    assert json.loads((tmp_path / "outbox/ep1.lalald.json").read_bytes())["job"] == 9
    assert json.loads((tmp_path / "outbox/ep1 (2).lalald.json").read_bytes())["job"] == 10


def test_overwriting_replaces_the_manifest_last(tmp_path: Path) -> None:
    delivered(job_at(tmp_path, manifest=True, on_conflict="overwrite"))
    job = job_at(tmp_path, job_id=8, manifest=True, on_conflict="overwrite")
    named = outbox.reserve(job, staged(job, lambda label: b"new " + label.encode()), is_reserved=nobody_else)
    seen: list[tuple[str, bool]] = []
    placed = outbox.place(
        named, crash_point=lambda done: seen.append((done, (tmp_path / "outbox/podcasts/ep1/lalald.json").exists()))
    )
    assert [there for done, there in seen if done == "placed"] == [False, False, True]
    outbox.clear(placed)
    assert json.loads((tmp_path / "outbox/podcasts/ep1/lalald.json").read_bytes())["job"] == 8
    assert not hidden(tmp_path / "outbox")


def test_a_job_with_a_failed_task_has_no_manifest_until_its_retry_has_delivered(tmp_path: Path) -> None:
    job = job_at(tmp_path, manifest=True)
    failed = Task(2, "bass", "multistem", {}, Stage.CHECK, error="it failed")
    job = delivered(replace(job, tasks=(*job.tasks, failed)))
    assert sorted(visible(tmp_path / "outbox")) == ["podcasts/ep1/no_voice.mp3", "podcasts/ep1/voice.mp3"]
    again = replace(failed, error=None, stage=Stage.DOWNLOAD, tracks=(Track("stem", "bass", "https://example.org/b"),))
    delivered(replace(job, tasks=(job.tasks[0], again)))
    assert sorted(visible(tmp_path / "outbox")) == [
        "podcasts/ep1/bass.mp3",
        "podcasts/ep1/lalald.json",
        "podcasts/ep1/no_voice.mp3",
        "podcasts/ep1/voice.mp3",
    ]


def test_an_old_manifest_is_removed_before_its_tracks_are_overwritten(tmp_path: Path) -> None:
    delivered(job_at(tmp_path, manifest=True, on_conflict="overwrite"))
    job = job_at(tmp_path, job_id=8, manifest=True, on_conflict="overwrite", labels=["voice"])
    failed = Task(2, "bass", "multistem", {}, Stage.CHECK, error="it failed")
    delivered(replace(job, tasks=(*job.tasks, failed)), lambda label: b"new " + label.encode())
    assert sorted(visible(tmp_path / "outbox")) == ["podcasts/ep1/no_voice.mp3", "podcasts/ep1/voice.mp3"]


def test_the_tracks_of_a_retried_task_get_the_number_of_the_others(tmp_path: Path) -> None:
    delivered(job_at(tmp_path, job_id=3))
    job = job_at(tmp_path)
    failed = Task(2, "bass", "multistem", {}, Stage.CHECK, error="it failed")
    job = delivered(replace(job, tasks=(*job.tasks, failed)))
    again = replace(failed, error=None, stage=Stage.DOWNLOAD, tracks=(Track("stem", "bass", "https://example.org/b"),))
    job = delivered(replace(job, tasks=(job.tasks[0], again)))
    assert paths(job)[2] == "podcasts/ep1 (2)/bass.mp3"


def test_an_earlier_result_is_copied_only_if_it_is_unchanged(tmp_path: Path) -> None:
    first = delivered(job_at(tmp_path))
    job = job_at(tmp_path, "other.mp3", ["voice"], job_id=8)
    origin = tmp_path / "outbox/podcasts/ep1/voice.mp3"
    track = replace(first.tasks[0].tracks[0], path=None, delivered=False, copy_from=str(origin))
    job = replace(job, tasks=(replace(job.tasks[0], tracks=(track,)),))
    outbox.clear(outbox.place(outbox.reserve(job, {(1, 0): outbox.copy_duplicate(job, 1, 0)}, is_reserved=nobody_else)))
    assert (tmp_path / "outbox/other/voice.mp3").read_bytes() == VOICE
    origin.write_bytes(VOICE[:-1] + b"!")
    for broken in (job, job):
        with pytest.raises(DuplicateChangedError):
            outbox.copy_duplicate(broken, 1, 0)
        origin.unlink(missing_ok=True)
    assert not list((tmp_path / "outbox/.lalald-staging").rglob("1-0"))


def test_only_the_leftovers_of_finished_jobs_are_cleared_at_the_start(tmp_path: Path) -> None:
    jobs = [job_at(tmp_path, f"{number}.mp3", ["voice"], job_id=number) for number in (1, 2, 3)]
    for job in jobs:
        staged(job)
    over, under_way, _of_another_lalald = jobs
    (tmp_path / "outbox/.lalald-staging/notes").mkdir()
    assert outbox.staged_job_ids(str(tmp_path / "outbox")) == {1, 2, 3}
    stranger = replace(jobs[2], created_at=1.0, state=State.DONE, stage=Stage.DONE)
    outbox.clear_staging(
        str(tmp_path / "outbox"), [replace(over, stage=Stage.DONE, state=State.DONE), under_way, stranger]
    )
    left = sorted(path.name for path in (tmp_path / "outbox/.lalald-staging").iterdir())
    assert [name.partition("-")[0] for name in left] == ["2", "3", "notes"]


def test_names_that_are_not_utf_8_survive_to_the_result_and_its_manifest(tmp_path: Path) -> None:
    name = os.fsdecode(b"ep\xff\xfe.mp3")
    delivered(job_at(tmp_path, name, manifest=True))
    folder = os.path.join(os.fsencode(tmp_path), b"outbox", b"ep\xff\xfe")
    assert sorted(os.listdir(folder)) == [b"lalald.json", b"no_voice.mp3", b"voice.mp3"]
    report = json.loads((tmp_path / "outbox" / os.fsdecode(b"ep\xff\xfe") / "lalald.json").read_bytes())
    assert report["source"]["path"] == name


# accidents


def whole_only(folder: Path, contents: set[bytes]) -> None:
    for name, content in visible(folder).items():
        assert content in contents or json.loads(content), name


@pytest.mark.parametrize("policy", ["rename", "overwrite"])
def test_a_kill_after_any_change_on_disk_gives_every_track_once(tmp_path: Path, policy: str) -> None:
    reference = delivered(job_at(tmp_path / "reference", manifest=True, on_conflict=policy))
    expected = tree(tmp_path / "reference/outbox")
    for kill_at in range(1, 100):
        root = tmp_path / str(kill_at)
        job = replace(job_at(root, manifest=True, on_conflict=policy), size=reference.size)
        staged(job)
        start(root, job)
        ended = carry(deliver, root, kill_at)
        whole_only(root / "outbox", {VOICE, NO_VOICE})
        if ended:
            break
        assert carry(deliver, root)
        assert tree(root / "outbox") == expected
        assert not hidden(root / "outbox")
        assert paths(saved(root)) == paths(reference)
    assert ended
    assert kill_at > 12


def take_away(folder: Path, to: dict[str, list[bytes]]) -> None:
    """What a program does that reads the outbox: it takes what is there."""
    for name, content in visible(folder).items():
        to.setdefault(name, []).append(content)
        (folder / name).unlink()


@pytest.mark.parametrize("mounted", [False, True])
def test_results_that_a_reader_removes_at_once_are_not_delivered_twice(
    tmp_path: Path, elsewhere: Path, mounted: bool
) -> None:
    for kill_at in range(1, 100):
        root, taken = tmp_path / str(kill_at), dict[str, list[bytes]]()
        job = job_at(root, manifest=True)
        read = root / "outbox/podcasts"
        if mounted:
            read.symlink_to(elsewhere)
        staged(job)
        start(root, job)
        ended = carry(deliver, root, kill_at)
        take_away(read, taken)
        assert ended or carry(deliver, root)
        take_away(read, taken)
        assert sorted(taken) == ["ep1/lalald.json", "ep1/no_voice.mp3", "ep1/voice.mp3"], kill_at
        assert all(len(copies) == 1 for copies in taken.values()), kill_at
        assert not hidden(root / "outbox")
        assert not hidden(elsewhere)
        if ended:
            return
    raise AssertionError("it never came to its end")


def test_a_file_system_mounted_within_the_outbox_gets_whole_copies(tmp_path: Path, elsewhere: Path) -> None:
    for kill_at in range(1, 100):
        root, mounted = tmp_path / str(kill_at), elsewhere / str(kill_at)
        job = job_at(root)
        mounted.mkdir()
        (root / "outbox/podcasts").symlink_to(mounted)
        staged(job)
        start(root, job)
        ended = carry(deliver, root, kill_at)
        whole_only(mounted, {VOICE, NO_VOICE})
        assert ended or carry(deliver, root)
        assert tree(mounted) == {"ep1/voice.mp3": VOICE, "ep1/no_voice.mp3": NO_VOICE}, kill_at
        assert not hidden(root / "outbox")
        assert not hidden(mounted)
        if ended:
            return
    raise AssertionError("it never came to its end")


def test_a_file_created_on_a_mounted_file_system_gives_the_set_the_next_number(tmp_path: Path, elsewhere: Path) -> None:
    job = job_at(tmp_path)
    (tmp_path / "outbox/podcasts").symlink_to(elsewhere)
    named = outbox.reserve(job, staged(job), is_reserved=nobody_else)

    def crash_point(done: str) -> None:
        if done == "placed" and not (elsewhere / "ep1/no_voice.mp3").exists():
            (elsewhere / "ep1/no_voice.mp3").write_bytes(b"another program's")

    with pytest.raises(NameTakenError):
        outbox.place(named, crash_point=crash_point)
    assert tree(elsewhere) == {"ep1/no_voice.mp3": b"another program's"}
    outbox.clear(outbox.place(outbox.reserve(named, outbox.staged_tracks(named), is_reserved=nobody_else)))
    assert sorted(tree(elsewhere)) == ["ep1 (2)/no_voice.mp3", "ep1 (2)/voice.mp3", "ep1/no_voice.mp3"]
    assert not hidden(tmp_path / "outbox")


def test_only_whole_files_are_visible_at_any_moment(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox/far").symlink_to(elsewhere)
    over = threading.Event()
    seen: set[tuple[str, int]] = set()

    def watch() -> None:
        while not over.is_set():
            for folder, folders, names in os.walk(tmp_path / "outbox", followlinks=True):
                folders[:] = [name for name in folders if not name.startswith(".")]
                seen.update((name, os.stat(os.path.join(folder, name)).st_size) for name in names if name[0] != ".")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(20):
        delivered(job_at(tmp_path, f"{'far' if number % 2 else 'near'}/{number}.mp3", job_id=number))
    over.set()
    watcher.join()
    assert seen == {("voice.mp3", len(VOICE)), ("no_voice.mp3", len(NO_VOICE))}


def test_many_jobs_at_once_share_names_without_losing_a_file(tmp_path: Path) -> None:
    """Names are chosen one job at a time, and placed by all at once."""
    choosing, names = threading.Lock(), set[str]()

    def carry_one(number: int) -> Job:
        job = job_at(tmp_path, "ep1.mp3", job_id=number, output="{label}.{ext}")
        known = staged(job, lambda label: f"{label} of {number}".encode())
        with choosing:
            named = outbox.reserve(job, known, is_reserved=names.__contains__)
            names.update(naming.fold(path or "") for path in paths(named))
        placed = outbox.place(named)
        outbox.clear(placed)
        return placed

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(carry_one, range(40)))
    found = tree(tmp_path / "outbox")
    assert len(found) == 80
    for job in done:
        voice, no_voice = paths(job)
        assert found[voice or ""] == f"voice of {job.id}".encode()
        assert found[no_voice or ""] == f"no_voice of {job.id}".encode()
