"""Sockets, buffers and files of a transfer are released when it ends, without waiting for garbage collection."""

from __future__ import annotations

import gc
import io
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from lalald.api import Transfer, TransferStopped
from lalald.api.transfers import network
from lalald.errors import ServiceError
from lalald.jobs.states import State
from tests.support.api_client import client, closed_clients  # noqa: F401 - a fixture
from tests.support.raw_server import RawServer, Talk
from tests.support.worker_driver import WorkerDriver, run

TRACK = bytes(3_000_000)


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def collect_if_python_does_not_release() -> None:
    """In CPython 3.12 and 3.13 an error that has left a generator's context manager, httpx's among them, waits for the collector."""
    if (3, 12) <= sys.version_info < (3, 14):
        gc.collect()


def is_released(work: Callable[[Transfer], Any]) -> bool:
    transfer = Transfer()
    left = weakref.ref(transfer)
    with suppress(ServiceError):
        work(transfer)
    del transfer
    collect_if_python_does_not_release()
    return left() is None


def nowhere() -> tuple[str, int]:
    """An address that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        return host, port


def breaks(talk: Talk) -> None:
    """In the middle of what it sends; an upload it does not even answer."""
    if talk.request()[0].startswith(b"GET"):
        talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(TRACK)}\r\n\r\n", TRACK[:1_000_000])


def upload(url: str, transfer: Transfer) -> None:
    client(url).upload(io.BytesIO(TRACK), len(TRACK), "a.mp3", transfer)


def test_a_transfer_that_fails(target: BinaryIO) -> None:
    host, port = nowhere()
    assert is_released(lambda transfer: upload(f"http://{host}:{port}", transfer))
    assert is_released(lambda transfer: upload("https://nowhere.invalid", transfer))
    with RawServer(breaks) as server:
        assert is_released(lambda transfer: upload(server.url, transfer))
        assert is_released(lambda transfer: client(server.url).download(f"{server.url}/t", target, transfer))


def test_a_connection_to_a_later_address_of_a_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # "localhost" is ::1 first where there is IPv6

        def dial(transfer: Transfer) -> None:
            with transfer.on_this_thread():
                network.connected("localhost", listener.getsockname()[1], time.monotonic() + 10).close()

        assert is_released(dial)


def test_no_connection_is_kept_of_a_transfer_that_was_stopped() -> None:
    transfer = Transfer()
    transfer.end()
    with socket.create_server(("127.0.0.1", 0)) as listener, transfer.on_this_thread():
        with pytest.raises(TransferStopped):
            network.connected("127.0.0.1", listener.getsockname()[1], time.monotonic() + 10)
        listener.settimeout(10)
        with suppress(TimeoutError), listener.accept()[0] as accepted:
            assert accepted.recv(1) == b""  # closed, and not left to the garbage collector


def test_a_job_whose_downloads_fail_at_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("download:503*2", "download:cut*1")
            await driver.drop("ep1.wav", padding_bytes=300_000)
            await driver.until_job("it is delivered", state=State.DONE)
            collect_if_python_does_not_release()
            assert [found for found in gc.get_objects() if isinstance(found, Transfer)] == []

    run(story())
