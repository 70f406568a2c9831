"""The daemon's doorbell: a unix socket in the state folder that knows two words, `wake` and `ping`.

Everything else between the command line and the daemon goes through the database. A client sends one word and a
newline and reads one: `ok`, `stuck` (a loop no longer turns) or `unknown`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from lalald.errors import DaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:  # a client should load neither the event loop nor anything else that costs milliseconds
    import asyncio
    from pathlib import Path
    from typing import Any

SOCKET_NAME = "lalald.sock"
WAKE_TIMEOUT_SECONDS = 2.0
_LONGEST_ADDRESS_BYTES = 107  # sun_path holds 108 with its closing zero
_LONGEST_WORD_BYTES = 16
_PATIENCE_SECONDS = 5.0  # for a client to say its word
_LONGEST_PULSE_SECONDS = 60.0  # longer than any client asks


class Server:
    """The daemon's side.

    `wake` is called when the database holds a new request; `pulse` is awaited for a ping and says, once every loop has
    turned, whether all is well.
    """

    def __init__(self, state_dir: Path, wake: Callable[[], None], pulse: Callable[[], Awaitable[bool]]) -> None:
        self._state_dir = state_dir
        self._wake = wake
        self._pulse = pulse
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens, in place of any socket file that lay there: the lock of the state folder says that nobody else does.

        Raises DaemonError where the state folder cannot hold a socket.
        """
        try:
            self._listener = _bound(self._state_dir)
        except OSError as error:
            raise DaemonError(
                f"{self._state_dir / SOCKET_NAME} cannot be made: {error.strerror}.",
                hint="The state folder must lie on a local disk that can hold a unix socket, and be the daemon's own.",
            ) from error
        self._start(self._listen(self._listener))

    async def stop(self) -> None:
        """Hangs up on everybody and takes the socket file away."""
        import asyncio

        if self._listener is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(OSError):
            (self._state_dir / SOCKET_NAME).unlink()
        self._listener.close()
        self._listener = None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        import asyncio

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _listen(self, listener: socket.socket) -> None:
        import asyncio

        while True:
            try:
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
            except OSError:  # out of file descriptors, or a client gone before it was met
                await asyncio.sleep(1)
                continue
            self._start(self._converse(client)).add_done_callback(partial(_hang_up, client))

    async def _converse(self, client: socket.socket) -> None:
        """One word, one answer. Who is silent, says too much or goes away is hung up on."""
        import asyncio

        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(_PATIENCE_SECONDS):
                word = await _word_from(client)
            answer = await self._answer(word) + b"\n"
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await asyncio.get_running_loop().sock_sendall(client, answer)

    async def _answer(self, word: bytes) -> bytes:
        import asyncio

        if word == b"wake":
            self._wake()
            return b"ok"
        if word != b"ping":
            return b"unknown"
        try:
            async with asyncio.timeout(_LONGEST_PULSE_SECONDS):
                return b"ok" if await self._pulse() else b"stuck"
        except TimeoutError:
            return b"stuck"


def _hang_up(client: socket.socket, _: asyncio.Task[None]) -> None:
    client.close()


async def _word_from(client: socket.socket) -> bytes:
    """What a client says up to its newline, its silence, or as much as the longest word."""
    import asyncio

    client.setblocking(False)
    said = b""
    while len(said) < _LONGEST_WORD_BYTES and b"\n" not in said:
        more = await asyncio.get_running_loop().sock_recv(client, _LONGEST_WORD_BYTES - len(said))
        if not more:
            break
        said += more
    return said.partition(b"\n")[0].strip()


def wake(state_dir: str | os.PathLike[str]) -> bool:
    """Tells the daemon to look into the database. False where no daemon answers."""
    return _asked(state_dir, b"wake", WAKE_TIMEOUT_SECONDS) == b"ok"


def ping(state_dir: str | os.PathLike[str], timeout_seconds: float) -> bool:
    """Whether a daemon is there and all its loops turn, found out within `timeout_seconds`."""
    return _asked(state_dir, b"ping", timeout_seconds) == b"ok"


def _asked(state_dir: str | os.PathLike[str], word: bytes, timeout_seconds: float) -> bytes:
    """The daemon's answer to a word; empty where there is none."""
    with suppress(OSError), _reachable(state_dir, SOCKET_NAME) as address, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_seconds)
        client.connect(address)
        client.sendall(word + b"\n")
        return client.recv(_LONGEST_WORD_BYTES).strip()
    return b""


def _bound(state_dir: Path) -> socket.socket:
    """A listening socket, made under another name and moved into place: no client ever meets half of it."""
    fresh = f".{SOCKET_NAME}.{os.getpid()}"
    (state_dir / fresh).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # the file takes its mode from the socket, whatever the umask
        with _reachable(state_dir, fresh) as address:
            listener.bind(address)
        (state_dir / fresh).chmod(0o600)
        listener.listen(64)
        listener.setblocking(False)
        (state_dir / fresh).replace(state_dir / SOCKET_NAME)
    except OSError:
        listener.close()
        with suppress(OSError):
            (state_dir / fresh).unlink(missing_ok=True)
        raise
    return listener


@contextmanager
def _reachable(state_dir: str | os.PathLike[str], name: str) -> Iterator[str]:
    """An address for the socket `name` that fits into the kernel's 108 bytes, however deep the state folder lies."""
    plain = os.path.join(state_dir, name)
    if len(os.fsencode(plain)) <= _LONGEST_ADDRESS_BYTES:
        yield plain
        return
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)
