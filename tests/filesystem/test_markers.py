"""Folders are recognized by their marker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lalald.filesystem.markers import accept_folder, new_marker, read_marker, verify_folder, write_marker
from lalald.filesystem.mounts import MountWatcher


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_a_folder_gets_a_hidden_marker_and_is_recognized_by_it(inbox: Path) -> None:
    first = verify_folder(str(inbox), None)
    assert first.available
    assert first.marker == read_marker(str(inbox))
    assert [path.name for path in inbox.iterdir()] == [".lalald"]
    assert verify_folder(str(inbox), first.marker).available


def test_a_temporary_marker_left_by_a_crash_is_removed(inbox: Path) -> None:
    (inbox / f".lalald-{'0f' * 16}").write_bytes(b"half a mar")
    strangers = inbox / ".lalald-notes"
    strangers.touch()
    assert verify_folder(str(inbox), None).available
    assert sorted(path.name for path in inbox.iterdir()) == [".lalald", ".lalald-notes"]


def test_an_existing_marker_is_kept(inbox: Path) -> None:
    marker = verify_folder(str(inbox), None).marker
    assert verify_folder(str(inbox), None).marker == marker


def test_a_folder_gets_the_given_marker_unless_another_lalald_was_faster(inbox: Path) -> None:
    ours, others = new_marker(), new_marker()
    assert verify_folder(str(inbox), None, new=ours).marker == read_marker(str(inbox)) == ours
    assert write_marker(str(inbox), others) == accept_folder(str(inbox), others) == ours
    assert write_marker(str(inbox), others, replaces=True) == read_marker(str(inbox)) == others


def test_a_missing_folder_is_unavailable(inbox: Path) -> None:
    marker = verify_folder(str(inbox), None).marker
    inbox.rename(inbox.with_name("away"))
    presence = verify_folder(str(inbox), marker)
    assert not presence.available
    assert "is missing" in presence.reason


def test_a_file_in_its_place_is_unavailable(inbox: Path) -> None:
    inbox.rmdir()
    inbox.write_bytes(b"")
    assert "not a folder" in verify_folder(str(inbox), None).reason


def test_another_folder_in_its_place_is_unavailable_until_it_is_accepted(inbox: Path) -> None:
    marker = verify_folder(str(inbox), None).marker
    inbox.rename(inbox.with_name("away"))
    inbox.mkdir()
    presence = verify_folder(str(inbox), marker)
    assert not presence.available
    assert "marker" in presence.reason
    assert f"lalald release {inbox}" in presence.reason
    assert list(inbox.iterdir()) == []
    accepted = accept_folder(str(inbox))
    assert accepted is not None
    assert accepted != marker
    assert verify_folder(str(inbox), accepted).available
    assert not verify_folder(str(inbox), marker).available


def test_a_marker_deleted_from_the_same_folder_is_written_again(inbox: Path) -> None:
    before = verify_folder(str(inbox), None)
    (inbox / ".lalald").unlink()
    again = verify_folder(str(inbox), before.marker, before.folder)
    assert (again.available, again.marker) == (True, before.marker)
    assert read_marker(str(inbox)) == before.marker


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6x\n"])
def test_a_damaged_marker_does_not_count(inbox: Path, content: bytes) -> None:
    (inbox / ".lalald").write_bytes(content)
    assert read_marker(str(inbox)) is None
    assert verify_folder(str(inbox), None).marker == read_marker(str(inbox)) is not None


@pytest.mark.parametrize("kind", ["folder", "symlink", "pipe"])
def test_something_else_with_the_markers_name_does_not_count(inbox: Path, kind: str, tmp_path: Path) -> None:
    verify_folder(str(tmp_path), None)
    path = inbox / ".lalald"
    if kind == "folder":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(tmp_path / ".lalald")
    else:
        os.mkfifo(path)
    assert read_marker(str(inbox)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_without_the_right_to_write_there_is_no_marker_and_without_the_right_to_read_no_inbox(
    open_folder: Path,
) -> None:
    inbox = open_folder / "inbox"
    inbox.mkdir(mode=0o755)
    script = (
        "import os, sys\n"
        "from lalald.filesystem.markers import verify_folder\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(verify_folder(sys.argv[1], None))"
    )

    def asked() -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(inbox)], capture_output=True, text=True, check=True
        ).stdout

    assert "available=True" in asked()
    assert "marker=None" in asked()
    inbox.chmod(0o711)
    assert "uid 65534 may not read it" in asked()
    inbox.chmod(0o744)
    assert "uid 65534 may not read it" in asked()


def test_a_mount_over_the_inbox_is_noticed_at_once_and_nothing_wakes_up_otherwise(inbox: Path) -> None:
    async def story() -> list[str]:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        reasons: list[str] = []
        mounts = MountWatcher()
        mounts.start(changed.set, loop.add_reader)
        marker = verify_folder(str(inbox), None).marker
        try:
            mount("mount", "-t", "tmpfs", "none", str(inbox))
            try:
                async with asyncio.timeout(10):
                    await changed.wait()
                reasons.append(verify_folder(str(inbox), marker).reason[:10])
            finally:
                changed.clear()
                mount("umount", str(inbox))
            async with asyncio.timeout(10):
                await changed.wait()
            reasons.append(verify_folder(str(inbox), marker).reason)
        finally:
            mounts.stop(loop.remove_reader)
        return reasons

    assert asyncio.run(story()) == ["its marker", ""]


def mount(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")
