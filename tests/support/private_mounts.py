"""Run a test in a mount namespace of its own, in a forked process, so that it can mount small disks."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000  # <sched.h>
_ENDED_BADLY, _NOT_HERE = 1, 77


def in_own_mounts(story: Callable[[], object]) -> None:
    """Runs the story where what it mounts is not seen by other processes, and goes with it. What fails there fails here.

    The test is skipped, with the reason, where this system allows no namespaces, or what the story needs there.
    """
    with tempfile.TemporaryFile("w+") as said:
        with warnings.catch_warnings():
            # Python 3.12 warns of threads, such as those of a test runner: the child uses nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            code = _ENDED_BADLY
            try:
                os.setsid()
                os.dup2(said.fileno(), 2)
                code = _tell(story)
            finally:
                os._exit(code)
        _, status = os.waitpid(process, 0)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # daemons that a story which failed has left
        said.seek(0)
        words = said.read()
    code = os.waitstatus_to_exitcode(status)
    if code == _NOT_HERE:
        pytest.skip(words.strip())
    assert code == 0, f"in a namespace of its own (exit code {code}):\n{words}"


def _tell(story: Callable[[], object]) -> int:
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - pytest's own capture is the parent's
    try:
        _enter()
    except OSError as error:
        return _skipped(f"no mount namespaces here: {error.strerror}")
    try:
        story()
    except pytest.skip.Exception as skipped:
        return _skipped(str(skipped))
    except BaseException:  # noqa: BLE001 - the end of the child, whatever it is, is told by its exit code
        traceback.print_exc()
        sys.stderr.flush()
        return _ENDED_BADLY
    return 0


def _skipped(why: str) -> int:
    sys.stderr.write(why)
    sys.stderr.flush()
    return _NOT_HERE


def _enter() -> None:
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    with suppress(FileNotFoundError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(None, done.stderr)


def _run(command: list[str]) -> None:
    """A child that closes our files waits where one of them lies on a dead share, and the interpreter with it until it is gone."""
    subprocess.run(command, check=True, close_fds=False)


def mount_disk(folder: Path, size: str = "8m", *options: str) -> None:
    """A small disk of its own at the folder, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ",".join([f"size={size}", "mode=755", *options])
    _run(["mount", "-t", "tmpfs", "-o", words, "none", str(folder)])


def remount(folder: Path, *options: str) -> None:
    """The same disk with other options."""
    _run(["mount", "-o", ",".join(["remount", *options]), str(folder)])


def unmount(folder: Path) -> None:
    """The folder below is visible again, even if a program has something open in the other one."""
    _run(["umount", "--lazy", str(folder)])


@contextmanager
def dead_mount(folder: Path) -> Iterator[None]:
    """A file system whose server never answers: whatever touches it waits. It is detached at the end."""
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error.strerror}")
    words = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"fuse", 0, words) != 0:
        pytest.skip(f"FUSE cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(server)


class Filler:
    """Takes all the room there is on a disk, and gives it back."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".filler"

    def fill(self, but_bytes: int = 0) -> None:
        """Leaves so many bytes."""
        facts = os.statvfs(self.path.parent)
        with self.path.open("ab", buffering=0) as file:
            left = facts.f_bavail * facts.f_frsize - but_bytes
            with suppress(OSError):
                while left > 0:
                    left -= file.write(bytes(min(left, 1 << 20)))

    def empty(self) -> None:
        self.path.unlink()


def make_read_only(folder: Path, *, writable_again: bool = False) -> None:
    _run(["mount", "-o", f"remount,{'rw' if writable_again else 'ro'}", str(folder)])


def move_mount(here: Path, there: Path) -> None:
    """What is mounted in one place is mounted in the other."""
    there.mkdir(exist_ok=True)
    _run(["mount", "--move", str(here), str(there)])
