"""One HTTP/1.1 connection for bytes. Its socket never blocks, so that an early answer and an order to stop are seen."""

from __future__ import annotations

import errno
import http.client
import io
import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from lalald.api import translate
from lalald.api.address import Origin
from lalald.api.tls import Encrypted
from lalald.api.transfer import Transfer, TransferStopped

_STOP_SEEN_SECONDS = 0.25
_INTERIM = b"HTTP/1.1 1"
_LONGEST_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the service may take, in seconds.

    A connection over the oceans takes a second; 15 s forgive a lost packet or two. A JSON operation does little: 60 s
    in all. A transfer may last hours, so it counts the time without a byte. After an upload the service reads the whole
    file, 10 GB perhaps, to tell its duration: that answer has longer, since giving up would send everything again.
    """

    connect_seconds: float = 15.0
    answer_seconds: float = 60.0
    stall_seconds: float = 60.0
    upload_answer_seconds: float = 300.0


class StaleError(Exception):
    """A connection kept from an earlier transfer was closed meanwhile: nothing of an answer had come."""


class Wire:
    """A connection lent to one transfer at a time. Foreign errors leave it translated, the connection closed.

    Raises (all methods that move bytes):
        TransientError, TransferStopped, StaleError
    """

    def __init__(self, sock: socket.socket | Encrypted, origin: Origin, deadlines: Deadlines) -> None:
        sock.setblocking(False)
        self.origin = origin
        self.reused = False
        self._socket = sock
        self._deadlines = deadlines
        self._transfer = Transfer()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._answer_by = float("inf")
        self._is_drained = False
        self._reader: io.BufferedReader | None = None
        self._response: http.client.HTTPResponse | None = None

    def lend(self, transfer: Transfer) -> None:
        """Raises TransferStopped where the transfer was ended meanwhile; then the connection is closed."""
        self._transfer = transfer
        self._reader = io.BufferedReader(_Incoming(self))
        self._answer_by = float("inf")
        self._is_drained = False
        try:
            transfer.attach(self.cut)
        except TransferStopped:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Whether a kept connection may carry another request: not closed, and nothing on it that nobody asked for."""
        try:
            self._socket.recv_into(bytearray(1))
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def cut(self) -> None:
        """From any thread: what waits on this connection ends."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """The transfer is over. Were it not closed, its answer might find what it reads from collected first, and complain."""
        self._transfer.detach()
        if self._response is not None:
            self._response.close()
        self._response = self._reader = None

    def close(self) -> None:
        self.let_go()
        with suppress(OSError):
            self._socket.close()

    def send(self, view: memoryview) -> bool:
        """Sends all of it, unless an answer begins first: then False, and the rest is not wanted any more."""
        try:
            return self._send(view)
        except translate.FOREIGN as error:
            raise self._lost(error) from error

    def _send(self, view: memoryview) -> bool:
        while view:
            if self._poll.poll(0) and self._answer_has_begun():
                return False
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT, self._stall_at())
            except ConnectionError:
                if self._refused_and_hung_up():  # its words arrived all the same
                    return False
                raise
        return True

    def _answer_has_begun(self) -> bool:
        """Looks without waiting. Raises OSError where the other side has hung up without a word."""
        reader = self._buffered()
        incoming = cast("_Incoming", reader.raw)
        incoming.waits = False
        try:
            begun = reader.peek(1)
        finally:
            incoming.waits = True
        if begun.startswith(_INTERIM):
            self._skip_an_interim_answer()
            return False
        if not begun and incoming.has_ended:
            raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of the request")
        return bool(begun)

    def _refused_and_hung_up(self) -> bool:
        try:
            return self._answer_has_begun()
        except OSError:
            return False

    def _skip_an_interim_answer(self) -> None:
        """102 and 103 announce an answer and are none; `http.client` knows only 100."""
        while self._buffered().readline(_LONGEST_LINE_BYTES).strip():
            pass

    def answer(self, method: str, within_seconds: float) -> http.client.HTTPResponse:
        """The head of the answer. `read_into` and `read_all` read its body, by the same deadline till `no_deadline`."""
        self._answer_by = time.monotonic() + within_seconds
        try:
            while self._buffered().peek(1).startswith(_INTERIM):
                self._skip_an_interim_answer()
            response = self._response = http.client.HTTPResponse(cast("socket.socket", self), method=method)
            response.begin()
        except translate.FOREIGN as error:
            raise self._lost(error) from error
        return response

    def _buffered(self) -> io.BufferedReader:
        return cast("io.BufferedReader", self._reader)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client` reads an answer from: the same reader that may have seen its beginning already."""
        return self._buffered()

    def no_deadline(self) -> None:
        """From here on only the time without a byte counts."""
        self._answer_by = float("inf")

    def read_all(self, response: http.client.HTTPResponse, limit_bytes: int) -> bytes | None:
        """The rest of an answer, or None where it is longer than that."""
        try:
            body = response.read(limit_bytes + 1)
        except translate.FOREIGN as error:
            raise self._lost(error) from error
        return body if len(body) <= limit_bytes else None

    def read_into(self, response: http.client.HTTPResponse, view: memoryview) -> int:
        """What is there of the body, at least a byte; 0 at its end. An end that comes too early is an error."""
        try:
            return self._read_into(response, view)
        except translate.FOREIGN as error:
            raise self._lost(error) from error

    def _read_into(self, response: http.client.HTTPResponse, view: memoryview) -> int:
        if response.chunked:
            piece = response.read1(len(view))
            view[: len(piece)] = piece
            return len(piece)
        if response.length is None:
            return self._fill(view)
        count = self._fill(view[: response.length]) if response.length else 0
        if not count and response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.length -= count
        return count

    def _fill(self, view: memoryview) -> int:
        """As much as has arrived, waiting only for the first of it; past the reader, once what it took with the head is used up."""
        if not self._is_drained:
            piece = self._buffered().read1(min(len(view), io.DEFAULT_BUFFER_SIZE))
            self._is_drained = len(view) >= io.DEFAULT_BUFFER_SIZE
            view[: len(piece)] = piece
            return len(piece)
        count = self.receive_into(view, waits=True) or 0
        with suppress(OSError):  # it comes back with the next read
            while 0 < count < len(view) and (more := self.receive_into(view[count:], waits=False)):
                count += more
        return count

    def may_be_kept(self, response: http.client.HTTPResponse) -> bool:
        """Whether it can carry another request: the answer was read to its end, and both sides want to go on."""
        return not response.will_close and (response.isclosed() or response.length == 0)

    def _lost(self, error: BaseException) -> Exception:
        untouched = self.reused and not self._reader_has_something()
        self.close()
        if self._transfer.stop.is_set():
            return TransferStopped()
        if untouched and isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return StaleError()
        return translate.lost(error, self.origin.host)

    def _reader_has_something(self) -> bool:
        return cast("_Incoming", self._buffered().raw).has_begun

    def receive_into(self, buffer: Any, *, waits: bool) -> int | None:
        deadline = self._stall_at()
        while True:
            try:
                count = self._socket.recv_into(buffer)
                if not count and self._transfer.stop.is_set():
                    raise _stopped()  # our own cut looks like the other side's end
                return count
            except BlockingIOError:
                if not waits:
                    return None
                self._wait(select.POLLIN, deadline)

    def _stall_at(self) -> float:
        return min(time.monotonic() + self._deadlines.stall_seconds, self._answer_by)

    def _wait(self, events: int, deadline: float) -> None:
        """Until the socket is ready. Looks up now and then, for an order to stop that did not cut the connection."""
        self._poll.modify(self._socket, events)
        try:
            while True:
                left_seconds = deadline - time.monotonic()
                if left_seconds <= 0:
                    raise TimeoutError
                if self._poll.poll(1000 * min(left_seconds, _STOP_SEEN_SECONDS)):
                    return
                if self._transfer.stop.is_set():
                    raise _stopped()
        finally:
            self._poll.modify(self._socket, select.POLLIN)


def _stopped() -> ConnectionAbortedError:
    return ConnectionAbortedError(errno.ECONNABORTED, "stopped")


class _Incoming(io.RawIOBase):
    """The socket as a file to read from. `waits`: or else gives nothing where there is nothing yet."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.waits = True
        self.has_begun = False
        self.has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._wire.receive_into(buffer, waits=self.waits)
        self.has_begun = self.has_begun or bool(count)
        self.has_ended = count == 0
        return count
