"""Hash a stream with SHA-256, on a thread of its own for large files, because hashing is slower than many networks."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType
from typing import Any, Self

_LARGE_BYTES = 4 << 20  # below it a thread costs more than it saves
_PIECES_WAITING = 4


class Hashing:
    """Takes pieces in their order; `sha256` is of all of them. `digest` may have seen bytes before.

    Memory is bounded: `update` waits while so many pieces are still to be hashed.
    """

    def __init__(self, size_bytes: int | None, digest: Any = None) -> None:
        self._digest = hashlib.sha256() if digest is None else digest
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_PIECES_WAITING)
        is_large = size_bytes is None or size_bytes >= _LARGE_BYTES
        self._thread = threading.Thread(target=self._work, name="sha256", daemon=True) if is_large else None
        if self._thread is not None:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def update(self, piece: bytes) -> None:
        if self._thread is not None:
            self._pieces.put(piece)
        else:
            self._digest.update(piece)

    def sha256(self) -> str:
        """The hash of every piece so far. No more can be added."""
        self._end()
        digest: str = self._digest.hexdigest()
        return digest

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pieces.put(None)
            thread.join()
