"""The mount and the file system type of a path, by the kernel's table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lalald.filesystem.mounts import filesystem_type, is_network, may_be_remote, mount_of
from tests.support.private_mounts import in_own_mounts, mount_disk

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
def test_the_mount_that_holds_a_path_decides(table: Path, path: str, kind: str) -> None:
    assert filesystem_type(Path(path), table) == kind


SHADOWED = rb"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:26 / /mnt/nas/music rw - cifs //nas/music rw
31 22 0:27 / /mnt rw - xfs /dev/sdb1 rw
32 31 0:28 / /mnt/disk rw - btrfs /dev/sdc1 rw
33 32 0:29 / /mnt/disk rw - nfs4 nas:/export rw
34 32 0:30 / /mnt/disk/under rw - 9p share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/mnt/nas/music/in", "xfs"), ("/mnt/nas", "xfs"), ("/mnt/disk/in", "nfs4"), ("/mnt/disk/under/in", "nfs4")],
)
def test_a_mount_that_another_one_covers_holds_nothing(path: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(SHADOWED)
    assert filesystem_type(Path(path), tmp_path / "mountinfo") == kind


@pytest.mark.parametrize(
    "first", ["1 1 8:1 / / rw - ext4 a rw\n2 1 8:2 / / rw - xfs b rw\n", "2 1 8:2 / / rw - xfs b rw\n"]
)
def test_a_root_may_be_covered_or_have_a_parent_outside_of_the_table(first: str, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(first)
    assert filesystem_type(Path("/srv"), tmp_path / "mountinfo") == "xfs"


def test_within_a_chroot_the_root_may_have_no_line(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(
        "30 22 0:26 / /proc rw - proc proc rw\n31 30 0:27 / /proc/fs rw - nfsd nfsd rw\n"
    )
    kinds = [filesystem_type(Path(path), tmp_path / "mountinfo") for path in ("/etc", "/proc/x", "/proc/fs/y")]
    assert kinds == ["", "proc", "nfsd"]


def test_the_kernel_names_the_same_mount(tmp_path: Path) -> None:
    def story() -> None:
        deep = tmp_path / "a" / "b"
        mount_disk(deep)
        mount_disk(tmp_path / "a")
        deep.mkdir()
        for folder in (deep, tmp_path, tmp_path / "a", Path("/proc"), Path("/")):
            descriptor = os.open(folder, os.O_PATH)
            facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text().split()
            mount_id = facts[facts.index("mnt_id:") + 1]
            (line,) = [
                row for row in Path("/proc/self/mountinfo").read_text().splitlines() if row.startswith(f"{mount_id} ")
            ]
            assert mount_of(folder).point == line.split()[4], folder

    in_own_mounts(story)


def test_symlinks_are_followed(table: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/nas/music")
    assert filesystem_type(tmp_path / "link/in", table) == "nfs4"


def test_without_a_mount_table_the_type_is_unknown(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path, tmp_path / "none") == ""


def test_this_machine_has_a_type_for_every_path(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path)
    assert filesystem_type(Path("/proc/self")) == "proc"


def test_network_and_uncertain_types_are_distinguished() -> None:
    assert all(map(is_network, ("nfs", "nfs4", "cifs", "smb3")))
    assert all(map(may_be_remote, ("fuse.sshfs", "fuse", "fuseblk", "9p", "virtiofs")))
    assert not any(is_network(kind) or may_be_remote(kind) for kind in ("ext4", "xfs", "btrfs", "overlay", "tmpfs", ""))
