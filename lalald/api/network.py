"""The network under a transfer's HTTP: an httpcore backend whose waits end when the transfer is stopped.

httpx and httpcore speak HTTP; this is httpcore's public seam, `NetworkBackend`. Beyond httpcore's own backend it

- shares one connect deadline between name resolution, all addresses, a proxy's tunnel and the TLS handshake,
- looks for an answer while it sends, because a server that refuses an upload may neither read on nor close,
- treats the end of a TLS connection without close_notify as an error (httpcore takes it for the end of the answer),
- reads TLS in pieces of 64 KiB: one record at a time costs a third more.
"""

from __future__ import annotations

import errno
import os
import queue
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore

from lalald.api.transfer import current_transfer

_STOP_SEEN_SECONDS = 0.25
_READ_BYTES = 1 << 16
_INTERIM = re.compile(rb"HTTP/1\.1 1\d\d\b.*?\r\n\r\n", re.DOTALL)
_INTERIM_BEGINS = b"HTTP/1.1 1"

_Address = tuple[Any, ...]


class Backend(httpcore.NetworkBackend):
    """Opens connections for the current thread's transfer. `through_proxy`: a tunnel is part of connecting."""

    def __init__(self, *, through_proxy: bool = False) -> None:
        self._through_proxy = through_proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Any = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.NetworkStream:
        """Tries each address of the host in turn. Raises httpcore.ConnectTimeout, httpcore.ConnectError, TransferStopped."""
        deadline = _deadline(timeout)
        with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            connection = connected(_resolved(host, port, deadline), deadline)
        return Stream(connection, deadline, tunnels=self._through_proxy)


class Stream(httpcore.NetworkStream):
    """A connection that never blocks without looking at the transfer.

    Its waits also end at the transfer's `answer_by`. Raises the errors of httpcore, and TransferStopped.
    """

    def __init__(self, connection: socket.socket, connect_by: float, *, tunnels: bool = False) -> None:
        self._socket = connection
        self._connect_by = connect_by
        self._tunnel_by = connect_by if tunnels else float("inf")
        self._early = b""  # arrived while something was being sent

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = min(_deadline(timeout), self._tunnel_by)
        with _translated(httpcore.ReadTimeout, httpcore.ReadError):
            while (data := self._arrived(max_bytes)) is None:
                _wait(self._socket, select.POLLIN, deadline)
        current_transfer().is_answered |= bool(data)
        return data

    def _arrived(self, max_bytes: int) -> bytes | None:
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        return self._receive(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all of it. Raises httpcore.WriteError once an answer has begun: httpcore then reads the answer."""
        with _translated(httpcore.WriteTimeout, httpcore.WriteError):
            self._send(memoryview(self._encoded(buffer)), timeout)

    def _send(self, view: memoryview, timeout: float | None) -> None:
        while view:
            self._look_for_an_answer()
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                _wait(self._socket, select.POLLIN | select.POLLOUT, min(_deadline(timeout), self._tunnel_by))

    def _look_for_an_answer(self) -> None:
        if not _is_readable(self._socket):
            return
        while (data := self._receive(_READ_BYTES)) is not None:
            if not data and not self._early:
                raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of the request")
            if not data:
                break
            self._early += data
        while match := _INTERIM.match(self._early):  # 100, 102 and 103 announce an answer and are not one
            self._early = self._early[match.end() :]
        if self._early and not (self._early.startswith(_INTERIM_BEGINS) or _INTERIM_BEGINS.startswith(self._early)):
            current_transfer().await_answer()
            raise ConnectionAbortedError(errno.ECONNABORTED, "answered in the middle of the request")

    def _encoded(self, buffer: bytes) -> bytes:
        return buffer

    def _receive(self, max_bytes: int) -> bytes | None:
        """What has arrived, b"" at the end, None where nothing is there yet."""
        with suppress(BlockingIOError):
            return self._socket.recv(max_bytes)
        return None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; the handshake shares the connect deadline
    ) -> httpcore.NetworkStream:
        """Raises httpcore.ConnectTimeout, httpcore.ConnectError: nothing was told to a server that did not prove its name."""
        stream = TlsStream(self._socket, self._connect_by, ssl_context, server_hostname)
        try:
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                stream.handshake(self._connect_by)
        except BaseException:
            self.close()
            raise
        return stream

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` is how httpcore's pool finds a kept connection that the server has closed."""
        if info == "is_readable":
            return bool(self._early) or _is_readable(self._socket)
        return self._socket if info == "socket" else None


class TlsStream(Stream):
    """TLS in memory buffers over a socket that never blocks."""

    def __init__(self, connection: socket.socket, connect_by: float, context: ssl.SSLContext, host: str | None) -> None:
        super().__init__(connection, connect_by)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._plain = memoryview(bytearray(_READ_BYTES))

    def handshake(self, deadline: float) -> None:
        """Raises TimeoutError, OSError."""
        while True:
            try:
                self._tls.do_handshake()
                return self._flush(deadline)
            except ssl.SSLWantReadError:
                self._flush(deadline)
                _wait(self._socket, select.POLLIN, deadline)
                self._feed()
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush(deadline)  # tells the server why
                raise

    def _flush(self, deadline: float) -> None:
        view = memoryview(self._outgoing.read())
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                _wait(self._socket, select.POLLOUT, deadline)

    def _feed(self) -> bool:
        """Hands over what has arrived. False where nothing has."""
        try:
            piece = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        if piece:
            self._incoming.write(piece)
        else:
            self._incoming.write_eof()  # without close_notify: the next read raises SSLEOFError
        return True

    def _encoded(self, buffer: bytes) -> bytes:
        self._tls.write(buffer)
        return self._outgoing.read()

    def _receive(self, max_bytes: int) -> bytes | None:
        plain, filled = self._plain[:max_bytes], 0
        while filled < len(plain):
            try:
                count: int = self._tls.read(len(plain) - filled, plain[filled:])  # type: ignore[assignment] # with a buffer
            except ssl.SSLWantReadError:
                if self._feed():
                    continue
                return bytes(plain[:filled]) if filled else None
            except ssl.SSLError:
                if filled:
                    break  # raised again by the next read
                raise
            if not count:
                break
            filled += count
        return bytes(plain[:filled])

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise NotImplementedError("a proxy that is itself spoken to over TLS is refused in the configuration")

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else super().get_extra_info(info)


def _deadline(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds


@contextmanager
def _translated(timeout: type[Exception], other: type[Exception]) -> Iterator[None]:
    """The errors that httpcore expects of a backend; theirs keep the cause that says more."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise other(str(error)) from error


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _wait(connection: socket.socket, events: int, deadline: float) -> None:
    """Until the socket is ready. Raises TimeoutError at the deadline, TransferStopped."""
    transfer = current_transfer()
    poll = select.poll()
    poll.register(connection, events)
    while True:
        transfer.go_on()
        left_seconds = min(deadline, transfer.answer_by) - time.monotonic()
        if left_seconds <= 0:
            raise TimeoutError
        if poll.poll(1000 * min(left_seconds, _STOP_SEEN_SECONDS)):
            return


def _resolved(host: str, port: int, deadline: float) -> list[_Address]:
    """On a thread of its own: the system's resolver has no deadline and cannot be stopped. Raises OSError, TransferStopped."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        pass  # a name, not a number
    answers: queue.SimpleQueue[list[_Address] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    while True:
        current_transfer().go_on()
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0:
            raise TimeoutError("its name was not resolved in time")
        with suppress(queue.Empty):
            answer = answers.get(timeout=min(left_seconds, _STOP_SEEN_SECONDS))
            break
    if isinstance(answer, OSError):
        try:
            raise answer
        finally:
            del answer  # its traceback would keep this frame, and everything in it, alive
    return answer


def connected(addresses: list[_Address], deadline: float) -> socket.socket:
    """Each address in turn; one that is silent leaves the others their share of the time."""
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        now = time.monotonic()
        share_by = now + (deadline - now) / (len(addresses) - place)
        connection = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            _connect(connection, address, share_by)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError) or place == len(addresses) - 1:
                raise
        else:
            return connection
    raise OSError(errno.EADDRNOTAVAIL, "it has no address")


def _connect(connection: socket.socket, address: Any, deadline: float) -> None:
    with suppress(BlockingIOError):  # EINPROGRESS
        connection.connect(address)
    _wait(connection, select.POLLOUT, deadline)
    if code := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))  # the subclass of its number, such as ConnectionRefusedError
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
