"""Files for an inbox: resumed after every cut, refused where the intake would not take them, moved in whole."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from tests.conftest import MakeHome
from tests.support.page_client import PageClient, address_of, logged_in, page_alone, with_page
from tests.support.private_mounts import Filler, in_own_mounts, mount_disk
from tests.support.running import Home, tree, until, write_wav

PIECE = "application/offset+octet-stream"


def begin(client: PageClient, home: Home, path: str, size: int, **more: Any) -> httpx.Response:
    return client.post("/api/uploads", json={"inbox": str(home.inbox), "path": path, "size": size, **more})


def send(client: PageClient, upload_id: str, offset: int, data: bytes) -> httpx.Response:
    headers = {"Content-Type": PIECE, "Upload-Offset": str(offset)}
    return client.patch(f"/api/uploads/{upload_id}", content=data, headers=headers)


def offset_of(client: PageClient, upload_id: str) -> int:
    answer = client.head(f"/api/uploads/{upload_id}")
    assert (answer.status_code, answer.headers["tus-resumable"]) == (200, "1.0.0")
    return int(answer.headers["upload-offset"])


def song(tmp_path: Path) -> bytes:
    return write_wav(tmp_path / "made.wav", seconds=20.0, pitch=777)


def raw(home: Home, client: PageClient, upload_id: str, offset: int, length: int, data: bytes | None = None) -> bytes:
    """What is answered to a request that announces so many bytes; with `data`: the connection is cut after these."""
    host, port = home.settings["web"]["listen"].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(raw_head(home, client, upload_id, offset, length) + (data or b""))
        return connection.recv(4096) if data is None else b""


def raw_head(home: Home, client: PageClient, upload_id: str, offset: int, length: int) -> bytes:
    """What comes before the bytes of a piece."""
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    host = home.settings["web"]["listen"]
    return (
        f"PATCH /api/uploads/{upload_id} HTTP/1.1\r\nHost: {host}\r\nX-Lalald: 1\r\nOrigin: {address_of(home)}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: {PIECE}\r\nUpload-Offset: {offset}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_file_arrives_whole_and_becomes_a_job(home: Home, client: PageClient, tmp_path: Path) -> None:
    content = song(tmp_path)
    home.start()
    begun = begin(client, home, "new/folder/song.wav", len(content), fingerprint="mine")
    assert (begun.status_code, begun.headers["location"]) == (201, f"uploads/{begun.json()['id']}")
    upload_id, half = begun.json()["id"], len(content) // 2
    first = send(client, upload_id, 0, content[:half])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(half))
    (listed,) = client.facts("/api/uploads")["uploads"]
    assert (listed["offset"], listed["path"], listed["fingerprint"]) == (half, "new/folder/song.wav", "mine")
    assert tree(home.inbox) == ["done/song.wav", f".lalald-uploads/{upload_id}"][::-1]
    last = send(client, upload_id, half, content[half:])
    assert (last.status_code, last.headers["upload-complete"]) == (204, "?1")
    until((home.inbox / "done/new/folder/song.wav").exists, "the file is processed")
    assert (home.inbox / "done/new/folder/song.wav").read_bytes() == content
    assert (home.outbox / "new/folder/song/vocals.wav").exists()
    assert client.head(f"/api/uploads/{upload_id}").status_code == 404
    assert not (home.inbox / ".lalald-uploads").exists()


def test_an_upload_that_is_cut_at_any_byte_resumes_there(home: Home, client: PageClient, tmp_path: Path) -> None:
    content = song(tmp_path)
    upload_id = begin(client, home, "cut.wav", len(content)).json()["id"]
    offset = 0
    for count in (0, 1, 17, 4096, 100_000, 65_537):
        raw(home, client, upload_id, offset, len(content) - offset, content[offset : offset + count])

        def confirmed() -> int | None:
            """The writer that was cut off keeps others out until it has ended. What the cut took with it is not kept."""
            found = offset_of(client, upload_id)
            return found if send(client, upload_id, found, b"").status_code == 204 else None

        found = until(lambda: (kept := confirmed()) is not None and kept + 1, "the writer has ended") - 1
        assert offset <= found <= offset + count
        offset = found

    assert send(client, upload_id, offset, content[offset:]).status_code == 204
    assert (home.inbox / "cut.wav").read_bytes() == content


def test_a_killed_page_loses_no_confirmed_byte(home: Home, tmp_path: Path) -> None:
    content = song(tmp_path)
    with page_alone(home) as page, logged_in(home) as client:
        upload_id = begin(client, home, "killed.wav", len(content)).json()["id"]
        assert send(client, upload_id, 0, content[:1000]).status_code == 204
        page.kill()
        page.wait()
    part = home.inbox / ".lalald-uploads" / upload_id
    with part.open("ab") as file:
        file.write(b"never confirmed")
    with page_alone(home), logged_in(home) as client:
        assert offset_of(client, upload_id) == 1000
        assert send(client, upload_id, 1000, content[1000:]).status_code == 204
    assert (home.inbox / "killed.wav").read_bytes() == content


def test_what_the_intake_would_not_take_is_refused_at_once(home: Home, client: PageClient) -> None:
    for path in (
        ".hidden.wav", "a.wav.part", "done/a.wav", "failed/a.wav", "notes.txt", "../a.wav", "/a.wav", "a/../b.wav", "a//b.wav",
        "a\0b.wav", ".lalald", ".lalald-uploads/a.wav", "@eaDir/a.wav", "x" * 300 + ".wav", ".", "",
    ):  # fmt: skip
        answer = begin(client, home, path, 10)
        assert (answer.status_code, answer.json()["code"]) == (422, "not_taken"), path
    assert begin(client, home, "empty.wav", 0).status_code == 422
    assert begin(client, home, "large.wav", 10_000_000_001).json()["code"] == "too_large"
    assert client.post("/api/uploads", json={"inbox": "/etc", "path": "a.wav", "size": 1}).status_code == 404
    assert client.facts("/api/uploads")["uploads"] == []
    assert not (home.inbox / ".lalald-uploads").exists()


def test_pieces_that_do_not_fit_are_refused_and_change_nothing(home: Home, client: PageClient) -> None:
    upload_id = begin(client, home, "odd.wav", 100).json()["id"]
    assert send(client, upload_id, 0, b"x" * 40).status_code == 204
    wrong = send(client, upload_id, 0, b"y")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["upload-offset"]) == (409, "offset_mismatch", "40")
    beyond = send(client, upload_id, 40, b"z" * 61)
    assert (beyond.status_code, beyond.json()["code"]) == (413, "too_large")
    large = raw(home, client, upload_id, 40, 50_000_001)
    assert large.startswith(b"HTTP/1.1 413 ")
    plain = client.patch(f"/api/uploads/{upload_id}", content=b"x", headers={"Upload-Offset": "40"})
    assert plain.status_code == 415
    for offset in ("", "-1", "x", "9" * 30):
        headers = {"Content-Type": PIECE, "Upload-Offset": offset}
        assert client.patch(f"/api/uploads/{upload_id}", content=b"x", headers=headers).status_code == 400
    assert offset_of(client, upload_id) == 40
    assert client.delete(f"/api/uploads/{upload_id}").status_code == 204
    assert send(client, upload_id, 40, b"x").status_code == 404
    assert not (home.inbox / ".lalald-uploads").exists()


def test_a_name_in_use_is_reported_at_the_beginning_and_at_the_end(home: Home, client: PageClient) -> None:
    write_wav(home.inbox / "there.wav")
    assert begin(client, home, "there.wav", 5).json()["code"] == "name_in_use"
    upload_id = begin(client, home, "later.wav", 5).json()["id"]
    assert begin(client, home, "later.wav", 5).json()["code"] == "name_in_use"
    (home.inbox / "later.wav").write_bytes(b"somebody else's")
    answer = send(client, upload_id, 0, b"mine!")
    assert (answer.status_code, answer.json()["code"], answer.headers["upload-offset"]) == (409, "name_in_use", "5")
    assert (home.inbox / "later.wav").read_bytes() == b"somebody else's"
    (home.inbox / "later.wav").unlink()
    assert send(client, upload_id, 5, b"").headers["upload-complete"] == "?1"
    assert (home.inbox / "later.wav").read_bytes() == b"mine!"


def test_at_most_twenty_are_open(home: Home, client: PageClient) -> None:
    for number in range(20):
        assert begin(client, home, f"{number}.wav", 5).status_code == 201
    assert begin(client, home, "more.wav", 5).json()["code"] == "too_many_uploads"


def test_room_is_promised_to_open_uploads(home: Home, client: PageClient) -> None:
    free = shutil.disk_usage(home.inbox).free
    if free > 150_000_000_000:
        pytest.skip("the disk has room for 20 of the largest uploads")
    answers = [begin(client, home, f"{number}.wav", 10_000_000_000) for number in range(20)]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {answer.json()["code"] for answer in refused} == {"no_room"}
    assert sum(10_000_000_000 for answer in answers if answer.status_code == 201) <= free - (1 << 30)


def test_parts_and_folders_that_were_replaced_are_never_written_through(
    home: Home, client: PageClient, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    parts = home.inbox / ".lalald-uploads"
    for replace in (
        lambda part: part.symlink_to(victim),
        lambda part: os.link(victim, part),
        os.mkfifo,
        lambda part: part.write_bytes(b"another inode"),
    ):
        upload_id = begin(client, home, f"song-{tree(home.inbox)!s:.0}{os.urandom(3).hex()}.wav", 50).json()["id"]
        part = parts / upload_id
        part.rename(tmp_path / "kept")  # so that its inode is not given again
        replace(part)
        answer = send(client, upload_id, 0, b"x" * 50)
        assert (answer.status_code, answer.json()["code"]) == (503, "folder_unavailable")
        part.unlink()
        (tmp_path / "kept").unlink()
    assert victim.read_bytes() == b"precious"
    upload_id = begin(client, home, "folder/song.wav", 5).json()["id"]
    (home.inbox / "folder").symlink_to(tmp_path)
    assert send(client, upload_id, 0, b"12345").status_code == 503
    assert not (tmp_path / "song.wav").exists()
    assert begin(client, home, "folder/other.wav", 5).status_code == 422
    (home.inbox / "folder").unlink()
    parts.rename(tmp_path / "parts")
    parts.symlink_to(tmp_path / "parts")
    assert send(client, upload_id, 5, b"").status_code == 503
    parts.unlink()
    (tmp_path / "parts").rename(parts)
    parts.chmod(0o777)
    refused = send(client, upload_id, 5, b"")
    assert (refused.status_code, "others may write there" in refused.json()["error"]) == (503, True)
    parts.chmod(0o700)
    assert send(client, upload_id, 5, b"").status_code == 204
    assert (home.inbox / "folder/song.wav").read_bytes() == b"12345"


def test_nothing_begins_or_ends_in_a_folder_without_its_marker(home: Home, client: PageClient) -> None:
    upload_id = begin(client, home, "song.wav", 5).json()["id"]
    (home.inbox / ".lalald").rename(home.root / "marker")
    for answer in (begin(client, home, "other.wav", 5), send(client, upload_id, 0, b"12345")):
        assert (answer.status_code, answer.json()["code"]) == (503, "folder_unavailable")
    (home.root / "marker").rename(home.inbox / ".lalald")
    assert send(client, upload_id, 0, b"12345").status_code == 204


def test_uploads_can_be_turned_off(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = with_page(make_home(sandbox.url), uploads=False)
    home.command("run", "--once")
    with page_alone(home), logged_in(home) as client:
        assert begin(client, home, "song.wav", 5).json()["code"] == "uploads_off"
        assert client.get("/api/uploads").json()["code"] == "uploads_off"
        assert client.facts("/api/session")["uploads"] is False


def test_a_full_disk_is_reported_before_and_after_and_what_arrived_is_kept(tmp_path: Path) -> None:
    in_own_mounts(lambda: _full_disk(tmp_path))


def _full_disk(root: Path) -> None:
    mount_disk(root / "home", "1100m")  # 1 GiB of it stays free
    content = song(root)
    with Sandbox(Options()) as sandbox:
        home = with_page(Home(root / "home", sandbox.url))
        write_wav(home.inbox / "first.wav")
        home.command("run", "--once")
        with page_alone(home), logged_in(home) as client:
            too_large = begin(client, home, "large.wav", 200 << 20)
            assert (too_large.status_code, too_large.json()["code"]) == (507, "no_room")
            upload_id = begin(client, home, "song.wav", len(content)).json()["id"]
            filler = Filler(home.root)
            filler.fill(but_bytes=256 << 10)
            full = send(client, upload_id, 0, content)
            offset = offset_of(client, upload_id)
            assert (full.status_code, full.json()["code"]) == (507, "no_room")
            assert 0 <= offset < len(content)
            filler.empty()
            assert send(client, upload_id, offset, content[offset:]).status_code == 204
            assert (home.inbox / "song.wav").read_bytes() == content


def test_the_daemon_removes_uploads_untouched_for_a_day(home: Home, client: PageClient) -> None:
    old, soon, young = (begin(client, home, f"{name}.wav", 5).json()["id"] for name in ("old", "soon", "young"))
    parts = home.inbox / ".lalald-uploads"
    (parts / ("0" * 32)).write_bytes(b"of a crash")
    (parts / "somebody's").write_bytes(b"not a part")
    for name in ("0" * 32, "somebody's"):
        os.utime(parts / name, (1, 1))
    store = Store.open(home.state)
    for upload_id, seconds in ((old, 90000), (soon, 86400 - 4)):
        store.connection.execute("UPDATE uploads SET touched_at = touched_at - ? WHERE id = ?", (seconds, upload_id))
    store.close()
    home.start()
    until(lambda: len(home.logged("upload.abandoned")) == 2 and home.logged("uploads.removed"), "both were removed")
    assert sorted(os.listdir(parts)) == sorted([young, "somebody's"])
    assert [one["id"] for one in client.facts("/api/uploads")["uploads"]] == [young]
    assert send(client, young, 0, b"12345").status_code == 204
