"""File operations and their translated errors."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lalald.errors import DiskFullError, FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem import files
from lalald.filesystem.renaming import METHODS, rename_without_replacing
from lalald.filesystem.writeback import copy_durably

WAYS = [rename_without_replacing, *METHODS.values()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is one file system only")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("rename", WAYS)
def test_every_way_to_rename_leaves_one_file_and_replaces_none(
    tmp_path: Path, rename: Callable[[str, str], None]
) -> None:
    source, target = tmp_path / "caf\udce9", tmp_path / "new\nname"
    source.write_bytes(b"ours")
    rename(str(source), str(target))
    assert (source.exists(), target.read_bytes(), target.stat().st_nlink) == (False, b"ours", 1)
    source.write_bytes(b"another")
    with pytest.raises(FileExistsError):
        rename(str(source), str(target))
    assert (source.read_bytes(), target.read_bytes()) == (b"another", b"ours")


@pytest.mark.parametrize("rename", WAYS)
def test_a_dangling_symlink_is_not_replaced_either(tmp_path: Path, rename: Callable[[str, str], None]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"ours")
    target.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        rename(str(source), str(target))
    assert target.is_symlink()


@pytest.mark.parametrize("rename", WAYS)
def test_an_error_across_file_systems_is_raised_unchanged(
    tmp_path: Path, elsewhere: Path, rename: Callable[[str, str], None]
) -> None:
    (tmp_path / "source").write_bytes(b"ours")
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)) as raised:
        rename(str(tmp_path / "source"), str(elsewhere / "target"))
    assert raised.value.errno == errno.EXDEV


def test_a_copy_is_whole_hashed_and_follows_the_umask(tmp_path: Path, elsewhere: Path) -> None:
    content = os.urandom(19 * 2**20 + 17)
    (tmp_path / "source").write_bytes(content)
    (tmp_path / "source").chmod(0o600)
    before = os.umask(0o022)
    try:
        digest = copy_durably(str(tmp_path / "source"), str(elsewhere / ".hidden"))
    finally:
        os.umask(before)
    assert digest == hashlib.sha256(content).hexdigest() == files.sha256_of(str(elsewhere / ".hidden"), from_disk=True)
    assert (elsewhere / ".hidden").read_bytes() == content
    assert stat.S_IMODE((elsewhere / ".hidden").stat().st_mode) == 0o644


def test_a_copy_never_goes_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"ours")
    (tmp_path / "secret").write_bytes(b"another program's")
    (tmp_path / "link").symlink_to("secret")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        copy_durably(str(tmp_path / "source"), str(tmp_path / "link"))
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        copy_durably(str(tmp_path / "link"), str(tmp_path / "target"))
    assert (tmp_path / "secret").read_bytes() == b"another program's"


def test_folders_are_created_below_a_root_that_is_never_created(tmp_path: Path) -> None:
    made: list[str] = []
    assert files.create_folders(str(tmp_path), "a/b/c", made.append) == str(tmp_path / "a/b/c")
    files.create_folders(str(tmp_path), "a/b/c", made.append)
    files.create_folders(str(tmp_path), "", made.append)
    assert len(made) == 3
    with pytest.raises(FolderUnavailableError):
        files.create_folders(str(tmp_path / "mount"), "a")
    assert not (tmp_path / "mount").exists()
    (tmp_path / "a/file").touch()
    with pytest.raises(FileError, match="a/file") as raised:
        files.create_folders(str(tmp_path), "a/file/b")
    assert not isinstance(raised.value, FolderUnavailableError)


def test_checking_a_folder_does_not_change_it(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    files.check_folder(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


def test_a_missing_folder_and_a_file_in_its_place_are_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnavailableError, match=r"mount is missing") as raised:
        files.check_folder(str(tmp_path / "mount"))
    assert "may be mounted later" in raised.value.hint
    with pytest.raises(FolderUnavailableError, match="is not a folder"):
        files.check_folder(str(tmp_path / "file"))


def test_a_folder_without_the_right_to_write_is_named_with_the_user(open_folder: Path) -> None:
    """The right is tried, not asked for: in a process that has given root's away."""
    script = (
        "import os, sys; from lalald.filesystem import files\n"
        "from lalald.errors import FolderUnavailableError\n"
        "os.geteuid() or (os.setgid(65534), os.setuid(65534))\n"
        "try: files.check_folder(sys.argv[1])\n"
        "except FolderUnavailableError as error: print(error, error.hint)"
    )
    open_folder.chmod(0o555)
    output = subprocess.run([sys.executable, "-c", script, open_folder], capture_output=True, text=True, check=True)
    assert str(open_folder) in output.stdout
    assert f"{os.geteuid() or 65534}:" in output.stdout
    assert "right to read, write and enter it" in output.stdout


def test_a_read_only_mount_is_unavailable(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(FolderUnavailableError, match="is not writable") as raised:
        files.check_folder(str(small_disk))
    assert raised.value.hint == "Mount it for writing."
    script = "import errno; from lalald.filesystem import files; print(files.permission_hint(OSError(errno.EROFS, '')))"
    under_systemd = {**os.environ, "INVOCATION_ID": "0" * 32}
    said = subprocess.run([sys.executable, "-c", script], env=under_systemd, capture_output=True, text=True, check=True)
    assert "ReadWritePaths=" in said.stdout
    assert "systemctl restart lalald" in said.stdout


def test_a_full_disk_has_its_own_error(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(200_000))
    assert 0 < files.free_bytes(str(small_disk)) <= 65536
    with pytest.raises(DiskFullError, match="No space left"), files.translate_errors(str(small_disk)):
        copy_durably(str(tmp_path / "source"), str(small_disk / ".hidden"))
    assert files.free_bytes(str(small_disk)) == 0


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EACCES, FolderPermissionError),
        (errno.EROFS, FolderPermissionError),
        (errno.ESTALE, FolderUnavailableError),
        (errno.ENOTCONN, FolderUnavailableError),
        (errno.EIO, FolderUnavailableError),
        (errno.ENAMETOOLONG, FileError),
        (errno.ENOENT, FileError),
    ],
)
def test_file_system_errors_are_translated_once(tmp_path: Path, number: int, kind: type[FileError]) -> None:
    error = files.to_file_error(OSError(number, os.strerror(number)), str(tmp_path / "a\nb"), str(tmp_path))
    assert type(error) is kind
    assert os.strerror(number) in str(error)
    assert "a\\nb" in str(error)


def test_a_hidden_name_of_our_own_is_not_shown_in_an_error(tmp_path: Path) -> None:
    hidden = tmp_path / ".lalald-staging/7-abc/1-0-12345678"
    error = files.to_file_error(PermissionError(errno.EACCES, "Permission denied"), str(hidden), str(tmp_path))
    assert str(error).startswith(f"{tmp_path}: Permission denied.")
    assert ".lalald" not in f"{error}{error.hint}"


def test_a_file_missing_below_a_missing_root_means_an_unavailable_root(tmp_path: Path) -> None:
    root = tmp_path / "mount"
    with pytest.raises(FolderUnavailableError, match="file") as raised, files.translate_errors(str(root), str(root)):
        os.unlink(root / "file")
    assert "mounted" in raised.value.hint


def test_files_are_compared_by_size_time_and_inode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    facts = path.stat()
    assert files.is_same_file(facts, 3, facts.st_mtime_ns, facts.st_ino)
    assert files.is_same_file(facts, 3, facts.st_mtime_ns, None)
    assert not files.is_same_file(facts, 3, facts.st_mtime_ns, facts.st_ino + 1)
    assert not files.is_same_file(facts, 3, facts.st_mtime_ns + 1, facts.st_ino)
    assert not files.is_same_file(facts, 4, facts.st_mtime_ns, facts.st_ino)
    assert not files.is_same_file(tmp_path.stat(), tmp_path.stat().st_size, tmp_path.stat().st_mtime_ns, None)


def test_inodes_are_stable_on_ordinary_file_systems(tmp_path: Path) -> None:
    assert files.has_stable_inodes(tmp_path.stat())


def test_a_missing_file_or_folder_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.lstat_or_none(str(tmp_path / "nothing")) is None
    assert files.lstat_or_none(str(tmp_path / "file/below")) is None
    assert files.list_names(str(tmp_path / "nothing")) == []
    assert files.list_names(str(tmp_path)) == ["file"]


def test_rejected_names_are_detected_by_trying_them(tmp_path: Path) -> None:
    assert not files.rejects_name(str(tmp_path), "a:b?")
    assert files.rejects_name(str(tmp_path), "no such folder/a")
    (tmp_path / "there").write_bytes(b"another program's")
    assert not files.rejects_name(str(tmp_path), "there")
    assert (tmp_path / "there").read_bytes() == b"another program's"
    assert files.list_names(str(tmp_path)) == ["there"]
