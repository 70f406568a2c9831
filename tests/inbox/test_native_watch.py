"""Hints from real inotify."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lalald.inbox.scanning.native_watch import Hints, Watch, WatchError
from tests.support.running import until


def nothing(_folder: str) -> bool:
    return False


@dataclass
class Gathered:
    """The hints of several calls: of a path, whether it was deleted."""

    files: dict[str, bool] = field(default_factory=dict)
    folders: dict[str, bool] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    are_incomplete: bool = False
    concern_root: bool = False
    failure: WatchError | None = None

    def add(self, hints: Hints) -> None:
        for paths, new in ((self.files, hints.files), (self.folders, hints.folders)):
            for path, was_deleted in new:
                paths[path] = was_deleted or paths.get(path, False)
        self.arrived |= hints.arrived
        self.are_incomplete |= hints.are_incomplete
        self.concern_root |= hints.concern_root
        self.failure = self.failure or hints.failure


class Watched:
    """A watch, its hints, and how often it called `wake`."""

    def __init__(self, root: Path, wake: Callable[[], None] | None = None, **options: object) -> None:
        self.wakes = 0
        self.hints = Gathered()
        self._wake = wake
        self.watch = Watch(str(root), wake=self._woken, **{"skipped": nothing, **options})  # type: ignore[arg-type]

    def _woken(self) -> None:
        self.wakes += 1
        if self._wake is not None:
            self._wake()

    def gathered(self) -> Gathered:
        """All hints so far."""
        self.hints.add(self.watch.drain())
        return self.hints


@contextmanager
def watching(root: Path, *folders: str, **options: object) -> Iterator[Watched]:
    watched = Watched(root, **options)  # type: ignore[arg-type]
    watched.watch.start()
    try:
        for folder in ("", *folders):
            watched.watch.add(folder)
        yield watched
    finally:
        watched.watch.stop()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "above" / "inbox"
    folder.mkdir(parents=True)
    return folder


def test_each_way_to_add_a_file_gives_a_hint(inbox: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"abc")
    with watching(inbox) as watched:
        (inbox / "written.mp3").write_bytes(b"abc")
        (inbox / "linked.mp3").hardlink_to(outside)
        outside.rename(inbox / "renamed.mp3")
        (inbox / "renamed.mp3").rename(inbox / "again.mp3")
        until(lambda: "again.mp3" in watched.gathered().files, "the last hint")
    assert watched.hints.files == {"written.mp3": False, "linked.mp3": False, "renamed.mp3": True, "again.mp3": False}
    assert watched.hints.arrived == {"written.mp3", "linked.mp3", "renamed.mp3", "again.mp3"}


def test_closing_chmod_and_deletion_give_hints(inbox: Path) -> None:
    path = inbox / "a.mp3"
    with watching(inbox) as watched, path.open("wb") as file:
        until(lambda: "a.mp3" in watched.gathered().files, "the creation")
        watched.hints.files.clear()
        file.write(b"abc")
        file.flush()
        assert watched.gathered().files == {}
        file.close()
        until(lambda: watched.gathered().files == {"a.mp3": False}, "the closing")
        watched.hints.files.clear()
        path.chmod(0o640)
        until(lambda: watched.gathered().files == {"a.mp3": False}, "the new mode")
        watched.hints.files.clear()
        path.unlink()
        until(lambda: watched.gathered().files == {"a.mp3": True}, "the deletion")


def test_hints_have_exact_names_and_none_for_excluded_files(inbox: Path) -> None:
    names = ["Mu\u0308ller.mp3", "new\nline.mp3", "\udcff.mp3", "x" * 251 + ".mp3"]
    with watching(inbox) as watched:
        for name in [".hidden", "a.part", ".lalald-1-a.part", *names]:
            (inbox / name).write_bytes(b"abc")
        until(lambda: names[-1] in watched.gathered().files, "the last hint")
    assert list(watched.hints.files) == names


def test_a_burst_wakes_once_and_loses_nothing(inbox: Path) -> None:
    with watching(inbox) as watched:
        for number in range(3000):
            os.close(os.open(inbox / f"{number}.mp3", os.O_CREAT))
        until(lambda: len(watched.watch._collected.files) == 3000, "all hints")
        assert watched.wakes == 1
        assert len(watched.gathered().files) == 3000
        (inbox / "one_more.mp3").touch()
        until(lambda: watched.wakes == 2, "another wake")


def test_too_many_hints_become_a_request_for_a_full_scan(inbox: Path) -> None:
    with watching(inbox, most_hints=100) as watched:
        for number in range(101):
            (inbox / f"{number}.mp3").touch()
        until(lambda: watched.watch._collected.are_incomplete, "the request for a full scan")
        assert watched.gathered().are_incomplete


def test_events_that_the_kernel_dropped_are_noticed(inbox: Path) -> None:
    """The reader is blocked in `wake` until the kernel's queue overflows."""
    full = threading.Event()
    with watching(inbox, wake=lambda: full.wait(60)) as watched:
        one, other = inbox / "1.mp3", inbox / "2.mp3"
        one.touch()
        until(lambda: watched.wakes, "the reader in its wake")
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for _ in range(most // 2 + 10):
            one.rename(other)
            other.rename(one)
        full.set()
        until(lambda: watched.gathered().are_incomplete, "the loss")


def test_folders_give_hints_and_are_watched_once_they_are_added(inbox: Path, tmp_path: Path) -> None:
    with watching(inbox) as watched:
        (inbox / "new").mkdir()
        until(lambda: watched.gathered().folders == {"new": False}, "the folder")
        watched.watch.add("new")
        (inbox / "new" / "a.mp3").write_bytes(b"abc")
        until(lambda: "new/a.mp3" in watched.gathered().files, "its file")
        (inbox / "new").rename(inbox / "newer")
        until(lambda: watched.gathered().folders == {"new": True, "newer": False}, "its new name")
        watched.watch.add("newer")
        (inbox / "newer" / "b.mp3").write_bytes(b"abc")
        until(lambda: "newer/b.mp3" in watched.gathered().files, "a file under the new name")
        (inbox / "newer").rename(tmp_path / "away")
        until(lambda: watched.gathered().folders == {"new": True, "newer": True}, "its leaving")


def test_skipped_folders_give_no_hint(inbox: Path) -> None:
    with watching(inbox, skipped=lambda folder: folder == "done") as watched:
        (inbox / "done").mkdir()
        (inbox / "a.mp3").touch()
        until(lambda: "a.mp3" in watched.gathered().files, "the file")
    assert watched.hints.folders == {}


def test_a_folder_added_again_gives_no_double_hints_and_no_warning(inbox: Path) -> None:
    with watching(inbox, "", "") as watched:
        for number in range(100):
            (inbox / f"{number}.mp3").touch()
        until(lambda: len(watched.gathered().files) == 100, "all hints")


@pytest.mark.parametrize("fate", ["removed", "renamed", "renamed above", "marker removed"])
def test_changes_of_the_inbox_folder_itself_are_reported(inbox: Path, fate: str) -> None:
    (inbox / ".lalald").write_text("marker")
    with watching(inbox) as watched:
        if fate == "removed":
            (inbox / ".lalald").unlink()
            inbox.rmdir()
        elif fate == "renamed":
            inbox.rename(inbox.with_name("other"))
        elif fate == "renamed above":
            inbox.parent.rename(inbox.parent.with_name("other"))
        else:
            (inbox / ".lalald").unlink()
        until(lambda: watched.gathered().concern_root, "the fate of the inbox")


def test_a_missing_or_unreadable_subfolder_does_not_fail_the_watch(inbox: Path) -> None:
    with watching(inbox, "not/there") as watched:
        (inbox / "a.mp3").touch()
        until(lambda: "a.mp3" in watched.gathered().files, "the file")
    assert watched.hints.failure is None


def in_small_limits(
    script: str, *arguments: str, watches: int, instances: int = 10
) -> subprocess.CompletedProcess[str]:
    """Runs Python where the kernel gives few inotify watches: a user namespace has its own limits."""
    prepare = f"echo {watches} > /proc/sys/user/max_inotify_watches && echo {instances} > /proc/sys/user/max_inotify_instances"
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", f'{prepare} && exec "$@"', "sh", sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def needs_namespaces() -> None:
    done = in_small_limits("print('here')", watches=5)
    if done.stdout != "here\n":
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")


def test_an_inbox_that_is_missing_when_it_is_added_is_reported(inbox: Path) -> None:
    """It may be back before the next check, without a watch."""
    watched = Watched(inbox)
    watched.watch.start()
    try:
        inbox.rename(inbox.with_name("away"))
        watched.watch.add("")
        inbox.with_name("away").rename(inbox)
        hints = watched.watch.drain()
    finally:
        watched.watch.stop()
    assert (hints.concern_root, hints.are_incomplete, watched.wakes) == (True, True, 1)


def test_running_out_of_watches_names_the_limit_to_raise(inbox: Path) -> None:
    needs_namespaces()
    for number in range(30):
        (inbox / str(number)).mkdir()
    script = (
        "import sys\n"
        "from lalald.inbox.scanning.native_watch import Watch\n"
        "watch = Watch(sys.argv[1], wake=lambda: None, skipped=lambda folder: False)\n"
        "watch.start()\n"
        "for number in range(30): watch.add(str(number))\n"
        "failure = watch.drain().failure\n"
        "print(failure, failure.hint)\n"
        "watch.stop()"
    )
    done = in_small_limits(script, str(inbox), watches=20)
    assert "fs.inotify.max_user_watches" in done.stdout, done.stderr
    assert "sysctl" in done.stdout


def test_running_out_of_instances_is_reported_at_the_start(inbox: Path) -> None:
    needs_namespaces()
    script = (
        "import sys\n"
        "from lalald.inbox.scanning.native_watch import Watch, WatchError\n"
        "try: Watch(sys.argv[1], wake=lambda: None, skipped=lambda folder: False).start()\n"
        "except WatchError as error: print(error)"
    )
    done = in_small_limits(script, str(inbox), watches=20, instances=0)
    assert "fs.inotify.max_user_instances" in done.stdout, done.stderr
