"""One process of the page. It inherits its listener and a pipe, sends heartbeats, and ends when the pipe is closed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lalald.control.page_settings import HEARTBEAT_SECONDS, PageSettings, framed
from lalald.errors import DaemonError
from lalald.notify.channels.processes import allowed_environment

LISTENER_NUMBER, PIPE_NUMBER = 3, 4
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from lalald.web.page_process import run;"
    f" run({LISTENER_NUMBER}, {PIPE_NUMBER})"
)
_START_SECONDS = 60.0  # for its first word, on the slowest machine
_SILENT_SECONDS = 2 * HEARTBEAT_SECONDS + 2.0
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_MOST_LINE_BYTES = 1 << 20
_SMALL = {"MALLOC_ARENA_MAX": "2"}  # one of glibc's for each thread would cost some MiB
_FREE_NUMBER = 10  # above those that the process gets

Line = Callable[[Mapping[str, Any]], None]


class PageChild:
    """`take_line` gets each line of the process. The daemon never waits for it: if it hangs, it is killed."""

    def __init__(self, environ: Mapping[str, str], take_line: Line) -> None:
        self._environ = environ
        self._take_line = take_line
        self._pid: int | None = None
        self._pipe: socket.socket | None = None
        self._reaping: asyncio.Task[int] | None = None

    async def run(self, listener: socket.socket, settings: PageSettings) -> int:
        """Its exit code, negative for a signal. Raises DaemonError where it cannot be started."""
        try:
            self._pipe, theirs = socket.socketpair()
        except OSError as error:
            raise DaemonError(f"the page cannot be started: {error.strerror}.") from error
        self._pipe.setblocking(False)
        try:
            self._pid = self._spawn(listener, theirs)
        except OSError as error:
            raise DaemonError(f"the page cannot be started: {error.strerror}.") from error
        finally:
            theirs.close()
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._pipe, framed(settings))
            await self._listen(self._pipe)
        except TimeoutError:
            _kill(self._pid)  # it hangs
        except OSError:
            pass  # it has ended
        return await asyncio.shield(self._reap())

    def abandon(self) -> None:
        """End the process: it ends when its pipe is closed, or else is killed."""
        if self._pid is not None:
            self._reap()
        elif self._pipe is not None:
            self._pipe.close()

    async def end(self, seconds: float) -> None:
        """Wait for its end, at most so long; then it is killed."""
        self.abandon()
        if self._pid is None:
            return
        reaping = self._reap()
        await asyncio.wait([reaping], timeout=seconds)
        if not reaping.done():
            _kill(self._pid)
            await asyncio.wait([reaping], timeout=seconds)

    def _reap(self) -> asyncio.Task[int]:
        """Begins once to wait for its end."""
        if self._reaping is None:
            self._reaping = asyncio.create_task(self._reaped(), name="page's end")
        return self._reaping

    def _spawn(self, listener: socket.socket, pipe: socket.socket) -> int:
        """posix_spawn, and not fork: a descriptor of ours on a dead share, closed in a child, would keep this process waiting."""
        copies: list[int] = []
        words = [sys.executable, "-P", "-c", _PROGRAM, *map(os.fspath, sys.path)]
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ]
        try:
            for one, number in ((listener, LISTENER_NUMBER), (pipe, PIPE_NUMBER)):
                copies.append(fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, _FREE_NUMBER))
                actions.append((os.POSIX_SPAWN_DUP2, copies[-1], number))
            return os.posix_spawn(
                sys.executable,
                words,
                {**allowed_environment(self._environ), **_SMALL},
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE),
            )
        finally:
            for copy in copies:
                os.close(copy)

    async def _listen(self, pipe: socket.socket) -> None:
        """Until it closes its end. Raises TimeoutError where it is silent for too long."""
        loop, said, patience = asyncio.get_running_loop(), b"", _START_SECONDS
        while True:
            async with asyncio.timeout(patience):
                more = await loop.sock_recv(pipe, 1 << 16)
            if not more or len(said) > _MOST_LINE_BYTES:
                return
            *lines, said = (said + more).split(b"\n")
            if lines:
                patience = _SILENT_SECONDS
            for line in lines:
                with suppress(ValueError, RecursionError):
                    facts = json.loads(line)
                    if isinstance(facts, dict):
                        self._take_line(facts)

    async def _reaped(self) -> int:
        """Its exit code: a moment after its pipe has closed, or after it was killed."""
        if self._pipe is not None:
            self._pipe.close()
        pid = self._pid
        if pid is None:
            return 0
        deadline = asyncio.get_running_loop().time() + _END_SECONDS
        while (code := _exit_code(pid)) is None:
            if asyncio.get_running_loop().time() >= deadline:
                _kill(pid)
            await asyncio.sleep(_LOOK_SECONDS)
        return code


def _exit_code(pid: int) -> int | None:
    """None while it runs. If other code has reaped it, it counts as ended without an error."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
