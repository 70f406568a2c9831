"""Tracks by parts, sources for comparison, and all results as one archive."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from tests.support.page_client import PageClient
from tests.support.running import Home


def vocals(home: Home) -> Path:
    return home.outbox / "song" / "vocals.wav"


def test_a_track_is_read_whole_or_by_parts(done_home: Home, reader: PageClient) -> None:
    content = vocals(done_home).read_bytes()
    whole = reader.get("/api/jobs/1/tracks/1")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "audio/wav")
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(content)
    for header, start, end in (
        ("bytes=0-0", 0, 1), ("bytes=10-99", 10, 100), ("bytes=100-", 100, size), ("bytes=-7", size - 7, size),
        (f"bytes=0-{size * 9}", 0, size), (f"bytes=-{size * 9}", 0, size),
    ):  # fmt: skip
        part = reader.get("/api/jobs/1/tracks/1", headers={"Range": header})
        assert (part.status_code, part.content) == (206, content[start:end]), header
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for header in (f"bytes={size}-", "bytes=-0"):
        behind = reader.get("/api/jobs/1/tracks/1", headers={"Range": header})
        assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{size}")
    for header in ("bytes=5-2", "lines=0-1", "bytes=0-1,4-5", "bytes=-", "bytes=" + "9" * 30 + "-"):
        assert reader.get("/api/jobs/1/tracks/1", headers={"Range": header}).content == content, header
    tag = whole.headers["etag"]
    assert reader.get("/api/jobs/1/tracks/1", headers={"Range": "bytes=0-0", "If-Range": tag}).status_code == 206
    assert reader.get("/api/jobs/1/tracks/1", headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status_code == 200


def test_a_head_says_the_length_and_keeps_nothing_open(done_home: Home, reader: PageClient) -> None:
    for _ in range(50):
        answer = reader.head("/api/jobs/1/tracks/1")
        assert (answer.status_code, int(answer.headers["content-length"])) == (200, vocals(done_home).stat().st_size)
    assert answer.content == b""


def test_browsers_keep_the_name_of_a_download(reader: PageClient) -> None:
    inline = reader.get("/api/jobs/1/tracks/1").headers["content-disposition"]
    kept = reader.get("/api/jobs/1/tracks/1?download=1").headers["content-disposition"]
    assert inline == "inline; filename=\"vocals.wav\"; filename*=UTF-8''vocals.wav"
    assert kept.startswith("attachment; ")


def test_only_delivered_tracks_are_given_and_never_through_a_link(
    home: Home, client: PageClient, tmp_path: Path
) -> None:
    for number in ("0", "3", "-1", "x", "1.0", "9" * 30):
        assert client.get(f"/api/jobs/1/tracks/{number}").status_code == 404, number
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    folder, track = vocals(home).parent, vocals(home)
    track.rename(tmp_path / "kept")
    track.symlink_to(secret)
    assert client.get("/api/jobs/1/tracks/1").status_code == 404
    track.unlink()
    os.mkfifo(track)  # nothing writes to it: a plain open would wait for ever
    assert client.get("/api/jobs/1/tracks/1").status_code == 404
    track.unlink()
    track.mkdir()
    assert client.get("/api/jobs/1/tracks/1").status_code == 404
    track.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept").rename(tmp_path / "elsewhere" / track.name)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "elsewhere")
    assert client.get("/api/jobs/1/tracks/1").status_code == 404
    assert client.get("/api/jobs/1/tracks/2").status_code == 404


def test_a_track_whose_folder_becomes_a_link_while_it_is_read_stays_the_same_file(
    home: Home, client: PageClient, tmp_path: Path
) -> None:
    content = os.urandom(8 << 20)
    vocals(home).write_bytes(content)
    with client.stream("GET", "/api/jobs/1/tracks/1") as response:
        pieces = response.iter_raw(1 << 16)
        read = next(pieces)
        vocals(home).parent.rename(tmp_path / "moved")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "vocals.wav").write_bytes(b"x" * len(content))
        (home.outbox / "song").symlink_to(tmp_path / "other")
        read += b"".join(pieces)
    assert read == content


def test_the_source_is_given_while_it_is_the_same_file(home: Home, client: PageClient) -> None:
    done = home.inbox / "done" / "song.wav"
    media = client.facts("/api/jobs/1")["media"]
    assert media["source"]["url"] == "api/jobs/1/source"
    assert client.get("/api/jobs/1/source").content == done.read_bytes()
    done.write_bytes(b"another song")
    assert client.get("/api/jobs/1/source").status_code == 404
    assert client.facts("/api/jobs/1")["media"]["source"] is None


def test_all_results_are_one_archive_of_the_announced_length(home: Home, client: PageClient) -> None:
    answer = client.get("/api/jobs/1/results.zip")
    media = client.facts("/api/jobs/1")["media"]
    assert len(answer.content) == int(answer.headers["content-length"]) == media["zip_size"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["no_vocals.wav", "vocals.wav"]
        assert archive.read("vocals.wav") == vocals(home).read_bytes()
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
    vocals(home).unlink()
    left = client.get("/api/jobs/1/results.zip").content
    with zipfile.ZipFile(io.BytesIO(left)) as archive:
        assert archive.namelist() == ["no_vocals.wav"]


def test_a_file_that_becomes_shorter_ends_the_connection_and_not_the_page(home: Home, client: PageClient) -> None:
    import httpx

    vocals(home).write_bytes(os.urandom(16 << 20))
    try:
        with client.stream("GET", "/api/jobs/1/tracks/1") as response:
            pieces = response.iter_raw(1 << 16)
            next(pieces)
            os.truncate(vocals(home), 1 << 20)
            read = sum(map(len, pieces))
    except httpx.RemoteProtocolError:
        read = -1
    assert read < 16 << 20
    assert client.get("/healthz").status_code == 200
