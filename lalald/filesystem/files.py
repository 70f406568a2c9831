"""File operations, and OSErrors translated into FileErrors with hints. Blocking; runs in worker threads."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from lalald.errors import DiskFullError, FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.names import printable

CrashPoint = Callable[[str], None]  # called after each change on disk, so that a test can kill the process there

MIN_NAME_BYTES = 143
RESERVED_FREE_BYTES = 16 * 1024 * 1024  # left free for other programs on the disks of outboxes

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_AWAY = {
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
    errno.ESHUTDOWN,
}
_NO_SYNC = {
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EROFS,
    errno.EPERM,
    errno.EACCES,
    errno.ENOTTY,
}
_REFUSED_NAME = {errno.EINVAL, errno.EILSEQ, errno.ENOENT, errno.EPROTO}


# systemd.exec(5): for the service, everything is read-only except ReadWritePaths= as they were at its start.
_SANDBOX_HINT = (
    " Under systemd the service may write only to the folders in ReadWritePaths= (folders.conf); for a folder that was created"
    " after the service started, run `systemctl restart lalald`."
)


def no_crash_point(_done: str) -> None:
    """The crash point outside of tests: does nothing."""


def to_file_error(error: OSError, path: str, root: str | None = None) -> FileError:
    """The FileError for an OSError of an operation on `path`; `root` is the configured folder that contains it."""
    what = f"{printable(_visible(path))}: {error.strerror or error}."
    if error.errno in _FULL:
        return DiskFullError(what, hint="Free some space there; the job resumes automatically.", path=path)
    if error.errno in _DENIED:
        return FolderPermissionError(
            f"{what} lalald runs as {user_and_group()} (uid:gid).", hint=permission_hint(error), path=path
        )
    if error.errno in _AWAY or (root is not None and not os.path.isdir(root)):
        return FolderUnavailableError(
            what,
            hint=f"Is {printable(root or os.path.dirname(path))} mounted? Work resumes when it is back.",
            path=path,
        )
    return FileError(what, path=path)


@contextmanager
def translate_errors(path: str, root: str | None = None) -> Iterator[None]:
    """Turn OSErrors within into FileErrors that name the file concerned, or else `path`."""
    try:
        yield
    except OSError as error:
        about = error.filename2 or error.filename
        raise to_file_error(error, about if isinstance(about, str) else path, root) from error


def user_and_group() -> str:
    """The user and group of this process: `uid:gid`."""
    return f"{os.geteuid()}:{os.getegid()}"


def permission_hint(error: OSError) -> str:
    """What to do about a missing right."""
    if error.errno == errno.EROFS:
        return f"Mount it for writing.{_SANDBOX_HINT if 'INVOCATION_ID' in os.environ else ''}"
    hint = f"Give {user_and_group()} the right to read, write and enter it: chmod, chown, or an access list"
    return f"{hint}; lsattr shows files that are immutable." if error.errno == errno.EPERM else f"{hint}."


def is_denied(error: OSError) -> bool:
    """Whether a right is missing, or the mount is read-only."""
    return error.errno in _DENIED


def is_full(error: OSError) -> bool:
    """Whether the disk or the quota is full."""
    return error.errno in _FULL


def _visible(path: str) -> str:
    """The path without our own hidden names, which mean nothing to people."""
    return path.partition("/.lalald")[0] or path


def check_folder(path: str) -> None:
    """Raises FolderUnavailableError if a configured folder is missing or not writable, DiskFullError if not even an empty file fits.

    A missing folder is never created: it may be mounted later.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise to_file_error(error, path, path) from error
        hint = (
            "Mount or create it. lalald does not create configured folders, because a missing one may be mounted later."
        )
        raise FolderUnavailableError(f"The folder {printable(path)} is missing.", hint=hint, path=path) from error
    if not stat.S_ISDIR(mode):
        raise FolderUnavailableError(
            f"{printable(path)} is not a folder.", hint="Configure a folder, or replace it with one.", path=path
        )
    try:
        _try_to_write(path)
    except OSError as error:
        if error.errno in _FULL | _AWAY:
            raise to_file_error(error, path, path) from error
        message = f"The folder {printable(path)} is not writable for {user_and_group()} (uid:gid): {error.strerror}."
        if error.errno in _DENIED:
            raise FolderPermissionError(message, hint=permission_hint(error), path=path) from error
        hint = "Check how it is mounted, or configure another folder."
        raise FolderUnavailableError(message, hint=hint, path=path) from error


def _try_to_write(folder: str) -> None:
    """Create a nameless file if the file system can, so that no other program sees it; else a hidden one."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return
    except OSError as error:
        if error.errno in _FULL or error.errno == errno.EROFS:
            raise
    probe = os.path.join(folder, ".lalald-try")
    os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with suppress(FileNotFoundError):  # another thread does the same
        os.unlink(probe)


def free_bytes(folder: str) -> int:
    """Free space for an unprivileged user; unlimited if the file system does not report it."""
    with translate_errors(folder, folder):
        facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize if facts.f_blocks else sys.maxsize


def check_room(descriptor: int) -> None:
    """Raises the OSError of a full disk if the disk of an open file has less than the reserved space free."""
    facts = os.fstatvfs(descriptor)
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < RESERVED_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def max_name_bytes(folder: str) -> int:
    """The longest name there, in bytes: 255 nearly everywhere, MIN_NAME_BYTES in the encrypted folders of some NAS."""
    try:
        return min(255, os.pathconf(folder, "PC_NAME_MAX"))
    except (OSError, ValueError):
        return 255


def rejects_name(folder: str, name: str) -> bool:
    """Whether the file system rejects the name, as FAT, NTFS and some shares do; tried with an empty file."""
    path = os.path.join(folder, name)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return error.errno in _REFUSED_NAME
    os.unlink(path)
    return False


def create_folders(root: str, relative: str, crash_point: CrashPoint = no_crash_point) -> str:
    """Create the folder `relative` within `root`, durably. `root` itself is never created. Returns the folder.

    Raises FileError if a file is in the way.
    """
    folder = root
    with translate_errors(os.path.join(root, relative), root):
        for part in filter(None, relative.split("/")):
            above, folder = folder, os.path.join(folder, part)
            try:
                os.mkdir(folder)
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
                continue
            sync_folder(above)
            crash_point("folder made")
    return folder


def sync_folder(path: str) -> None:
    """Make the names in a folder durable, if folders can be synced at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a folder may be writable without being readable
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Make the content of an open file or folder durable, if the file system can. Raises OSError if that fails."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def write_durably(path: str, content: bytes) -> None:
    """Write a small file, durable when this returns; meant for hidden names."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        sync_file(file.fileno())


def sha256_of(path: str, *, from_disk: bool = False) -> str:
    """SHA-256 of a file, in constant memory. `from_disk`: read from the disk instead of the cache, as far as the system allows."""
    with open(path, "rb", buffering=0) as file:
        if from_disk:
            with suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def lstat_or_none(path: str) -> os.stat_result | None:
    """lstat(2), or None if nothing has that name. Raises other OSErrors."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def mode_of(path: str | os.PathLike[str]) -> int | None:
    """The mode of what a path leads to; None if there is nothing. Raises OSError if that cannot be known.

    `Path.exists()` and `Path.is_dir()` are False then, as of Python 3.14: a closed folder would look like an empty one.
    """
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_same_file(facts: os.stat_result, size: int, mtime_ns: int, inode: int | None) -> bool:
    """Whether these facts are of a regular file with this size, mtime and inode; an `inode` of None is not compared."""
    if not stat.S_ISREG(facts.st_mode) or (facts.st_size, int64(facts.st_mtime_ns)) != (size, mtime_ns):
        return False
    return inode is None or int64(facts.st_ino) == inode


_WITHOUT_INODES = ("fuse", "cifs", "smb", "vfat", "msdos", "exfat", "ntfs", "9p")


def has_stable_inodes(facts: os.stat_result) -> bool:
    """Whether inode numbers there are stable: some file systems make them up at each mount or lookup."""
    device = f"{os.major(facts.st_dev)}:{os.minor(facts.st_dev)}"
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == device:
                return not fields[fields.index("-") + 1].startswith(_WITHOUT_INODES)
    return True


def list_names(folder: str) -> list[str]:
    """The names in a folder; empty if there is no such folder. Raises other OSErrors."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
