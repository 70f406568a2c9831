"""Files that the daemon may not read: counted in STATUS while they exist; `explain` as root tells what the daemon's user may read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.daemon.test_systemd import Manager
from tests.support.another_user import NOBODY
from tests.support.running import Home, tree, until, write_wav

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the user")


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """The folder in which `make_home` creates homes."""
    return open_folder


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    started = Manager(tmp_path)
    with closing(started.socket):
        yield started


def drop_unreadable(home: Home, name: str) -> Path:
    path = home.inbox / name
    write_wav(home.root / path.name)
    (home.root / path.name).chmod(0o600)
    path.parent.mkdir(exist_ok=True)
    (home.root / path.name).rename(path)
    return path


def attention(home: Home) -> tuple[int, list[dict[str, Any]]]:
    """Run a command as root."""
    home.through, through = (), home.through
    answer = home.command("status", "--json")
    home.through = through
    found = [item for item in json.loads(answer.stdout)["needs_attention"] if item["code"] == "unreadable_files"]
    return answer.returncode, found


def test_unreadable_files_are_reported_until_they_can_be_read_or_are_gone(
    sandbox: Sandbox,
    make_home: MakeHome,
    of_unprivileged_user: Callable[[Home], Home],
    manager: Manager,
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    os.chmod(manager.environ["NOTIFY_SOCKET"], 0o777)
    home.start(environ=manager.environ)
    first, second = drop_unreadable(home, "a.wav"), drop_unreadable(home, "b.wav")
    manager.hear_status("2 files unreadable")
    code, (item,) = attention(home)
    assert code == 1
    assert item["subject"] == str(home.inbox)
    assert f"{first.name} and 1 more cannot be read: Permission denied" in item["message"]

    os.chown(first, NOBODY, NOBODY)
    manager.hear_status("1 file unreadable")
    second.unlink()
    manager.hear_status("idle")
    until(lambda: tree(home.inbox) == ["done/a.wav"], "what can be read is processed")
    assert attention(home) == (0, [])
    home.stop()


def test_a_folder_that_cannot_be_listed_is_counted_too(
    sandbox: Sandbox,
    make_home: MakeHome,
    of_unprivileged_user: Callable[[Home], Home],
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    closed = home.inbox / "closed"
    closed.mkdir(mode=0o700)
    home.start()
    code, (item,) = attention(home)
    assert (code, "closed cannot be read: Permission denied" in item["message"]) == (1, True)
    closed.rmdir()
    home.command("rescan")
    until(lambda: attention(home) == (0, []), "it is gone")
    home.stop()


@pytest.mark.parametrize("is_running", [True, False])
def test_explain_as_root_shows_what_the_daemons_user_may_read(
    sandbox: Sandbox,
    make_home: MakeHome,
    of_unprivileged_user: Callable[[Home], Home],
    is_running: bool,
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    home.through = tuple("--groups=4711" if word == "--clear-groups" else word for word in home.through)
    home.start()
    if not is_running:
        home.stop()
    unreadable = drop_unreadable(home, "a.wav")
    grouped = drop_unreadable(home, "b.wav")
    os.chown(grouped, 0, 4711)
    grouped.chmod(0o640)
    home.through = ()
    explained = home.command("explain", str(unreadable)).stdout
    assert f"no: uid {NOBODY} may not read it" in explained
    if is_running:
        assert "yes" in home.command("explain", str(grouped)).stdout
        home.stop()
