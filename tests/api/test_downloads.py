"""Downloads: what is requested, what is trusted, and what remains after an error."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from lalald.api import Client, Deadlines, Fetched, Transfer, TransferStopped
from lalald.errors import (
    LinkDeadError,
    LinkRefusedError,
    RateLimitedError,
    ServiceError,
    TransientError,
)
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.api.test_uploads import HASTY, on_a_thread
from tests.support.api_client import KEY, client, closed_clients, written  # noqa: F401 - a fixture
from tests.support.raw_server import RawServer, Talk, header
from tests.support.running import until

TRACK = os.urandom(700_001)
LARGE = TRACK * 12
ETAG = '"v1"'
Script = Callable[[Talk], None]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def says(*lines: str, body: bytes = b"", status: str = "200 OK") -> Script:
    """Answers every request so; a content-length only where the lines give one."""

    def script(talk: Talk) -> None:
        while talk.head():
            talk.say("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]), body)
            if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
                return

    return script


def track(body: bytes = TRACK, *lines: str) -> Script:
    return says(f"Content-Length: {len(body)}", "Content-Type: audio/mpeg", *lines, body=body)


def refused(
    script: Script, target: BinaryIO, expected_size: int | None = None, api: Client | None = None
) -> ServiceError:
    with RawServer(script) as server, pytest.raises(ServiceError) as caught:
        (api or client(server.url, HASTY)).download(server.url, target, Transfer(), expected_size=expected_size)
    return caught.value


def serves_ranges(body: bytes, etag: str, asked: list[bytes]) -> Script:
    def script(talk: Talk) -> None:
        while head := talk.head():
            asked.append(head)
            start = header(head, "range")
            if start is None or header(head, "if-range") != etag:
                talk.say(f"HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: {len(body)}\r\n\r\n", body)
                continue
            first = int(start.removeprefix("bytes=").removesuffix("-"))
            lines = [f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}", f"ETag: {etag}"]
            lines.append(f"Content-Length: {len(body) - first}")
            talk.say("\r\n".join(["HTTP/1.1 206 Partial Content", *lines, "", ""]), body[first:])

    return script


def test_a_track_is_downloaded_with_its_headers(target: BinaryIO) -> None:
    transfer, began = Transfer(), list[tuple[str | None, int]]()
    names = "Content-Disposition: attachment; filename=a.mp3"
    with RawServer(track(TRACK, f"ETag: {ETAG}", names)) as server:
        fetched = client(server.url).download(
            f"{server.url}/t?sig=%2F",
            target,
            transfer,
            expected_size=len(TRACK),
            began=lambda etag: began.append((etag, os.fstat(target.fileno()).st_size)),
        )
    assert fetched == Fetched(len(TRACK), sha256(TRACK), "audio/mpeg", "a.mp3", ETAG)
    assert written(target) == TRACK
    assert transfer.progress == len(TRACK)
    assert began == [(ETAG, 0)]


def test_neither_key_nor_compression_is_sent_along(target: BinaryIO) -> None:
    asked: list[bytes] = []
    with RawServer(serves_ranges(TRACK, ETAG, asked)) as server:
        client(server.url).download(f"{server.url}/a b", target, Transfer())
    assert asked[0].startswith(b"GET /a%20b HTTP/1.1\r\n")
    assert KEY.encode() not in asked[0]
    assert b"license" not in asked[0].lower()
    assert header(asked[0], "accept-encoding") == "identity"
    assert header(asked[0], "range") is None


def test_one_connection_carries_many_downloads(target: BinaryIO) -> None:
    with RawServer(track()) as server:
        api = client(server.url)
        for _ in range(3):
            api.download(server.url, target, Transfer())
        assert server.connections == 1


def test_earlier_content_of_the_file_is_replaced(target: BinaryIO) -> None:
    target.write(bytes(2 * len(TRACK)))
    with RawServer(track()) as server:
        client(server.url).download(server.url, target, Transfer(), have=5)
    assert written(target) == TRACK


@pytest.mark.parametrize("size", [1, 4095, 8191, 8192, 8193, 262_143, 262_144, 262_145, 5 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
def test_every_size_arrives_whole_in_every_framing(size: int, framing: str, target: BinaryIO) -> None:
    body = os.urandom(size)
    pieces = [body[at : at + 77_777] for at in range(0, size, 77_777)]
    chunked = b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX: y\r\n\r\n"
    script = {
        "length": track(body),
        "chunked": says("Transfer-Encoding: chunked", body=chunked),
        "end": says("Content-Type: audio/mpeg", body=body),
    }[framing]
    with RawServer(script) as server:
        api = client(server.url)
        for expected in (size,) if framing == "end" else (None, size, size + 1, 0, 10**15):
            fetched = api.download(server.url, target, Transfer(), expected_size=expected)
            assert (fetched.size, fetched.sha256) == (size, sha256(body))
            assert written(target) == body


def cut(after: int, *, reset: bool, body: bytes = TRACK) -> Script:
    def script(talk: Talk) -> None:
        talk.head()
        talk.say(f"HTTP/1.1 200 OK\r\nETag: {ETAG}\r\nContent-Length: {len(body)}\r\n\r\n", body[:after])
        if reset:
            read.wait(5)
            talk.reset()

    read = threading.Event()
    script.read = read  # type: ignore[attr-defined]
    return script


@pytest.mark.parametrize("after", [0, 1, 10_000, 400_000, len(TRACK) - 1])
def test_an_interrupted_transfer_is_resumed(after: int, target: BinaryIO) -> None:
    asked: list[bytes] = []
    with RawServer(cut(after, reset=False), serves_ranges(TRACK, ETAG, asked)) as server:
        api, transfer, proofs = client(server.url), Transfer(), list[str | None]()
        with pytest.raises(TransientError) as caught:
            api.download(server.url, target, transfer, began=proofs.append)
        assert written(target) == TRACK[:after]
        assert transfer.progress == after
        fetched = api.download(server.url, target, Transfer(), have=after, etag=proofs[-1])
    assert isinstance(caught.value, TransientError)
    assert header(asked[0], "range") == (f"bytes={after - 1}-" if after > 1 else None)
    assert header(asked[0], "if-range") == (ETAG if after > 1 else None)
    assert fetched.sha256 == sha256(TRACK)
    assert written(target) == TRACK


def test_what_arrived_before_a_reset_is_kept(target: BinaryIO) -> None:
    script, transfer = cut(300_000, reset=True), Transfer()
    with (
        RawServer(script) as server,
        on_a_thread(lambda: client(server.url).download(server.url, target, transfer)) as it,
    ):
        until(lambda: transfer.progress == 300_000, "all that was sent has arrived")
        script.read.set()  # type: ignore[attr-defined]
        with pytest.raises(TransientError):
            it.result(5)
    assert written(target) == TRACK[:300_000]


def test_a_complete_file_costs_one_byte(target: BinaryIO) -> None:
    target.write(TRACK)
    asked: list[bytes] = []
    with RawServer(serves_ranges(TRACK, ETAG, asked)) as server:
        fetched = client(server.url).download(
            server.url, target, Transfer(), have=len(TRACK), etag=ETAG, expected_size=len(TRACK)
        )
    assert fetched.sha256 == sha256(TRACK)
    assert header(asked[0], "range") == f"bytes={len(TRACK) - 1}-"


def test_a_shorter_file_is_resumed_from_its_end(target: BinaryIO) -> None:
    target.write(TRACK[:1000])
    with RawServer(serves_ranges(TRACK, ETAG, [])) as server:
        fetched = client(server.url).download(server.url, target, Transfer(), have=5000, etag=ETAG)
    assert fetched.sha256 == sha256(TRACK)


def test_a_new_version_starts_over(target: BinaryIO) -> None:
    target.write(b"x" * 1000)
    with RawServer(serves_ranges(TRACK, ETAG, [])) as server:
        fetched = client(server.url).download(server.url, target, Transfer(), have=1000, etag='"v0"')
    assert fetched.sha256 == sha256(TRACK)
    assert written(target) == TRACK


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "", "a\nb", '"ü"'])
def test_without_proof_of_the_version_nothing_is_resumed(etag: str | None, target: BinaryIO) -> None:
    target.write(TRACK[:1000])
    asked: list[bytes] = []
    with RawServer(serves_ranges(TRACK, ETAG, asked)) as server:
        client(server.url).download(server.url, target, Transfer(), have=1000, etag=etag)
    assert header(asked[0], "range") is None
    assert written(target) == TRACK


def test_a_date_proves_a_version_where_there_is_no_etag(target: BinaryIO) -> None:
    date = "Last-Modified: Fri, 31 Dec 1999 23:59:59 GMT"
    with RawServer(track(TRACK, date, 'ETag: W/"weak"')) as server:
        fetched = client(server.url).download(server.url, target, Transfer())
    assert fetched.etag == "Fri, 31 Dec 1999 23:59:59 GMT"


SIZE = len(TRACK)


@pytest.mark.parametrize(
    "part",
    [
        ("416 No", f"Content-Range: bytes */{SIZE}", "Content-Length: 0"),
        ("206 Part", "Content-Length: 10"),
        ("206 Part", f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}", f"Content-Length: {SIZE}"),
        ("206 Part", f"Content-Range: bytes 1000-{SIZE - 1}/{SIZE}", f"Content-Length: {SIZE - 1000}"),
        ("206 Part", f"Content-Range: bytes 999-1999/{SIZE}", "Content-Length: 1001"),
        ("206 Part", f"Content-Range: bytes 999-{SIZE - 1}/{SIZE}", "Content-Length: 7"),
        ("206 Part", f"Content-Range: bytes 999-{SIZE - 1}/{SIZE}", 'ETag: "v2"', f"Content-Length: {SIZE - 999}"),
        ("206 Part", f"Content-Range: bytes 999-{SIZE}/{SIZE + 1}", f"Content-Length: {SIZE - 998}"),
        ("206 Part", "Content-Range: bytes */*", "Content-Length: 1"),
        ("206 Part", "Content-Type: multipart/byteranges; boundary=x", "Content-Length: 1"),
    ],
)
def test_a_part_that_does_not_fit_is_fetched_again(part: tuple[str, ...], target: BinaryIO) -> None:
    target.write(b"y" * 1000)

    def odd(talk: Talk) -> None:
        assert header(talk.head(), "range") == "bytes=999-"
        talk.say("\r\n".join([f"HTTP/1.1 {part[0]}", *part[1:], "", ""]), bytes(10))

    asked: list[bytes] = []
    with RawServer(odd, serves_ranges(TRACK, ETAG, asked)) as server:
        fetched = client(server.url).download(server.url, target, Transfer(), have=1000, etag=ETAG, expected_size=SIZE)
    assert header(asked[0], "range") is None
    assert fetched.sha256 == sha256(TRACK)
    assert written(target) == TRACK


def test_the_sandbox_is_resumed_and_one_without_ranges_is_not(target: BinaryIO) -> None:
    import asyncio
    from uuid import uuid4

    from lalald.api import SplitItem

    async def links(api: Client) -> tuple[str, int | None]:
        source = api.upload(io.BytesIO(TRACK), SIZE, "a.mp3", Transfer())
        item = SplitItem(source.source_id, {"stem": "vocals"}, str(uuid4()))
        task = await api.split("stem_separator", item)
        first = (await api.check([task]))[task].tracks[0]
        await api.aclose()
        return first.url, first.size

    for ranges in (True, False):
        with Sandbox(Options(ranges=ranges)) as sandbox:
            sandbox.faults("download:cut,at_byte=5000")
            api, proofs = client(sandbox.url), list[str | None]()
            url, size = asyncio.run(links(client(sandbox.url)))
            with pytest.raises(TransientError):
                api.download(url, target, Transfer(), expected_size=size, began=proofs.append)
            fetched = api.download(
                url, target, Transfer(), have=len(written(target)), etag=proofs[-1], expected_size=size
            )
            assert fetched.sha256 == sha256(written(target))
            assert fetched.size == size


@pytest.mark.parametrize("declared", [None, 0, SIZE - 1, SIZE + 1, 10**15])
def test_without_length_or_chunks_a_track_is_whole_only_with_its_declared_size(
    declared: int | None, target: BinaryIO
) -> None:
    error = refused(says(body=TRACK), target, expected_size=declared)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("declared", [None, 0, SIZE])
@pytest.mark.parametrize("framing", ["Content-Length: 0", "Transfer-Encoding: chunked"])
def test_an_answer_without_a_byte_is_an_empty_track(framing: str, declared: int | None, target: BinaryIO) -> None:
    body = b"0\r\n\r\n" if "chunked" in framing else b""
    assert "it is empty" in str(refused(says(framing, body=body), target, expected_size=declared))


@pytest.mark.parametrize("declared", [None, 1, SIZE, 10**15])
@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
def test_more_bytes_than_any_track_has_are_refused(framing: str, declared: int | None, target: BinaryIO) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, TRACK)
    scripts = {
        "length": track(),
        "chunked": says("Transfer-Encoding: chunked", body=chunked),
        "end": says(body=TRACK),
    }
    with RawServer(scripts[framing]) as server, pytest.raises(LinkRefusedError):
        client(server.url).download(server.url, target, Transfer(), expected_size=declared, max_bytes=SIZE - 1)
    assert len(written(target)) < SIZE


@pytest.mark.parametrize(
    "body",
    [
        b"%x\r\n%s" % (SIZE, TRACK[:1000]),
        b"%x\r\n%s\r\n" % (1000, TRACK[:1000]),
        b"%x\r\n%s\r\nzz\r\n" % (1000, TRACK[:1000]),
        b"%x\r\n%s\r\n-5\r\n" % (1000, TRACK[:1000]),
    ],
    ids=["cut", "no next chunk", "no number", "negative"],
)
def test_chunks_without_their_end_are_incomplete(body: bytes, target: BinaryIO) -> None:
    def script(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body)

    assert isinstance(refused(script, target), TransientError)
    assert written(target) == TRACK[:1000]


def test_a_premature_end_is_detected_by_the_announced_size(target: BinaryIO) -> None:
    error = refused(says(body=TRACK[:1000]), target, expected_size=SIZE)
    assert isinstance(error, TransientError)
    assert written(target) == TRACK[:1000]


@pytest.mark.parametrize("at", ["head", "body"])
def test_a_server_that_falls_silent_meets_the_deadline(at: str, target: BinaryIO) -> None:
    def script(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n", *(["\r\n", b"abc"] if at == "body" else []))
        talk.until_gone()

    began = time.monotonic()
    assert isinstance(refused(script, target), TransientError)
    assert time.monotonic() - began < 5
    assert written(target) == (b"abc" if at == "body" else b"")


@pytest.mark.parametrize("pause_seconds", [0.0, 0.05], ids=["without a pause", "now and then"])
def test_a_head_that_never_ends_meets_the_deadline(pause_seconds: float, target: BinaryIO) -> None:
    over = threading.Event()

    def announces(talk: Talk) -> None:
        talk.head()
        while not over.wait(pause_seconds):
            talk.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" * (1 if pause_seconds else 1000))

    with on_a_thread(lambda: refused(announces, target)) as running:
        try:
            assert "no answer in time" in str(running.result(10))
        finally:
            over.set()


def test_a_slow_track_that_keeps_coming_meets_no_deadline(target: BinaryIO) -> None:
    def script(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.15)  # in all longer than the deadline, each shorter
            talk.say("x")

    with RawServer(script) as server:
        assert client(server.url, Deadlines(stall_seconds=1)).download(server.url, target, Transfer()).size == 8


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Type: text/html; charset=utf-8", "Content-Length: 3"],
        ["Content-Type: application/json", "Content-Length: 3"],
        ["Content-Encoding: gzip", "Content-Length: 3"],
        ["Content-Length: 0"],
        ["Transfer-Encoding: gzip"],
    ],
)
def test_an_answer_that_is_not_a_track_is_not_written(lines: list[str], target: BinaryIO) -> None:
    error = refused(says(*lines, body=b""), target)
    assert isinstance(error, TransientError)
    assert written(target) == b""


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "410", "451"])
def test_a_dead_link_is_distinguished_from_a_busy_server(status: str, target: BinaryIO) -> None:
    error = refused(says("Content-Length: 0", "x-request-id: 77ab", status=f"{status} No"), target)
    assert isinstance(error, LinkDeadError)
    assert error.request_id == "77ab"


@pytest.mark.parametrize("status", ["204", "206", "304", "408", "425", "500", "503"])
def test_any_other_answer_is_worth_another_try(status: str, target: BinaryIO) -> None:
    error = refused(says("Content-Length: 0", "Retry-After: 9", status=f"{status} Later"), target)
    assert type(error) is TransientError
    assert error.answered


def test_a_rate_limit_answer_is_recognized(target: BinaryIO) -> None:
    error = refused(says("Content-Length: 0", "Retry-After: 9", status="429 Slow"), target)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == 9


def hops(count: int, end: Script) -> Script:
    """A chain of redirects through paths, on one server."""

    def script(talk: Talk) -> None:
        path = talk.head().split()[1]
        number = int(path.strip(b"/") or 0)
        if number < count:
            talk.say(f"HTTP/1.1 302 Go\r\nLocation: /{number + 1}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        talk.rest = b"GET / HTTP/1.1\r\n\r\n"
        end(talk)

    return script


@pytest.mark.parametrize(("count", "arrives"), [(1, True), (5, True), (6, False)])
def test_five_redirects_are_followed(count: int, arrives: bool, target: BinaryIO) -> None:
    with RawServer(hops(count, track())) as server:
        if arrives:
            assert client(server.url).download(server.url, target, Transfer()).size == SIZE
            return
        with pytest.raises(LinkRefusedError):
            client(server.url).download(server.url, target, Transfer())
    assert written(target) == b""


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/x", "https://user:word@127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_to_a_forbidden_place_is_refused(place: str, target: BinaryIO) -> None:
    error = refused(says(f"Location: {place}", "Content-Length: 0", status="302 Go"), target)
    assert isinstance(error, LinkRefusedError)


def test_a_redirect_to_nowhere_is_worth_another_try(target: BinaryIO) -> None:
    assert isinstance(refused(says("Content-Length: 0", status="302 Go"), target), TransientError)


def test_an_http_link_is_fetched_over_https_or_not_at_all(target: BinaryIO) -> None:
    with RawServer(lambda talk: talk.say("HTTP/1.1 400 This is plain http\r\n\r\n")) as server:
        api = client("https://www.lalal.ai")
        with pytest.raises(LinkRefusedError, match="plain http"):
            api.download(server.url, target, Transfer())
    with pytest.raises(LinkRefusedError, match="refused"):
        api.download(server.url, target, Transfer())
    assert written(target) == b""


class FullDisk(io.FileIO):
    def write(self, _: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_raises_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "track").touch()
    with (
        RawServer(track()) as server,
        FullDisk(tmp_path / "track", "r+") as file,
        pytest.raises(OSError, match="No space left") as caught,
    ):
        client(server.url).download(server.url, file, Transfer())  # type: ignore[arg-type]
    assert caught.value.errno == 28


class ShortWrites(io.FileIO):
    def write(self, piece: object) -> int:
        return super().write(memoryview(piece)[:1000])  # type: ignore[arg-type]


def test_short_writes_are_continued(tmp_path: Path) -> None:
    (tmp_path / "track").touch()
    with RawServer(track()) as server, ShortWrites(tmp_path / "track", "r+") as file:
        client(server.url).download(server.url, file, Transfer())  # type: ignore[arg-type]
    assert (tmp_path / "track").read_bytes() == TRACK


@contextmanager
def stalling(at: str) -> Iterator[tuple[RawServer, threading.Event]]:
    under_way = threading.Event()

    def script(talk: Talk) -> None:
        talk.head()
        if at != "head":
            length = f"Content-Length: {SIZE}\r\n" if at == "body" else ""
            talk.say(f"HTTP/1.1 200 OK\r\n{length}\r\n", TRACK[:5000])
        under_way.set()
        talk.until_gone()

    with RawServer(script) as server:
        yield server, under_way


@pytest.mark.parametrize("at", ["head", "body", "body without length"])
@pytest.mark.parametrize("how", ["interrupt", "end", "stop"])
def test_a_running_download_can_be_stopped(at: str, how: str, target: BinaryIO) -> None:
    assert any(seconds_to_end(at, how, target) < 1.0 for _ in range(8))  # on a busy machine one of several tries
    assert written(target) == (b"" if at == "head" else TRACK[:5000])


def seconds_to_end(at: str, how: str, target: BinaryIO) -> float:
    with stalling(at) as (server, under_way):
        api, transfer = client(server.url), Transfer()
        with on_a_thread(lambda: api.download(server.url, target, transfer)) as running:
            assert under_way.wait(5)
            until(lambda: transfer.progress == (0 if at == "head" else 5000), "what was sent has arrived")
            began = time.monotonic()
            {"interrupt": api.interrupt, "end": transfer.end, "stop": transfer.stop.set}[how]()
            with pytest.raises(TransferStopped):
                running.result(5)
            return time.monotonic() - began


def test_an_interrupt_leaves_json_operations_their_answer() -> None:
    import asyncio

    asked, go_on = threading.Event(), threading.Event()

    def slow(talk: Talk) -> None:
        talk.request()
        asked.set()
        go_on.wait(5)
        talk.json('{"minutes_left": 7}')

    async def story(api: Client) -> float:
        running = asyncio.create_task(api.minutes_left())
        await asyncio.to_thread(asked.wait, 5)
        api.interrupt()
        go_on.set()
        try:
            return await running
        finally:
            await api.aclose()

    with RawServer(slow) as server:
        assert asyncio.run(story(client(server.url))) == 7.0


def test_a_large_track_is_fetched_at_its_rate(target: BinaryIO) -> None:
    with RawServer(track(TRACK[:200_000])) as server:
        began = time.monotonic()
        client(server.url, download_rate=400_000).download(server.url, target, Transfer())
        assert 0.4 < time.monotonic() - began < 10


def test_after_the_client_is_closed_nothing_is_kept_open(target: BinaryIO) -> None:
    import asyncio

    closed = threading.Event()

    def script(talk: Talk) -> None:
        talk.head()
        talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(LARGE)}\r\n\r\n", LARGE)
        talk.until_gone()
        closed.set()

    with RawServer(script) as server:
        api = client(server.url)
        with on_a_thread(lambda: api.download(server.url, target, Transfer())) as running:
            until(lambda: server.connections, "the download is under way")
            asyncio.run(api.aclose())
            assert running.result(10).sha256 == sha256(LARGE)
        assert closed.wait(5)
