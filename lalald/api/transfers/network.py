"""An httpcore network backend for transfers, whose waits end when the transfer is stopped.

httpx and httpcore speak HTTP; this is httpcore's public seam, `NetworkBackend`. Beyond httpcore's own backend it

- shares one connect deadline between name resolution, all addresses, a proxy's tunnel and the TLS handshake,
- looks for an answer while it sends, because a server that refuses an upload may neither read on nor close,
- treats the end of a TLS connection without close_notify as an error (httpcore takes it for the end of the answer),
- reads TLS in pieces of 64 KiB: one record at a time costs a third more.
"""

from __future__ import annotations

import errno
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

from lalald.api.transfers.transfer import current_transfer

_STOP_SEEN_SECONDS = 0.25
_READ_BYTES = 1 << 16
_INTERIM = re.compile(rb"HTTP/1\.1 1\d\d\b.*?\r\n\r\n", re.DOTALL)
_INTERIM_BEGINS = b"HTTP/1.1 1"
_CONNECTING = (httpcore.ConnectTimeout, httpcore.ConnectError)
_READING = (httpcore.ReadTimeout, httpcore.ReadError)
_WRITING = (httpcore.WriteTimeout, httpcore.WriteError)
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


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
        with _translated(*_CONNECTING):
            connection = connected(host, port, deadline)
        return Stream(connection, deadline, tunnels=self._through_proxy)


class Stream(httpcore.NetworkStream):
    """A connection whose waits end with the transfer, and at its `answer_by`. Raises httpcore's errors and TransferStopped."""

    def __init__(self, connection: socket.socket, connect_by: float, *, tunnels: bool = False) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._connect_by = connect_by
        self._tunnel_by = connect_by if tunnels else float("inf")
        self._early = b""  # arrived while something was being sent

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = min(_deadline(timeout), self._tunnel_by)
        with _translated(*(_READING if self._tunnel_by == float("inf") else _CONNECTING)):
            _check_time(deadline)  # a server that never pauses lets nothing wait
            while (data := self._arrived(max_bytes)) is None:
                _wait(self._socket, select.POLLIN, deadline)
        current_transfer().is_answered |= bool(data)
        return data

    def _arrived(self, max_bytes: int) -> bytes | None:
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        return self._receive(max_bytes)

    def _receive(self, max_bytes: int) -> bytes | None:
        """What has arrived, b"" at the end, None where nothing is there yet. One read of TLS gives 16 KiB at most."""
        pieces: list[bytes] = []
        try:
            while max_bytes > 0 and (piece := self._socket.recv(max_bytes)):
                pieces.append(piece)
                max_bytes -= len(piece)
        except _NOT_YET:
            if not pieces:
                return None
        except OSError:
            if not pieces:
                raise  # else the next read raises it again
        return b"".join(pieces)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all of it. Raises httpcore.WriteError once an answer has begun: httpcore then reads the answer."""
        view = memoryview(buffer)
        deadline = min(_deadline(timeout), self._tunnel_by)
        with _translated(*_WRITING):
            while view:
                _check_time(deadline)
                self._look_for_an_answer()
                try:
                    view = view[self._socket.send(view) :]
                except _NOT_YET:
                    _wait(self._socket, select.POLLIN | select.POLLOUT, deadline)
                else:
                    deadline = min(_deadline(timeout), self._tunnel_by)

    def _look_for_an_answer(self) -> None:
        """Read only as much of an answer as shows that it has begun: it may be endless."""
        if _is_readable(self._socket) and (data := self._receive(_READ_BYTES)) is not None:
            self._early += data
            while match := _INTERIM.match(self._early):  # 100, 102 and 103 announce an answer and are not one
                self._early = self._early[match.end() :]
            begins = self._early[: len(_INTERIM_BEGINS)]
            if begins != _INTERIM_BEGINS[: len(begins)] or len(self._early) > _READ_BYTES:
                current_transfer().await_answer()
                raise ConnectionAbortedError(errno.ECONNABORTED, "answered in the middle of the request")
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of the request")

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; the handshake shares the connect deadline
    ) -> httpcore.NetworkStream:
        """Raises httpcore.ConnectTimeout, httpcore.ConnectError; a server that does not prove its name receives no data."""
        connection = ssl_context.wrap_socket(
            self._socket,
            server_hostname=server_hostname,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        try:
            with _translated(*_CONNECTING):
                _shake_hands(connection, self._connect_by)
        except BaseException:
            connection.close()
            raise
        return Stream(connection, self._connect_by)

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` is how httpcore's pool finds a kept connection that the server has closed."""
        match info:
            case "is_readable":
                return bool(self._early) or _is_readable(self._socket)
            case "ssl_object":
                return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
            case _:
                return self._socket if info == "socket" else None


def _shake_hands(connection: ssl.SSLSocket, deadline: float) -> None:
    while True:
        try:
            return connection.do_handshake()
        except ssl.SSLWantReadError:
            _wait(connection, select.POLLIN, deadline)
        except ssl.SSLWantWriteError:
            _wait(connection, select.POLLOUT, deadline)


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


def _check_time(deadline: float) -> float:
    """The seconds left until the deadline, or the transfer's own. Raises TimeoutError where there are none, TransferStopped."""
    transfer = current_transfer()
    transfer.go_on()
    left_seconds = min(deadline, transfer.answer_by) - time.monotonic()
    if left_seconds <= 0:
        raise TimeoutError
    return left_seconds


def _wait(connection: socket.socket, events: int, deadline: float) -> None:
    """Wait until the socket is ready. Raises TimeoutError at the deadline, TransferStopped."""
    poll = select.poll()
    poll.register(connection, events)
    while True:
        left_seconds = _check_time(deadline)
        if poll.poll(1000 * min(left_seconds, _STOP_SEEN_SECONDS)):
            return


def connected(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to one of the host's addresses. Raises OSError, TimeoutError at the deadline, TransferStopped.

    A thread of its own resolves and dials: the system's resolver has no deadline and cannot be stopped.
    """
    dialing = _Dialing(host, port, deadline)
    threading.Thread(target=dialing.run, name=f"connect {host}", daemon=True).start()
    try:
        return dialing.wait()
    except BaseException:
        dialing.abandon()
        raise


class _Dialing:
    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._host, self._port, self._deadline = host, port, deadline
        self._found: queue.SimpleQueue[socket.socket | OSError] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_abandoned = False

    def run(self) -> None:
        try:
            self._tell(self._dial())
        except OSError as error:
            self._tell(error)

    def _tell(self, found: socket.socket | OSError) -> None:
        with self._lock:
            if self._is_abandoned and isinstance(found, socket.socket):
                found.close()
            else:
                self._found.put(found)

    def _dial(self) -> socket.socket:
        """Try each address in turn; a silent one leaves the others their share of the time."""
        try:
            addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # a label that is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from error
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(max(0.001, (self._deadline - time.monotonic()) / left))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                connection.close()
                if left == 1:
                    raise
            else:
                return connection
        raise OSError(errno.EADDRNOTAVAIL, "it has no address")

    def wait(self) -> socket.socket:
        while True:
            current_transfer().go_on()
            left_seconds = self._deadline - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError
            with suppress(queue.Empty):
                found = self._found.get(timeout=min(left_seconds, _STOP_SEEN_SECONDS))
                break
        if isinstance(found, OSError):
            try:
                raise found
            finally:
                del found  # its traceback would keep this frame, and everything in it, alive
        return found

    def abandon(self) -> None:
        """Close a connection that is established too late."""
        with self._lock, suppress(queue.Empty):
            self._is_abandoned = True
            if isinstance(found := self._found.get_nowait(), socket.socket):
                found.close()
