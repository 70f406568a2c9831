"""The daemon's doorbell: a real socket, real clients."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from lalald.control import socket_server
from lalald.control.socket_server import Server
from lalald.errors import DaemonError
from tests.support.another_user import BECOME_NOBODY

Answer = TypeVar("Answer")


async def _fine() -> bool:
    return True


async def _stuck() -> bool:
    return False


async def _never() -> bool:
    await asyncio.Event().wait()
    return True


def _with_server(
    state_dir: Path,
    ask: Callable[[], Answer],
    pulse: Callable[[], Awaitable[bool]] = _fine,
    wakes: list[str] | None = None,
) -> Answer:
    """What `ask`, run in a thread as another program would, gets from a server."""

    async def talk() -> Answer:
        server = Server(state_dir, lambda: None if wakes is None else wakes.append("wake"), pulse)
        await server.start()
        try:
            return await asyncio.to_thread(ask)
        finally:
            await server.stop()

    return asyncio.run(talk())


def _say(state_dir: Path, words: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(state_dir / socket_server.SOCKET_NAME))
        try:
            client.sendall(words)
            return client.recv(64)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_a_wake_reaches_the_daemon(tmp_path: Path) -> None:
    wakes: list[str] = []
    assert _with_server(tmp_path, lambda: socket_server.wake(tmp_path), wakes=wakes) is True
    assert wakes == ["wake"]


def test_a_ping_is_answered_when_every_loop_has_turned(tmp_path: Path) -> None:
    assert _with_server(tmp_path, lambda: socket_server.ping(tmp_path, 10)) is True
    assert _with_server(tmp_path, lambda: socket_server.ping(tmp_path, 10), _stuck) is False


def test_a_loop_that_never_turns_is_found_out_in_time(tmp_path: Path) -> None:
    assert _with_server(tmp_path, lambda: socket_server.ping(tmp_path, 0.2), _never) is False


def test_without_a_daemon_nobody_answers(tmp_path: Path) -> None:
    assert socket_server.ping(tmp_path, 1) is False
    assert socket_server.wake(tmp_path) is False
    assert socket_server.ping(tmp_path / "missing", 1) is False


def test_a_stale_socket_file_is_replaced_and_taken_away_at_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / socket_server.SOCKET_NAME))
    assert socket_server.ping(tmp_path, 1) is False
    assert _with_server(tmp_path, lambda: socket_server.ping(tmp_path, 10)) is True
    assert list(tmp_path.iterdir()) == []


def test_the_socket_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        mode = _with_server(tmp_path, lambda: (tmp_path / socket_server.SOCKET_NAME).lstat().st_mode)
    finally:
        os.umask(before)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_state_folder_deeper_than_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("ü" * 60)
    deep.mkdir(parents=True)
    assert _with_server(deep, lambda: socket_server.ping(deep, 10)) is True


def test_a_folder_in_the_place_of_the_socket_is_said_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / socket_server.SOCKET_NAME / "something").mkdir(parents=True)
    with pytest.raises(DaemonError, match="cannot be made"):
        _with_server(tmp_path, lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == [socket_server.SOCKET_NAME]


@pytest.mark.parametrize("words", [b"hello\n", b"\n", b"\xff\x00\n", b"x" * 100_000, b"PING\n", b"ping ping\n"])
def test_garbage_is_answered_without_harm(tmp_path: Path, words: bytes) -> None:
    def ask() -> tuple[bytes, bool]:
        return _say(tmp_path, words), socket_server.ping(tmp_path, 10)

    answer, alive = _with_server(tmp_path, ask)
    assert answer in (b"unknown\n", b"")
    assert alive is True


def test_clients_that_say_nothing_or_leave_early_disturb_nobody(tmp_path: Path) -> None:
    def ask() -> bool:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for client in silent:
            client.connect(str(tmp_path / socket_server.SOCKET_NAME))
        silent[0].sendall(b"pi")
        for client in silent[:25]:
            client.close()
        answered = socket_server.ping(tmp_path, 10)
        for client in silent[25:]:
            client.close()
        return answered

    assert _with_server(tmp_path, ask) is True


def test_stopping_waits_for_no_client(tmp_path: Path) -> None:
    async def talk() -> bytes:
        server = Server(tmp_path, lambda: None, _never)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / socket_server.SOCKET_NAME)
        writer.write(b"ping\n")
        await writer.drain()
        async with asyncio.timeout(1):
            await server.stop()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert asyncio.run(talk()) == b""


as_root = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root gets that far in /sys")


@as_root
def test_a_file_system_without_sockets_is_no_obstacle() -> None:
    folder = Path(
        "/sys/kernel"
    )  # nobody can make a socket there, as in a folder that a desktop shares with a container
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(PermissionError):
        probe.bind(str(folder / "probe"))
    assert socket_server.ping(folder, 1) is False
    wakes: list[str] = []
    assert _with_server(folder, lambda: (socket_server.wake(folder), socket_server.ping(folder, 10)), wakes=wakes) == (
        True,
        True,
    )
    assert wakes == ["wake"]
    assert socket_server.ping(folder, 1) is False


CLIENT = """
from lalald.control.socket_server import ping, wake
print(wake("/sys/block"), ping("/sys/block", 2))
"""
PRETENDER = """
import socket
from lalald.control.socket_server import _nameless
server = socket.socket(socket.AF_UNIX)
server.bind(_nameless("/sys/class"))
server.listen()
print("listens", flush=True)
client = server.accept()[0]
client.sendall(b"ok\\n")
client.recv(1)
"""


def _somebody_else(program: str) -> list[str]:
    """What it needs is loaded first: the interpreter's own folder may be closed to others."""
    return [sys.executable, "-c", f"import os, socket, lalald.control.socket_server\n{BECOME_NOBODY}\n{program}"]


@as_root
def test_other_users_are_not_listened_to() -> None:
    wakes: list[str] = []

    def ask() -> str:
        return subprocess.run(_somebody_else(CLIENT), capture_output=True, text=True, timeout=60, check=True).stdout

    assert _with_server(Path("/sys/block"), ask, wakes=wakes) == "False False\n"
    assert wakes == []


@as_root
def test_other_users_are_not_believed() -> None:
    with subprocess.Popen(_somebody_else(PRETENDER), stdout=subprocess.PIPE) as pretender:
        assert pretender.stdout is not None
        assert pretender.stdout.readline() == b"listens\n"
        assert socket_server.ping("/sys/class", 2) is False
