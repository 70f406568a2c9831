"""The daemon's side of its socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lalald.control.socket_address import SOCKET_NAME, abstract_address, path_address, peer_user
from lalald.errors import DaemonError

Item = tuple[str, str, str, str]  # code, subject, message, hint

_LONGEST_WORD_BYTES = 16
_CLIENT_TIMEOUT_SECONDS = 5.0
_LONGEST_HEALTH_CHECK_SECONDS = 60.0  # longer than any client waits
_NO_SOCKETS_HERE = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENXIO})


class Server:
    """Answers clients until it is stopped.

    `wake` is called when the database holds a new request; `is_healthy` is awaited for a ping and tells, once every loop has run,
    whether all is well; `attention` is awaited for a report and returns what needs a person.
    """

    def __init__(
        self,
        state_dir: Path,
        wake: Callable[[], None],
        is_healthy: Callable[[], Awaitable[bool]],
        attention: Callable[[], Awaitable[Sequence[Item]]] | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._wake = wake
        self._is_healthy = is_healthy
        self._attention = attention
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, in place of any socket file that is there: by the lock of the state folder, no other daemon uses it.

        Raises DaemonError if the state folder cannot hold a socket.
        """
        try:
            self._listener = _listening_socket(self._state_dir)
        except OSError as error:
            raise DaemonError(
                f"{self._state_dir / SOCKET_NAME} cannot be created: {error.strerror}.",
                hint="The state folder must be on a local disk that can hold a unix socket, and belong to lalald's user.",
            ) from error
        self._start(self._accept(self._listener))

    async def stop(self) -> None:
        """End every connection and remove the socket file."""
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
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
            except OSError:  # out of file descriptors, or the client has left already
                await asyncio.sleep(1)
                continue
            self._start(self._serve(client)).add_done_callback(partial(_close, client))

    async def _serve(self, client: socket.socket) -> None:
        """Read one word and answer it. A client that is silent or sends too much is disconnected."""
        if peer_user(client) not in (0, os.geteuid()):
            return
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(_CLIENT_TIMEOUT_SECONDS):
                word = await _read_word(client)
            answer = await self._answer(word) + b"\n"
            async with asyncio.timeout(_CLIENT_TIMEOUT_SECONDS):
                await asyncio.get_running_loop().sock_sendall(client, answer)

    async def _answer(self, word: bytes) -> bytes:
        if word == b"wake":
            self._wake()
            return b"ok"
        if word == b"report" and self._attention is not None:
            health, items = await asyncio.gather(self._health(), self._attention())
            return b"\0".join([health, *(_encoded(field) for item in items for field in item)])
        return await self._health() if word == b"ping" else b"unknown"

    async def _health(self) -> bytes:
        try:
            async with asyncio.timeout(_LONGEST_HEALTH_CHECK_SECONDS):
                return b"ok" if await self._is_healthy() else b"stuck"
        except TimeoutError:
            return b"stuck"


def _close(client: socket.socket, _: asyncio.Task[None]) -> None:
    client.close()


async def _read_word(client: socket.socket) -> bytes:
    """What a client sends before its newline, at most as much as the longest word."""
    client.setblocking(False)
    received = b""
    while len(received) < _LONGEST_WORD_BYTES and b"\n" not in received:
        more = await asyncio.get_running_loop().sock_recv(client, _LONGEST_WORD_BYTES - len(received))
        if not more:
            break
        received += more
    return received.partition(b"\n")[0].strip()


def _encoded(field: str) -> bytes:
    return field.replace("\0", " ").encode("utf-8", "surrogateescape")


def _listening_socket(state_dir: Path) -> socket.socket:
    """Made under another name and renamed once it listens, so that no client finds one that does not answer yet."""
    fresh = f".{SOCKET_NAME}.{os.getpid()}"
    (state_dir / fresh).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.setblocking(False)
        _bind(listener, state_dir, fresh)
        listener.listen(64)
        with suppress(FileNotFoundError):  # an abstract one has no file
            (state_dir / fresh).replace(state_dir / SOCKET_NAME)
    except OSError:
        listener.close()
        with suppress(OSError):
            (state_dir / fresh).unlink(missing_ok=True)
        raise
    return listener


def _bind(listener: socket.socket, state_dir: Path, name: str) -> None:
    """As a file of the state folder, or as an abstract socket if its file system has no sockets (some desktops' Docker shares)."""
    os.fchmod(listener.fileno(), 0o600)  # the file gets the mode of the socket, whatever the umask
    try:
        with path_address(state_dir, name) as address:
            listener.bind(address)
    except OSError as error:
        if error.errno not in _NO_SOCKETS_HERE:
            raise
        listener.bind(abstract_address(state_dir))
