"""A share as one sees it from this machine: a file system (FUSE) whose server is a process of ours, and misbehaves when it is asked to.

    def story() -> None:
        with Share(tmp_path / "inbox") as share:    # within `own_mounts.in_own_mounts`
            share.stop_answering()                  # whatever touches it waits; a signal that kills ends the wait
            share.stop_answering("write", "fsync")  # only these wait: one may look, and not write
            share.answer()                          # what waited is answered now
            share.fail(errno.ESTALE, "read")        # these are refused from now on, all of them where none is named
            share.refuse(errno.EIO, "link")         # the same, beside what is refused already
            share.lie("rename")                     # these are reported as done from now on, and nothing is done
            share.die()                             # its server is gone for good: "transport endpoint is not connected"

`share.far` is the folder as it lies on the server: what is written there is what another machine writes, and gives no event here.
The kernel keeps nothing of it: each look asks the server. To the kernel it is of type `fuse.share`; `kind` makes it another one.
Its inode numbers begin at `inodes_from`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.support.private_mounts import unmount


class Share:
    """Mounted at a folder while the context lasts. What lies on the server is in `far`, a hidden folder beside it."""

    def __init__(self, folder: Path, kind: str = "fuse.share", inodes_from: int = 0) -> None:
        self.folder, self.kind, self.inodes_from = folder, kind, inodes_from
        self.far = folder.with_name(f".far {folder.name}")

    def __enter__(self) -> Self:
        for folder in (self.folder, self.far):
            folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            str(Path(__file__).with_name("fuse_server.py")),
            str(self.far),
            str(self.folder),
            self.kind,
            str(self.inodes_from),
        ]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if (said := self._heard()) != "mounted":
            self._server.wait()
            pytest.skip(f"no FUSE here: {said}")
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        unmount(self.folder)

    def stop_answering(self, *operations: str) -> None:
        """Requests of these operations, or all of them, wait until `answer`."""
        self._tell("hold", *operations)

    def fail(self, number: int, *operations: str) -> None:
        """These operations, or all of them, are refused with this errno until `answer`."""
        self._tell(str(number), *operations)

    def refuse(self, number: int, *operations: str) -> None:
        """These operations are refused with this errno, beside what is wrong already, until `answer`."""
        self._tell("also", str(number), *operations)

    def lie(self, *operations: str) -> None:
        """These operations are reported as done, beside what is wrong already, and nothing is done, until `answer`."""
        self._tell("also", "lie", *operations)

    def answer(self) -> None:
        """Everything is well again."""
        self._tell("well")

    def die(self) -> None:
        """The server's process is killed."""
        self._server.kill()
        self._server.wait()

    def _tell(self, *words: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(f"{' '.join(words)}\n".encode())
        self._server.stdin.flush()
        assert self._heard() == "heard"

    def _heard(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().decode().strip()
