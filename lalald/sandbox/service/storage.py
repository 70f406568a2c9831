"""Store the uploads: large ones in a file each, small ones together, since creating a file takes longer than writing it."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lalald.sandbox.service.tracks import HEAD_BYTES

SMALL_BYTES = 64 << 10
TOGETHER_BYTES = 64 << 20
HASHED_AT_ONCE_BYTES = 8 << 20  # a larger one is hashed on request: hashing is slower than receiving
HASH_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An upload's bytes: `size` of them in the file `path`, from `offset` on."""

    path: Path
    offset: int
    size: int

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.size
            while left and (piece := file.read(min(left, HASH_PIECE_BYTES))):
                digest.update(piece)
                left -= len(piece)
        return digest.hexdigest()


class Storage:
    """The uploads in `folder`. A file of small uploads is deleted with the last of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = 0
        self._kept: Counter[Path] = Counter()
        self._together = self.new_path()
        self._together_size = 0

    def new_path(self) -> Path:
        self._files += 1
        return self._folder / f"{self._files}"

    def keep_small(self, body: bytes) -> Stored:
        if self._together_size >= TOGETHER_BYTES:
            self._together, self._together_size = self.new_path(), 0
        stored = Stored(self._together, self._together_size, len(body))
        with stored.path.open("ab", buffering=0) as file:
            file.write(body)
        self._together_size += len(body)
        return self.keep(stored)

    def keep(self, stored: Stored) -> Stored:
        self._kept[stored.path] += 1
        return stored

    def delete(self, stored: Stored) -> None:
        """Delete it."""
        self._kept[stored.path] -= 1
        if self._kept[stored.path] == 0 and stored.path != self._together:
            del self._kept[stored.path]
            stored.path.unlink(missing_ok=True)


class UploadBuffer:
    """A body while it is received: in memory while it is small, then in a file."""

    def __init__(self, storage: Storage) -> None:
        self.size = 0
        self.head = b""
        self._storage = storage
        self._body = bytearray()
        self._path: Path | None = None
        self._descriptor = -1
        self._digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if len(self.head) < HEAD_BYTES:
            self.head = (self.head + piece)[:HEAD_BYTES]
        if self.size <= HASHED_AT_ONCE_BYTES:
            self._digest.update(piece)
        if self._path is None:
            self._body += piece
            if self.size > SMALL_BYTES:
                self._move_to_file()
        else:
            _write(self._descriptor, piece)

    @property
    def sha256(self) -> str | None:
        return self._digest.hexdigest() if self.size <= HASHED_AT_ONCE_BYTES else None

    def open(self) -> BinaryIO:
        """Open the whole body for reading."""
        return io.BytesIO(self._body) if self._path is None else self._path.open("rb")

    def keep(self) -> Stored:
        if self._path is None:
            return self._storage.keep_small(bytes(self._body))
        os.close(self._descriptor)
        return self._storage.keep(Stored(self._path, 0, self.size))

    def discard(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)
            self._path.unlink(missing_ok=True)

    def _move_to_file(self) -> None:
        self._path = self._storage.new_path()
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        _write(self._descriptor, self._body)
        self._body = bytearray()


def _write(descriptor: int, piece: bytes | bytearray) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
