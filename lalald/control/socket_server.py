"""The daemon's doorbell: a unix socket in the state folder that knows the words `wake` and `ping`.

Everything else between the command line and the daemon goes through the database. A client sends one word and a
newline and reads one: `ok`, `stuck` (a loop no longer turns) or `unknown`. The answer to a third word, `report`, goes on
after `ok` or `stuck` with what needs a person: fields that are separated by NUL, four for each.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from lalald.errors import DaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:  # a client should load neither the event loop nor anything else that costs milliseconds
    import asyncio
    from pathlib import Path
    from typing import Any

    Item = tuple[str, str, str, str]  # code, subject, message, hint

SOCKET_NAME = "lalald.sock"
WAKE_TIMEOUT_SECONDS = 2.0
_LONGEST_ADDRESS_BYTES = 107  # sun_path holds 108 with its closing zero
_LONGEST_WORD_BYTES = 16
_NO_SOCKETS_HERE = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENXIO})
_LONGEST_REPORT_BYTES = 1 << 20
_FIELDS = 4
_PATIENCE_SECONDS = 5.0  # for a client to say its word
_LONGEST_PULSE_SECONDS = 60.0  # longer than any client asks


class Server:
    """The daemon's side.

    `wake` is called when the database holds a new request; `pulse` is awaited for a ping and says, once every loop has
    turned, whether all is well; `attention` is awaited for a report and says what needs a person.
    """

    def __init__(
        self,
        state_dir: Path,
        wake: Callable[[], None],
        pulse: Callable[[], Awaitable[bool]],
        attention: Callable[[], Awaitable[Sequence[Item]]] | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._wake = wake
        self._pulse = pulse
        self._attention = attention
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

        if _user_behind(client) not in (0, os.geteuid()):
            return
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
        if word == b"report" and self._attention is not None:
            turns, items = await asyncio.gather(self._state(), self._attention())
            return b"\0".join([turns, *(_written(field) for item in items for field in item)])
        return await self._state() if word == b"ping" else b"unknown"

    async def _state(self) -> bytes:
        import asyncio

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


def _written(field: str) -> bytes:
    return field.replace("\0", " ").encode("utf-8", "surrogateescape")


def wake(state_dir: str | os.PathLike[str]) -> bool:
    """Tells the daemon to look into the database. False where no daemon answers."""
    return _asked(state_dir, b"wake", WAKE_TIMEOUT_SECONDS) == b"ok"


def ping(state_dir: str | os.PathLike[str], timeout_seconds: float) -> bool:
    """Whether a daemon is there and all its loops turn, found out within `timeout_seconds`."""
    return _asked(state_dir, b"ping", timeout_seconds) == b"ok"


class Report:
    """`is_running`: a daemon is there and all its loops turn. `items`: what it says needs a person."""

    __slots__ = ("is_running", "items")

    def __init__(self, is_running: bool, items: Sequence[Item] = ()) -> None:
        self.is_running = is_running
        self.items = items


def report(state_dir: str | os.PathLike[str], timeout_seconds: float) -> Report:
    """What the daemon says of itself, within `timeout_seconds`. One of an earlier version is asked only whether it turns."""
    answer = _asked(state_dir, b"report", timeout_seconds)
    if answer == b"unknown":
        return Report(ping(state_dir, timeout_seconds))
    state, *fields = answer.decode("utf-8", "surrogateescape").split("\0")
    starts = range(0, len(fields) - _FIELDS + 1, _FIELDS)
    return Report(state == "ok", [tuple(fields[at : at + _FIELDS]) for at in starts])  # type: ignore[misc] # four of them


def _asked(state_dir: str | os.PathLike[str], word: bytes, timeout_seconds: float) -> bytes:
    """The daemon's answer to a word; empty where there is none."""
    with suppress(OSError), _reachable(state_dir, SOCKET_NAME) as address:
        return _answer_from(address, word, timeout_seconds)
    with suppress(OSError):
        return _answer_from(_nameless(state_dir), word, timeout_seconds, os.stat(state_dir).st_uid)
    return b""


def _answer_from(address: str, word: bytes, timeout_seconds: float, owner: int | None = None) -> bytes:
    """`owner`: whose the answering program must be, where no file guards the address."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_seconds)
        client.connect(address)
        if owner is not None and _user_behind(client) not in (0, owner):
            return b""
        client.sendall(word + b"\n")
        said = b""
        while len(said) < _LONGEST_REPORT_BYTES and (more := client.recv(65536)):
            said += more
        return said.strip(b"\n")


def _bound(state_dir: Path) -> socket.socket:
    """A listening socket, made under another name and moved into place: no client ever meets half of it."""
    fresh = f".{SOCKET_NAME}.{os.getpid()}"
    (state_dir / fresh).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.setblocking(False)
        _bind(listener, state_dir, fresh)
        listener.listen(64)
        with suppress(FileNotFoundError):  # a nameless one has no file
            (state_dir / fresh).replace(state_dir / SOCKET_NAME)
    except OSError:
        listener.close()
        with suppress(OSError):
            (state_dir / fresh).unlink(missing_ok=True)
        raise
    return listener


def _bind(listener: socket.socket, state_dir: Path, name: str) -> None:
    """As a file of the state folder; without one where its file system knows no sockets, as those behind a desktop's Docker."""
    os.fchmod(listener.fileno(), 0o600)  # the file takes its mode from the socket, whatever the umask
    try:
        with _reachable(state_dir, name) as address:
            listener.bind(address)
    except OSError as error:
        if error.errno not in _NO_SOCKETS_HERE:
            raise
        listener.bind(_nameless(state_dir))


def _nameless(state_dir: str | os.PathLike[str]) -> str:
    """An address in the kernel's own name space. Anybody can reach it: both sides look who the other is."""
    facts = os.stat(state_dir)
    return f"\0lalald-{facts.st_dev:x}-{facts.st_ino:x}"


def _user_behind(connection: socket.socket) -> int:
    """The user id of the program at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)  # three ints: process, user, group
    return int.from_bytes(credentials[4:8], sys.byteorder)


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
