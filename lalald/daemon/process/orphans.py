"""Reap orphans: a container's first process becomes the parent of processes that `docker exec` left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

_OWN_SECONDS = 10.0  # the daemon's own children are awaited at once by the code that started them


class Orphans:
    """Sleeps until a child ends. A child that is still a zombie after `own_seconds` is not the daemon's own, and is reaped."""

    def __init__(self, own_seconds: float = _OWN_SECONDS) -> None:
        self._own_seconds = own_seconds
        self._ended: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Uses SIGCHLD, which asyncio does not."""
        loop.add_signal_handler(signal.SIGCHLD, self._reap_later, loop)
        self._reap_later(loop)  # some may have ended before

    def _reap_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(self._own_seconds, self._reap, loop)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        ended = set(_ended_children())
        for pid in ended & self._ended:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._ended = ended - self._ended
        if self._ended:
            self._reap_later(loop)


def _ended_children() -> Iterator[int]:
    """The zombies among the children of this process. proc_pid_stat(5): state and parent follow the name."""
    parent = str(os.getpid())
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            state, its_parent = file.read().rpartition(")")[2].split()[:2]
            if state == "Z" and its_parent == parent:
                yield int(name)
