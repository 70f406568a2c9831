"""Sources are moved without being lost or confused with another file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.archive.archiving import archive_failed_source, archive_source
from lalald.archive.error_note import withdraw
from lalald.errors import DiskFullError, FileError, FolderUnavailableError
from lalald.jobs.job import Job
from tests.support.delivery_process import (
    CrashPoint,
    Row,
    carry,
    done,
    failed,
    file_away,
    job_at,
    saved,
    start,
    tree,
    visible,
)

CONTENT = b"the source " * 300_000  # more than one chunk of a copy


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is one file system only")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def inbox(root: Path) -> Path:
    return root / "inbox"


# where it goes


def test_a_done_file_moves_to_the_done_folder_with_its_subfolder(tmp_path: Path) -> None:
    job = archive_source(done(job_at(tmp_path)))
    assert tree(inbox(tmp_path)) == {"done/podcasts/ep1.mp3": b"the source"}
    assert (job.archived, job.moved_to, job.warning) == (True, str(inbox(tmp_path) / "done/podcasts/ep1.mp3"), None)


def test_a_done_file_is_kept_or_deleted_as_the_rule_says(tmp_path: Path) -> None:
    kept = archive_source(done(job_at(tmp_path, on_success="keep")))
    assert (kept.archived, kept.moved_to) == (True, None)
    assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"the source"}
    deleted = archive_source(done(job_at(tmp_path, on_success="delete")))
    assert (deleted.archived, deleted.moved_to) == (True, None)
    assert tree(inbox(tmp_path)) == {}


def test_names_in_the_done_folder_never_collide_whatever_their_case(tmp_path: Path) -> None:
    for name in ("ep1.mp3", "EP1.mp3", "Ep1.MP3"):
        archive_source(done(job_at(tmp_path, name, content=name.encode())))
    assert tree(inbox(tmp_path) / "done") == {
        "ep1.mp3": b"ep1.mp3",
        "EP1 (2).mp3": b"EP1.mp3",
        "Ep1 (3).MP3": b"Ep1.MP3",
    }


def test_names_that_are_not_utf_8_or_very_long_are_moved(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"caf\xe9\n'.mp3"), "x" * 251 + ".mp3", "é" * 125 + ".mp3"):
        job = archive_source(done(job_at(tmp_path, name)))
        again = archive_source(done(job_at(tmp_path, name, content=b"another")))
        assert job.moved_to == str(inbox(tmp_path) / "done" / name)
        assert again.moved_to is not None
        assert Path(again.moved_to).read_bytes() == b"another"
        assert again.moved_to.endswith(" (2).mp3")


def test_across_file_systems_the_copy_is_whole_and_keeps_its_time(tmp_path: Path, elsewhere: Path) -> None:
    job = done(job_at(tmp_path, content=CONTENT, done_dir=str(elsewhere)))
    filed = archive_source(job)
    assert tree(elsewhere) == {"podcasts/ep1.mp3": CONTENT}
    assert tree(inbox(tmp_path)) == {}
    assert filed.moved_to == str(elsewhere / "podcasts/ep1.mp3")
    assert (elsewhere / "podcasts/ep1.mp3").stat().st_mtime_ns == job.mtime_ns


def test_a_configured_folder_outside_the_inbox_is_never_created(tmp_path: Path) -> None:
    job = done(job_at(tmp_path, done_dir=str(tmp_path / "mount/done")))
    with pytest.raises(FolderUnavailableError, match="mount/done is missing"):
        archive_source(job)
    assert tree(tmp_path / "inbox") == {"podcasts/ep1.mp3": b"the source"}
    assert not (tmp_path / "mount").exists()


def test_a_missing_or_empty_inbox_is_unavailable(tmp_path: Path) -> None:
    job = done(job_at(tmp_path))
    inbox(tmp_path).rename(tmp_path / "unmounted")
    for policy in ("move", "delete"):
        asked = replace(job, settings=replace(job.settings, on_success=policy))
        with pytest.raises(FolderUnavailableError):
            archive_source(asked)
        inbox(tmp_path).mkdir()
        with pytest.raises(FolderUnavailableError, match="empty"):
            archive_source(asked)
        assert not list(inbox(tmp_path).iterdir())
        inbox(tmp_path).rmdir()


def test_a_removed_source_gives_a_warning(tmp_path: Path) -> None:
    job = done(job_at(tmp_path))
    (inbox(tmp_path) / "podcasts/ep1.mp3").unlink()
    filed = archive_source(job)
    assert filed.archived
    assert "was removed before" in (filed.warning or "")
    assert not (inbox(tmp_path) / "done").exists()


@pytest.mark.parametrize("policy", ["move", "delete"])
def test_another_file_under_the_sources_name_is_left_untouched(tmp_path: Path, policy: str) -> None:
    job = done(job_at(tmp_path, on_success=policy))
    (inbox(tmp_path) / "podcasts/ep1.mp3").write_bytes(b"newer")
    filed = archive_source(job)
    assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"newer"}
    assert "it was not touched" in (filed.warning or "")


@pytest.mark.parametrize("policy", ["move", "delete"])
def test_a_file_that_replaced_the_source_at_the_last_moment_is_restored(tmp_path: Path, policy: str) -> None:
    """Between the look and the rename another program replaces the file: what was taken aside is not ours then."""
    job = done(job_at(tmp_path, on_success=policy))
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"another program's")

    def crash_point(what: str) -> None:
        if what == "moved aside":
            stranger.replace(next(inbox(tmp_path).rglob(".lalald-aside-*")))

    filed = archive_source(job, crash_point=crash_point)
    assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"another program's"}
    assert "it was not touched" in (filed.warning or "")


# failures


def test_a_failed_file_has_a_note_with_cause_cost_and_next_step(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path)))
    found = tree(inbox(tmp_path))
    note = found.pop("failed/podcasts/ep1.mp3.error.txt").decode()
    assert found == {"failed/podcasts/ep1.mp3": b"the source"}
    assert job.moved_to == str(inbox(tmp_path) / "failed/podcasts/ep1.mp3")
    assert "Unable to detect voice" in note
    assert "3.5 minutes charged" in note
    assert "lalald retry 7" in note
    assert "1 task will be paid again (3.5 minutes)" in note


def test_the_note_distinguishes_possible_from_certain_charges(tmp_path: Path) -> None:
    job = failed(job_at(tmp_path))
    lost = replace(job.tasks[0], task_id=None, requested_at=1.0, minutes=None)
    archive_failed_source(replace(job, tasks=(lost,), minutes=0.0))
    assert "may have been charged" in (inbox(tmp_path) / "failed/podcasts/ep1.mp3.error.txt").read_text()
    unpaid = replace(job_at(tmp_path, "b.mp3"), tasks=(), minutes=0.0, error="the service refused it")
    archive_failed_source(unpaid)
    assert "nothing was spent" in (inbox(tmp_path) / "failed/b.mp3.error.txt").read_text()
    archive_failed_source(replace(failed(job_at(tmp_path, "c.mp3")), minutes=5.0))
    money = "1 task started on the service: 3.5 minutes charged. 1.5 minutes were charged for earlier attempts."
    assert money in (inbox(tmp_path) / "failed/c.mp3.error.txt").read_text()


def test_a_failed_file_is_numbered_together_with_its_note(tmp_path: Path) -> None:
    folder = inbox(tmp_path) / "failed"
    folder.mkdir(parents=True)
    (folder / "ep1.mp3.error.txt").write_bytes(b"another program's note")
    archive_failed_source(failed(job_at(tmp_path, "ep1.mp3")))
    archive_failed_source(failed(job_at(tmp_path, "ep1.mp3", job_id=8)))
    assert sorted(tree(folder)) == [
        "ep1 (2).mp3",
        "ep1 (2).mp3.error.txt",
        "ep1 (3).mp3",
        "ep1 (3).mp3.error.txt",
        "ep1.mp3.error.txt",
    ]
    assert (folder / "ep1.mp3.error.txt").read_bytes() == b"another program's note"
    assert "lalald retry 8" in (folder / "ep1 (3).mp3.error.txt").read_text()


def test_on_failure_keep_leaves_the_file_and_writes_no_note(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path, on_failure="keep")))
    assert (job.archived, job.moved_to) == (True, None)
    assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"the source"}


def test_a_retry_removes_the_note_and_its_success_moves_the_file_to_done(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path)))
    withdraw(job)
    assert tree(inbox(tmp_path)) == {"failed/podcasts/ep1.mp3": b"the source"}
    job = archive_source(done(replace(job, archived=False)))
    assert tree(inbox(tmp_path)) == {"done/podcasts/ep1.mp3": b"the source"}
    assert job.moved_to == str(inbox(tmp_path) / "done/podcasts/ep1.mp3")


def test_a_retry_that_fails_again_leaves_the_file_and_writes_the_new_reason(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path)))
    job = archive_failed_source(replace(job, archived=False, error="another reason"))
    found = tree(inbox(tmp_path))
    assert sorted(found) == ["failed/podcasts/ep1.mp3", "failed/podcasts/ep1.mp3.error.txt"]
    assert b"another reason" in found["failed/podcasts/ep1.mp3.error.txt"]
    assert job.moved_to == str(inbox(tmp_path) / "failed/podcasts/ep1.mp3")


def test_only_our_own_note_is_removed(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path)))
    note = inbox(tmp_path) / "failed/podcasts/ep1.mp3.error.txt"
    withdraw(replace(job, id=8))
    assert note.exists()
    note.write_text("my own remarks\n")
    withdraw(job)
    assert note.read_text() == "my own remarks\n"


def test_success_with_keep_leaves_a_failed_file_in_place_and_warns(tmp_path: Path) -> None:
    job = archive_failed_source(failed(job_at(tmp_path, on_success="keep")))
    job = archive_source(done(replace(job, archived=False)))
    assert tree(inbox(tmp_path)) == {"failed/podcasts/ep1.mp3": b"the source"}
    assert "failed/podcasts/ep1.mp3" in (job.warning or "")


# accidents


def as_another_user(work: Callable[[], None]) -> None:
    """Runs the work in a process without root's rights."""

    def run(_row: Row, _killer: CrashPoint) -> None:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        work()

    assert carry(run, Path("/"))


def test_an_inbox_that_is_not_writable_keeps_the_file_and_names_the_user(open_folder: Path) -> None:
    job = done(job_at(open_folder, "ep1.mp3"))
    inbox(open_folder).chmod(0o555)

    def work() -> None:
        with pytest.raises(FolderUnavailableError, match="runs as"):
            archive_source(job)

    as_another_user(work)
    assert tree(inbox(open_folder)) == {"ep1.mp3": b"the source"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_that_a_sticky_folder_protects_is_not_copied(open_folder: Path, elsewhere: Path) -> None:
    job = done(job_at(open_folder, "ep1.mp3", content=CONTENT, done_dir=str(elsewhere)))
    inbox(open_folder).chmod(0o1777)
    elsewhere.chmod(0o777)

    def work() -> None:
        with pytest.raises(FolderUnavailableError, match="sticky"):
            archive_source(job)

    as_another_user(work)
    assert tree(inbox(open_folder)) == {"ep1.mp3": CONTENT}
    assert tree(elsewhere) == {}


@pytest.mark.parametrize("state", ["done", "failed"])
@pytest.mark.parametrize("policy", ["move", "delete", "across"])
def test_a_kill_after_any_change_on_disk_leaves_one_whole_file_in_the_right_place(
    tmp_path: Path, elsewhere: Path, policy: str, state: str
) -> None:
    def fresh(name: str) -> tuple[Path, Job]:
        root, away = tmp_path / name, elsewhere / name
        away.mkdir()
        folders = {"done_dir": str(away), "failed_dir": str(away)} if policy == "across" else {}
        job = job_at(root, content=CONTENT, on_success="delete" if policy == "delete" else "move", **folders)
        return root, done(job) if state == "done" else failed(job)

    def found(root: Path, look: Callable[[Path], dict[str, bytes]]) -> dict[str, bytes]:
        everything = {**look(root / "inbox"), **look(elsewhere / root.name)}
        return {name: content.replace(os.fsencode(root), b"ROOT") for name, content in everything.items()}

    root, job = fresh("reference")
    start(root, job)
    assert carry(file_away, root)
    expected, location = found(root, tree), saved(root).moved_to
    for kill_at in range(1, 100):
        root, job = fresh(str(kill_at))
        start(root, job)
        ended = carry(file_away, root, kill_at)
        for name, content in found(root, visible).items():
            assert content == CONTENT or name.endswith(".error.txt"), (kill_at, name)
        if ended:
            break
        assert carry(file_away, root)
        assert found(root, tree) == expected, kill_at
        assert os.path.basename(saved(root).moved_to or "") == os.path.basename(location or "")
    assert ended
    assert kill_at > 2
    assert expected == {} if (policy, state) == ("delete", "done") else CONTENT in expected.values()


def test_another_file_left_aside_by_a_crash_is_restored(tmp_path: Path) -> None:
    job = done(job_at(tmp_path))
    (inbox(tmp_path) / "podcasts/ep1.mp3").write_bytes(b"another program's")

    def swapped(_row: Row, killer: CrashPoint) -> None:
        """The stranger came after the look: as if it were ours until it is aside."""
        there = (inbox(tmp_path) / "podcasts/ep1.mp3").stat()
        looked = replace(job, size=there.st_size, mtime_ns=there.st_mtime_ns, inode=there.st_ino)
        archive_source(looked, crash_point=killer)

    start(tmp_path, job)
    kill_at = next(
        at for at in range(1, 50) if not carry(swapped, tmp_path, at) and list(inbox(tmp_path).rglob(".lalald-aside-*"))
    )
    assert kill_at
    archive_source(job)
    assert visible(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"another program's"}


def test_a_file_that_waits_aside_is_named_in_the_error(tmp_path: Path) -> None:
    job = done(job_at(tmp_path))

    def crash_point(what: str) -> None:
        if what == "moved aside":
            shutil.rmtree(inbox(tmp_path) / "done")

    with pytest.raises(FileError) as raised:
        archive_source(job, crash_point=crash_point)
    aside = next(inbox(tmp_path).rglob(".lalald-aside-*-ep1.mp3"))
    assert raised.value.hint == f"Until then the file waits as {aside}."
    assert archive_source(job).moved_to == str(inbox(tmp_path) / "done/podcasts/ep1.mp3")
    assert tree(inbox(tmp_path)) == {"done/podcasts/ep1.mp3": b"the source"}


def test_a_failed_file_that_cannot_be_moved_is_restored(tmp_path: Path) -> None:
    def crash_point(what: str) -> None:
        if what == "moved aside":
            shutil.rmtree(inbox(tmp_path) / "failed")

    with pytest.raises(FileError):
        archive_failed_source(failed(job_at(tmp_path)), crash_point=crash_point)
    assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": b"the source"}


def test_a_full_disk_leaves_the_file_in_its_place(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=64k none {small} 2>/dev/null") != 0:
        pytest.skip("no right to mount a small disk")
    try:
        job = done(job_at(tmp_path, content=CONTENT, done_dir=str(small)))
        with pytest.raises(DiskFullError):
            archive_source(job)
        assert tree(inbox(tmp_path)) == {"podcasts/ep1.mp3": CONTENT}
        assert tree(small) == {}
    finally:
        os.system(f"umount {small}")
