"""Uploads that meet each other, a crash, or an inbox that goes away while a piece arrives."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lalald.filesystem.confined import upload_parts
from tests.support.page_client import PageClient, address_of
from tests.support.running import Home, tree
from tests.web.test_uploads import PIECE, begin, offset_of, raw_head, send


def begin_piece(connection: socket.socket, head: bytes) -> None:
    """Returns once the page waits for the bytes: from then on it keeps other writers out."""
    connection.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")


def test_many_that_begin_and_end_at_once_all_arrive_and_others_may_read_them(tmp_path: Path) -> None:
    """The first and the last one of them make and remove the folder of parts, again and again."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / "made").write_bytes(b"")  # by a program with the same umask

    def upload(number: int) -> None:
        upload_id = f"{number:032x}"
        inode = upload_parts.create_part(str(inbox), upload_id)
        descriptor = upload_parts.open_part(str(inbox), upload_id, inode, 0)
        upload_parts.write(descriptor, b"%d" % number)
        upload_parts.move_in(str(inbox), upload_id, f"{number}.wav", descriptor)
        os.close(descriptor)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(upload, range(1000)))
    assert {file.name: file.read_bytes() for file in inbox.iterdir()} == {f"{n}.wav": b"%d" % n for n in range(1000)}
    modes = {file.stat().st_mode for file in inbox.iterdir()}
    assert modes == {(tmp_path / "made").stat().st_mode}


def test_twenty_are_open_however_many_begin_at_once(home: Home, client: PageClient) -> None:
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda number: begin(client, home, f"{number}.wav", 5), range(40)))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [429] * 20
    assert len(tree(home.inbox / ".lalald-uploads")) == 20


def test_a_crash_after_the_last_step_is_no_reason_to_send_the_file_again(home: Home, client: PageClient) -> None:
    """Moved in, and the row not removed yet."""
    for is_ours in (True, False):
        upload_id = begin(client, home, f"{is_ours}/song.wav", 5).json()["id"]
        part = home.inbox / ".lalald-uploads" / upload_id
        target = home.inbox / str(is_ours) / "song.wav"
        target.parent.mkdir()
        target.write_bytes(b"other")
        assert send(client, upload_id, 0, b"12345").json()["code"] == "name_in_use"
        if is_ours:
            part.rename(target)
        else:
            part.unlink()
        answer = send(client, upload_id, 5, b"")
        assert answer.status_code == (204 if is_ours else 404), answer.text
        assert answer.headers.get("upload-complete") == ("?1" if is_ours else None)
        assert target.read_bytes() == (b"12345" if is_ours else b"other")
    assert client.facts("/api/uploads")["uploads"] == []


def test_an_inbox_that_goes_away_while_a_piece_arrives_gets_no_file(home: Home, client: PageClient) -> None:
    upload_id = begin(client, home, "song.wav", 10).json()["id"]
    host, port = home.settings["web"]["listen"].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        begin_piece(connection, raw_head(home, client, upload_id, 0, 10))
        connection.sendall(b"12345")
        (home.inbox / ".lalald").rename(home.root / "marker")
        connection.sendall(b"67890")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"upload-offset: 10\r\n" in answer.lower()
    assert not (home.inbox / "song.wav").exists()
    (home.root / "marker").rename(home.inbox / ".lalald")
    assert offset_of(client, upload_id) == 10
    assert send(client, upload_id, 10, b"").headers["upload-complete"] == "?1"
    assert (home.inbox / "song.wav").read_bytes() == b"1234567890"


def test_a_second_writer_waits_and_harms_nothing(home: Home, client: PageClient) -> None:
    upload_id = begin(client, home, "song.wav", 10).json()["id"]
    host, port = home.settings["web"]["listen"].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        begin_piece(connection, raw_head(home, client, upload_id, 0, 10))
        connection.sendall(b"12345")
        answer = send(client, upload_id, 0, b"x" * 10)
        assert answer.status_code == 423
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("locked", "1")
        assert client.delete(f"/api/uploads/{upload_id}").status_code == 423
        connection.sendall(b"67890")
        assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")
    assert (home.inbox / "song.wav").read_bytes() == b"1234567890"


def test_a_piece_without_a_length_is_bounded_by_the_size_of_the_file(home: Home, client: PageClient) -> None:
    upload_id = begin(client, home, "song.wav", 5).json()["id"]
    headers = {"Content-Type": PIECE, "Upload-Offset": "0"}
    address = f"{address_of(home)}/api/uploads/{upload_id}"
    answer = client.patch(address, content=iter([b"123", b"456"]), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    offset = offset_of(client, upload_id)
    assert offset <= 5
    assert (
        client.patch(
            address, content=iter([b"12345"[offset:]]), headers={**headers, "Upload-Offset": str(offset)}
        ).headers["upload-complete"]
        == "?1"
    )
    assert (home.inbox / "song.wav").read_bytes() == b"12345"
