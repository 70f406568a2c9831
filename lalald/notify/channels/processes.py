"""Run short-lived programs, each below a process that ends all it has started, without lalald's keys and descriptors."""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lalald.notify.channels.process_guard import CONTROL, END_SECONDS, GRACE_SECONDS

_KEPT_VARIABLES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})
# -S: what `site` loads is not needed; our module path says where modules are.
_GUARD = "import sys; sys.path[:] = sys.argv[1:]; from lalald.notify.channels.process_guard import main; main()"
_START_SECONDS = 60.0  # on the slowest machine
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, negative for a signal; None where it had to be killed. `output`: the end of it."""

    code: int | None
    output: bytes


def allowed_environment(environ: Mapping[str, str], *also: str) -> dict[str, str]:
    """What a process needs to find its way; no variable that may hold a key is among it."""
    kept = _KEPT_VARIABLES | set(also)
    return {name: value for name, value in environ.items() if name in kept or name.startswith("LC_")}


async def run(
    words: Sequence[str], *, given: bytes, environ: Mapping[str, str], timeout_seconds: float, with_errors: bool
) -> Ended:
    """Run a program to its end, or until the timeout. `given` is its standard input; `with_errors`: its errors are output, too.

    Whatever it has started ends with it, in any session; at once where this is cancelled, and where this process is killed.
    Raises OSError where it cannot be started, ValueError where a word or variable cannot be one.
    """
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
    request = marshal.dumps(([os.fsencode(word) for word in words], variables, given, timeout_seconds, with_errors))
    guard = _Guard()
    try:
        async with asyncio.timeout(_START_SECONDS + timeout_seconds + GRACE_SECONDS + 2 * END_SECONDS):
            answer = await guard.answer(len(request).to_bytes(8, "big") + request)
    except TimeoutError:
        answer = b""
    finally:
        await guard.end()
    if not answer:
        return Ended(-signal.SIGKILL, b"")  # the guard was killed, and the program with it
    said = marshal.loads(answer)  # noqa: S302 - from a process of ours
    if isinstance(said, int):
        raise OSError(said, os.strerror(said))
    return Ended(*said)


class _Guard:
    """The process of `process_guard`. Raises OSError where it cannot be started."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        try:
            self._pid = _spawned(theirs)
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()

    async def answer(self, request: bytes) -> bytes:
        """Empty where it has ended without one."""
        loop, said = asyncio.get_running_loop(), b""
        with suppress(ConnectionError):
            await loop.sock_sendall(self._control, request)
            while more := await loop.sock_recv(self._control, 1 << 16):
                said += more
        return said

    async def end(self) -> None:
        """It kills what is left at once when our side is closed, and ends. It is killed itself where it does not."""
        self._control.close()
        try:
            if not await self._has_ended(GRACE_SECONDS):
                self._kill()
                await self._has_ended(END_SECONDS)
        except BaseException:
            self._kill()
            raise

    async def _has_ended(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not _is_reaped(self._pid):
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


def _spawned(control: socket.socket) -> int:
    """posix_spawn, and not fork: other threads may hold locks, and closing a descriptor on a dead share would keep us waiting."""
    words = [sys.executable, "-I", "-S", "-c", _GUARD, *map(os.fspath, sys.path)]
    return os.posix_spawn(
        sys.executable,
        words,
        {},
        file_actions=(
            (os.POSIX_SPAWN_DUP2, control.fileno(), CONTROL),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ),
        setpgroup=0,
        setsigmask=(),
        setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD),
    )


def _is_reaped(pid: int) -> bool:
    """Whether it has ended. If other code has reaped it, it has."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
