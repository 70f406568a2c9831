"""Who is told: a real HTTP server on loopback that checks signatures by the reference library, and answers as a test says."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Received:
    """A request as it came; `at` by the machine's own clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Answer:
    """`raw`: bytes in place of an HTTP answer. `seconds`: how long it keeps the sender waiting; `hold`: until it is let go."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None
    seconds: float = 0.0


class Receiver:
    """`answer`: what to say to the next request, by its number from 0. Signatures are verified at once, `is_signed`."""

    def __init__(
        self,
        answer: Callable[[int], Answer] = lambda _: Answer(),
        *,
        is_signed: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.is_signed = is_signed
        self.requests: list[Received] = []
        self.faults: list[str] = []
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def kinds(self) -> list[str]:
        return [request.json["type"] for request in self.requests]

    def hang(self) -> None:
        """Requests from now on wait until `let_go`."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def stop(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, request: Received) -> Answer:
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        if self.is_signed:
            try:
                Webhook(SECRET).verify(request.body, dict(request.headers))
            except Exception as error:  # noqa: BLE001 - it is told to the test
                self.faults.append(repr(error))
        self._open.wait()
        return self.answer(number)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                if len(body) < length:  # the sender was killed in the middle of its request
                    self.close_connection = True
                    return
                answer = receiver._take(Received(self.path, headers, body, time.time()))
                time.sleep(answer.seconds)  # the receiver is slow: that is the fault to be tested
                with suppress(BrokenPipeError, ConnectionResetError):  # the sender was killed
                    self._answer(answer)

            def _answer(self, answer: Answer) -> None:
                if answer.raw is not None:
                    self.wfile.write(answer.raw)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def do_GET(self) -> None:
                self.do_POST()

            def do_PUT(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
                """Nothing on the terminal."""

        return Handler


@contextmanager
def receiving(
    answer: Callable[[int], Answer] = lambda _: Answer(), *, is_signed: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(answer, is_signed=is_signed, tls=tls)
    try:
        yield receiver
    finally:
        receiver.stop()
