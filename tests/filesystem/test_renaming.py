"""Renames never replace a file, on file systems that refuse some operations and with other programs interfering."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lalald.filesystem import placeholders, renaming
from lalald.filesystem.placeholders import remove_leftovers
from lalald.filesystem.renaming import METHODS, RenameMethod, rename_without_replacing
from tests.support.crash_points import countdown, watch_files
from tests.support.delivery_process import CrashPoint, Row, carry
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts

REFUSALS = (
    errno.EIO, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EMLINK, errno.EACCES,
)  # fmt: skip
SAFE = (RenameMethod.RENAMEAT2, RenameMethod.LINK)


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@contextmanager
def share_at(root: Path) -> Iterator[Share]:
    with Share(root / "share") as share:
        renaming.forget_methods()
        yield share


def method_of(folder: Path) -> RenameMethod:
    """What renames a file there, and is remembered."""
    (folder / "source").write_bytes(b"ours")
    rename_without_replacing(str(folder / "source"), str(folder / "target"))
    assert everything(folder) == {"target": b"ours"}
    (folder / "source").write_bytes(b"another")
    with pytest.raises(FileExistsError):
        rename_without_replacing(str(folder / "source"), str(folder / "target"))
    assert everything(folder) == {"source": b"another", "target": b"ours"}
    for path in folder.iterdir():
        path.unlink()
    return next(iter(renaming._REMEMBERED.values()), (RenameMethod.RENAMEAT2, 0.0))[0]


@pytest.mark.parametrize(
    ("refused", "method"),
    [
        (("link",), RenameMethod.RENAMEAT2),
        (("rename2",), RenameMethod.LINK),
        (("rename2", "rename"), RenameMethod.LINK),
        (("rename2", "link"), RenameMethod.RESERVE),
        (("rename2", "link", "replace"), RenameMethod.RENAME),
        (("rename2", "link", "fsync", "chmod"), RenameMethod.RESERVE),
    ],
)
def test_after_any_refusal_the_next_method_is_used(
    tmp_path: Path, refused: tuple[str, ...], method: RenameMethod
) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            for number in REFUSALS:
                share.answer()
                share.refuse(number, *refused)
                renaming.forget_methods()
                assert method_of(share.folder) is method, errno.errorcode[number]

    in_own_mounts(story)


@pytest.mark.parametrize(
    "refused", [("rename2", "link", "rename"), ("rename2", "link", "create", "mknod"), ("rename2", "link", "unlink")]
)
def test_without_a_working_method_the_error_is_raised_and_nothing_changes(
    tmp_path: Path, refused: tuple[str, ...]
) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            source = share.folder / "source"
            source.write_bytes(b"ours")
            for number in set(REFUSALS) - {errno.EXDEV}:
                share.answer()
                share.refuse(number, *refused)
                renaming.forget_methods()
                with pytest.raises(OSError, match=os.strerror(number)) as raised:
                    rename_without_replacing(str(source), str(share.folder / "target"))
                assert raised.value.filename == str(source)
                share.answer()
                remove_leftovers(str(share.folder))
                assert everything(share.folder) == {"source": b"ours"}

    in_own_mounts(story)


def test_a_rename_that_is_reported_but_not_done_is_not_used(tmp_path: Path) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            source = share.folder / "source"
            source.write_bytes(b"ours")
            share.refuse(errno.EINVAL, "rename2", "link")
            share.lie("rename")
            with pytest.raises(OSError, match="has not done"):
                rename_without_replacing(str(source), str(share.folder / "target"))
            assert everything(share.folder) == {"source": b"ours"}

    in_own_mounts(story)


def test_a_working_method_is_remembered(tmp_path: Path) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            share.refuse(errno.EIO, "rename2", "link")
            assert method_of(share.folder) is RenameMethod.RESERVE
            share.answer()  # link would work now
            assert method_of(share.folder) is RenameMethod.RESERVE
            renaming.forget_methods()
            assert method_of(share.folder) is RenameMethod.RENAMEAT2

    in_own_mounts(story)


def test_a_remembered_method_that_is_refused_is_tested_again(tmp_path: Path) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            share.refuse(errno.EINVAL, "rename2")
            assert method_of(share.folder) is RenameMethod.LINK
            share.refuse(errno.EPERM, "link")
            assert method_of(share.folder) is RenameMethod.RESERVE

    in_own_mounts(story)


def test_a_file_created_under_the_name_at_any_moment_is_kept(tmp_path: Path) -> None:
    """Hundreds of races on a file system with nothing but rename: the second one gets an error."""
    reserve, rounds = METHODS[RenameMethod.RESERVE], 300
    barrier, won = threading.Barrier(2), {"ours": 0, "theirs": 0}
    failures: list[str] = []

    def stranger() -> None:
        for number in range(rounds):
            barrier.wait()
            try:
                with (tmp_path / f"{number}").open("xb") as file:
                    file.write(b"theirs")
                won["theirs"] += 1
            except FileExistsError:
                won["ours"] += 1
            barrier.wait()
            content = (tmp_path / f"{number}").read_bytes()
            if content not in (b"ours", b"theirs"):
                failures.append(f"{number}: {content!r}")

    thread = threading.Thread(target=stranger)
    thread.start()
    for number in range(rounds):
        source = tmp_path / "source"
        source.write_bytes(b"ours")
        barrier.wait()
        try:
            reserve(str(source), str(tmp_path / f"{number}"))
            mine = True
        except FileExistsError:
            mine = False
        barrier.wait()
        expected = b"ours" if mine else b"theirs"
        if (tmp_path / f"{number}").read_bytes() != expected or source.exists() is mine:
            failures.append(f"{number}: {mine}")
    thread.join()
    assert failures == []
    assert won["ours"] + won["theirs"] == rounds
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".lalald")]


def _another_file_replaces_the_empty_file(share: Share) -> Callable[[Row, CrashPoint], None]:
    """Right after it was made: in a process of its own, since an audit hook stays."""

    def rename(_row: Row, _step: CrashPoint) -> None:
        target = share.folder / "target"
        came: list[str] = []

        def profiled(frame: FrameType, event: str, _argument: Any) -> None:
            if event == "return" and frame.f_code is placeholders.create_empty_file.__code__ and not came:
                came.append(event)
                (share.folder / "theirs").replace(target)

        method = METHODS[RenameMethod.RESERVE]
        sys.setprofile(profiled)
        try:
            with pytest.raises(FileExistsError):
                method(str(share.folder / "source"), str(target))
        finally:
            sys.setprofile(None)
        assert came

    return rename


def test_a_file_that_replaces_our_placeholder_is_kept(tmp_path: Path) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            for name in ("source", "theirs"):
                (share.folder / name).write_bytes(name.encode())
            assert carry(_another_file_replaces_the_empty_file(share), tmp_path)
            assert everything(share.folder) == {"source": b"source", "target": b"theirs"}

    in_own_mounts(story)


def _rename_on_the_share(share: Share) -> Callable[[Row, CrashPoint], None]:
    def rename(_row: Row, step: CrashPoint) -> None:
        watch_files((str(share.folder),), countdown(step.kill_at) if step.kill_at else lambda: None)
        rename_without_replacing(str(share.folder / "source"), str(share.folder / "target"))

    return rename


@pytest.mark.parametrize("refused", [("rename2",), ("rename2", "link"), ("rename2", "link", "replace")])
def test_a_kill_at_any_step_leaves_a_whole_file_and_nothing_that_is_seen(
    tmp_path: Path, refused: tuple[str, ...]
) -> None:
    def story() -> None:
        with share_at(tmp_path) as share:
            share.refuse(errno.EIO, *refused)
            ended, kill_at = False, 0
            while not ended:
                kill_at += 1
                for path in share.folder.iterdir():
                    path.unlink()
                (share.folder / "source").write_bytes(b"ours")
                renaming.forget_methods()
                ended = carry(_rename_on_the_share(share), tmp_path, kill_at)
                renaming.forget_methods()
                remove_leftovers(str(share.folder))
                found = everything(share.folder)
                assert set(found.values()) == {b"ours"}, kill_at
                if "source" in found and "target" not in found:
                    rename_without_replacing(str(share.folder / "source"), str(share.folder / "target"))
                assert (share.folder / "target").read_bytes() == b"ours"
            assert kill_at > 2

    in_own_mounts(story)


def test_an_empty_file_of_another_program_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    target, note = tmp_path / "target", Path(placeholders.note_path(str(tmp_path / "target")))
    target.touch()
    assert not placeholders.clear_reservation(str(target)), "there is no note"
    for differs in ("content", "time", "owner"):
        placeholders.write_note(str(note), str(target))
        facts = note.stat()
        target.write_bytes(b"x" if differs == "content" else b"")
        os.utime(target, ns=(0, facts.st_mtime_ns - (10**12 if differs == "time" else 0)))
        if differs == "owner":
            if os.geteuid() != 0:
                continue
            os.chown(target, 65534, 65534)
        assert not placeholders.clear_reservation(str(target)), differs
        assert target.exists()
        assert not note.exists()
        os.chown(target, os.geteuid(), os.getegid())


def test_only_our_leftovers_of_a_crash_are_removed(tmp_path: Path) -> None:
    kept: dict[str, Any] = {".lalald": b"", ".lalald-notes": b"", "ours.wav": b"abc"}
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    with placeholders.hidden_path(str(tmp_path)) as hidden:
        trial = Path(hidden)
    trial.mkdir()
    (trial / "1").touch()
    placeholders.write_note(placeholders.note_path(str(tmp_path / "left.wav")), str(tmp_path / "left.wav"))
    placeholders.create_empty_file(str(tmp_path / "left.wav"))
    Path(placeholders.note_path(str(tmp_path / "without content.wav"))).touch()
    with placeholders.hidden_path(str(tmp_path)) as live:
        Path(live).touch()
        remove_leftovers(str(tmp_path))
        assert everything(tmp_path) == {**kept, Path(live).name: b""}
    assert everything(tmp_path) == kept
    assert not trial.exists()


def test_the_leftovers_of_an_earlier_process_are_removed_at_the_first_test_in_a_folder(tmp_path: Path) -> None:
    with placeholders.hidden_path(str(tmp_path / "..")) as hidden:
        left = tmp_path / Path(hidden).name
    left.touch()
    with placeholders.hidden_path(str(tmp_path)):
        assert not left.exists()


def test_a_note_about_a_file_in_another_folder_is_not_ours(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "outbox", tmp_path / "elsewhere.wav"
    folder.mkdir()
    for name in (str(elsewhere), "../elsewhere.wav"):
        note = folder / f"{placeholders.RESERVED_PREFIX}command-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        note.write_text(name)
        elsewhere.touch()
        remove_leftovers(str(folder))
        assert elsewhere.exists()
        assert not note.exists()


@pytest.fixture
def owner() -> Iterator[Callable[[str], None]]:
    yield placeholders.set_owner
    placeholders.set_owner("command")


def test_what_another_daemon_uses_is_removed_once_it_is_a_day_old(tmp_path: Path, owner: Callable[[str], None]) -> None:
    owner("one")
    target = tmp_path / "vocals.wav"
    with placeholders.hidden_path(str(tmp_path)) as test, placeholders.reserved_name(str(target)):
        Path(test).touch()
        owner("other")
        for hours in (0, 23):
            written_at = time.time() - hours * 3600
            for path in (Path(test), target, *tmp_path.glob(f"{placeholders.RESERVED_PREFIX}*")):
                os.utime(path, (written_at, written_at))
            remove_leftovers(str(tmp_path))
            assert not placeholders.clear_reservation(str(target))
            assert len(everything(tmp_path)) == 3, hours
        owner("one")  # its next process
        placeholders._TESTS.clear()
        placeholders._RESERVED.clear()
        remove_leftovers(str(tmp_path))
        assert everything(tmp_path) == {}


def test_leftovers_of_a_daemon_that_never_came_back_are_removed(tmp_path: Path, owner: Callable[[str], None]) -> None:
    owner("gone")
    target = tmp_path / "vocals.wav"
    with placeholders.hidden_path(str(tmp_path)) as test:
        pass
    Path(test).touch()
    placeholders.write_note(placeholders.note_path(str(target)), str(target))
    target.touch()
    long_ago = time.time() - 25 * 3600
    for path in tmp_path.iterdir():
        os.utime(path, (long_ago, long_ago))
    owner("other")
    placeholders._TESTS.clear()
    remove_leftovers(str(tmp_path))
    assert everything(tmp_path) == {}
