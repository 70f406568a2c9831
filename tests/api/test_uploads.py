"""Uploads: what is sent, and what happens when the connection breaks."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lalald.api import Client, Deadlines, Transfer, TransferStopped, Uploaded
from lalald.api.transfers.transfer_rate import Pace
from lalald.errors import FileError, LicenseRefusedError, RefusedError, ServiceError, TransientError
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.api_client import KEY, client, closed_clients  # noqa: F401 - a fixture
from tests.support.raw_server import RawServer, Talk, header
from tests.support.running import until

LARGE = 24 << 20  # far more than the sockets between two processes hold
ANSWER = '{"id": "s", "name": "n", "size": 5, "duration": 1, "expires": 1}'
HASTY = Deadlines(connect_seconds=0.5, answer_seconds=0.5, stall_seconds=0.5, upload_answer_seconds=0.5)


def upload(api: Client, content: bytes = b"music", name: str = "a.mp3", transfer: Transfer | None = None) -> Uploaded:
    return api.upload(io.BytesIO(content), len(content), name, transfer or Transfer())


def refused(url: str, content: bytes = b"music", deadlines: Deadlines | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        upload(client(url, deadlines), content)
    return caught.value


@contextmanager
def on_a_thread(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def answers(talk: Talk) -> None:
    while talk.request()[0]:
        talk.json(ANSWER)


def test_the_bytes_arrive_with_their_length_and_name(sandbox: Sandbox) -> None:
    content = os.urandom(5_000_000)
    transfer = Transfer()
    source = upload(client(sandbox.url), content, "ünï.mp3", transfer)
    assert source.name == "ünï.mp3"
    assert source.size == transfer.progress == len(content)
    assert source.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 65535, 262143, 262144, 262145, (4 << 20) - 1, 4 << 20, (4 << 20) + 1])
def test_every_size_arrives_whole(size: int) -> None:
    got: list[tuple[bytes, bytes]] = []

    def takes(talk: Talk) -> None:
        got.append(talk.request())
        talk.json(ANSWER)

    content = os.urandom(size)
    with RawServer(takes) as server:
        source = upload(client(server.url), content)
    head, body = got[0]
    assert body == content
    assert source.sha256 == hashlib.sha256(content).hexdigest()
    assert header(head, "content-length") == str(size)
    assert header(head, "content-type") == "application/octet-stream"
    assert header(head, "content-disposition") == "attachment; filename=a.mp3"
    assert header(head, "x-license-key") == KEY
    assert head.startswith(b"POST /api/v1/upload/ HTTP/1.1\r\n")


def test_one_connection_carries_many_uploads() -> None:
    with RawServer(answers) as server:
        api = client(server.url)
        for _ in range(3):
            upload(api)
        assert server.connections == 1


def ends_politely(talk: Talk) -> None:
    talk.request()
    talk.json(ANSWER)


def resets_the_second(talk: Talk) -> None:
    talk.request()
    talk.json(ANSWER)
    talk.head()
    talk.reset()


@pytest.mark.parametrize("first", [ends_politely, resets_the_second])
def test_a_kept_connection_that_was_closed_is_replaced(first: Callable[[Talk], None]) -> None:
    with RawServer(first, answers) as server:
        api = client(server.url)
        upload(api)
        assert upload(api, b"more!").sha256 == hashlib.sha256(b"more!").hexdigest()
        assert server.connections == 2


def test_a_fresh_connection_that_breaks_is_not_tried_again() -> None:
    with RawServer(lambda talk: (talk.request(), talk.reset())[0] and None) as server:
        error = refused(server.url)
        assert isinstance(error, TransientError)
        assert not error.answered
        assert server.connections == 1


@pytest.mark.parametrize("after", [0, 1, 400, 70_000, 5 << 20])
def test_a_connection_that_breaks_in_the_middle_is_transient(after: int) -> None:
    def breaks(talk: Talk) -> None:
        got = 0
        while got < after:
            got += len(talk.sock.recv(min(65536, after - got)))
        talk.reset()

    with RawServer(breaks) as server:
        error = refused(server.url, bytes(LARGE))
    assert isinstance(error, TransientError)
    assert not error.answered


def test_a_server_that_stops_reading_meets_the_deadline() -> None:
    with RawServer(lambda talk: (talk.head(), stalled.wait(10))[0] and None) as server:
        stalled = threading.Event()
        began = time.monotonic()
        error = refused(server.url, bytes(LARGE), HASTY)
        stalled.set()
    assert isinstance(error, TransientError)
    assert time.monotonic() - began < 5


def test_a_server_that_never_answers_meets_the_deadline() -> None:
    with RawServer(lambda talk: (talk.request(), talk.until_gone())[0] and None) as server:
        error = refused(server.url, b"music", HASTY)
    assert isinstance(error, TransientError)
    assert error.carried_out_possible


@pytest.mark.parametrize(("status", "kind"), [("413 Too Large", RefusedError), ("403 No", LicenseRefusedError)])
@pytest.mark.parametrize("ending", ["waits", "closes", "resets"])
def test_an_early_refusal_is_read_at_once(status: str, kind: type[ServiceError], ending: str) -> None:
    done = threading.Event()

    def refuses(talk: Talk) -> None:
        talk.head()
        talk.json('{"detail": "Not this one."}', status)
        if ending == "waits":
            done.wait(10)
        elif ending == "resets":
            time.sleep(0.05)  # the answer leaves before the reset; both may be there when the client looks
            talk.reset()

    with RawServer(refuses) as server:
        transfer = Transfer()
        with pytest.raises(kind) as caught:
            upload(client(server.url), bytes(LARGE), transfer=transfer)
        done.set()
    assert "Not this one" in str(caught.value)
    assert transfer.progress < LARGE


def test_the_sandboxs_size_limit_is_a_refusal() -> None:
    with Sandbox(Options(upload_limit_bytes=1000)) as sandbox:
        error = refused(sandbox.url, bytes(LARGE))
    assert isinstance(error, RefusedError)
    assert error.code == "exceeded_size"


def test_an_answer_before_the_whole_file_is_not_a_success() -> None:
    def hurries(talk: Talk) -> None:
        talk.head()
        talk.json(ANSWER)
        talk.until_gone()

    with RawServer(hurries) as server:
        error = refused(server.url, bytes(LARGE))
    assert isinstance(error, TransientError)
    assert error.answered


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_answers_are_not_the_answer(interim: str) -> None:
    def announces(talk: Talk) -> None:
        head = talk.head()
        talk.say(f"HTTP/1.1 {interim}\r\nLink: </x>\r\n\r\n")
        assert len(talk.body(head)) == LARGE
        talk.say(f"HTTP/1.1 {interim}\r\n\r\n", f"HTTP/1.1 {interim}\r\n\r\n")
        talk.json(ANSWER)

    with RawServer(announces) as server:
        assert upload(client(server.url), bytes(LARGE)).source_id == "s"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_an_incomplete_answer_is_transient(answer: bytes) -> None:
    def garbles(talk: Talk) -> None:
        talk.request()
        talk.say(answer)

    with RawServer(garbles) as server:
        assert isinstance(refused(server.url), TransientError)


@pytest.mark.parametrize("reads", ["all of the file", "its beginning"])
def test_an_endless_answer_is_cut(reads: str) -> None:
    def talks(talk: Talk) -> None:
        talk.request() if reads == "all of the file" else talk.head()
        talk.say("HTTP/1.1 200 OK\r\n\r\n{")
        while True:
            talk.say(b" " * (1 << 20))

    with RawServer(talks) as server:
        error = refused(server.url, bytes(LARGE))
    assert isinstance(error, TransientError)
    assert "16 MiB" in str(error)


def never_whole(url_of: list[bytes]) -> Callable[[Talk], None]:
    def takes(talk: Talk) -> None:
        head = talk.head()
        url_of.append(talk.body(head) if head else b"")

    return takes


@pytest.mark.parametrize("declared", [LARGE + 1, LARGE - 1, 3])
def test_a_file_of_another_length_never_arrives_whole(declared: int, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(bytes(LARGE))
    got: list[bytes] = []
    with RawServer(never_whole(got)) as server, path.open("rb", buffering=0) as file:
        with pytest.raises(FileError, match=r"song\.mp3 became (longer|shorter)"):
            client(server.url).upload(file, declared, "song.mp3", Transfer())
        until(lambda: got, "the server has seen the end of the connection")
    assert len(got[0]) < declared


def test_an_unreadable_file_does_not_count_as_a_network_error(tmp_path: Path) -> None:
    with (
        RawServer(answers) as server,
        (tmp_path / "song.mp3").open("wb", buffering=0) as file,
        pytest.raises(FileError),
    ):
        client(server.url).upload(file, 5, "song.mp3", Transfer())


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["waiting for the answer", "sending"])
@pytest.mark.parametrize("how", ["interrupt", "end", "stop"])
def test_a_running_upload_can_be_stopped(content: bytes, how: str) -> None:
    assert any(seconds_to_end(content, how) < 1.0 for _ in range(8))  # on a busy machine one of several tries


def seconds_to_end(content: bytes, how: str) -> float:
    under_way, over = threading.Event(), threading.Event()

    def stalls(talk: Talk) -> None:
        talk.head()
        under_way.set()
        over.wait(10)

    with RawServer(stalls) as server:
        api, transfer = client(server.url), Transfer()
        with on_a_thread(lambda: upload(api, content, transfer=transfer)) as running:
            assert under_way.wait(10)
            began = time.monotonic()
            {"interrupt": api.interrupt, "end": transfer.end, "stop": transfer.stop.set}[how]()
            with pytest.raises(TransferStopped):
                running.result(5)
            took = time.monotonic() - began
        over.set()
    return took


def test_nothing_begins_after_an_interrupt() -> None:
    with RawServer(answers) as server:
        api = client(server.url)
        api.interrupt()
        with pytest.raises(TransferStopped):
            upload(api)
        assert server.connections == 0


@contextmanager
def full_listener() -> Iterator[str]:
    """An address whose connections are never accepted: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        callers = [socket.socket() for _ in range(8)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        time.sleep(0.05)  # for the queue to fill
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for caller in callers:
            caller.close()


def test_a_connection_that_is_never_established_meets_the_deadline() -> None:
    with full_listener() as url:
        error = refused(url, deadlines=HASTY)
    assert isinstance(error, TransientError)
    assert not error.carried_out_possible


def test_connecting_can_be_stopped() -> None:
    with full_listener() as url:
        api, transfer = client(url), Transfer()
        with on_a_thread(lambda: upload(api, transfer=transfer)) as running:
            time.sleep(0.1)  # it may come at any time; here it is meant to find the connecting
            began = time.monotonic()
            api.interrupt()
            with pytest.raises(TransferStopped):
                running.result(5)
        assert time.monotonic() - began < 4  # connecting would last 15 s


def announces_forever(talk: Talk) -> None:
    while True:
        talk.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)


def answers_without_end(talk: Talk) -> None:
    talk.request()
    talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        talk.say(b"1\r\n \r\n" * 1000)


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["waiting for the answer", "sending"])
def test_interim_answers_without_a_pause_meet_the_deadline(content: bytes) -> None:
    with RawServer(announces_forever) as server, on_a_thread(lambda: refused(server.url, content, HASTY)) as running:
        assert isinstance(running.result(10), TransientError)


def test_an_answer_in_tiny_pieces_without_a_pause_meets_the_deadline() -> None:
    with RawServer(answers_without_end) as server, on_a_thread(lambda: refused(server.url, b"x", HASTY)) as running:
        assert "in time" in str(running.result(10))


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["waiting for the answer", "sending"])
def test_an_upload_with_endless_interim_answers_can_be_stopped(content: bytes) -> None:
    with RawServer(announces_forever) as server:
        api, transfer = client(server.url), Transfer()
        with on_a_thread(lambda: upload(api, content, transfer=transfer)) as running:
            until(lambda: server.connections == 1, "a connection")
            transfer.end()
            with pytest.raises(TransferStopped):
                running.result(1)


def test_an_unknown_host_name_is_reported() -> None:
    error = refused("https://nowhere.invalid")
    assert isinstance(error, TransientError)
    assert not error.carried_out_possible
    assert "nowhere.invalid" in str(error)


class Watched(threading.Event):
    """A stop that is never set; it writes down how long it was waited on instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_a_rate_is_shared_by_all_transfers() -> None:
    now = [100.0]
    pace, first, second = Pace(1000, clock=lambda: now[0]), Watched(), Watched()
    pace.wait(500, first)
    pace.wait(500, second)
    now[0] += 0.25
    pace.wait(250, first)
    now[0] += 60.0
    pace.wait(100, second)
    assert first.waits == pytest.approx([0.5, 1.0])
    assert second.waits == pytest.approx([1.0, 0.1])


def test_no_rate_never_waits_and_a_low_one_moves_small_pieces() -> None:
    stop = Watched()
    Pace(None).wait(1 << 40, stop)
    assert stop.waits == []
    assert Pace(1000).piece_bytes == 4096
    assert Pace(1 << 20).piece_bytes == 1 << 17
    assert Pace(None).piece_bytes == 1 << 18


def test_an_upload_keeps_to_its_rate() -> None:
    with RawServer(answers) as server:
        began = time.monotonic()
        upload(client(server.url, upload_rate=400_000), bytes(200_000))
        assert 0.4 < time.monotonic() - began < 10
