"""Whether a file is finished: on real files, with real writers and leases."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lalald.inbox.readiness import Settling, Writers, ignore_broken_leases, writers_of


@pytest.fixture(autouse=True)
def _no_sigio() -> None:
    ignore_broken_leases()


def ready(settling: Settling, path: str, now: float) -> bool:
    return [sight.path for sight in settling.inspect([path], now).ready] == [path]


def test_a_file_that_has_not_changed_for_settle_is_finished(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    settling = Settling(str(tmp_path), 5.0)
    assert not ready(settling, "a.mp3", 100.0)
    assert not ready(settling, "a.mp3", 104.9)
    (sight,) = settling.inspect(["a.mp3"], 105.0).ready
    facts = (tmp_path / "a.mp3").stat()
    assert (sight.size, sight.mtime_ns, sight.inode) == (3, facts.st_mtime_ns, facts.st_ino)
    assert len(settling) == 0


def test_any_change_of_size_or_mtime_starts_the_time_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"abc")
    settling = Settling(str(tmp_path), 5.0)
    settling.inspect(["a.mp3"], 100.0)
    path.write_bytes(b"abcd")
    assert not ready(settling, "a.mp3", 105.0)
    os.utime(path, ns=(1, 1))
    assert not ready(settling, "a.mp3", 109.0)
    assert not ready(settling, "a.mp3", 113.9)
    assert ready(settling, "a.mp3", 114.0)


def test_an_old_mtime_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    os.utime(tmp_path / "a.mp3", ns=(0, 0))
    assert not ready(Settling(str(tmp_path), 5.0), "a.mp3", 100.0)


def test_with_settle_0_a_file_is_finished_as_soon_as_no_program_has_it_open(tmp_path: Path) -> None:
    settling = Settling(str(tmp_path), 0.0)
    with (tmp_path / "a.mp3").open("wb") as writer:
        writer.write(b"abc")
        writer.flush()
        assert not ready(settling, "a.mp3", 100.0)
        assert not ready(settling, "a.mp3", 500.0)
    assert ready(settling, "a.mp3", 500.1)


def test_a_writer_through_a_hard_link_or_a_writable_map_is_noticed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.mp3", tmp_path / "elsewhere"
    path.write_bytes(b"x" * mmap.PAGESIZE)
    other.hardlink_to(path)
    with other.open("r+b"):
        assert writers_of(str(path))[0] is Writers.SOME
    with other.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert writers_of(str(path))[0] is Writers.SOME
    mapped.close()
    assert writers_of(str(path))[0] is Writers.NONE


def test_a_reader_does_not_count_as_a_writer(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    with (tmp_path / "a.mp3").open("rb"):
        assert ready(Settling(str(tmp_path), 0.0), "a.mp3", 100.0)


def test_a_file_kept_open_is_inspected_with_growing_pauses(tmp_path: Path) -> None:
    settling = Settling(str(tmp_path), 1.0)
    pauses = []
    with (tmp_path / "a.mp3").open("wb") as writer:
        writer.write(b"abc")
        writer.flush()
        now = 100.0
        settling.inspect(["a.mp3"], now)
        for _ in range(9):
            due_at = settling.due_at()
            assert due_at is not None
            pauses.append(due_at - now)
            now = due_at
            assert settling.take_due(now, 10) == ["a.mp3"]
            settling.inspect(["a.mp3"], now)
    assert pauses == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_an_event_ends_the_pause_and_an_unchanged_file_is_finished_at_once(tmp_path: Path) -> None:
    settling = Settling(str(tmp_path), 1.0)
    with (tmp_path / "a.mp3").open("wb") as writer:
        writer.write(b"abc")
        writer.flush()
        settling.inspect(["a.mp3"], 100.0)
        settling.inspect(["a.mp3"], 101.0)
    assert ready(settling, "a.mp3", 101.5)


def test_without_reliable_leases_a_file_must_not_change_for_ten_seconds(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    settling = Settling(str(tmp_path), 0.0, leases_reliable=False)
    assert settling.is_unreliable
    assert not ready(settling, "a.mp3", 100.0)
    assert not ready(settling, "a.mp3", 109.9)
    assert ready(settling, "a.mp3", 110.0)


def test_without_reliable_leases_a_longer_settle_applies(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    settling = Settling(str(tmp_path), 20.0, leases_reliable=False)
    settling.inspect(["a.mp3"], 100.0)
    assert not ready(settling, "a.mp3", 119.0)
    assert ready(settling, "a.mp3", 120.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_users_file_has_no_lease_and_this_is_reported(open_folder: Path) -> None:
    (open_folder / "a.mp3").write_bytes(b"abc")
    script = (
        "import os, sys\n"
        "from lalald.inbox.readiness import Settling\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "settling = Settling(sys.argv[1], 0.0)\n"
        "first = settling.inspect(['a.mp3'], 100.0).ready\n"
        "print(first, settling.is_unreliable, settling.due_at(), len(settling.inspect(['a.mp3'], 110.0).ready))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(open_folder)], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True 110.0 1\n"


def test_an_empty_file_settles_like_any_other_so_that_it_can_be_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.touch()
    settling = Settling(str(tmp_path), 5.0)
    assert not ready(settling, "a.mp3", 100.0)
    path.write_bytes(b"abc")
    assert not ready(settling, "a.mp3", 106.0), "it has content now, which must settle"
    path.write_bytes(b"")
    assert not ready(settling, "a.mp3", 110.0)
    (found,) = settling.inspect(["a.mp3"], 115.0).ready
    assert (found.path, found.size, len(settling)) == ("a.mp3", 0, 0)


def test_missing_files_folders_and_symlinks_are_absent(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "link.mp3").symlink_to("folder.mp3")
    (tmp_path / "file.mp3").write_bytes(b"abc")
    settling = Settling(str(tmp_path), 0.0)
    looked = settling.inspect(["gone.mp3", "folder.mp3", "link.mp3", "file.mp3/a.mp3"], 100.0)
    assert looked.absent == ["gone.mp3", "folder.mp3", "link.mp3", "file.mp3/a.mp3"]
    assert not looked.ready
    assert len(settling) == 0


def test_one_impossible_name_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"abc")
    looked = Settling(str(tmp_path), 0.0).inspect(["x" * 300 + ".mp3", "a.mp3"], 100.0)
    assert [path for path, _ in looked.unreadable] == ["x" * 300 + ".mp3"]
    assert [sight.path for sight in looked.ready] == ["a.mp3"]


def test_no_more_files_wait_than_the_limit(tmp_path: Path) -> None:
    names = [f"{number}.mp3" for number in range(5)]
    for name in names:
        (tmp_path / name).write_bytes(b"abc")
    settling = Settling(str(tmp_path), 5.0, limit=3)
    settling.inspect(names, 100.0)
    assert settling.is_full
    assert len(settling) == 3
    assert sorted(settling.take_due(105.0, 10)) == names[:3]


def test_a_broken_lease_does_not_end_the_process(tmp_path: Path) -> None:
    """A writer that opens the file during the inspection breaks the lease, and the kernel sends SIGIO."""
    (tmp_path / "a.mp3").write_bytes(b"abc")
    script = (
        "import fcntl, os, sys, subprocess\n"
        "from lalald.inbox.readiness import ignore_broken_leases\n"
        "ignore_broken_leases()\n"
        "held = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n"
        "writer = subprocess.Popen([sys.executable, '-c', 'import sys; open(sys.argv[1], \"r+b\")', sys.argv[1]])\n"
        "while fcntl.fcntl(held, fcntl.F_GETLEASE) == fcntl.F_RDLCK: pass\n"
        "fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)\n"
        "print('alive', writer.wait())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.mp3")], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout == "alive 0\n"
