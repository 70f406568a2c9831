"""The daemon's socket, with real clients."""

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

from lalald.control import socket_client
from lalald.control.socket_address import SOCKET_NAME
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
    is_healthy: Callable[[], Awaitable[bool]] = _fine,
    wakes: list[str] | None = None,
) -> Answer:
    """What `ask` returns while a server runs; it runs in a thread, as a client in another program would."""

    async def serve() -> Answer:
        server = Server(state_dir, lambda: None if wakes is None else wakes.append("wake"), is_healthy)
        await server.start()
        try:
            return await asyncio.to_thread(ask)
        finally:
            await server.stop()

    return asyncio.run(serve())


def _send(state_dir: Path, words: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(state_dir / SOCKET_NAME))
        try:
            client.sendall(words)
            return client.recv(64)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_a_client_wakes_the_daemon(tmp_path: Path) -> None:
    wakes: list[str] = []
    assert _with_server(tmp_path, lambda: socket_client.wake(tmp_path), wakes=wakes) is True
    assert wakes == ["wake"]


def test_a_ping_returns_whether_the_daemon_is_healthy(tmp_path: Path) -> None:
    assert _with_server(tmp_path, lambda: socket_client.ping(tmp_path, 10)) is True
    assert _with_server(tmp_path, lambda: socket_client.ping(tmp_path, 10), _stuck) is False


def test_a_ping_times_out_when_a_loop_hangs(tmp_path: Path) -> None:
    assert _with_server(tmp_path, lambda: socket_client.ping(tmp_path, 0.2), _never) is False


def test_without_a_daemon_ping_and_wake_return_false(tmp_path: Path) -> None:
    assert socket_client.ping(tmp_path, 1) is False
    assert socket_client.wake(tmp_path) is False
    assert socket_client.ping(tmp_path / "missing", 1) is False


def test_a_stale_socket_file_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_NAME))
    assert socket_client.ping(tmp_path, 1) is False
    assert _with_server(tmp_path, lambda: socket_client.ping(tmp_path, 10)) is True
    assert list(tmp_path.iterdir()) == []


def test_the_socket_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        mode = _with_server(tmp_path, lambda: (tmp_path / SOCKET_NAME).lstat().st_mode)
    finally:
        os.umask(before)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_state_folder_deeper_than_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("ü" * 60)
    deep.mkdir(parents=True)
    assert _with_server(deep, lambda: socket_client.ping(deep, 10)) is True


def test_a_folder_in_place_of_the_socket_is_reported(tmp_path: Path) -> None:
    (tmp_path / SOCKET_NAME / "something").mkdir(parents=True)
    with pytest.raises(DaemonError, match="cannot be created"):
        _with_server(tmp_path, lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == [SOCKET_NAME]


@pytest.mark.parametrize("words", [b"hello\n", b"\n", b"\xff\x00\n", b"x" * 100_000, b"PING\n", b"ping ping\n"])
def test_unknown_words_do_no_harm(tmp_path: Path, words: bytes) -> None:
    def ask() -> tuple[bytes, bool]:
        return _send(tmp_path, words), socket_client.ping(tmp_path, 10)

    answer, alive = _with_server(tmp_path, ask)
    assert answer in (b"unknown\n", b"")
    assert alive is True


def test_clients_that_are_silent_or_leave_early_do_not_block_others(tmp_path: Path) -> None:
    def ask() -> bool:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for client in silent:
            client.connect(str(tmp_path / SOCKET_NAME))
        silent[0].sendall(b"pi")
        for client in silent[:25]:
            client.close()
        answered = socket_client.ping(tmp_path, 10)
        for client in silent[25:]:
            client.close()
        return answered

    assert _with_server(tmp_path, ask) is True


def test_stopping_does_not_wait_for_clients(tmp_path: Path) -> None:
    async def serve() -> bytes:
        server = Server(tmp_path, lambda: None, _never)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
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

    assert asyncio.run(serve()) == b""


as_root = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


@as_root
def test_a_file_system_without_sockets_works_by_an_abstract_socket() -> None:
    folder = Path(
        "/sys/kernel"
    )  # no socket can be created there, as in a folder that a desktop shares with a container
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(PermissionError):
        probe.bind(str(folder / "probe"))
    assert socket_client.ping(folder, 1) is False
    wakes: list[str] = []
    assert _with_server(folder, lambda: (socket_client.wake(folder), socket_client.ping(folder, 10)), wakes=wakes) == (
        True,
        True,
    )
    assert wakes == ["wake"]
    assert socket_client.ping(folder, 1) is False


CLIENT = """
from lalald.control.socket_client import ping, wake
print(wake("/sys/block"), ping("/sys/block", 2))
"""
IMPOSTOR = """
import socket
from lalald.control.socket_address import abstract_address
server = socket.socket(socket.AF_UNIX)
server.bind(abstract_address("/sys/class"))
server.listen()
print("listens", flush=True)
client = server.accept()[0]
client.sendall(b"ok\\n")
client.recv(1)
"""


def _as_another_user(program: str) -> list[str]:
    """Imports come first: another user may not be allowed to read the interpreter's folder."""
    return [sys.executable, "-c", f"import os, socket, lalald.control.socket_client\n{BECOME_NOBODY}\n{program}"]


@as_root
def test_requests_of_other_users_are_refused() -> None:
    wakes: list[str] = []

    def ask() -> str:
        return subprocess.run(_as_another_user(CLIENT), capture_output=True, text=True, timeout=60, check=True).stdout

    assert _with_server(Path("/sys/block"), ask, wakes=wakes) == "False False\n"
    assert wakes == []


@as_root
def test_a_server_of_another_user_is_not_trusted() -> None:
    with subprocess.Popen(_as_another_user(IMPOSTOR), stdout=subprocess.PIPE) as impostor:
        assert impostor.stdout is not None
        assert impostor.stdout.readline() == b"listens\n"
        assert socket_client.ping("/sys/class", 2) is False
