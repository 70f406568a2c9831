"""The sandbox's downloads: content, links and ranges."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.support.sandbox_client import Caller, wav_bytes

HOUR_SECONDS = 3600
BODY = bytes(range(256)) * 10
TRACK = track_bytes(BODY, "voice", "talk.bin")


@pytest.fixture
def caller(sandbox: Sandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def url(caller: Caller) -> str:
    """The link of the track `TRACK`."""
    return first_link(caller, caller.upload(BODY, "talk.bin"))


def first_link(caller: Caller, source_id: str) -> str:
    return str(caller.tracks(caller.task(source_id))[0]["url"])


def fetch(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(
        method, url, headers={name.replace("_", "-"): value for name, value in headers.items()}, verify=False
    )


@pytest.mark.parametrize("size", [1, 11, 12, 65_536, 65_537, 700_000])
def test_the_bytes_of_a_track_are_predictable(caller: Caller, size: int) -> None:
    body = (BODY * (size // len(BODY) + 1))[:size]
    tracks = caller.tracks(caller.task(caller.upload(body, "Ein Stück.mp3")))

    for track in tracks:
        fetched = fetch(track["url"])
        assert fetched.content == track_bytes(body, track["label"], "Ein Stück.mp3")
        assert len(fetched.content) == track["size"] == int(fetched.headers["content-length"])
    assert len({fetch(track["url"]).content for track in tracks}) == 2


def test_the_tracks_of_a_wav_are_wavs_with_a_comment(caller: Caller) -> None:
    song = wav_bytes(2)
    (voice, _) = caller.tracks(caller.task(caller.upload(song, "song.wav")))
    fetched = fetch(voice["url"]).content

    with wave.open(io.BytesIO(fetched)) as track, wave.open(io.BytesIO(song)) as source:
        assert track.readframes(10**6) == source.readframes(10**6)
    assert fetched == track_bytes(song, "voice", "song.wav")
    assert b"ICMT" in fetched
    assert b"lalald sandbox: voice of song.wav" in fetched


@given(st.binary(max_size=64), st.sampled_from(["vocals", "no_vocals", "vocals@0"]), st.text(max_size=20))
def test_a_track_ends_in_its_note_and_holds_its_source(source: bytes, label: str, name: str) -> None:
    name = name.encode("utf-8", "replace").decode()

    assert track_bytes(source, label, name) == source + f"\nlalald sandbox: {label} of {name}\n".encode()


@given(st.binary(max_size=40).map(lambda data: data[: len(data) // 2 * 2]), st.text("abcäö", max_size=5))
def test_a_wav_stays_valid_with_any_note(data: bytes, name: str) -> None:
    riff = b"WAVEdata" + len(data).to_bytes(4, "little") + data
    track = track_bytes(b"RIFF" + len(riff).to_bytes(4, "little") + riff, "voice", name)

    assert int.from_bytes(track[4:8], "little") == len(track) - 8
    assert track[8 : 8 + len(riff)] == riff
    assert int.from_bytes(track[12 + len(riff) : 16 + len(riff)], "little") == len(track) - len(riff) - 16


def test_links_use_a_second_origin_and_need_no_key(sandbox: Sandbox, url: str) -> None:
    fetched = fetch(url)

    assert url.startswith(sandbox.files_url)
    assert sandbox.files_url != sandbox.url
    assert (fetched.status_code, fetched.content) == (200, TRACK)
    assert [each["with_key"] for each in sandbox.state()["requests"]] == [True, True, True, False]


def test_a_track_comes_with_its_type_and_name(caller: Caller) -> None:
    task_id = caller.task(caller.upload(BODY, "Stück.wav"), "voice_clean", stem="voice", encoder_format="mp3")
    headers = fetch(caller.tracks(task_id)[0]["url"]).headers

    assert headers["content-type"] == "audio/mpeg"
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''St%C3%BCck_voice.mp3"


def test_a_link_expires_and_a_new_check_returns_another(sandbox: Sandbox, caller: Caller) -> None:
    task_id = caller.task(caller.upload())
    old = caller.tracks(task_id)[0]["url"]
    sandbox.advance(HOUR_SECONDS)

    assert fetch(old).status_code == 403
    assert fetch(caller.tracks(task_id)[0]["url"]).status_code == 200


def test_a_link_cannot_be_forged(caller: Caller, url: str) -> None:
    task_id, ticket, label = url.rsplit("/", 3)[1:]
    later = f"{int(ticket.partition('-')[0]) + 1}-{ticket.partition('-')[2]}"
    forged = [
        url.replace(ticket, later),
        url.replace(label, "no_voice"),
        url.replace(task_id, caller.task(caller.upload())),
    ]

    assert [fetch(each).status_code for each in (url, *forged)] == [200, 403, 403, 403]


def test_links_work_for_an_hour_after_a_delete(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload()
    task_id = caller.task(source_id)
    caller.post("delete", {"source_id": source_id})
    sandbox.advance(HOUR_SECONDS - 10)
    before = fetch(caller.tracks(task_id)[0]["url"]).status_code
    sandbox.advance(11)

    assert before == 200
    assert fetch(caller.tracks(task_id)[0]["url"]).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "first", "end"),
    [
        ("bytes=0-", 206, "bytes 0-2594/2595", 0, 2595),
        ("bytes=100-199", 206, "bytes 100-199/2595", 100, 200),
        ("bytes=2500-9999", 206, "bytes 2500-2594/2595", 2500, 2595),
        ("bytes=-40", 206, "bytes 2555-2594/2595", 2555, 2595),
        ("bytes=-9999", 206, "bytes 0-2594/2595", 0, 2595),
        ("bytes=2595-", 416, "bytes */2595", 0, 0),
        ("bytes=-0", 416, "bytes */2595", 0, 0),
        ("bytes=0-1,5-6", 200, None, 0, 2595),
        ("bytes=9-5", 200, None, 0, 2595),
        ("bytes=-", 200, None, 0, 2595),
        ("lines=1-2", 200, None, 0, 2595),
    ],
)
def test_a_range_can_be_downloaded(
    url: str, asked: str, status: int, content_range: str | None, first: int, end: int
) -> None:
    answer = fetch(url, range=asked)

    assert (answer.status_code, answer.headers.get("content-range"), answer.content) == (
        status,
        content_range,
        TRACK[first:end],
    )


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_a_range_needs_the_same_version_of_the_track(url: str, validator: str) -> None:
    version = fetch(url).headers[validator]

    assert fetch(url, range="bytes=5-", if_range=version).status_code == 206
    assert fetch(url, range="bytes=5-", if_range='"another"').status_code == 200


def test_head_has_the_headers_of_get(url: str) -> None:
    head, get = fetch(url, "HEAD"), fetch(url)

    def content_range(answer: httpx.Response) -> dict[str, Any]:
        return {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}

    assert (head.status_code, head.content, content_range(head)) == (200, b"", content_range(get))
    assert fetch(url, "POST").status_code == 405


@pytest.fixture
def without_ranges() -> Iterator[Caller]:
    with Sandbox(Options(ranges=False)) as sandbox:
        yield Caller(sandbox)


def test_ranges_can_be_turned_off(without_ranges: Caller) -> None:
    answer = fetch(first_link(without_ranges, without_ranges.upload(BODY, "talk.bin")), range="bytes=5-")

    assert (answer.status_code, answer.content) == (200, TRACK)
    assert "accept-ranges" not in answer.headers


def test_bytes_are_deleted_once_they_can_no_longer_be_downloaded(tmp_path: Any) -> None:
    with Sandbox(Options(folder=tmp_path, link_seconds_after_delete=10)) as sandbox:
        caller = Caller(sandbox)
        source_id = caller.upload(bytes(100_000))
        caller.post("delete", {"source_id": source_id})
        before = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        sandbox.advance(11)
        after = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())

    assert (before, after) == (100_000, 0)
    assert list(tmp_path.iterdir()) == []
