"""What lalald asks of the file system, and its errors in plain words. All of it blocks and runs in worker threads."""

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

CrashPoint = Callable[[str], None]  # told after each change on disk, so that a test can stop there

MIN_NAME_BYTES = 143
RESERVED_FREE_BYTES = 16 * 1024 * 1024  # of a disk that results go to

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


# systemd.exec(5): the service sees everything read-only but its ReadWritePaths=, as they were at its start.
_SANDBOX_HINT = (
    " systemd lets the service write only the folders in ReadWritePaths= (folders.conf): one that was created after the service"
    " started is writable after `systemctl restart lalald`."
)


def no_crash_point(_done: str) -> None:
    """Nobody watches."""


def to_file_error(error: OSError, path: str, root: str | None = None) -> FileError:
    """The error of an operation on `path`; `root` is the configured folder in which it lies."""
    what = f"{printable(_visible(path))}: {error.strerror or error}."
    if error.errno in _FULL:
        return DiskFullError(what, hint="Free some space there; the job resumes automatically.")
    if error.errno in _DENIED:
        return FolderPermissionError(
            f"{what} lalald runs as {user_and_group()} (uid:gid).", hint=permission_hint(error)
        )
    if error.errno in _AWAY or (root is not None and not os.path.isdir(root)):
        return FolderUnavailableError(
            what, hint=f"Is {printable(root or os.path.dirname(path))} mounted? Work resumes when it is back."
        )
    return FileError(what)


@contextmanager
def translate_errors(path: str, root: str | None = None) -> Iterator[None]:
    """OSErrors within become FileErrors. They name the file that they are about, or else `path`."""
    try:
        yield
    except OSError as error:
        about = error.filename2 or error.filename
        raise to_file_error(error, about if isinstance(about, str) else path, root) from error


def user_and_group() -> str:
    """The user and group that rights are missing to: `uid:gid`."""
    return f"{os.geteuid()}:{os.getegid()}"


def permission_hint(error: OSError) -> str:
    """What to do about a right that is missing."""
    if error.errno == errno.EROFS:
        return f"Mount it for writing.{_SANDBOX_HINT if 'INVOCATION_ID' in os.environ else ''}"
    hint = f"Give {user_and_group()} the right to read, write and enter it: chmod, chown, or an access list"
    return f"{hint}; lsattr shows files that are immutable." if error.errno == errno.EPERM else f"{hint}."


def is_denied(error: OSError) -> bool:
    """Whether a right is missing, or the mount is read-only."""
    return error.errno in _DENIED


def is_full(error: OSError) -> bool:
    """Whether there is no room, or no quota, left."""
    return error.errno in _FULL


def _visible(path: str) -> str:
    """Our own hidden names mean nothing to people: the folder that holds them does."""
    return path.partition("/.lalald")[0] or path


def check_folder(path: str) -> None:
    """Whether a configured folder is there and can be written. A missing one is never made: it may be a late mount.

    Raises FolderUnavailableError, or DiskFullError where not even an empty file fits.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise to_file_error(error, path, path) from error
        hint = "Mount it or make it; lalald makes no configured folder itself: a missing one may be a late mount."
        raise FolderUnavailableError(f"The folder {printable(path)} is missing.", hint=hint) from error
    if not stat.S_ISDIR(mode):
        raise FolderUnavailableError(
            f"{printable(path)} is not a folder.", hint="Configure a folder, or put one there."
        )
    try:
        _try_to_write(path)
    except OSError as error:
        if error.errno in _FULL | _AWAY:
            raise to_file_error(error, path, path) from error
        message = f"The folder {printable(path)} cannot be written by {user_and_group()} (uid:gid): {error.strerror}."
        if error.errno in _DENIED:
            raise FolderPermissionError(message, hint=permission_hint(error)) from error
        raise FolderUnavailableError(message, hint="Check how it is mounted, or configure another folder.") from error


def _try_to_write(folder: str) -> None:
    """A file without a name where the file system can, so that nobody sees it; else a hidden one."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return
    except OSError as error:
        if error.errno in _FULL or error.errno == errno.EROFS:
            raise
    probe = os.path.join(folder, ".lalald-try")
    os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with suppress(FileNotFoundError):  # another thread tries the same
        os.unlink(probe)


def free_bytes(folder: str) -> int:
    """Room for an unprivileged user; where the file system does not tell, as much as anybody could want."""
    with translate_errors(folder, folder):
        facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize if facts.f_blocks else sys.maxsize


def check_room(descriptor: int) -> None:
    """Whether the disk of an open file has room left for others too. Raises the OSError of a full one."""
    facts = os.fstatvfs(descriptor)
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < RESERVED_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def max_name_bytes(folder: str) -> int:
    """How long a name may be there: 255 bytes nearly everywhere, LEAST_NAME_BYTES in the encrypted folders of some NAS."""
    try:
        return min(255, os.pathconf(folder, "PC_NAME_MAX"))
    except (OSError, ValueError):
        return 255


def rejects_name(folder: str, name: str) -> bool:
    """Whether the file system has no such names, as FAT, NTFS and some shares have not; tried with an empty file."""
    path = os.path.join(folder, name)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return error.errno in _REFUSED_NAME
    os.unlink(path)
    return False


def create_folders(root: str, relative: str, crash_point: CrashPoint = no_crash_point) -> str:
    """The folder `relative` within `root`, made where missing and durable; `root` itself is never made.

    Raises FileError where a file is in the way.
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
    """Makes the names in a folder durable, where folders can be synced at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # one may put files into a folder that one may not list
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Makes the content of an open file or folder durable, where the file system can. Raises OSError where that fails."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def write_durably(path: str, content: bytes) -> None:
    """A small file, durable when this returns; meant for hidden names."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        sync_file(file.fileno())


def sha256_of(path: str, *, from_disk: bool = False) -> str:
    """SHA-256 of a file, in constant memory. `from_disk`: read back from there, as far as the system lets us."""
    with open(path, "rb", buffering=0) as file:
        if from_disk:
            with suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def lstat_or_none(path: str) -> os.stat_result | None:
    """What lies there, symlinks not followed; None where nothing does. Raises OSError where that cannot be told."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_same_file(facts: os.stat_result, size: int, mtime_ns: int, inode: int | None) -> bool:
    """Whether a regular file is the one of which these facts were taken; `inode` None is not compared."""
    if not stat.S_ISREG(facts.st_mode) or (facts.st_size, int64(facts.st_mtime_ns)) != (size, mtime_ns):
        return False
    return inode is None or int64(facts.st_ino) == inode


_MADE_UP = ("fuse", "cifs", "smb", "vfat", "msdos", "exfat", "ntfs", "9p")


def has_stable_inodes(facts: os.stat_result) -> bool:
    """Whether inode numbers mean anything there: some file systems make them up anew."""
    device = f"{os.major(facts.st_dev)}:{os.minor(facts.st_dev)}"
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == device:
                return not fields[fields.index("-") + 1].startswith(_MADE_UP)
    return True


def list_names(folder: str) -> list[str]:
    """The names in a folder; none where there is no such folder. Raises OSError where that cannot be told."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
