"""A folder that vanishes or returns while the daemon is idle is noticed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lalald.filesystem.availability.folder_monitor import FolderMonitor
from lalald.filesystem.mounts import is_automount
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.private_mounts import Filler, dead_mount, in_own_mounts, make_read_only, mount_disk, unmount
from tests.support.running import Home, tree, until, write_wav

NOTICED_SECONDS = 30.0


def status(home: Home) -> tuple[int, dict[str, Any]]:
    done = home.command("status", "--json")
    return done.returncode, json.loads(done.stdout)


def deep_home(root: Path, url: str, **inbox: Any) -> Home:
    """The folders lie two levels below one that can be renamed."""
    home = Home(root, url)
    for name in ("inbox", "outbox", "done"):
        (root / "share" / "media" / name).mkdir(parents=True)
    home.inbox, home.outbox = (root / "share" / "media" / name for name in ("inbox", "outbox"))
    home.settings["inboxes"][0] |= {
        "path": str(home.inbox), "outbox": str(home.outbox), "done_dir": str(root / "share" / "media" / "done"), **inbox,
    }  # fmt: skip
    home.write_config()
    return home


def noted(home: Home, event: str, folder: Path, key: str = "folder") -> bool:
    return any(line[key] == str(folder) for line in home.logged(event))


@pytest.mark.parametrize("what", ["outbox", "done", "media", "share"])
def test_a_rename_of_a_folder_or_its_parent_is_noticed(sandbox: Sandbox, tmp_path: Path, what: str) -> None:
    home = deep_home(tmp_path, sandbox.url)
    media = tmp_path / "share" / "media"
    home.start()
    until((media / "done" / ".lalald").exists, "the folders are known")
    here = {"share": tmp_path / "share", "media": media}.get(what, media / what)
    there = here.with_name("elsewhere")
    gone = [media / "outbox", media / "done"] if what in ("share", "media") else [here]
    here.rename(there)
    for folder in gone:
        until(lambda: noted(home, "folder.unavailable", folder), f"{folder} is missed", NOTICED_SECONDS)  # noqa: B023
    if what in ("share", "media"):
        until(lambda: noted(home, "inbox.unavailable", media / "inbox", "inbox"), "the inbox, too", NOTICED_SECONDS)
    code, facts = status(home)
    assert code == 1
    folders = {each["path"]: each for each in (*facts["outboxes"], *facts["archive_folders"])}
    assert [folders[str(folder)]["available"] for folder in gone] == [False] * len(gone)
    there.rename(here)
    for folder in gone:
        until(lambda: noted(home, "folder.available", folder), f"{folder} is back", NOTICED_SECONDS)  # noqa: B023
    until(lambda: status(home)[0] == 0, "nothing is left to do", NOTICED_SECONDS)
    write_wav(home.inbox / "ep1.wav")
    until(lambda: tree(home.outbox) == ["ep1/no_vocals.wav", "ep1/vocals.wav"], "it is processed")
    assert home.stop() == 0


def test_a_polled_inbox_notices_the_rename_of_a_parent_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    home = deep_home(tmp_path, sandbox.url, watch="polling", poll_interval="1h")
    home.start()
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    until(lambda: home.logged("inbox.unavailable"), "it is missed", NOTICED_SECONDS)
    code, facts = status(home)
    assert (code, facts["inboxes"][0]["available"]) == (1, False)
    assert home.stop() == 0


def test_an_unmount_and_a_mount_are_noticed(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            mount_disk(home.outbox)
            home.start()
            until((home.outbox / ".lalald").exists, "the outbox is known")
            unmount(home.outbox)
            until(lambda: home.logged("folder.unavailable"), "it is missed", NOTICED_SECONDS)
            assert status(home)[0] == 1
            mount_disk(tmp_path / "other")
            home.command("release", str(home.outbox))
            until(lambda: status(home)[0] == 0, "accepted the folder that is there now", NOTICED_SECONDS)
            mount_disk(home.outbox)
            until(lambda: len(home.logged("folder.unavailable")) == 2, "a mount over it is noticed", NOTICED_SECONDS)
            unmount(home.outbox)
            until(lambda: status(home)[0] == 0, "it is back", NOTICED_SECONDS)
            home.stop()

    in_own_mounts(story)


def test_an_outbox_that_becomes_read_only_is_noticed(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            mount_disk(home.outbox)
            home.start()
            until((home.outbox / ".lalald").exists, "the outbox is known")
            make_read_only(home.outbox)
            until(lambda: home.logged("folder.unavailable"), "it is missed", NOTICED_SECONDS)
            make_read_only(home.outbox, writable_again=True)
            until(lambda: home.logged("folder.available"), "it is back", NOTICED_SECONDS)
            assert status(home)[0] == 0
            home.stop()

    in_own_mounts(story)


def test_status_and_health_wait_a_second_for_a_folder_that_does_not_answer(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            home.start()
            until((home.outbox / ".lalald").exists, "the outbox is known")
            with dead_mount(home.outbox):
                code, facts = status(home)
                assert (code, facts["outboxes"][0]["available"]) == (1, False)
                assert [item["code"] for item in facts["needs_attention"]] == ["outbox_unavailable"]
                health = home.command("health", seconds=5)
                assert health.returncode == 1
                assert str(home.outbox) in health.stderr
                home.kill()

    in_own_mounts(story)


def test_a_full_state_folder_needs_attention(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            mount_disk(home.state, "16m")
            home.start()
            assert status(home)[0] == 0
            filler = Filler(home.state)
            filler.fill()
            write_wav(home.inbox / "ep1.wav")
            until(lambda: home.logged("store.not_written"), "the file cannot be remembered")
            code, facts = status(home)
            assert (code, facts["needs_attention"][0]["code"]) == (1, "state_not_writable")
            assert "The state folder cannot be written" in home.command("status").stdout
            home.outbox.rename(tmp_path / "elsewhere")
            until(lambda: "outbox_unavailable" in str(status(home)[1]["needs_attention"]), "told without writing")
            (tmp_path / "elsewhere").rename(home.outbox)
            filler.empty()
            home.rest()
            until(lambda: status(home)[0] == 0, "there is room")
            home.stop()

    in_own_mounts(story)


def test_health_exits_1_while_a_folder_is_unavailable(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    until((home.outbox / ".lalald").exists, "the outbox is known")
    assert home.command("health").returncode == 0
    home.outbox.rename(home.root / "elsewhere")
    health = home.command("health")
    assert (health.returncode, "unavailable" in health.stderr) == (1, True)
    (home.root / "elsewhere").rename(home.outbox)
    until(lambda: home.command("health").returncode == 0, "it is back")


def test_a_change_without_a_kernel_event_is_noticed_at_rescan(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    until((home.outbox / ".lalald").exists, "the outbox is known")
    (home.outbox / ".lalald").write_text("00000000-0000-0000-0000-000000000000\n")  # of which no event tells
    assert home.command("rescan").returncode == 0
    until(lambda: home.logged("folder.unavailable"), "the look that a rescan asks for")


# the monitor alone


def monitored(story: Callable[[FolderMonitor, list[str]], Any]) -> None:
    async def scenario() -> None:
        reported: list[str] = []
        monitor = FolderMonitor(reported.append)
        monitor.start()
        try:
            await story(monitor, reported)
        finally:
            monitor.stop()
            await asyncio.sleep(0)

    asyncio.run(scenario())


async def hears(reported: list[str], path: Path) -> bool:
    for _ in range(250):
        if str(path) in reported:
            return True
        await asyncio.sleep(0.02)
    return False


def test_events_within_a_folder_are_not_reported(tmp_path: Path) -> None:
    async def story(monitor: FolderMonitor, reported: list[str]) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        await asyncio.to_thread(monitor.watch, str(folder))
        (folder / "file").write_text("x")
        (folder / "file").chmod(0o600)
        (folder / "file").rename(folder / "other")
        (tmp_path / "beside").mkdir()
        (folder / "other").unlink()
        folder.chmod(0o711)
        assert await hears(reported, folder), "its own rights are"
        assert len(reported) == 1

    monitored(story)


def test_a_changed_symlink_in_the_path_is_reported(tmp_path: Path) -> None:
    async def story(monitor: FolderMonitor, reported: list[str]) -> None:
        for name in ("one", "two"):
            (tmp_path / name / "folder").mkdir(parents=True)
        link = tmp_path / "link"
        link.symlink_to("one")
        await asyncio.to_thread(monitor.watch, str(link / "folder"))
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(link)
        assert await hears(reported, link / "folder")

    monitored(story)


def test_a_missing_folder_is_awaited_where_it_will_appear(tmp_path: Path) -> None:
    async def story(monitor: FolderMonitor, reported: list[str]) -> None:
        folder = tmp_path / "a" / "b" / "c"
        await asyncio.to_thread(monitor.watch, str(folder))
        (tmp_path / "beside").mkdir()
        (tmp_path / "a").mkdir()
        assert await hears(reported, folder)
        reported.clear()
        await asyncio.to_thread(monitor.watch, str(folder))
        os.makedirs(folder)
        assert await hears(reported, folder)

    monitored(story)


def test_an_unwatched_folder_is_not_reported(tmp_path: Path) -> None:
    async def story(monitor: FolderMonitor, reported: list[str]) -> None:
        for name in ("left", "kept"):
            (tmp_path / name).mkdir()
            await asyncio.to_thread(monitor.watch, str(tmp_path / name))
        monitor.unwatch(str(tmp_path / "left"))
        (tmp_path / "left").rmdir()
        (tmp_path / "kept").rmdir()
        assert await hears(reported, tmp_path / "kept")
        assert str(tmp_path / "left") not in reported

    monitored(story)


def test_a_pending_automount_is_detected_from_the_mount_table(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    auto = "30 1 0:40 / /mnt/nas rw - autofs systemd-1 rw\n"
    share = "31 30 0:41 / /mnt/nas rw - nfs4 server:/x rw\n"
    root = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    table.write_text(root + auto)
    assert is_automount("/mnt/nas/outbox", table)
    assert not is_automount("/mnt/other", table)
    table.write_text(root + auto + share)
    assert not is_automount("/mnt/nas/outbox", table)


_NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can give its rights away")
def test_files_and_folders_that_cannot_be_read_need_attention_until_they_can(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    write_wav(home.inbox / "secret.wav")
    (home.inbox / "private").mkdir()
    for place in (home.inbox / "secret.wav", home.inbox / "private"):
        os.chown(place, 12345, 12345)
        place.chmod(0o600)
    home.through = _NO_OVERRIDE
    home.start()
    until(lambda: "unreadable_files" in str(status(home)[1]), "it is seen")
    code, facts = status(home)
    (item,) = facts["needs_attention"]
    assert (code, item["code"], item["subject"]) == (1, "unreadable_files", str(home.inbox))
    assert "and 1 more cannot be read: Permission denied" in item["message"]
    assert "cannot be read" in home.command("status").stdout
    (home.inbox / "private").chmod(0o755)
    until(lambda: "more cannot be read" not in str(status(home)[1]), "one of them can be read")
    (home.inbox / "secret.wav").unlink()
    until(lambda: status(home)[0] == 0, "nothing is left to do")
    assert home.stop() == 0
