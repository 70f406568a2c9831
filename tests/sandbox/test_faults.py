"""Injected faults of the sandbox."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lalald.sandbox.faults.active_faults import ActiveFaults
from lalald.sandbox.faults.faults import BadFaultError, fault
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.support.sandbox_client import Caller, new_key

BODY = bytes(range(256)) * 40
TRACK = track_bytes(BODY, "voice", "talk.bin")


@pytest.fixture
def caller(sandbox: Sandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def url(caller: Caller) -> str:
    """The link of the track `TRACK`."""
    return str(caller.tracks(caller.task(caller.upload(BODY, "talk.bin")))[0]["url"])


def fetch(url: str) -> httpx.Response:
    return httpx.get(url, verify=False)


def raw(url: str, request: bytes, *, read: bool = True, seconds: float = 5) -> tuple[bytes, str]:
    """The answer to a request on a plain socket, and how the connection ended: `fin`, `rst`, or `open` after these seconds."""
    parts, received = urlsplit(url), b""
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=seconds) as connection:
        try:
            connection.sendall(request)
            while read and (piece := connection.recv(65536)):
                received += piece
        except ConnectionResetError:
            return received, "rst"
        except TimeoutError:
            return received, "open"
    return received, "fin"


def upload_request(body: bytes, announced: int | None = None) -> bytes:
    head = (
        "POST /api/v1/upload/ HTTP/1.1\r\nHost: sandbox\r\nX-License-Key: k\r\nConnection: close\r\n"
        f"Content-Disposition: attachment; filename=a.mp3\r\nContent-Length: {announced or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get_request(url: str) -> bytes:
    return f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n".encode()


def until(is_so: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("spec", "meaning"),
    [
        ("upload:503*3", {"operation": "upload", "kind": "status", "status": 503, "count": 3}),
        ("*:reset_before", {"operation": "*", "kind": "reset_before"}),
        ("download:cut*0,fraction=0.3,match=ep 1", {"operation": "download", "kind": "cut", "count": 0, "fraction": 0.3, "match": "ep 1"}),
        ("split:429,retry_after=2,after=1", {"operation": "split", "kind": "status", "status": 429, "retry_after": 2, "after": 1}),
        ("check:label,track={\"label\":\"../x\"}", {"operation": "check", "kind": "label", "track": {"label": "../x"}}),
    ],
)  # fmt: skip
def test_a_fault_can_be_written_in_one_line(spec: str, meaning: dict[str, Any]) -> None:
    assert fault(spec).model_dump(exclude_defaults=True) == meaning


@pytest.mark.parametrize(
    "spec",
    ["upload", "upload:nothing", "cook:503", "upload:503,wheels=4", "upload:slow,bytes_per_second=0", "upload:task_error",
     "download:half", "split:item_error", "upload:server_error", "download:label", "download:redirect", "upload:99",
     "upload:half,done=true", "minutes:cut,bytes_per_second=3", "upload:503,url=http://x"],
)  # fmt: skip
def test_an_invalid_fault_is_refused_with_a_reason(sandbox: Sandbox, caller: Caller, spec: str) -> None:
    with pytest.raises(BadFaultError, match="fault"):
        sandbox.faults(spec)
    assert caller.control("faults", [spec]).status_code == 422
    assert sandbox.state()["faults"] == []


def test_a_fault_affects_count_requests_after_the_first_ones() -> None:
    book = ActiveFaults([fault("upload:503*2,after=1,match=song")])
    affected = [book.take("upload", [name]) is not None for name in ("song", "talk", "song", "my song", "song")]

    assert affected == [False, False, True, True, False]
    assert book.take("split", ["song"]) is None


def test_a_fault_can_last_for_a_time_or_for_ever() -> None:
    now = [100.0]
    book = ActiveFaults([fault({"operation": "check", "kind": "empty", "seconds": 5})], clock=lambda: now[0])
    endless = ActiveFaults([fault("check:empty*0")])
    within = [book.take("check") is not None for _ in range(3)]
    now[0] += 5

    assert within == [True, True, True]
    assert book.take("check") is None
    assert all(endless.take("check") for _ in range(100))


def test_faults_are_set_by_option_and_removed_over_http() -> None:
    with Sandbox(Options(faults=("minutes:503*0", "voices:empty*0"))) as sandbox:
        caller = Caller(sandbox)
        first = caller.post("limits/minutes_left").status_code
        replaced = caller.control("faults", ["minutes:500*0", {"operation": "voices", "kind": "html"}])
        second = caller.post("limits/minutes_left").status_code
        reply = replaced.json()["faults"]
        caller.request("DELETE", "/sandbox/faults")

        assert (first, second, caller.post("limits/minutes_left").status_code) == (503, 500, 200)
        assert reply[1] == {"operation": "voices", "kind": "html", "matched": 0, "used": 0}


def test_a_status_replaces_the_answer_and_the_request_is_not_performed_by_default(
    sandbox: Sandbox, caller: Caller
) -> None:
    source_id = caller.upload()
    sandbox.faults({"operation": "split", "kind": "status", "status": 503, "retry_after": 7, "code": "internal_error"})
    busy = caller.split(source_id)
    undone = sandbox.state()["charges"]
    sandbox.faults("split:500,done=true,detail=oh")
    failed = caller.split(source_id)

    assert (busy.status_code, busy.headers["retry-after"], busy.json()["code"]) == (503, "7", "internal_error")
    assert len(busy.headers["x-request-id"]) == 32
    assert (failed.status_code, failed.json()) == (500, {"detail": "oh"})
    assert (len(undone), len(sandbox.state()["charges"])) == (0, 1)


def test_an_answer_can_be_html_empty_or_cut(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.faults("minutes:html", "minutes:empty", "minutes:half")
    html, empty, half = (caller.post("limits/minutes_left") for _ in range(3))

    assert (html.status_code, html.headers["content-type"], html.text[:9]) == (
        200,
        "text/html; charset=utf-8",
        "<!DOCTYPE",
    )
    assert (empty.status_code, empty.content) == (200, b"")
    assert (half.status_code, half.text) == (200, '{"minutes_l')


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ("minutes:missing", {}),
        ("minutes:null", {"minutes_left": None}),
        ("minutes:type", {"minutes_left": "about 1000.0"}),
        ("minutes:type,value=[1]", {"minutes_left": [1]}),
        ("minutes:null,field=other", {"minutes_left": 1000.0}),
    ],
)
def test_a_field_can_be_missing_null_or_mistyped(
    sandbox: Sandbox, caller: Caller, spec: str, answer: dict[str, Any]
) -> None:
    sandbox.faults(spec)

    assert caller.post("limits/minutes_left").json() == answer


def test_nested_fields_can_be_changed(sandbox: Sandbox, caller: Caller) -> None:
    task_id = caller.task(caller.upload())
    sandbox.faults("check:missing,field=url", "check:unknown", "check:unknown,field=type,value=side", "check:extra")
    no_url, new_status, new_type, extra = (caller.checked(task_id) for _ in range(4))

    assert [sorted(track) for track in no_url["result"]["tracks"]] == [
        sorted({*track} - {"url"}) for track in extra_free(extra)
    ]
    assert new_status["status"] == "something_new"
    assert {track["type"] for track in new_type["result"]["tracks"]} == {"side"}
    assert extra["status"] == "success"
    assert "new_in_this_version" in extra["result"]["tracks"][0]


def extra_free(reply: dict[str, Any]) -> list[set[str]]:
    return [{*track} - {"new_in_this_version"} for track in reply["result"]["tracks"]]


def test_a_reset_before_the_body_is_a_tcp_reset_and_the_request_is_not_performed(sandbox: Sandbox) -> None:
    sandbox.faults("upload:reset_before")

    assert raw(sandbox.url, upload_request(b"half", announced=1000)) == (b"", "rst")
    assert sandbox.state()["sources"] == []
    assert raw(sandbox.url, upload_request(b"whole"))[1] == "fin"


def test_a_reset_within_the_body_comes_at_its_position(sandbox: Sandbox) -> None:
    sandbox.faults("upload:reset_during*0,at_byte=500")

    assert raw(sandbox.url, upload_request(bytes(499), announced=1000), seconds=0.2) == (b"", "open")
    assert raw(sandbox.url, upload_request(bytes(500), announced=1000)) == (b"", "rst")
    assert sandbox.state()["sources"] == []


def test_a_reset_after_loses_the_answer_of_a_performed_request(sandbox: Sandbox, caller: Caller) -> None:
    source_id, key = caller.upload(), new_key()
    sandbox.faults("split:reset_after")

    with pytest.raises(httpx.NetworkError):
        caller.split(source_id, key=key)
    (charge,) = sandbox.state()["charges"]
    assert charge["idempotency_key"] == key
    assert raw(sandbox.url, upload_request(b"whole"))[1] == "fin"


def test_an_answer_can_hang_until_the_fault_is_lifted(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.faults("upload:hang")
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(caller.post_file(b"abc").status_code))
    thread.start()
    until(lambda: sandbox.state()["counts"].get("upload") == 1)
    meanwhile = (list(answers), sandbox.state()["sources"])
    sandbox.faults()
    thread.join(5)

    assert meanwhile == ([], [])
    assert answers == [200]


def test_a_hanging_request_of_a_client_that_left_is_not_performed(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload()
    body = json.dumps({"source_id": source_id, "presets": {"stem": "voice"}}).encode()
    request = b"POST /api/v1/split/voice_clean/ HTTP/1.1\r\nHost: a\r\nX-License-Key: k\r\nContent-Length: %d\r\n\r\n%s"
    sandbox.faults("split:hang")
    raw(sandbox.url, request % (len(body), body), read=False)
    until(
        lambda: (
            [each["ended_at"] is None for each in sandbox.state()["requests"] if each["operation"] == "split"]
            == [False]
        )
    )
    sandbox.faults()

    assert sandbox.state()["charges"] == []


def test_a_request_can_hang_after_it_is_performed(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload()
    sandbox.faults("split:hang,done=true")
    thread = threading.Thread(target=lambda: caller.split(source_id))
    thread.start()
    until(lambda: len(sandbox.state()["charges"]) == 1)
    sandbox.faults()
    thread.join(5)

    assert sandbox.state()["requests"][-1]["status"] == 200


def test_an_answer_can_be_late(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.faults("minutes:delay,wait_seconds=0.2")
    began_at = time.monotonic()

    assert caller.post("limits/minutes_left").status_code == 200
    assert time.monotonic() - began_at >= 0.2


def test_uploads_and_downloads_can_be_slow(sandbox: Sandbox, caller: Caller, url: str) -> None:
    sandbox.faults("upload:slow,bytes_per_second=40000", "download:slow,bytes_per_second=50000")
    began_at = time.monotonic()
    caller.upload(bytes(10_000))
    uploaded_at = time.monotonic()

    assert fetch(url).content == TRACK
    assert uploaded_at - began_at >= 0.2
    assert time.monotonic() - uploaded_at >= 0.15


def test_a_download_can_be_cut_by_fin_or_reset(sandbox: Sandbox, url: str) -> None:
    sandbox.faults("download:cut,at_byte=1000", "download:reset_during,fraction=0.25")
    cut, cut_by = raw(url, get_request(url))
    reset, reset_by = raw(url, get_request(url))

    assert (cut.partition(b"\r\n\r\n")[2], cut_by) == (TRACK[:1000], "fin")
    assert f"content-length: {len(TRACK)}".encode() in cut
    assert (reset.partition(b"\r\n\r\n")[2], reset_by) == (TRACK[: len(TRACK) // 4], "rst")
    assert fetch(url).content == TRACK


@pytest.mark.parametrize(("declared", "length"), [("length", len(TRACK) + 9), ("less", len(TRACK)), ("none", None)])
def test_a_download_can_be_too_long(sandbox: Sandbox, url: str, declared: str, length: int | None) -> None:
    sandbox.faults(f"download:long,extra_bytes=9,declared={declared}")
    head, _, body = raw(url, get_request(url))[0].partition(b"\r\n\r\n")

    assert (f"content-length: {length}".encode() in head) == (length is not None)
    assert (b"transfer-encoding: chunked" in head.lower()) == (length is None)
    assert bytes(9) in body
    assert len(body) >= len(TRACK) + 9


def test_a_download_can_redirect_or_be_dead(sandbox: Sandbox, url: str) -> None:
    sandbox.faults("download:redirect,url=http://elsewhere.invalid/x", "download:dead", "download:dead,status=410")
    away, *dead = (fetch(url) for _ in range(3))

    assert (away.status_code, away.headers["location"]) == (302, "http://elsewhere.invalid/x")
    assert [each.status_code for each in dead] == [404, 410]


def test_an_answer_can_be_endless(sandbox: Sandbox) -> None:
    sandbox.faults("minutes:huge")
    received = 0
    with httpx.stream(
        "POST", f"{sandbox.url}/api/v1/limits/minutes_left/", headers={"X-License-Key": "k"}, verify=False
    ) as answer:
        for piece in answer.iter_bytes():
            received += len(piece)
            if received > 20_000_000:
                break

    assert "content-length" not in answer.headers
    until(lambda: [each["ended_at"] is None for each in sandbox.state()["requests"]] == [False])


def test_tracks_in_a_check_can_be_wrong(sandbox: Sandbox, caller: Caller) -> None:
    task_id = caller.task(caller.upload(BODY, "talk.bin"))
    right = caller.tracks(task_id)
    sandbox.faults(
        "check:size,extra_bytes=-5",
        {
            "operation": "check",
            "kind": "label",
            "only": "no_voice",
            "track": {"label": "../../x", "name": "/etc/passwd"},
        },
        "check:http_link,url=http://d.invalid/x",
    )
    sizes, labels, links = (caller.tracks(task_id) for _ in range(3))

    assert [track["size"] for track in sizes] == [track["size"] - 5 for track in right]
    assert [(track["label"], track["name"]) for track in labels] == [
        ("voice", "talk_voice.bin"),
        ("../../x", "/etc/passwd"),
    ]
    assert {track["url"] for track in links} == {"http://d.invalid/x"}


def test_a_fault_of_tracks_waits_for_tracks_and_for_its_file() -> None:
    with Sandbox(Options(processing_seconds=100)) as sandbox:
        caller = Caller(sandbox)
        talk, song = (caller.task(caller.upload(BODY, name)) for name in ("talk.bin", "song.bin"))
        sandbox.faults({"operation": "check", "kind": "label", "match": "song", "track": {"label": "hostile"}})
        caller.check(talk, song)
        sandbox.advance(101)
        reply = caller.check(talk, song)

    assert [reply[task_id]["result"]["tracks"][0]["label"] for task_id in (talk, song)] == ["voice", "hostile"]


def test_new_tasks_can_fail_or_get_stuck(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload()
    sandbox.faults(
        "split:task_error,detail=no voice,code=inference_error", "split:stuck,percent=40", "batch:task_error"
    )
    failing, stuck = caller.task(source_id), caller.task(source_id)
    in_batch = caller.batch(source_id).json()["results"][0]["task_id"]
    reply = caller.check(failing, stuck, in_batch)

    assert reply[failing]["error"] == {**reply[failing]["error"], "detail": "no voice", "code": "inference_error"}
    assert (reply[stuck]["status"], reply[stuck]["progress"]) == ("progress", 40)
    assert reply[in_batch]["status"] == "error"


def test_single_items_can_fail(sandbox: Sandbox, caller: Caller) -> None:
    good, bad = caller.upload(name="good.wav"), caller.upload(name="bad.wav")
    sandbox.faults(
        "batch:item_error,match=bad,code=exceeded_duration",
        "check:server_error,match=bad",
        "cancel:server_error,detail=no",
    )
    results = caller.batch(good, bad).json()["results"]
    good_task, bad_task = caller.task(good), caller.task(bad)
    reply = caller.check(good_task, bad_task)

    assert [each.get("code") for each in results] == [None, "exceeded_duration"]
    assert [reply[task_id]["status"] for task_id in (good_task, bad_task)] == ["success", "server_error"]
    assert "already been deleted" in reply[bad_task]["error"]
    assert caller.checked(bad_task)["status"] == "success"
    cancelled = caller.post("cancel", {"task_ids": [good_task]}).json()["result"]
    assert cancelled == {good_task: {"status": "server_error", "error": "no"}}


def test_the_service_can_be_down_and_return(sandbox: Sandbox, caller: Caller, url: str) -> None:
    with sandbox.down():
        for each in (sandbox.url, sandbox.files_url):
            with pytest.raises(httpx.ConnectError):
                fetch(each)

    assert caller.post("limits/minutes_left").status_code == 200
    assert fetch(url).content == TRACK


def test_an_outage_over_http_ends_after_its_time(caller: Caller) -> None:
    assert caller.control("outage", 0.2).json() == {"down_seconds": 0.2}

    def is_down() -> bool:
        try:
            return not caller.post("limits/minutes_left").is_success
        except httpx.TransportError:
            return True

    until(is_down)
    until(lambda: not is_down())


@pytest.fixture
def busy() -> Iterator[Sandbox]:
    with Sandbox(Options(faults=("*:hang*0",))) as sandbox:
        yield sandbox


def test_a_sandbox_stops_at_once_whatever_hangs(busy: Sandbox) -> None:
    parts = urlsplit(busy.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=5) as connection:
        connection.sendall(upload_request(b"whole"))
        until(lambda: busy.state()["counts"].get("upload") == 1)
        began_at = time.monotonic()
        busy.stop()

        assert time.monotonic() - began_at < 10  # a request that hangs ends only with its client


@pytest.mark.parametrize(
    ("control", "value", "words"),
    [
        ("faults", 3, "must be a list"),
        ("faults", ["upload:503,foo=1"], "foo is unknown"),
        ("minutes", "a", "must be a number"),
        ("minutes", -1, "must be at least 0"),
        ("outage", 0, "must be more than 0"),
        ("tasks/x", {"outcome": "lost"}, "must be 'success', 'error', 'cancelled' or 'stuck'"),
    ],
)
def test_a_control_is_refused_in_plain_words(caller: Caller, control: str, value: Any, words: str) -> None:
    answer = caller.control(control, value)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "http" not in answer.text
    assert "Input should" not in answer.text
