"""A state folder that cannot be written is reported by its cause: while the daemon is idle, and at a start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lalald.filesystem.disk_errors import write_error
from tests.support.private_mounts import Filler, in_own_mounts, make_read_only, mount_disk
from tests.support.running import Home, until

NOWHERE = "http://127.0.0.1:9"
FULL = "No space left on device. Make room on its disk"


def state_attention(home: Home) -> list[dict[str, Any]]:
    answer = home.command("status", "--json")
    found: list[dict[str, Any]] = json.loads(answer.stdout)["needs_attention"]
    assert answer.returncode == (1 if found else 0)
    return [item for item in found if item["code"] == "state_not_writable"]


def refused_or_waiting(home: Home) -> str:
    """What a start reports: its error, or its log while it waits."""
    with home.log.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "lalald", "run"], env=home.environ, stderr=log)
    until(lambda: process.poll() is not None or home.logged("store.not_written"), "it ends or says what it waits for")
    process.terminate()
    assert process.wait(20) in (0, 3)
    return home.log.read_text()


def story(root: Path, tell: Callable[[Home, Filler], None], *options: str) -> None:
    def inside() -> None:
        home = Home(root / "home", NOWHERE)
        mount_disk(home.state, "16m", *options)
        tell(home, Filler(home.state))

    in_own_mounts(inside)


def test_status_reports_a_full_disk_while_the_daemon_is_idle(tmp_path: Path) -> None:
    def tell(home: Home, filler: Filler) -> None:
        home.start()
        assert state_attention(home) == []
        filler.fill()
        (item,) = state_attention(home)
        assert "No space left on device" in item["message"]
        assert item["hint"].startswith("Make room on its disk")
        assert "! The state folder cannot be written" in home.command("status").stdout
        asked = home.command("health")
        assert (asked.returncode, "The state folder cannot be written" in asked.stderr) == (1, True)
        filler.empty()
        assert state_attention(home) == []
        assert home.command("health").returncode == 0
        assert [name for name in os.listdir(home.state) if "trial" in name] == []
        home.stop()

    story(tmp_path, tell)


@pytest.mark.parametrize("is_known", [False, True], ids=["first start", "later start"])
def test_a_start_on_a_full_disk_reports_it(tmp_path: Path, is_known: bool) -> None:
    def tell(home: Home, filler: Filler) -> None:
        if is_known:
            home.start()
            home.stop()
        filler.fill()
        words = refused_or_waiting(home)
        assert FULL in words
        assert "fails" not in words
        if is_known:
            asked = home.command("status")
            assert asked.returncode == 3
            assert "No space left on device" in asked.stderr
        filler.empty()
        home.start()
        home.stop()

    story(tmp_path, tell)


@pytest.mark.parametrize("inodes", [2, 3])
def test_a_start_without_inodes_reports_it(tmp_path: Path, inodes: int) -> None:
    def tell(home: Home, _filler: Filler) -> None:
        (home.state / "other").touch()
        words = refused_or_waiting(home)
        assert "No space left on device" in words
        assert "inodes too" in words
        assert "Let uid" not in words

    story(tmp_path, tell, f"nr_inodes={inodes}")


def test_a_start_on_a_read_only_disk_reports_it(tmp_path: Path) -> None:
    def tell(home: Home, _filler: Filler) -> None:
        make_read_only(home.state)
        words = refused_or_waiting(home)
        assert "Read-only file system" in words
        assert "mount it for writing" in words
        assert "Let uid" not in words

    story(tmp_path, tell)


def test_a_writable_folder_gives_no_reason_and_keeps_no_test_file(tmp_path: Path) -> None:
    assert write_error(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert write_error(tmp_path / "missing") is not None
