"""Encrypted connections and proxies: the key is sent to the right server only."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from lalald.api import Client, Deadlines, Transfer, TransferStopped
from lalald.errors import LinkRefusedError, RefusedError, TransientError
from tests.api.test_uploads import ANSWER, LARGE, on_a_thread
from tests.support.api_client import KEY, client, closed_clients, written  # noqa: F401 - a fixture
from tests.support.proxies import proxying, socks
from tests.support.raw_server import RawServer, Talk, header

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
TRACK = os.urandom(3_000_000)
HOST = "service.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of localhost and of a name that no resolver knows."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = f"subjectAltName=DNS:localhost,DNS:{HOST}"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", names, "-keyout", str(path), "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the certificate, by the variable that OpenSSL reads."""
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")


async def minutes(api: Client) -> float:
    try:
        return await api.minutes_left()
    finally:
        await api.aclose()


def upload(api: Client, content: bytes, transfer: Transfer | None = None) -> str:
    return api.upload(io.BytesIO(content), len(content), "a.mp3", transfer or Transfer()).sha256


def service(talk: Talk) -> None:
    """Everything that these tests ask for."""
    while (request := talk.request())[0]:
        if request[0].startswith(b"GET"):
            talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(TRACK)}\r\n\r\n", TRACK)
        else:
            talk.json('{"minutes_left": 5}' if b"minutes_left" in request[0] else ANSWER)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_everything_goes_over_tls(version: ssl.TLSVersion, tls: ssl.SSLContext, target: BinaryIO) -> None:
    tls.minimum_version = tls.maximum_version = version
    with RawServer(service, tls=tls) as server:
        api = client(server.url)
        for content in (b"small", TRACK * 3, b"again"):
            assert upload(api, content) == hashlib.sha256(content).hexdigest()
        assert api.download(f"{server.url}/t", target, Transfer()).sha256 == hashlib.sha256(TRACK).hexdigest()
        assert written(target) == TRACK
        assert server.connections == 1
        assert asyncio.run(minutes(client(server.url))) == 5.0


def test_an_untrusted_server_receives_nothing(tls: ssl.SSLContext, target: BinaryIO) -> None:
    heard: list[bytes] = []
    with RawServer(lambda talk: heard.append(talk.head()), tls=tls) as server:
        api = client(server.url)
        with pytest.raises(TransientError, match="certificate") as caught:
            upload(api, b"small")
        assert not caught.value.carried_out_possible
        with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(minutes(client(server.url)))
        with pytest.raises(TransientError, match="certificate"):
            api.download(f"{server.url}/t", target, Transfer())
    assert heard == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused(tls: ssl.SSLContext) -> None:
    with (
        RawServer(service, tls=tls) as server,
        pytest.raises(TransientError, match="certificate"),
    ):
        upload(client(server.url.replace("localhost", "127.0.0.1")), b"small")


@pytest.mark.usefixtures("trusted")
def test_an_http_link_is_fetched_over_https_if_possible(tls: ssl.SSLContext, target: BinaryIO) -> None:
    with RawServer(service, tls=tls) as server:
        api = client("https://www.lalal.ai")
        api.download(server.url.replace("https", "http") + "/t", target, Transfer())
        assert written(target) == TRACK


def test_an_http_link_to_an_untrusted_server_is_refused(tls: ssl.SSLContext, target: BinaryIO) -> None:
    with RawServer(service, tls=tls) as server, pytest.raises(LinkRefusedError):
        client("https://www.lalal.ai").download(server.url.replace("https", "http"), target, Transfer())


@pytest.mark.usefixtures("trusted")
def test_an_early_refusal_is_read_over_tls(tls: ssl.SSLContext) -> None:
    done = threading.Event()

    def refuses(talk: Talk) -> None:
        talk.head()
        talk.json('{"detail": "Too large."}', "413 Too Large")
        done.wait(10)

    with RawServer(refuses, tls=tls) as server:
        with pytest.raises(RefusedError, match="Too large"):
            upload(client(server.url), bytes(LARGE))
        done.set()


@pytest.mark.usefixtures("trusted")
def test_an_end_without_close_notify_is_incomplete(tls: ssl.SSLContext, target: BinaryIO) -> None:
    def cuts(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 200 OK\r\n\r\n", TRACK)
        socket.socket.shutdown(talk.sock, socket.SHUT_RDWR)

    def ends(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 200 OK\r\n\r\n", TRACK)
        talk.sock.unwrap()  # type: ignore[attr-defined]

    with RawServer(cuts, ends, tls=tls) as server:
        api = client(server.url)
        with pytest.raises(TransientError):
            api.download(server.url, target, Transfer(), expected_size=len(TRACK))
        assert api.download(server.url, target, Transfer(), expected_size=len(TRACK)).size == len(TRACK)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["waiting for the answer", "sending"])
def test_a_transfer_over_tls_can_be_stopped(content: bytes, tls: ssl.SSLContext) -> None:
    under_way, over = threading.Event(), threading.Event()

    def stalls(talk: Talk) -> None:
        talk.head()
        under_way.set()
        over.wait(10)

    with RawServer(stalls, tls=tls) as server:
        api = client(server.url)
        with on_a_thread(lambda: upload(api, content)) as running:
            assert under_way.wait(10)
            api.interrupt()
            with pytest.raises(TransferStopped):
                running.result(5)
        over.set()


def test_a_handshake_can_be_stopped() -> None:
    under_way = threading.Event()

    def silent(talk: Talk) -> None:
        talk.sock.recv(1)
        under_way.set()
        talk.until_gone()

    with RawServer(silent) as server:
        api = client(server.url.replace("http", "https"))
        with on_a_thread(lambda: upload(api, b"small")) as running:
            assert under_way.wait(10)
            api.interrupt()
            with pytest.raises(TransferStopped):
                running.result(5)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x03\x40\x00"], ids=["silent", "a byte now and then"])
def test_a_handshake_has_one_deadline(said: bytes) -> None:
    def dawdles(talk: Talk) -> None:
        talk.sock.settimeout(0.05)
        pieces = itertools.chain((said[i : i + 1] for i in range(len(said))), itertools.repeat(said[-1:]))
        while True:
            try:
                if not talk.sock.recv(65536):
                    return
            except TimeoutError:
                talk.say(next(pieces))

    with RawServer(dawdles) as server:
        api = client(server.url.replace("http", "https"), Deadlines(connect_seconds=0.4))
        with pytest.raises(TransientError, match="no connection in time") as caught:
            upload(api, b"small")
        assert not caught.value.carried_out_possible


@pytest.mark.usefixtures("trusted")
def test_what_the_service_receives_is_the_file(tls: ssl.SSLContext) -> None:
    received: list[str] = []

    def receives(talk: Talk) -> None:
        received.append(hashlib.sha256(talk.request()[1]).hexdigest())
        talk.json(ANSWER)

    content = os.urandom(LARGE)  # it is sent faster than it is taken
    with RawServer(receives, tls=tls) as server:
        assert upload(client(server.url), content) == hashlib.sha256(content).hexdigest()
    assert received == [hashlib.sha256(content).hexdigest()]


@pytest.mark.usefixtures("trusted")
def test_a_kept_connection_that_was_shut_down_is_not_used_again(tls: ssl.SSLContext) -> None:
    def leaves(talk: Talk) -> None:
        talk.request()
        talk.json(ANSWER)
        with contextlib.suppress(OSError):
            talk.sock.unwrap()  # type: ignore[attr-defined]

    with RawServer(leaves, service, tls=tls) as server:
        api = client(server.url)
        upload(api, b"first")
        assert upload(api, b"second") == hashlib.sha256(b"second").hexdigest()
        assert server.connections == 2


@pytest.mark.usefixtures("trusted")
def test_a_proxy_sees_the_host_and_no_content(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, target: BinaryIO
) -> None:
    asked: list[bytes] = []
    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawServer(service, tls=tls) as server, RawServer(proxying(server.port, asked)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:word@127.0.0.1:{proxy.port}")
        api = client(f"https://{HOST}")
        assert upload(api, TRACK) == hashlib.sha256(TRACK).hexdigest()
        api.download(f"https://{HOST}/t", target, Transfer())
        assert written(target) == TRACK
        assert asyncio.run(minutes(client(f"https://{HOST}"))) == 5.0
        asyncio.run(api.aclose())
    assert len(asked) == 2
    for head in asked:
        assert head.startswith(b"CONNECT service.example:443 HTTP/1.1\r\n")
        assert header(head, "proxy-authorization") == "Basic dXNlcjp3b3Jk"
        assert KEY.encode() not in head


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(talk: Talk) -> None:
        talk.head()
        talk.say("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawServer(refuses) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TransientError, match=r"407") as caught:
            upload(client(f"https://{HOST}"), b"small")
        assert not caught.value.carried_out_possible
        with pytest.raises(TransientError, match=r"407") as caught:
            asyncio.run(minutes(client(f"https://{HOST}")))
        assert not caught.value.carried_out_possible


@pytest.mark.usefixtures("trusted")
def test_a_socks_proxy_works(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, target: BinaryIO) -> None:
    asked: list[bytes] = []
    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawServer(service, tls=tls) as server, RawServer(socks(server.port, asked)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        api = client(f"https://{HOST}")
        assert upload(api, TRACK) == hashlib.sha256(TRACK).hexdigest()
        api.download(f"https://{HOST}/t", target, Transfer())
        assert written(target) == TRACK
        assert asyncio.run(minutes(client(f"https://{HOST}"))) == 5.0
        asyncio.run(api.aclose())
    assert asked == [HOST.encode()] * 2


def test_without_its_package_a_socks_proxy_is_refused_with_what_to_install() -> None:
    script = (
        "import sys; sys.modules['socksio'] = None\n"
        "from lalald.api.origin import proxy_for\n"
        "proxy_for('https', 'www.lalal.ai')"
    )
    environ = {**os.environ, "ALL_PROXY": "socks5://proxy:1080", "NO_PROXY": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert "socksio" in done.stderr
    assert done.returncode == 1


def test_a_proxy_that_is_silent_meets_the_connect_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawServer(lambda talk: talk.until_gone()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TransientError, match="in time") as caught:
            upload(client(f"https://{HOST}", Deadlines(connect_seconds=0.3)), b"small")
        assert not caught.value.carried_out_possible
