"""Which file system a path lies on, by the kernel's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.mounts import filesystem_type, is_network, is_unsure

TABLE = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /mnt/nas rw,relatime shared:14 - nfs4 nas:/export rw,vers=4.2
31 30 0:27 / /mnt/nas/local rw - xfs /dev/sdb1 rw
32 22 0:28 / /mnt/nas2 rw master:3 propagate_from:2 - cifs //host/share rw
33 22 0:29 / /mnt/with\040space rw - fuse.sshfs host: rw
34 22 0:30 / /mnt/over rw - ext4 /dev/sdc1 rw
35 34 0:31 / /mnt/over rw - virtiofs tag rw
36 22 0:32 / /mnt/caf\303\251 rw - 9p share rw
half a line
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_bytes(TABLE)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv/never/made", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/music/in", "nfs4"),
        ("/mnt/nas/local/in", "xfs"),
        ("/mnt/nas2/in", "cifs"),
        ("/mnt/nas3", "ext4"),
        ("/mnt/with space/in", "fuse.sshfs"),
        ("/mnt/over/in", "virtiofs"),
        ("/mnt/café/in", "9p"),
    ],
)
def test_the_longest_mount_point_above_a_path_decides(table: Path, path: str, kind: str) -> None:
    assert filesystem_type(Path(path), table) == kind


def test_symlinks_are_followed(table: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/nas/music")
    assert filesystem_type(tmp_path / "link/in", table) == "nfs4"


def test_without_a_table_nothing_is_claimed(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path, tmp_path / "none") == ""


def test_this_machine_has_a_type_for_every_path(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path)
    assert filesystem_type(Path("/proc/self")) == "proc"


def test_types_are_told_apart() -> None:
    assert all(map(is_network, ("nfs", "nfs4", "cifs", "smb3")))
    assert all(map(is_unsure, ("fuse.sshfs", "fuse", "fuseblk", "9p", "virtiofs")))
    assert not any(is_network(kind) or is_unsure(kind) for kind in ("ext4", "xfs", "btrfs", "overlay", "tmpfs", ""))
