"""Names, origins, sessions, guessing, slow and half requests, hostile words."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from lalald.control import page_keys
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.web.access.auth import Auth
from lalald.web.access.login_tries import LoginTries
from lalald.web.access.origins import Place, Visitor
from tests.conftest import MakeHome
from tests.support.page_client import PASSWORD, PageClient, address_of, logged_in, page_alone, with_page
from tests.support.running import Home, until, write_wav

TOKEN = "a-token-that-only-reads"


def guarded(home: Home) -> Home:
    """With a page that has a token, a proxy and a second name, and one job that is done, whose name is hostile."""
    (home.root / "token").write_text(f"{TOKEN}\n")
    with_page(
        home, hosts=["music.example.org"], trusted_proxies=["127.0.0.2/32"], read_token_file=str(home.root / "token")
    )
    write_wav(home.inbox / "<img src=x onerror=alert(1)>.wav")
    assert home.command("run", "--once").returncode == 0
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The page runs alone. Shared by tests that leave it as it was, but for sessions."""
    with Sandbox(Options()) as sandbox:
        home = guarded(Home(tmp_path_factory.mktemp("guarded"), sandbox.url))
        with page_alone(home):
            yield home


@pytest.fixture
def client(home: Home) -> Iterator[PageClient]:
    with logged_in(home) as client:
        yield client


@pytest.fixture
def besieged(make_home: MakeHome, sandbox: Sandbox) -> Iterator[Home]:
    """Of the test alone: after many wrong passwords an address has to wait."""
    home = guarded(make_home(sandbox.url))
    with page_alone(home):
        yield home


def port_of(home: Home) -> int:
    return int(home.settings["web"]["listen"].rpartition(":")[2])


def test_only_host_names_that_no_other_site_can_claim_are_answered(home: Home, client: PageClient) -> None:
    for name in (
        "127.0.0.1", "[::1]", "192.168.1.5", "localhost", "nas", "nas.local", "nas.lan", "x.home", "x.home.arpa", "x.internal",
        "music.example.org", "MUSIC.example.ORG.",
    ):  # fmt: skip
        assert client.get("/healthz", headers={"Host": f"{name}:{port_of(home)}"}).status_code == 200, name
    for name in ("evil.example.com", "music.example.org.evil.com", "lan.evil.com", "1.2.3.4.nip.io"):
        answer = client.get("/api/status", headers={"Host": name})
        assert (answer.status_code, answer.headers["content-type"]) == (421, "text/plain; charset=utf-8"), name
        assert f"hosts: [{name}]" in answer.text
    for odd in ("a b", "a/b", "user@nas", "", "nas:port", "<script>"):
        answer = client.get("/healthz", headers={"Host": odd})
        assert answer.status_code in (400, 421), odd
        assert "text/plain" in answer.headers["content-type"]


def test_a_request_of_another_site_is_refused_whatever_it_brings(home: Home, client: PageClient) -> None:
    address = address_of(home)
    for headers, word in (
        ({"X-Lalald": "", "Origin": address}, "X-Lalald"),
        ({"Origin": "http://evil.example.com"}, "evil.example.com"),
        ({"Origin": "null"}, "null"),
        ({"Origin": f"http://127.0.0.1:{port_of(home) + 1}"}, "127.0.0.1"),
        ({"Origin": ""}, ""),
    ):
        answer = client.post("/api/rescan", json={}, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8"), headers
        assert word in answer.text
    del client.headers["Origin"]
    assert "without an Origin" in client.post("/api/rescan", json={}).text
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {PASSWORD}"}) as program:
        assert program.post("/api/rescan", json={}).status_code == 403
        assert program.post("/api/rescan", json={}, headers={"X-Lalald": "1"}).status_code == 200
        assert program.post("/api/login", json={"password": PASSWORD}).status_code == 403
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        assert client.request(method, "/api/status", headers={"X-Lalald": ""}).status_code == 403, method
    assert not [name for name in client.get("/api/status").headers if name.startswith("access-control")]


def test_forwarded_headers_count_from_trusted_proxies_alone(besieged: Home) -> None:
    forwarded = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "music.example.org",
    }
    with PageClient(address_of(besieged)) as stranger:  # from 127.0.0.1, which no proxy has
        for number in range(10):
            spoofed = {**forwarded, "X-Forwarded-For": f"203.0.113.{number}"}
            assert stranger.log_in_wrongly(spoofed).status_code == 401
        answer = stranger.post(
            "/api/login", json={"password": "wrong one"}, headers={"X-Forwarded-For": "203.0.113.99"}
        )
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 1  # what the address has to wait, not all logins together
    proxy = httpx.HTTPTransport(local_address="127.0.0.2")
    origin = {"Origin": "https://music.example.org"}
    with PageClient(address_of(besieged), transport=proxy, headers={**forwarded, **origin}) as behind:
        answer = until(lambda: (tried := behind.log_in()).status_code != 429 and tried, "the login is counted")
        assert answer.status_code == 200
        cookies = answer.headers.get_list("set-cookie")
        assert all(cookie.startswith("__Secure-lalald_443") and cookie.endswith("; Secure") for cookie in cookies)
        wrong = behind.post("/api/login", json={"password": PASSWORD}, headers={"Origin": "https://evil.example.com"})
        assert wrong.status_code == 403


def test_a_thousand_wrong_passwords_do_not_touch_a_session_a_token_or_a_known_browser(besieged: Home) -> None:
    statuses: dict[int, int] = {}
    with logged_in(besieged) as client, PageClient(address_of(besieged)) as stranger:
        began_at = time.monotonic()
        for _ in range(1000):
            status = stranger.log_in("a wrong password").status_code
            statuses[status] = statuses.get(status, 0) + 1
        took = time.monotonic() - began_at
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert stranger.get("/api/status", headers=token).status_code == 200
        assert stranger.log_in().status_code == 429
        assert set(statuses) == {401, 429}
        assert statuses[401] <= 11 + took / 10
        assert client.get("/api/status").status_code == 200
        assert client.post("/api/logout", json={}).status_code == 204
        assert client.get("/api/status").status_code == 401
        assert client.log_in().status_code == 200  # its device cookie says that it has logged in before


def test_a_token_that_reads_cannot_do_anything_else(home: Home) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Lalald": "1"}
    with httpx.Client(base_url=address_of(home), headers=headers) as reader:
        assert [reader.get(path).status_code for path in ("/metrics", "/api/status")] == [200, 200]
        for path in ("/api/jobs", "/api/config", "/api/jobs/1/tracks/1", "/api/events", "/api/session"):
            answer = reader.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "read_only"), path
        assert reader.post("/api/rescan", json={}).json()["code"] == "read_only"


def test_sessions_that_are_forged_old_or_logged_out_are_none(home: Home, client: PageClient) -> None:
    (name, value) = next((name, value) for name, value in client.cookies.items() if not name.endswith("_device"))
    device = client.cookies[f"{name}_device"]
    for forged in ("", "x", value[:-1], value[:-2] + "AA", "A" * len(value), device):
        with PageClient(address_of(home), cookies={name: forged}) as stranger:
            assert stranger.get("/api/status").json()["code"] == "login_required", forged
    with logged_in(home) as other:
        assert client.post("/api/logout", json={}).status_code == 204
        with PageClient(address_of(home), cookies={name: value}) as thief:
            assert thief.get("/api/status").status_code == 401
        assert other.get("/api/status").status_code == 200
        with logged_in(home) as third, third.stream("GET", "/api/events") as response:
            lines = response.iter_lines()
            assert next(lines) == "event: snapshot"
            assert other.post("/api/logout", json={"everywhere": True}).status_code == 204
            assert [line for line in lines if line.startswith("data: ")][-1] == 'data: {"reason": "logout"}'
        assert other.get("/api/status").status_code == 401


def test_a_link_logs_in_once(home: Home) -> None:
    link = home.command("web", "--link").stdout.strip()
    token = re.fullmatch(rf"{address_of(home)}/#login=([\w-]+)", link)
    assert token
    with PageClient(address_of(home)) as one, PageClient(address_of(home)) as two:
        assert one.post("/api/login", json={"link": token[1]}).status_code == 200
        assert one.get("/api/session").status_code == 200
        second = two.post("/api/login", json={"link": token[1]})
        assert (second.status_code, second.json()["code"]) == (401, "wrong_link")


def test_every_answer_keeps_the_browser_in_bounds(client: PageClient) -> None:
    for path in ("/", "/healthz", "/api/status", "/api/nothing", "/static/nothing.js", "/api/jobs/1/tracks/1"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"


def test_hostile_names_travel_as_data(client: PageClient) -> None:
    (job,) = client.facts("/api/jobs", text="<img")["jobs"]
    assert job["path"] == "<img src=x onerror=alert(1)>.wav"
    answer = client.get("/api/jobs/1/tracks/1?download=1")
    assert answer.headers["content-type"] == "audio/wav"
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404
    assert client.get("/static//etc/passwd").status_code == 404


def ended_within(home: Home, data: bytes, seconds: float) -> bool:
    """Whether a connection on which only this was said is ended by the page."""
    with socket.create_connection(("127.0.0.1", port_of(home)), timeout=seconds) as connection:
        connection.sendall(data)
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
    return True


def test_incomplete_requests_are_cut_off_and_others_continue(home: Home, client: PageClient) -> None:
    begun = [socket.create_connection(("127.0.0.1", port_of(home))) for _ in range(20)]
    for one in begun:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    assert client.get("/healthz").status_code == 200
    assert ended_within(home, b"", 20.0)
    assert ended_within(home, b"GET / HTTP/1.1\r\nHost: loc", 20.0)
    for one in begun:
        one.close()


def test_a_request_that_is_not_http_gets_a_plain_text_answer(home: Home, client: PageClient) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"GET /" + b"a" * 70_000,
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port_of(home)), timeout=20) as connection:
            connection.sendall(data)
            assert connection.recv(4096).startswith(b"HTTP/1.1 400 "), data[:30]
    assert client.get("/healthz").status_code == 200


def test_bodies_that_make_no_sense_are_refused(client: PageClient) -> None:
    bodies: list[Any] = [b"{", b"[]", b'"x"', b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"\xff"]
    for body in bodies:
        answer = client.post("/api/rescan", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), body[:20]
    assert client.post("/api/rescan", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    large = client.post("/api/rescan", content=b" " * (5 << 20), headers={"Content-Type": "application/json"})
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_connections_beyond_the_limit_are_turned_away(home: Home) -> None:
    crowd = [socket.create_connection(("127.0.0.1", port_of(home)), timeout=5) for _ in range(256)]
    time_out = 5.0
    assert ended_within(home, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", time_out)
    for one in crowd:
        one.close()
    until(lambda: httpx.get(f"{address_of(home)}/healthz").text == "ok\n", "the page answers")


def signed_at(home: Home, moment: float) -> str:
    """The cookie of a session that began then, signed by the page's own key for this password."""
    verifier = page_keys.verifier(PASSWORD, page_keys.load(home.state).salt)
    auth = Auth(home.state, verifier, None, LoginTries(time.time), lambda: moment)
    response = Response()
    auth.log_in(response, Visitor(None, "http", Place("127.0.0.1", port_of(home))))
    return response.headers["set-cookie"].partition(";")[0]


def test_a_session_ends_after_thirty_days(home: Home) -> None:
    for days, status in ((29.9, 200), (30.1, 401)):
        cookie = signed_at(home, time.time() - days * 86400)
        assert httpx.get(f"{address_of(home)}/api/status", headers={"Cookie": cookie}).status_code == status, days


def test_a_stream_ends_with_its_session(home: Home) -> None:
    past = time.time() - 30 * 86400 + 2.0
    headers = {"Cookie": signed_at(home, past)}
    with httpx.stream("GET", f"{address_of(home)}/api/events", headers=headers, timeout=15) as response:
        lines = list(response.iter_lines())
    assert [line for line in lines if line.startswith("data: ")][-1] == 'data: {"reason": "logout"}'
