"""TLS over a connected socket, encrypted in memory: many records leave, or arrive, with one system call."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import Any

_RECEIVED_AT_ONCE_BYTES = 1 << 17


class Encrypted:
    """Used as a socket is, by one thread. `shutdown`, which is beneath TLS, may be called by any.

    Raises (all methods that move bytes):
        OSError: ssl.SSLError among them. BlockingIOError: later; nothing is lost.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._socket = connection
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_hostname=host)
        self._taken = 0
        self._unsent = memoryview(b"")

    def shake_hands(self, deadline: float) -> None:
        """Blocks until the other side has proved that it is `host`. `deadline` is by time.monotonic(); beyond it TimeoutError."""
        while True:
            try:
                self._tls.do_handshake()
                return self._send_what_leaves(deadline)
            except ssl.SSLWantReadError:
                self._send_what_leaves(deadline)
                self._limit(deadline)
                self._receive()
            except ssl.SSLError:
                with suppress(OSError):
                    self._send_what_leaves(deadline)  # the other side is told why
                raise

    def _limit(self, deadline: float) -> None:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))

    def _send_what_leaves(self, deadline: float) -> None:
        if self._leaving.pending:
            self._limit(deadline)
            self._socket.sendall(self._leaving.read())

    def send(self, view: memoryview) -> int:
        """Sends all of it. After a BlockingIOError it wants to be called with the same bytes again, as SSL_write(3) does."""
        if not self._unsent:
            self._taken = self._tls.write(view)
            self._unsent = memoryview(self._leaving.read())
        while self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        return self._taken

    def recv_into(self, buffer: Any) -> int:
        """The next bytes, decrypted; 0 where the other side has said that there are no more."""
        while True:
            try:
                return self._tls.read(len(buffer), buffer)  # type: ignore[return-value] # bytes only without a buffer
            except ssl.SSLWantReadError:
                self._receive()

    def _receive(self) -> None:
        if piece := self._socket.recv(_RECEIVED_AT_ONCE_BYTES):
            self._arrived.write(piece)
        else:
            self._arrived.write_eof()  # without a word: SSLEOFError with the next read

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        self._socket.setblocking(flag)

    def shutdown(self, how: int) -> None:
        self._socket.shutdown(how)

    def close(self) -> None:
        self._socket.close()
