"""Upload a file: hashed on the way, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import BinaryIO

from lalald.api.transfers.hashing import Hashing
from lalald.api.transfers.transfer import Transfer
from lalald.api.transfers.transfer_rate import Pace
from lalald.errors import FileError


class Sending:
    """One file being sent, from its first byte each time that `content` is used."""

    def __init__(self, file: BinaryIO, size: int, transfer: Transfer, pace: Pace) -> None:
        self.is_complete = False
        self.sha256 = ""
        self._content: Generator[bytes, None, None] | None = None
        self._file = file
        self._size = size
        self._transfer = transfer
        self._pace = pace
        self._name = os.fsdecode(name) if isinstance(name := getattr(file, "name", None), str | bytes) else "the file"

    def content(self) -> Iterator[bytes]:
        """The pieces of the file. Raises FileError if it cannot be read or its length has changed, and TransferStopped."""
        self.close()
        self._content = self._pieces()
        return self._content

    def close(self) -> None:
        """End a content that was not read to its end, because the answer came first."""
        if self._content is not None:
            self._content.close()

    def _pieces(self) -> Generator[bytes, None, None]:
        self.is_complete = False
        self._start()
        sent = 0
        with Hashing(self._size) as hashing:
            while sent < self._size:
                piece = self._read(sent)
                self._pace.wait(len(piece), self._transfer.stop)
                self._transfer.go_on()
                hashing.update(piece)
                yield piece
                sent += len(piece)
                self._transfer.progress = sent
            self.sha256 = hashing.sha256()
        self.is_complete = True
        self._transfer.await_answer()

    def _start(self) -> None:
        self._transfer.progress = 0
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._fault(error) from error

    def _read(self, sent: int) -> bytes:
        """The next bytes. Before the last ones are sent, the file's length is checked, so that a changed file never arrives whole."""
        left = self._size - sent
        try:
            piece = self._file.read(min(left, self._pace.piece_bytes))
            is_longer = len(piece) == left and bool(self._file.read(1))
        except OSError as error:
            raise self._fault(error) from error
        if is_longer or not piece:
            change = "longer" if is_longer else "shorter"
            raise FileError(
                f"{self._name} became {change} than {self._size:,} bytes while it was sent. Nothing was spent."
            )
        return piece

    def _fault(self, error: OSError) -> FileError:
        return FileError(f"{self._name} cannot be read: {error.strerror}. Nothing was spent.")
