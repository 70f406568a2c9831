"""The bytes of a file to the service: hashed on the way, in constant memory."""

from __future__ import annotations

import http.client
import os
from typing import BinaryIO

from lalald.api.hashing import Hashing
from lalald.api.pace import Pace
from lalald.api.transfer import Transfer
from lalald.api.wire import Wire
from lalald.errors import FileError


class Sending:
    """One file on its way. A connection that proves stale starts it anew."""

    def __init__(self, file: BinaryIO, size: int, head: bytes, transfer: Transfer, pace: Pace) -> None:
        self.is_complete = False
        self.sha256 = ""
        self._file = file
        self._size = size
        self._head = head
        self._transfer = transfer
        self._pace = pace
        self._name = os.fsdecode(name) if isinstance(name := getattr(file, "name", None), str | bytes) else "the file"

    def ask(self, wire: Wire, answer_within_seconds: float) -> http.client.HTTPResponse:
        """Head and body, then the head of the answer; the answer at once, where it comes before the body is sent.

        Raises:
            FileError: the file cannot be read, or is not as long as it was.
        """
        try:
            self.is_complete = self._send(wire)
        except BaseException:
            wire.close()  # a request half sent ends with its connection
            raise
        return wire.answer("POST", answer_within_seconds)

    def _send(self, wire: Wire) -> bool:
        self._start()
        with Hashing(len(self._head) + min(self._size, self._pace.piece_bytes), self._size) as hashing:
            if not self._send_body(wire, hashing):
                return False
            self.sha256 = hashing.sha256()
        return True

    def _send_body(self, wire: Wire, hashing: Hashing) -> bool:
        start, sent = len(self._head), 0  # a small file leaves in one piece with the head
        while True:
            buffer = hashing.buffer()
            buffer[:start] = self._head[:start]
            end = start + self._read(buffer[start:], sent)
            self._pace.wait(end, self._transfer.stop)
            self._transfer.go_on()
            if not wire.send(buffer[:end]):
                return False
            hashing.give_back(buffer, start, end)
            sent, start = sent + end - start, 0
            self._transfer.progress = sent
            if sent == self._size:
                return True

    def _start(self) -> None:
        self._transfer.progress = 0
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._fault(error) from error

    def _read(self, view: memoryview, sent: int) -> int:
        """The next bytes. Before the last ones leave, the file must end where it should: else it never arrives."""
        try:
            left = self._size - sent
            count: int = self._file.readinto(view[:left]) if left else 0  # type: ignore[attr-defined]
            is_longer = count == left and bool(self._file.read(1))
        except OSError as error:
            raise self._fault(error) from error
        if is_longer or (not count and sent < self._size):
            told = "longer" if is_longer else "shorter"
            raise FileError(
                f"{self._name} became {told} than {self._size:,} bytes while it was sent. Nothing was spent."
            )
        return count

    def _fault(self, error: OSError) -> FileError:
        return FileError(f"{self._name} cannot be read: {error.strerror}. Nothing was spent.")
