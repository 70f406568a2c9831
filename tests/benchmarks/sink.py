"""A service that does as little as can be, in a process of its own: uploads fall into a hole, tracks are zeros from a sparse file.

The sandbox stores, hashes and validates, and would be what is measured where a gigabyte or thousands of files go through. This
speaks the few operations that a carried file needs, and notes when each request came, by the clock that all processes share.
The service is another machine, so what comes by TLS is counted and not decrypted: the processors here are the client's. So are the
receivers of webhooks: a second sink takes them, at `/hook`.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

LABELS = ("vocals", "no_vocals")
_GOLDEN = 0.6180339887
_RECORD_HEAD_BYTES, _RECORD_SEAL_BYTES = 5, 17  # RFC 8446, 5.2: kind, version, length; kind and tag at its end
_HEAD = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {after}\r\nx-request-id: {id}\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A task takes `processing_seconds`, and up to `spread_seconds` more, evenly spread over the tasks. `down`: every answer is 503.
    `line_bytes`: how much of an upload is taken in a second, as over a line.
    """

    processing_seconds: float = 0.0
    spread_seconds: float = 0.0
    track_bytes: int = 2000
    down: bool = False
    certificate: str | None = None
    line_bytes: float = float("inf")


@dataclass(slots=True)
class Event:
    """A request that came, or a task that finished: `subject` is the file's name, the task's id, or the time that a webhook names.

    `at` is time.monotonic().
    """

    what: str
    at: float
    subject: str = ""


@dataclass(slots=True)
class Sink:
    """The state of the service, shared by its connections' threads."""

    behaviour: Behaviour
    origin: str
    zeros: IO[bytes]
    events: list[Event] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One JSON operation."""
        if path == "check":
            return {"result": {task: self._state(task) for task in body["task_ids"]}}
        if path.startswith("split/batch/"):
            return {"results": [self._started(item) for item in body["items"]]}
        if path.startswith("split/"):
            return self._started(body)
        if path == "limits/minutes_left":
            return {"minutes_left": 1e9}
        return {"status": "success"}

    def _started(self, item: dict[str, Any]) -> dict[str, Any]:
        task, now = str(uuid.uuid4()), time.monotonic()
        share = len(self.ends) * _GOLDEN % 1.0
        self.ends[task] = now + self.behaviour.processing_seconds + share * self.behaviour.spread_seconds
        self.events.append(Event("finished", self.ends[task], task))
        return {"status": "success", "task_id": task, "source_id": item["source_id"]}

    def _state(self, task: str) -> dict[str, Any]:
        if time.monotonic() < self.ends[task]:
            return {"status": "progress", "progress": 50}
        tracks = [
            {
                "type": "stem" if label == "vocals" else "back", "label": label, "url": f"{self.origin}/track/{task}/{label}",
                "name": f"{label}.wav", "size": self.behaviour.track_bytes,
            }
            for label in LABELS
        ]  # fmt: skip
        return {"status": "success", "result": {"tracks": tracks, "duration": 1}}


class _Connection:
    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        self._sink = sink
        self._socket = sock
        self._rest = b""
        self._hole = memoryview(bytearray(1 << 18))
        self._is_readable = True

    def serve(self) -> None:
        while self._is_readable and (request := self._head()):
            method, path, length, name = request
            operation = path.removeprefix("/api/v1/").strip("/")
            if operation not in ("events", "hook"):
                subject = operation.split("/")[1] if method == "GET" and "/" in operation else name
                self._sink.events.append(Event(operation.split("/")[0], time.monotonic(), subject))
            self._answer(method, operation, length)

    def _head(self) -> tuple[str, str, int, str] | None:
        while b"\r\n\r\n" not in self._rest:
            piece = self._socket.recv(1 << 16)
            if not piece:
                return None
            self._rest += piece
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("iso-8859-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if headers.get("expect") == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        _, _, name = headers.get("content-disposition", "").partition("filename=")
        return method, path, int(headers.get("content-length", 0)), name.split(";")[0].strip('"')

    def _answer(self, method: str, operation: str, length: int) -> None:
        if operation == "upload":
            self._swallow(length)
            source = {
                "id": str(uuid.uuid4()),
                "name": "a",
                "size": length,
                "duration": 1.0,
                "expires": int(time.time()) + 86400,
            }
            return self._say(source)
        body = self._body(length)
        if operation == "hook":
            self._sink.events.append(Event("hook", time.monotonic(), json.loads(body)["timestamp"]))
            return self._say({})
        if operation == "events":
            return self._say([asdict(event) for event in self._sink.events])
        if method == "GET":
            return self._send_track()
        return self._say(self._sink.answer(operation, json.loads(body or b"{}")))

    def _swallow(self, length: int) -> None:
        began_at, taken = time.monotonic(), len(self._rest)
        self._rest = b""
        arrivals = self._records() if isinstance(self._socket, ssl.SSLSocket) else self._bytes()
        while taken < length:
            taken += next(arrivals)
            ahead_seconds = began_at + taken / self._sink.behaviour.line_bytes - time.monotonic()
            if ahead_seconds > 0:
                time.sleep(ahead_seconds)

    def _bytes(self) -> Iterator[int]:
        while count := self._socket.recv_into(self._hole):
            yield count
        raise ConnectionResetError

    def _records(self) -> Iterator[int]:
        """How much the TLS records carry that have arrived whole. Nothing can be decrypted on this connection afterwards."""
        self._is_readable = False
        hole, kept, at, carried = self._hole, 0, 0, 0  # `at`: where the record under way ends, and the next begins
        while count := os.readv(self._socket.fileno(), [hole[kept:]]):
            end, arrived = kept + count, 0
            while at <= end:
                arrived, carried = arrived + carried, 0
                if at + _RECORD_HEAD_BYTES > end:
                    break
                size = int.from_bytes(hole[at + 3 : at + _RECORD_HEAD_BYTES])
                at, carried = at + _RECORD_HEAD_BYTES + size, size - _RECORD_SEAL_BYTES
            kept, at = max(0, end - at), max(0, at - end)
            hole[:kept] = hole[end - kept : end]
            yield arrived
        raise ConnectionResetError

    def _body(self, length: int) -> bytes:
        while len(self._rest) < length and (piece := self._socket.recv(1 << 16)):
            self._rest += piece
        body, self._rest = self._rest[:length], self._rest[length:]
        return body

    def _say(self, answer: Any) -> None:
        status = "503 Service Unavailable" if self._sink.behaviour.down and not isinstance(answer, list) else "200 OK"
        body = json.dumps(answer).encode()
        after = "keep-alive" if self._is_readable else "close"
        head = _HEAD.format(status=status, kind="application/json", length=len(body), after=after, id=uuid.uuid4().hex)
        self._socket.sendall(head.encode() + body)

    def _send_track(self) -> None:
        size = self._sink.behaviour.track_bytes
        head = _HEAD.format(status="200 OK", kind="audio/wav", length=size, after="keep-alive", id=uuid.uuid4().hex)
        self._socket.sendall(head.encode())
        if isinstance(self._socket, ssl.SSLSocket):
            zeros, left = bytes(1 << 18), size
            while left:
                left -= self._socket.send(zeros[: min(left, len(zeros))])
            return
        sent = 0
        while sent < size:
            sent += os.sendfile(self._socket.fileno(), self._sink.zeros.fileno(), sent, size - sent)


def serve(behaviour: Behaviour) -> None:
    """Until it is killed; its origin is its first line."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    tls = _tls(behaviour.certificate) if behaviour.certificate else None
    origin = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{listener.getsockname()[1]}"
    with tempfile.TemporaryFile() as zeros:
        zeros.truncate(behaviour.track_bytes)
        sink = Sink(behaviour, origin, zeros)
        sys.stdout.write(f"{origin}\n")
        sys.stdout.flush()
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_converse, args=(sink, sock, tls), daemon=True).start()


def _tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate)
    return context


def _converse(sink: Sink, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError), closing(tls.wrap_socket(sock, server_side=True) if tls else sock) as connection:
        _Connection(sink, connection).serve()


@dataclass(frozen=True, slots=True)
class Running:
    """A sink in another process."""

    url: str
    pid: int

    def events(self, what: str | None = None) -> list[Event]:
        """What came so far, all of it or of one kind."""
        with urllib.request.urlopen(f"{self.url}/events") as answer:
            found = [Event(**event) for event in json.load(answer)]
        return [event for event in found if what in (None, event.what)]


@contextmanager
def running(**behaviour: Any) -> Iterator[Running]:
    """A sink that behaves so, until the end of the block."""
    command = [sys.executable, str(Path(__file__)), json.dumps(behaviour)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(process.stdout.readline().strip(), process.pid)
        finally:
            process.kill()


if __name__ == "__main__":
    serve(Behaviour(**json.loads(sys.argv[1])))
