"""Messages through Apprise to real servers on loopback: ntfy, Gotify, JSON and e-mail; its address is seen nowhere."""

from __future__ import annotations

import asyncio
import email
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import Envelope

from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels import apprise_sender
from lalald.notify.channels.results import Refused, Result, Sent, TryLater
from lalald.notify.messages import Message, message
from lalald.notify.samples import sample_cause, sample_event
from tests.support.ports import free_port
from tests.support.processes import descendants, words_of
from tests.support.receiver import Answer, receiving
from tests.support.running import until

TOKEN = "AVerySecretToken"
TEXT = message(sample_cause(sample_event(EventKind.JOB_FAILED, 0.0)), names=True)


def send(url: str, text: Message = TEXT, seconds: float = 60.0, **variables: str) -> Result:
    environ = {"PATH": os.environ["PATH"], **variables}
    return asyncio.run(apprise_sender.send(url, text.title, text.body, environ, seconds))


def test_ntfy_gets_the_message_with_its_title_and_token() -> None:
    with receiving(lambda _: Answer(200, body=b"{}")) as receiver:
        assert send(f"ntfy://{TOKEN}@127.0.0.1:{receiver.port}/songs?auth=token") == Sent()
        (request,) = receiver.requests
    assert "lalald: test/song.mp3 failed" in f"{request.headers} {request.body.decode()}"
    assert "this is a test" in request.body.decode()


def test_gotify_gets_the_message() -> None:
    with receiving(lambda _: Answer(200, body=b"{}")) as receiver:
        assert send(f"gotify://127.0.0.1:{receiver.port}/{TOKEN}") == Sent()
        (request,) = receiver.requests
    assert request.path == "/message"
    assert (request.json["title"], request.json["message"].splitlines()[0]) == (TEXT.title, "this is a test")


def test_any_program_gets_it_as_json() -> None:
    with receiving() as receiver:
        assert send(f"json://127.0.0.1:{receiver.port}/path") == Sent()
        (request,) = receiver.requests
    assert (request.json["title"], request.json["message"]) == (TEXT.title, TEXT.body)


class Mailbox(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(envelope.original_content or b"")
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def test_a_mail_arrives_as_plain_words(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    assert (
        send(
            f"mailto://127.0.0.1:{port}/?mode=insecure&from=lalald@example.org&to=me@example.org",
            Message("Título", "a <b> ∗c∗"),
        )
        == Sent()
    )
    (mail,) = map(email.message_from_bytes, box.mails)
    texts = [part.get_payload(decode=True).decode() for part in mail.walk() if part.get_content_type() == "text/plain"]
    assert any("a <b> ∗c∗" in text for text in texts)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(403), Refused("it answered 403")), (Answer(407), Refused("it answered 407")),
        (Answer(404), Refused("it answered 404")), (Answer(500), TryLater("it answered 500")),
        (Answer(429), TryLater("it answered 429")), (Answer(raw=b"garbage"), TryLater("its answer is not HTTP")),
    ],
)  # fmt: skip
def test_what_each_answer_leads_to(answer: Answer, expected: Result) -> None:
    with receiving(lambda _: answer) as receiver:
        assert send(f"json://127.0.0.1:{receiver.port}/{TOKEN}") == expected


def test_a_proxy_that_requires_a_login_is_not_the_receiver() -> None:
    with receiving(lambda _: Answer(407)) as proxy:
        result = send("json://receiver.invalid/x", HTTP_PROXY=f"http://user:secret@127.0.0.1:{proxy.port}")
        assert [request.path for request in proxy.requests] == ["http://receiver.invalid/x"]
    assert result == TryLater("the proxy of the environment requires a login")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "address", ["json://u:p@{}/x", f"gotify://{{}}/{TOKEN}", f"ntfy://{TOKEN}@{{}}/songs?auth=token"]
)
def test_a_redirect_is_not_followed(address: str, status: int) -> None:
    """Gotify's token went along to the other host; and of a POST that became a GET it was said that it had arrived."""
    with receiving() as other, receiving(lambda _: Answer(status, {"location": other.url})) as receiver:
        result = send(address.format(f"127.0.0.1:{receiver.port}"))
        assert len(receiver.requests) == 1
        assert other.requests == []
    assert result == TryLater(
        f"it answered {status}: redirects are not followed, write the new address into the configuration"
    )


def test_an_answer_without_end_takes_little_memory() -> None:
    """Apprise reads it as a whole: its process gets so much memory, and not all there is."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(_flood, server)
        assert send(f"json://127.0.0.1:{server.getsockname()[1]}/x") == TryLater(
            "it could not be reached, or refused the message"
        )
    assert 1 < sent.result() < 300


def _flood(server: socket.socket) -> int:
    """How many MiB of an answer were accepted before the connection ended."""
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for number in range(1000):
            try:
                connection.sendall(bytes(1 << 20))
            except OSError:
                return number
    return 1000


def test_a_receiver_that_is_not_there_or_an_address_that_means_nothing() -> None:
    with receiving() as receiver:
        port = receiver.port
    assert send(f"json://127.0.0.1:{port}/{TOKEN}") == TryLater("no connection: nothing listens there")
    assert send("nonsense://x") == TryLater("Apprise does not understand its address")
    unknown = send(f"json://{TOKEN}.invalid/")
    assert isinstance(unknown, TryLater)
    # Without any name server it is not known that there is none.
    assert unknown.reason.startswith("no connection: its host name ")


def test_a_receiver_that_is_slow() -> None:
    with receiving() as receiver:
        receiver.hang()
        assert send(f"json://127.0.0.1:{receiver.port}/{TOKEN}?rto=0.3") == TryLater("no answer in time")


def test_the_certificates_that_webhooks_trust_are_trusted(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with receiving(tls=server) as receiver:
        address = f"jsons://127.0.0.1:{receiver.port}/{TOKEN}"
        untrusted = send(address)
        assert isinstance(untrusted, TryLater)
        assert untrusted.reason.startswith("its certificate is self-signed")
        assert send(address, SSL_CERT_FILE=str(certificate)) == Sent()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((b"554 no, me@example.org\r\n",), "it answered 554"),
        (
            (b"220 x\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"535 no\r\n"),
            "it refused the user name or the password (535)",
        ),
    ],
)
def test_a_mail_server_that_refuses(said: tuple[bytes, ...], reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(_say, server, said)
        port = server.getsockname()[1]
        address = f"mailto://user:{TOKEN}@127.0.0.1:{port}/?mode=insecure&from=lalald@example.org&to=me@example.org"
        assert send(address) == TryLater(reason)


def _say(server: socket.socket, lines: tuple[bytes, ...]) -> None:
    """One after each line of the client, then nothing until it leaves."""
    connection, _ = server.accept()
    with connection:
        for line in lines:
            connection.sendall(line)
            connection.recv(1 << 16)


def test_a_receiver_that_hangs_times_out_and_its_process_ends() -> None:
    with receiving() as receiver:
        receiver.hang()
        assert send(f"json://127.0.0.1:{receiver.port}/{TOKEN}", seconds=4.0) == TryLater("Apprise did not end in time")
    assert children() == []


def children() -> list[int]:
    """Processes of ours that run Apprise."""
    return [pid for pid in descendants(os.getpid()) if "apprise_child" in words_of(pid)]


def test_the_address_stands_in_no_argument_and_no_variable() -> None:
    environ = {"PATH": os.environ["PATH"], "SECRET": TOKEN}
    with receiving() as receiver:
        receiver.hang()
        address = f"json://127.0.0.1:{receiver.port}/{TOKEN}"
        sending = threading.Thread(target=lambda: asyncio.run(apprise_sender.send(address, "t", "b", environ)))
        sending.start()
        until(lambda: receiver.requests, "the message is on its way")
        (pid,) = children()
        words = words_of(pid)
        variables = ""
        with suppress(PermissionError):  # it lets only root read them
            variables = Path(f"/proc/{pid}/environ").read_text()
        receiver.let_go()
        sending.join()
    assert words
    assert TOKEN not in words
    assert TOKEN not in variables


def test_an_address_is_examined_without_sending_anything() -> None:
    environ = {"PATH": os.environ["PATH"]}
    with receiving() as receiver:
        assert asyncio.run(apprise_sender.understands(f"json://127.0.0.1:{receiver.port}/x", environ))
        assert not asyncio.run(apprise_sender.understands("nonsense://x", environ))
        assert receiver.requests == []


def test_the_daemon_never_loads_apprise() -> None:
    import subprocess

    script = "import sys, lalald.daemon.daemon; print([name for name in sys.modules if name.startswith(('apprise', 'requests'))])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
