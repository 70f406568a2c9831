"""Another file system at a mount point is not mistaken for the former one, although it has the same device numbers."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.private_mounts import in_own_mounts, mount_disk, unmount
from tests.support.running import Home, until

NOWHERE = "http://127.0.0.1:9"


def identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def test_another_folder_with_the_same_device_numbers_must_be_accepted(tmp_path: Path) -> None:
    def story() -> None:
        home = Home(tmp_path / "home", NOWHERE)
        for folder in (home.inbox, home.outbox):
            mount_disk(folder)
        home.start()
        until(lambda: (home.inbox / ".lalald").exists() and (home.outbox / ".lalald").exists(), "both have a marker")
        before = identity(home.inbox), identity(home.outbox)
        for folder in (home.outbox, home.inbox):
            unmount(folder)
        until(lambda: home.logged("inbox.unavailable") and home.command("health").returncode == 1, "both are away")
        for folder in (home.inbox, home.outbox):
            mount_disk(folder)
        if (
            identity(home.inbox),
            identity(home.outbox),
        ) != before:  # the kernel numbers file systems without a disk as it likes
            for folder in (home.outbox, home.inbox):
                unmount(folder)
            for folder in (home.outbox, home.inbox):
                mount_disk(folder)
        home.command("rescan")
        asked = home.command("status", "--json").stdout
        assert asked.count("marker .lalald is missing") >= 2, asked
        assert not os.path.exists(home.inbox / ".lalald")
        assert home.command("release", str(home.inbox), str(home.outbox)).returncode == 0
        until(lambda: home.command("health").returncode == 0, "both are accepted")
        home.stop()

    in_own_mounts(story)
