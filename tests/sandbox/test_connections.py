"""Clients that do not follow HTTP, or stop within a request."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from lalald.sandbox.http.connection import Listener
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.sandbox_client import Caller, wav_bytes

HALVES = {
    "nothing": b"",
    "half a head": b"POST /api/v1/check/ HTTP/1.1\r\nHost: a\r\n",
    "half a body": b"POST /api/v1/check/ HTTP/1.1\r\nHost: a\r\nX-License-Key: k\r\nContent-Length: 50\r\n\r\n{",
    "half an upload": b"POST /api/v1/upload/ HTTP/1.1\r\nHost: a\r\nX-License-Key: k\r\nContent-Length: 50\r\n"
    b"Content-Disposition: attachment; filename=a\r\n\r\nabc",
    "a second half": b"POST /api/v1/limits/minutes_left/ HTTP/1.1\r\nHost: a\r\nX-License-Key: k\r\nContent-Length: 0\r\n\r\n"
    b"POST /api",
}


@pytest.fixture
def impatient() -> Iterator[Sandbox]:
    with Sandbox(Options(read_seconds=0.2)) as sandbox:
        yield sandbox


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=10)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("origin", ["api", "files"])
def test_a_silent_client_is_disconnected(half: str, origin: str, impatient: Sandbox) -> None:
    with connected(impatient.url if origin == "api" else impatient.files_url) as connection:
        connection.sendall(HALVES[half])
        with suppress(ConnectionResetError):  # the second request of a connection is ended in order
            while connection.recv(65536):
                pass
    assert Caller(impatient).post("limits/minutes_left").status_code == 200
    assert impatient.state()["sources"] == []


def test_a_slow_upload_is_accepted(impatient: Sandbox) -> None:
    impatient.faults({"operation": "upload", "kind": "slow", "bytes_per_second": 40_000})
    assert Caller(impatient).upload(wav_bytes(3))  # 24,000 bytes: for longer than a client may be silent


def test_a_slow_answer_does_not_disconnect_the_client(impatient: Sandbox) -> None:
    impatient.faults({"operation": "minutes", "kind": "delay", "wait_seconds": 0.6})
    assert Caller(impatient).post("limits/minutes_left").json() == {"minutes_left": 1000}


@pytest.mark.parametrize(
    "garbage", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\r\n\r\n"]
)
def test_a_request_that_is_not_http_gets_a_json_error(garbage: bytes, sandbox: Sandbox) -> None:
    with connected(sandbox.url) as connection:
        connection.sendall(garbage)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", head + b"\r\n")
    assert set(json.loads(body)) == {"detail"}


def test_the_journal_keeps_the_latest_requests_and_counts_all() -> None:
    with Sandbox(Options(journal_entries=5)) as sandbox:
        for _ in range(8):
            Caller(sandbox).post("limits/minutes_left")
        assert len(sandbox.state()["requests"]) == 5
        assert sandbox.state()["counts"] == {"minutes": 8}


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_is_accepted_as_the_server_closes_is_reset(turns: int) -> None:
    """asyncio accepts in one turn of its loop, and connects the protocol in the next ones: it forgot what was between them."""

    async def scenario() -> None:
        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            """Never asked."""

        listener = Listener(app, "127.0.0.1", 0, 60.0)
        await listener.open()
        with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await listener.close()
            with suppress(ConnectionResetError):
                assert await asyncio.to_thread(client.recv, 1) == b""

    asyncio.run(scenario())
