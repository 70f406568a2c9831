"""A server that sends exactly the bytes that a test specifies."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

SECONDS = 20.0


class Talk:
    """One accepted connection, from the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""

    def head(self) -> bytes:
        """A request's head; b"" where the client has gone."""
        while b"\r\n\r\n" not in self.rest:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head + b"\r\n"

    def body(self, head: bytes) -> bytes:
        length = int(header(head, "content-length") or 0)
        body = bytearray(self.rest)
        while len(body) < length and (piece := self.sock.recv(1 << 18)):
            body += piece
        self.rest = bytes(body[length:])
        return bytes(body[:length])

    def request(self) -> tuple[bytes, bytes]:
        head = self.head()
        return head, self.body(head)

    def say(self, *pieces: bytes | str) -> None:
        for piece in pieces:
            self.sock.sendall(piece.encode() if isinstance(piece, str) else piece)

    def json(self, text: str, status: str = "200 OK", *headers: str) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            "Content-Type: application/json",
            f"Content-Length: {len(text.encode())}",
            *headers,
        ]
        self.say("\r\n".join([*lines, "", text]))

    def reset(self) -> None:
        """Not a polite end: RST, at once."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def until_gone(self) -> None:
        """Stays silent until the client goes away."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


Script = Callable[[Talk], None]


class RawServer:
    """Plays one script per connection, in order; the last is played for all further ones. A fault of a script fails the test."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = scripts
        self.connections = 0
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        self._errors: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)
        if self._errors and error is None:
            raise self._errors[0]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                script = self.scripts[min(self.connections, len(self.scripts) - 1)]
                self.connections += 1
                sock.settimeout(SECONDS)
                self._open.append(sock)
                thread = threading.Thread(target=self._play, args=(script, sock), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _play(self, script: Script, sock: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.closing(sock))
            try:
                if self._tls:
                    sock = stack.enter_context(self._tls.wrap_socket(sock, server_side=True))
                    self._open.append(sock)
                script(Talk(sock))
            except OSError:
                pass  # the client went away, as most tests mean it to
            except BaseException as error:  # noqa: BLE001  raised again in the test's own thread
                self._errors.append(error)


def header(head: bytes, name: str) -> str | None:
    """The value of a header in a request's head."""
    for line in head.decode("iso-8859-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return None
