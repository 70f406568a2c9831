"""Requests that no browser sends: odd addresses, half characters, numbers without bounds, bodies of strangers."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.page_client import PageClient, address_of, page_alone, with_page
from tests.support.running import Home, write_wav

JSON = {"Content-Type": "application/json"}
UNICODE_PASSWORD = "Gänse-Füßchen-für-den-Test"


def status_of(home: Home, target: str, *headers: str) -> int:
    """What is answered to GET with exactly this target."""
    host, port = home.settings["web"]["listen"].split(":")
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}:{port}", "Connection: close", *headers, "", ""]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.recv(4096).split()[1])


def test_no_spelling_of_an_address_gets_around_the_login(done_home: Home) -> None:
    for target in ("/", "/healthz", "/static/app.js", "/static/app.js?x=/api/status"):
        assert status_of(done_home, target) == 200, target
    for path in ("metrics", "api/status", "api/jobs/1/tracks/1", "api/events", "nothing"):
        first = path[0]
        for target in (
            f"/{path}", f"/{path}%0a", f"/{path}%0A%0a", f"//{path}", f"/./{path}", f"/static/../{path}", f"/{path}/", f"/{path}?",
            f"/%{ord(first):x}{path[1:]}", f"/{path}%00", f"/{path};x", f"http://127.0.0.1/{path}", f"http:///{path}",
            f"/api/login%2f..%2f..%2f{path}", f"/healthz%0a{path}", f"/{path.upper()}", "*",
        ):  # fmt: skip
            assert status_of(done_home, target) in (400, 401, 404), target


@pytest.mark.usefixtures("client")
def test_a_stranger_gets_no_fault_into_the_log_and_no_memory(home: Home) -> None:
    with PageClient(address_of(home)) as stranger:
        for name in ("password", "link"):
            for text in (r"\ud800", r"\udfff", r"\udc00x", r"\u0000", "ä"):
                answer = stranger.post("/api/login", content=f'{{"{name}": "{text}"}}'.encode(), headers=JSON)
                assert answer.status_code in (401, 429), answer.text
        large = stranger.post("/api/login", content=b'{"password": "' + b"x" * 40_000 + b'"}', headers=JSON)
        assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_numbers_and_half_characters_of_a_body_are_answered(client: PageClient) -> None:
    quote: dict[str, Any] = client.facts("/api/jobs/1")["quotes"]["redo"]
    for name, number in (
        ("id", "1" + "0" * 30),
        ("minutes", "1e999"),
        ("charged", "-1e999"),
        ("latest_id", "9" * 5000),
    ):
        body = json.dumps({"key": "k" * 20, "jobs": [{**quote, name: "HERE"}]}).replace('"HERE"', number)
        answer = client.post("/api/redo", content=body.encode(), headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), name
    for path, facts in (
        ("/api/redo", {"key": "k" * 20, "jobs": [{**quote, "fingerprint": "\ud800"}]}),
        ("/api/quotes", {"action": "release", "hold": "\ud800", "rule": "\0"}),
    ):
        assert client.post(path, content=json.dumps(facts).encode(), headers=JSON).status_code == 200, path
    for folder in ("\ud800", "\0"):
        body = json.dumps({"folder": folder}).encode()
        assert client.post("/api/folders/accept", content=body, headers=JSON).status_code == 422


def test_an_upload_is_known_again_by_a_text_that_was_cut_within_a_character(home: Home, client: PageClient) -> None:
    fingerprint = "song \U0001f3b5"[:-1] + "\ud83c"
    begun = json.dumps({"inbox": str(home.inbox), "path": "song2.wav", "size": 5, "fingerprint": fingerprint})
    answer = client.post("/api/uploads", content=begun.encode(), headers=JSON)
    assert answer.status_code == 201, answer.text
    assert client.facts("/api/uploads")["uploads"][0]["fingerprint"] == fingerprint


def test_head_of_a_stream_ends(done_home: Home, reader: PageClient) -> None:
    for _ in range(6):
        assert reader.head("/api/events").status_code == 200
    cookie = "; ".join(f"{name}={value}" for name, value in reader.cookies.items())
    host, port = done_home.settings["web"]["listen"].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for method in ("HEAD /api/events", "GET /healthz"):
            connection.sendall(f"{method} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n".encode())
        answers = b""
        while not answers.endswith(b"ok\n"):
            more = connection.recv(4096)
            assert more, answers
            answers += more


def test_a_body_of_two_lengths_is_refused_and_what_follows_it_is_not_read(done_home: Home) -> None:
    host, port = done_home.settings["web"]["listen"].split(":")
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lengths = "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n"
        connection.sendall(f"{head}{lengths}{head}\r\n".encode())
        answers = b""
        while more := connection.recv(4096):
            answers += more
    assert (answers.count(b"HTTP/1.1 "), answers.startswith(b"HTTP/1.1 400 ")) == (1, True)


def test_programs_may_have_a_password_beyond_ascii(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = with_page(make_home(sandbox.url))
    home.variables["LALALD_WEB_PASSWORD"] = UNICODE_PASSWORD
    home.command("run", "--once")
    with page_alone(home):
        headers = {"Authorization": f"Bearer {UNICODE_PASSWORD}".encode()}
        assert httpx.get(f"{address_of(home)}/api/session", headers=headers).status_code == 200
        with PageClient(address_of(home)) as browser:
            assert browser.log_in(UNICODE_PASSWORD).status_code == 200


def test_explain_follows_no_link_out_of_an_inbox(home: Home, client: PageClient, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    secret = write_wav(outside / "secret.wav", seconds=7.0)
    (home.inbox / "folder").symlink_to(outside)
    (home.inbox / "link.wav").symlink_to(outside / "secret.wav")
    for name in ("secret.wav", "nothing.wav"):
        answer = client.get("/api/explain", params={"inbox": str(home.inbox), "path": f"folder/{name}"})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_taken"), name
    linked = client.get("/api/explain", params={"inbox": str(home.inbox), "path": "link.wav"}).json()
    assert (linked["taken"], linked["minutes"], linked["duration"]) == (False, None, None)
    assert str(len(secret)) not in json.dumps(linked)
