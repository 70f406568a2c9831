"""Buffers that are hashed after use, on a thread of their own where a file is large: sha256 is slower than many networks."""

from __future__ import annotations

import hashlib
import mmap
import queue
import threading
from types import TracebackType
from typing import Any, Self

_LARGE_BYTES = 4 << 20  # below it a thread costs more than it saves
_BUFFERS = 4
_ON_THE_HEAP_BYTES = 1 << 16


class Hashing:
    """Lends buffers and takes them back to be hashed, in their order. `digest` may have seen bytes before.

    The memory goes back to the system at the end, since a daemon idles for days after a busy minute.
    """

    def __init__(self, buffer_bytes: int, size_bytes: int | None, digest: Any = None) -> None:
        self._digest = hashlib.sha256() if digest is None else digest
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._used: queue.SimpleQueue[tuple[memoryview, int, int] | None] = queue.SimpleQueue()
        is_large = size_bytes is None or size_bytes >= _LARGE_BYTES
        self._thread = threading.Thread(target=self._work, name="sha256", daemon=True) if is_large else None
        count = _BUFFERS if is_large else 1
        memory = _memory(count * buffer_bytes)
        for place in range(count):
            self._free.put(memory[place * buffer_bytes : (place + 1) * buffer_bytes])
        if self._thread is not None:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def buffer(self) -> memoryview:
        """One that is free; waits while all are being hashed."""
        return self._free.get()

    def give_back(self, buffer: memoryview, start: int, end: int) -> None:
        """Its bytes from `start` to `end` are hashed; nobody may write there meanwhile."""
        if self._thread is not None:
            self._used.put((buffer, start, end))
            return
        self._digest.update(buffer[start:end])
        self._free.put(buffer)

    def sha256(self) -> str:
        """Of everything given back. Nothing can be given back any more."""
        self._end()
        digest: str = self._digest.hexdigest()
        return digest

    def _work(self) -> None:
        while (piece := self._used.get()) is not None:
            buffer, start, end = piece
            self._digest.update(buffer[start:end])
            self._free.put(buffer)

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._used.put(None)
            thread.join()


def _memory(size_bytes: int) -> memoryview:
    """Freed with the last view of it. Large pieces of the heap would stay with the process for good."""
    return memoryview(bytearray(size_bytes) if size_bytes <= _ON_THE_HEAP_BYTES else mmap.mmap(-1, size_bytes))
