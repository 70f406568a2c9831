"""Webhooks against a real server: what each answer leads to, and what is never sent or followed."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from lalald.clock import Clock
from lalald.config.model import NotifyEntry
from lalald.config.proxies import has_proxy
from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels import webhook
from lalald.notify.channels.results import Refused, Result, Sent, TryLater
from lalald.notify.channels.senders import Surroundings, run_bounded, webhook_sender
from lalald.notify.channels.webhook_client import WebhookClient
from lalald.notify.payload import payload, payload_bytes
from lalald.notify.samples import sample_event
from tests.support.proxies import proxying, socks
from tests.support.raw_server import RawServer, Talk
from tests.support.receiver import SECRET, Answer, receiving

EVENT = sample_event(EventKind.JOB_DONE, 1_700_000_000.0)


def post(
    url: str,
    *events: Event,
    secret: Path | None = None,
    names: bool = True,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> list[Result]:
    entry = NotifyEntry("hook", webhook=url, secret_file=secret, names=names)
    around = Surroundings({}, Clock(), run_bounded, tls)

    async def sent() -> list[Result]:
        async with webhook_sender(entry, around) as send:
            return [await send(event) for event in events or (EVENT,)]

    return asyncio.run(sent())


def secret_in(folder: Path, text: str = SECRET) -> Path:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    return path


def test_a_signature_is_the_one_of_the_reference_library() -> None:
    body, moment = payload_bytes(EVENT, names=True), datetime.now(UTC)
    ours = webhook.signature(webhook.key_from(SECRET), "msg_1", int(moment.timestamp()), body)
    assert ours == Webhook(SECRET).sign("msg_1", moment, body.decode())


def test_requests_are_verified_by_the_receiver_and_keep_one_connection(tmp_path: Path) -> None:
    events = [sample_event(kind, 1_700_000_000.0) for kind in EventKind]
    with receiving(is_signed=True) as receiver:
        assert post(receiver.url, *events, secret=secret_in(tmp_path)) == [Sent()] * len(events)
        assert receiver.faults == []
        assert receiver.kinds == [str(kind) for kind in EventKind]
        assert len({request.id for request in receiver.requests}) == len(events)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), Sent()), (Answer(204), Sent()), (Answer(202, body=b"x" * 100_000), Sent()),
        (Answer(400), Refused("it answered 400")), (Answer(401), Refused("it answered 401")), (Answer(404), Refused("it answered 404")),
        (Answer(410), Refused("it answered 410")), (Answer(407), Refused("it answered 407")),
        (Answer(408), TryLater("it answered 408")), (Answer(425), TryLater("it answered 425")),
        (Answer(429, {"retry-after": "17"}), TryLater("it answered 429", 17.0)), (Answer(500), TryLater("it answered 500")),
        (Answer(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), TryLater("it answered 503")),
        (Answer(503, {"retry-after": "99999999"}), TryLater("it answered 503", 3600.0)),
        (Answer(503, {"retry-after": "9" * 4000}), TryLater("it answered 503", 3600.0)),
        (Answer(503, {"retry-after": " 0 "}), TryLater("it answered 503", 0.0)),
        *((Answer(503, {"retry-after": odd}), TryLater("it answered 503")) for odd in ("-5", "1e9", "nan", "1.5", "", "5, 6")),
        (Answer(raw=b""), TryLater("it closed the connection without an answer")),
        (Answer(raw=b"garbage\r\n\r\n"), TryLater("its answer is not HTTP")),
        (Answer(raw=b"\x16\x03\x01\x00"), TryLater("its answer is not HTTP")),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"), Sent()),
    ],
)  # fmt: skip
def test_what_each_answer_leads_to(answer: Answer, expected: Result) -> None:
    with receiving(lambda _: answer) as receiver:
        assert post(receiver.url) == [expected]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_not_reported(status: int) -> None:
    with (
        receiving() as other,
        receiving(lambda _: Answer(status, {"location": f"{other.url}?token=secret"})) as receiver,
    ):
        (result,) = post(receiver.url)
        assert isinstance(result, TryLater)
        assert "redirects are not followed" in result.reason
        assert "secret" not in result.reason
        assert other.requests == []


def test_nothing_that_a_receiver_sets_comes_back_to_it() -> None:
    with receiving(lambda _: Answer(200, {"set-cookie": "a=b"})) as receiver:
        post(receiver.url, EVENT, EVENT)
        assert all("cookie" not in request.headers for request in receiver.requests)


def test_a_receiver_that_is_not_there() -> None:
    with receiving() as receiver:
        url = receiver.url
    assert post(url) == [TryLater("no connection: nothing listens there")]
    by_name = url.replace("127.0.0.1", "localhost")  # which may have several addresses
    assert post(by_name) == [TryLater("no connection: nothing listens there")]
    (unknown,) = post("http://name.invalid/hook")
    assert isinstance(unknown, TryLater)
    assert unknown.reason.startswith(
        "no connection: its host name "
    )  # without any name server it is not known that there is none


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://a b/", "https://\u0000/"])
def test_an_address_that_cannot_be_used_raises_nothing(url: str) -> None:
    (result,) = post(url)
    assert isinstance(result, TryLater)
    assert url not in result.reason


def test_a_name_and_password_in_the_address_become_its_authorization_only() -> None:
    with receiving() as receiver:
        post(f"http://user:pass@127.0.0.1:{receiver.port}/hook")
        (request,) = receiver.requests
        assert request.headers["authorization"] == f"Basic {base64.b64encode(b'user:pass').decode()}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not base64!", "the signing secret is not base64; `openssl rand -base64 32` makes one"),
        ("whsec_", "the signing secret is empty; `openssl rand -base64 32` makes one"),
        ("two\nlines", "its secret_file cannot be used: it should hold one line"),
        ("", "its secret_file cannot be used: it should hold one line"),
    ],
)
def test_a_secret_that_is_none_sends_nothing_unsigned(tmp_path: Path, text: str, reason: str) -> None:
    with receiving() as receiver:
        assert post(receiver.url, secret=secret_in(tmp_path, text)) == [TryLater(reason, key="secret_file")]
        assert post(receiver.url, secret=tmp_path / "none") == [
            TryLater("its secret_file cannot be read: No such file or directory", key="secret_file")
        ]
        assert receiver.requests == []


def test_a_secret_without_prefix_or_padding_is_read_as_the_reference_reads_it() -> None:
    for text in (SECRET, SECRET.removeprefix("whsec_"), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA", f" {SECRET} \n"):
        moment = datetime.now(UTC)
        expected = Webhook(text.strip()).sign("m", moment, "{}")
        assert webhook.signature(webhook.key_from(text), "m", int(moment.timestamp()), b"{}") == expected


def test_without_names_only_numbers_and_codes_are_sent() -> None:
    for kind in EventKind:
        said = str(payload(sample_event(kind, 0.0), names=False))
        for name in ("song", "/inbox", "/outbox", "this is a test", "vocals"):
            assert name not in said, (kind, said)
    assert payload(EVENT, names=False)["data"]["job"] == {"id": 0, "rule": "test", "stage": "done", "minutes": 3.5}
    assert payload(EVENT, names=False)["data"]["test"] is True  # a receiver can tell a test


def test_over_tls_only_a_certificate_of_a_trusted_authority_is_accepted(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with receiving(tls=server) as receiver:
        url = receiver.url.replace("http:", "https:")
        (untrusted,) = post(url)
        assert isinstance(untrusted, TryLater)
        assert untrusted.reason.startswith("its certificate is self-signed")
        trusting = partial(ssl.create_default_context, cafile=str(certificate))
        assert post(url.replace("127.0.0.1", "localhost"), tls=trusting) == [
            TryLater("its certificate is for another name")
        ]
        assert receiver.requests == []
        assert post(url, tls=trusting) == [Sent()]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without the proxies of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_webhook_goes_through_the_proxy_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    with receiving(lambda number: Answer(407 if number else 200)) as proxy:
        environment.setenv("HTTP_PROXY", f"http://user:secret@127.0.0.1:{proxy.port}")
        assert post("http://receiver.invalid/hook", EVENT, EVENT) == [
            Sent(),
            TryLater("the proxy of the environment requires a login"),
        ]
        assert [request.path for request in proxy.requests] == ["http://receiver.invalid/hook"] * 2
    (result,) = post("http://receiver.invalid/hook")
    assert result == TryLater("the proxy of the environment: no connection: nothing listens there")


@pytest.mark.parametrize("proxy", ["http://[::1", "ftp://proxy", "http://127.0.0.1:1"])
def test_this_machine_and_networks_of_no_proxy_need_none(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("ALL_PROXY", proxy)
    environment.setenv("NO_PROXY", "192.0.2.0/24")
    with receiving() as receiver:
        assert post(receiver.url) == [Sent()]
    assert not has_proxy("http", "192.0.2.7", 80)
    assert has_proxy("http", "198.51.100.7", 80)


@pytest.mark.parametrize("kind", ["tunnel", "socks"])
def test_a_proxy_that_only_passes_on_is_not_blamed(
    environment: pytest.MonkeyPatch, certificate: Path, kind: str
) -> None:
    """What goes through TLS or SOCKS is the receiver's own answer."""
    tls, trusting = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        partial(ssl.create_default_context, cafile=str(certificate)),
    )
    tls.load_cert_chain(certificate)
    hosts: list[bytes] = []
    with receiving(lambda _: Answer(407), tls=tls if kind == "tunnel" else None) as receiver:
        script, scheme = (proxying, "https") if kind == "tunnel" else (socks, "http")
        with RawServer(script(receiver.port, hosts)) as proxy:
            environment.setenv("ALL_PROXY", proxy.url if kind == "tunnel" else f"socks5://127.0.0.1:{proxy.port}")
            result = post(f"{scheme}://receiver.invalid/", tls=trusting)
    assert (result, len(hosts)) == ([Refused("it answered 407")], 1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("407 No", "the proxy of the environment requires a login"),
        ("503 No", "no connection: the proxy of the environment answers 503"),
    ],
)
def test_a_proxy_that_makes_no_tunnel_is_named(environment: pytest.MonkeyPatch, status: str, reason: str) -> None:
    def refuse(talk: Talk) -> None:
        talk.head()
        talk.json("", status)

    with RawServer(refuse) as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url)
        assert post("https://receiver.invalid/") == [TryLater(reason)]


@pytest.mark.parametrize("proxy", ["http://[::1", "ftp://proxy"])
def test_a_proxy_that_cannot_be_used_is_said(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("ALL_PROXY", proxy)
    assert post("http://receiver.invalid/") == [
        TryLater("the proxy or the certificates of the environment cannot be used")
    ]


def test_tls_with_what_does_not_speak_it() -> None:
    with receiving() as receiver:
        (result,) = post(receiver.url.replace("http:", "https:"))
    assert isinstance(result, TryLater)
    assert result.reason.startswith("no connection: it does not speak TLS")


class Stalling:
    """Answers with what `begins`, then waits until the sender has `ended` the connection. `drop`: sent meanwhile, every 0.2 s."""

    def __init__(self, begins: bytes, drop: bytes = b"") -> None:
        self.received, self.ended = threading.Event(), threading.Event()
        self._begins = begins
        self._drop = drop

    def __call__(self, talk: Talk) -> None:
        if not talk.head():
            return  # cut off before the request
        self.received.set()
        talk.say(self._begins)
        with suppress(OSError):
            while self._drop:
                talk.say(self._drop)
                time.sleep(0.2)  # the answer is slow: that is the fault to be tested
        talk.until_gone()
        self.ended.set()


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nx: ", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx", Sent()),
    ],
)
def test_an_answer_that_does_not_end_is_cut_off(
    certificate: Path, is_encrypted: bool, begins: bytes, expected: Result | None
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = partial(ssl.create_default_context, cafile=str(certificate))

    receiver = Stalling(begins)
    with RawServer(receiver, tls=server if is_encrypted else None) as raw:
        url = raw.url.replace("localhost", "127.0.0.1")
        for seconds in (0.2, 2.0, 20.0):  # on a busy machine the time may be over before the request arrives
            unanswered = TryLater(f"no answer within {seconds:g} seconds")
            assert asyncio.run(post_within(seconds if expected is None else 30.0, url, trusting)) == (
                expected or unanswered
            )
            if receiver.ended.wait(10):
                break
        else:
            pytest.fail("the connection is still open")


async def post_within(
    seconds: float, url: str, tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
) -> Result:
    client = WebhookClient(url, tls, answer_seconds=seconds)
    try:
        return await client.post({}, b"{}")
    finally:
        await client.close()


def test_of_an_answer_that_arrives_drop_by_drop_the_status_counts() -> None:
    receiver = Stalling(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", drop=b"x")
    with RawServer(receiver) as raw:
        assert asyncio.run(post_within(120.0, raw.url)) == Sent()
        assert receiver.ended.wait(10), "the connection is still open"


def test_announcements_before_the_answer_are_passed_over() -> None:
    """RFC 8297: a server may say in advance what its answer will link to."""
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + b"HTTP/1.1 102 Processing\r\n\r\n"
    with receiving(lambda _: Answer(raw=early + b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")) as receiver:
        assert post(receiver.url, EVENT, EVENT) == [Refused("it answered 410")] * 2


@pytest.mark.parametrize("surplus", ["", "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"])
def test_a_connection_that_ends_between_two_events_or_says_too_much_is_made_again(surplus: str) -> None:
    """What was not asked does not answer the next request."""
    ended = threading.Semaphore(0)

    def once(talk: Talk) -> None:
        talk.request()
        talk.say(f"HTTP/1.1 204 No\r\n\r\n{surplus}")
        talk.sock.shutdown(socket.SHUT_WR)
        ended.release()
        talk.until_gone()

    async def sent(url: str) -> list[Result]:
        client = WebhookClient(url, ssl.create_default_context)
        results = []
        for _ in range(3):
            results.append(await client.post({}, b"{}"))
            assert await asyncio.to_thread(ended.acquire, timeout=10)
        await client.close()
        return results

    with RawServer(once) as raw:
        assert asyncio.run(sent(raw.url)) == [Sent()] * 3
        assert raw.connections == 3


def test_a_request_that_is_cancelled_ends_at_once() -> None:
    async def cancelled(url: str) -> None:
        client = WebhookClient(url, ssl.create_default_context)
        request = asyncio.create_task(client.post({}, b"{}"))
        assert await asyncio.to_thread(receiver.received.wait, 10)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        receiver.received.clear()
        again = asyncio.create_task(client.post({}, b"{}"))
        assert await asyncio.to_thread(receiver.received.wait, 10), "the client can be used again"
        again.cancel()
        await client.close()

    receiver = Stalling(b"")
    with RawServer(receiver) as raw:
        asyncio.run(cancelled(raw.url))
        assert receiver.ended.wait(10), "the connection is still open"


def test_a_receiver_that_goes_on_after_its_answer_is_cut_off() -> None:
    ended = threading.Event()

    def floods(talk: Talk) -> None:
        talk.request()
        talk.say("HTTP/1.1 204 No\r\n\r\n")
        with suppress(OSError):
            while True:
                talk.say(bytes(1 << 16))
        ended.set()

    async def sent(url: str) -> Result:
        client = WebhookClient(url, ssl.create_default_context)
        result = await client.post({}, b"{}")
        assert await asyncio.to_thread(ended.wait, 10), "what it sends must not fill the memory"
        await client.close()
        return result

    with RawServer(floods) as raw:
        assert asyncio.run(sent(raw.url)) == Sent()


def test_an_answer_without_end_costs_neither_memory_nor_time() -> None:
    """A body that never ends, heads that never end, and answers before the answer."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n" + b"x" * (32 << 20)
    with receiving(lambda _: Answer(raw=endless)) as receiver:
        tracemalloc.start()
        try:
            assert post(receiver.url, EVENT, EVENT) == [Sent(), Sent()]
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()
    with receiving(lambda _: Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 500_000)) as receiver:
        assert post(receiver.url) == [TryLater("its answer is not HTTP")]
    with receiving(
        lambda _: Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + b"HTTP/1.1 204 No\r\n\r\n")
    ) as receiver:
        assert post(receiver.url) == [Sent()]
