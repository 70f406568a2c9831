"""Folders: those that may not lie in one another, and those that cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lalald.config import check_folders
from lalald.config.checks.path_overlap import check_state
from lalald.config.checks.real_paths import RealPaths
from lalald.config.diagnostics import Diagnostics
from tests.support.config_files import loaded, mistakes, one, warnings, with_inbox

TWO = """\
state_dir: /var/lib/lalald
inboxes:
  - path: /srv/a
    outbox: /srv/oa
    KEYS_A
    rules: &rules [{mode: voice_clean}]
  - path: PATH_B
    outbox: OUTBOX_B
    KEYS_B
    rules: *rules
"""


def two(path: str = "/srv/b", outbox: str = "/srv/ob", first: str = "", second: str = "") -> str:
    text = TWO.replace("PATH_B", path).replace("OUTBOX_B", outbox)
    return text.replace("KEYS_A", first or "watch: auto").replace("KEYS_B", second or "watch: auto")


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (with_inbox("outbox: /srv/in/out"), "outbox", "is within its own inbox; a relative path"),
        (with_inbox("outbox: /srv/in"), "outbox", "is within its own inbox"),
        (with_inbox("outbox: /srv/in", "recursive: false"), "outbox", "is the inbox itself"),
        (with_inbox("outbox: ."), "outbox", "a relative path is a folder within the inbox"),
        (with_inbox("outbox: ../out"), "outbox", "a relative path is a folder within the inbox"),
        (with_inbox("outbox: x/../../in2"), "outbox", "a relative path is a folder within the inbox"),
        (with_inbox("done_dir: ."), "done_dir", "a relative path is a folder within the inbox"),
        (with_inbox("done_dir: /srv/in"), "done_dir", "is the inbox itself"),
        (two(path="/srv/a"), "path", "is the same folder as inboxes[0] (/srv/a)"),
        (two(path="/srv/a/sub"), "path", "is within inboxes[0] (/srv/a), which is also watched"),
        (two(path="/srv", outbox="/elsewhere"), "path", "is within inboxes[1] (/srv), which is also watched"),
        (
            two(outbox="/srv/a/sub"),
            "outbox",
            "is within inboxes[0] (/srv/a), so that results would be processed and paid for again",
        ),
        (two(outbox="/srv/a"), "outbox", "is within inboxes[0] (/srv/a)"),
        (two(path="/srv/oa"), "outbox", "is within inboxes[1] (/srv/oa)"),
        (two(second="done_dir: /srv/a/done2"), "done_dir", "so that finished files would be processed"),
        (two(second="failed_dir: /srv/a/x"), "failed_dir", "so that failed files would be processed"),
        (with_inbox().replace("/var/lib/lalald", "/srv/in/state"), "state_dir", "is within the inbox /srv/in"),
    ],
)
def test_what_would_run_in_a_circle_is_refused(tmp_path: Path, text: str, where: str, words: str) -> None:
    reported = one(mistakes(tmp_path, text))
    assert re.match(rf"line \d+  (inboxes\[\d\]\.)?{where}: ", reported)
    assert words in reported


@pytest.mark.parametrize(
    "text",
    [
        with_inbox("outbox: results"),
        with_inbox("outbox: results", "done_dir: results/done"),
        with_inbox("done_dir: /srv/in/deep/done", "failed_dir: /elsewhere"),
        with_inbox("outbox: /srv/in/out", "recursive: false"),
        with_inbox("outbox: /srv/in2"),
        two(outbox="/srv/oa"),
        two(path="/srv/a/sub", first="recursive: false"),
        two(path="/srv/a/done/again"),
        two(outbox="/srv/a/done/results"),
        two(second="done_dir: /srv/shared", first="done_dir: /srv/shared"),
    ],
)
def test_folders_that_are_not_watched_may_lie_anywhere(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)


def test_symlinks_hide_no_circle(tmp_path: Path) -> None:
    inbox, link = tmp_path / "in", tmp_path / "link"
    (inbox / "sub").mkdir(parents=True)
    link.symlink_to(inbox)
    (tmp_path / "sub").symlink_to(inbox / "sub")
    (inbox / "done").symlink_to(inbox / "sub")
    apart = ("done_dir: /srv/d", "failed_dir: /srv/f")
    assert "own inbox" in one(mistakes(tmp_path, with_inbox(f"path: {inbox}", f"outbox: {tmp_path}/sub", *apart)))
    assert "own inbox" in one(mistakes(tmp_path, with_inbox(f"path: {link}", f"outbox: {inbox}/out", *apart)))
    reported = one(mistakes(tmp_path, with_inbox(f"path: {inbox}", "failed_dir: /srv/f")))
    assert "done_dir: leads into its own inbox by another way" in reported
    assert "is the same folder" in one(
        mistakes(tmp_path, two(path=str(link)).replace("/srv/a", str(inbox)).replace("watch: auto", "done_dir: /srv/d"))
    )


def test_an_outbox_that_holds_the_inbox_gets_a_warning(tmp_path: Path) -> None:
    reported = one(warnings(tmp_path, with_inbox("outbox: /srv")))
    assert "outbox: holds the inbox too: what is called in would land in it" in reported


def test_one_folder_for_done_and_failed_gets_a_warning(tmp_path: Path) -> None:
    assert "side by side" in one(warnings(tmp_path, with_inbox("failed_dir: done")))


def test_folders_that_nothing_is_moved_to_get_a_warning(tmp_path: Path) -> None:
    reported = warnings(tmp_path, with_inbox("on_success: keep", "done_dir: d", "on_failure: keep", "failed_dir: f"))
    assert [line.split("  ")[1] for line in reported] == [
        "inboxes[0].done_dir: has no effect with on_success: keep",
        "inboxes[0].failed_dir: has no effect with on_failure: keep",
    ]
    assert warnings(tmp_path, with_inbox("on_success: delete", "on_failure: keep")) == []


# where the state lies


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3"])
def test_a_state_folder_on_the_network_is_refused(kind: str) -> None:
    diagnostics = Diagnostics({("state_dir",): 3})
    check_state(Path("/mnt/state"), kind, [], diagnostics, RealPaths())
    assert [diagnostics.formatted(found) for found in diagnostics.errors] == [
        f"line 3  state_dir: /mnt/state is on {kind}, where a database is not safe; choose a folder on a local disk"
    ]


@pytest.mark.parametrize("kind", ["fuse.sshfs", "fuseblk", "9p", "virtiofs"])
def test_a_state_folder_on_something_unsure_gets_a_warning(kind: str) -> None:
    diagnostics = Diagnostics({})
    check_state(Path("/mnt/state"), kind, [], diagnostics, RealPaths())
    assert diagnostics.errors == []
    assert len(diagnostics.formatted_warnings()) == 1


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", ""])
def test_a_state_folder_on_a_local_disk_is_fine(kind: str) -> None:
    diagnostics = Diagnostics({})
    check_state(Path("/var/lib/lalald"), kind, [], diagnostics, RealPaths())
    assert (diagnostics.errors, diagnostics.warnings) == ([], [])


def test_reading_a_configuration_asks_nothing_of_its_folders(tmp_path: Path) -> None:
    loaded(tmp_path, with_inbox(f"path: {tmp_path}/late-mount", f"outbox: {tmp_path}/another"))


def test_missing_folders_are_reported_with_their_lines(tmp_path: Path) -> None:
    text = with_inbox(
        f"path: {tmp_path}/in", f"outbox: {tmp_path}/out", f"done_dir: {tmp_path}/done", f"failed_dir: {tmp_path}/f"
    )
    config = loaded(tmp_path, text.replace("/var/lib/lalald", str(tmp_path / "a/b/state")))
    assert [line.split("; ")[0] for line in check_folders(config)] == [
        f"line 3  inboxes[0].path: there is no folder {tmp_path}/in",
        f"line 4  inboxes[0].outbox: there is no folder {tmp_path}/out",
        f"line 5  inboxes[0].done_dir: there is no folder {tmp_path}/done",
        f"line 6  inboxes[0].failed_dir: there is no folder {tmp_path}/f",
    ]
    for name in ("in", "out", "done", "f"):
        (tmp_path / name).mkdir()
    assert check_folders(config) == []


def test_folders_within_the_inbox_are_made_by_lalald_and_not_missed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = loaded(tmp_path, with_inbox(f"path: {tmp_path}/in", "outbox: results").replace("/var/lib", str(tmp_path)))
    assert check_folders(config) == []


def test_a_file_in_the_place_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    (tmp_path / "out").mkdir()
    text = with_inbox(f"path: {tmp_path}/in", f"outbox: {tmp_path}/out").replace("/var/lib", str(tmp_path))
    config = loaded(tmp_path, text)
    assert one(check_folders(config)) == f"line 3  inboxes[0].path: {tmp_path}/in is a file, not a folder"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may do everything: what others may not is tried as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_permissions_are_checked_only_if_the_configuration_needs_them(open_folder: Path) -> None:
    inbox, outbox = open_folder / "in", open_folder / "out"
    inbox.mkdir()
    outbox.mkdir()
    outbox.chmod(0o777)
    inbox.chmod(0o555)
    text = with_inbox(f"path: {inbox}", f"outbox: {outbox}").replace("/var/lib", str(outbox))
    moving = loaded(open_folder, text)
    keeping = loaded(open_folder, text.replace("    rules", "    on_success: keep\n    on_failure: keep\n    rules"))
    with as_nobody():
        reported = one(check_folders(moving))
        assert check_folders(keeping) == []
        uid = os.geteuid()
    assert f"inboxes[0].path: {inbox} cannot be written; lalald runs as user {uid}, group" in reported
    outbox.chmod(0o555)
    inbox.chmod(0o311)
    with as_nobody():
        told_of_all = check_folders(keeping)
    inbox.chmod(0o755)
    assert [line.split("; ")[0].split("  ")[1] for line in told_of_all] == [
        f"inboxes[0].path: {inbox} cannot be read",
        f"inboxes[0].outbox: {outbox} cannot be written",
        f"state_dir: {outbox}/lalald cannot be made: {outbox} cannot be written",
    ]


def test_folders_below_an_inaccessible_one_are_reported(open_folder: Path) -> None:
    door = open_folder / "closed"
    (door / "in").mkdir(parents=True)
    text = with_inbox(f"path: {door}/in", f"outbox: {door}/out").replace("/var/lib", str(door))
    config = loaded(open_folder, text)
    door.chmod(0)
    with as_nobody():
        reported = check_folders(config)
    door.chmod(0o700)
    assert [line.partition(": ")[0].split("  ")[1] for line in reported] == [
        "inboxes[0].path",
        "inboxes[0].outbox",
        "state_dir",
    ]
    assert all("cannot be examined: Permission denied" in line for line in reported)


@pytest.mark.parametrize("written", [True, False])
def test_a_state_folder_that_the_file_does_not_name_is_reported_without_a_line_of_it(
    tmp_path: Path, written: bool
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "state").touch()
    text = with_inbox(f"path: {tmp_path}/in", f"outbox: {tmp_path}/out")
    text = text if written else text.replace("state_dir: /var/lib/lalald\n", "")
    config = loaded(tmp_path, text, {"LALALD_STATE_DIR": str(tmp_path / "state")})
    assert check_folders(config) == [f"state_dir: {tmp_path}/state is a file, not a folder"]
