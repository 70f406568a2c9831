"""Volumes that the container's user may not enter, or that fail: each is reported with its reason, and the start continues."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lalald.container import volumes
from tests.container.test_container import PROGRAM as CONTAINER
from tests.container.test_container import ROOT, environment, inbox_with, needs_root
from tests.support.another_user import BECOME_NOBODY, NOBODY, Interpreter
from tests.support.private_mounts import dead_mount, in_own_mounts, make_read_only, mount_disk

OWN = "0 1 0:1 / / rw - overlay overlay rw\n1 0 8:1 / {} rw - ext4 /dev/sda1 rw\n"


def on_a_mount(folder: Path) -> Path:
    """The mount table of a container whose only mount is this folder."""
    (folder / "mountinfo").write_text(OWN.format(folder))
    return folder / "mountinfo"


def said(folder: Path, script: str) -> list[str]:
    """What a container with these folders logs as another user."""
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lalald.container import volumes
from tests.container.test_container import inbox_with
config = inbox_with(Path({str(folder)!r}))
{BECOME_NOBODY}
{script}
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment({}), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


SAY = """
for found in volumes.unwritable(config):
    print(found.folder, found.reason)
"""


@needs_root
def test_an_inbox_that_may_not_be_entered_is_reported_once_for_everything_in_it(open_folder: Path) -> None:
    for name in ("path/done", "path/failed", "outbox"):
        (open_folder / name).mkdir(parents=True)
    (open_folder / "outbox").chmod(0o777)
    (open_folder / "path").chmod(0o700)
    who = f"uid {NOBODY}, gid {NOBODY}"
    expected = f"{open_folder}/path {who} may not write it: it belongs to 0:0, mode 700"
    assert said(open_folder, SAY) == [expected]


@needs_root
def test_a_folder_above_that_may_not_be_entered_is_the_one_that_is_named(open_folder: Path) -> None:
    closed = open_folder / "closed"
    (closed / "path").mkdir(parents=True)
    closed.chmod(0o700)
    who = f"uid {NOBODY}, gid {NOBODY}"
    assert said(closed, SAY) == [f"{closed} {who} may not enter it: it belongs to 0:0, mode 700"]


@needs_root
@pytest.mark.parametrize("point", ["path", ""])
def test_a_closed_inbox_on_a_mount_does_not_prevent_the_start(point: str, open_folder: Path) -> None:
    (open_folder / "path" / "done").mkdir(parents=True)
    (open_folder / "outbox").mkdir()
    table = on_a_mount(open_folder)
    (open_folder / point).chmod(0o711)
    (open_folder / "path").chmod(0o700)
    assert said(open_folder, f"volumes.refuse_to_lose_results(config, Path({str(table)!r}))") == []


def test_every_way_in_which_a_folder_can_fail_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "path").symlink_to("path")
    (tmp_path / "outbox").write_text("a file")
    volumes.refuse_to_lose_results(inbox_with(tmp_path), on_a_mount(tmp_path))
    found = {place.folder.name: place for place in volumes.unwritable(inbox_with(tmp_path))}
    assert found["path"].reason == os.strerror(errno.ELOOP)
    assert "symlinks" in found["path"].remedy
    assert found["outbox"].reason == "it is not a folder"


def test_a_share_that_hangs_delays_the_start_for_seconds_only(tmp_path: Path) -> None:
    def story() -> None:
        config = inbox_with(tmp_path)
        for folder in (config.inboxes[0].path, config.inboxes[0].outbox):
            folder.mkdir()
        table = on_a_mount(tmp_path)
        with dead_mount(config.inboxes[0].path):
            began = time.monotonic()
            volumes.refuse_to_lose_results(config, table, seconds=0.5)
            (silent,) = volumes.unwritable(config, seconds=0.5)
            assert time.monotonic() - began < 10
            assert (silent.folder, silent.reason) == (config.inboxes[0].path, "it has not answered for 0.5 s")
        (gone,) = volumes.unwritable(config)
        assert gone.reason == os.strerror(errno.ENOTCONN)
        assert "remount it" in gone.remedy

    in_own_mounts(story)


def test_a_read_only_volume_is_reported(tmp_path: Path) -> None:
    def story() -> None:
        config = inbox_with(tmp_path)
        config.inboxes[0].outbox.mkdir()
        mount_disk(config.inboxes[0].outbox)
        make_read_only(config.inboxes[0].outbox)
        (found,) = volumes.unwritable(config)
        assert (found.reason, found.remedy) == ("it is mounted read-only", "mount it without :ro")

    in_own_mounts(story)


# an older /config and a new user


def start_with(
    interpreter: Interpreter, config: Path, *capabilities: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A container that root starts with these capabilities and no others; it ends at its configuration's error, or at SIGTERM."""
    kept = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    words = [
        "setpriv",
        f"--bounding-set={kept}",
        f"--inh-caps={kept}",
        interpreter.python,
        "-c",
        CONTAINER,
        str(config),
        "run", "--once",
    ]  # fmt: skip
    variables = {
        "LALALD_EPHEMERAL": "1",
        "LALALD_LICENSE_KEY": "a-key",
        "LALALD_API_URL": "http://127.0.0.1:9",
        **interpreter.environ,
        **variables,
    }
    # In "/": from a folder that is closed to others Python would load modules as root, and as the new user not the rest of them.
    return subprocess.run(
        words, env=environment(variables), cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def older_config(open_folder: Path) -> Path:
    """A /config as PUID 1000 has left it, with its key, its configuration and its state, closed to others."""
    config = open_folder / "config"
    (config / "state").mkdir(parents=True)
    for name in ("inbox", "outbox"):
        (open_folder / name).mkdir(mode=0o777)
        (open_folder / name).chmod(0o777)
    text = json.dumps(
        {
            "inboxes": [
                {"path": f"{open_folder}/inbox", "outbox": f"{open_folder}/outbox", "rules": [{"mode": "demuser"}]}
            ]
        }
    )
    (config / "config.yaml").write_text(text)
    (config / "state" / "lalald.lock").touch()
    (config / "music").mkdir()
    for path in (config, *config.rglob("*")):
        os.chown(path, 1000, 1000)
        path.chmod(0o700 if path.is_dir() else 0o600)
    return config


@needs_root
@pytest.mark.parametrize("more", [(), ("dac_override",)])
def test_the_capability_chown_is_enough_to_change_the_owner(
    more: tuple[str, ...], older_config: Path, interpreter: Interpreter
) -> None:
    ended = start_with(interpreter, older_config, "setuid", "setgid", "chown", *more, PUID="1026", PGID="100")
    assert "Traceback" not in ended.stderr
    assert "cannot be used" not in ended.stderr
    owners = {
        str(path.relative_to(older_config)): path.lstat().st_uid for path in (older_config, *older_config.rglob("*"))
    }
    assert {name: owner for name, owner in owners.items() if owner != 1026} == {"music": 1000}
    assert older_config.stat().st_mode & 0o777 == 0o700


@needs_root
def test_without_chown_the_owner_and_the_needed_capability_are_reported(
    older_config: Path, interpreter: Interpreter
) -> None:
    older_config.chmod(0o755)
    (older_config / "config.yaml").chmod(0o644)
    ended = start_with(interpreter, older_config, "setuid", "setgid", PUID="1026", PGID="100")
    assert ended.returncode == 2
    assert (
        f"{older_config}/state cannot be used: uid 1026, gid 100 may not write it: it belongs to 1000:1000"
        in ended.stderr
    )
    assert "the capability CHOWN" in ended.stderr
    older_config.chmod(0o700)
    ended = start_with(interpreter, older_config, "setuid", "setgid", PUID="1026", PGID="100")
    assert ended.returncode == 2
    assert f"{older_config} cannot be used: uid 1026, gid 100 may not" in ended.stderr
    assert "the capability CHOWN" in ended.stderr
    assert "Traceback" not in ended.stderr
