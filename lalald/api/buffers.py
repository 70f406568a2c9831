"""The one buffer of a transfer, given back to the system at its end: a daemon idles for days after a busy minute."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

_SMALL_BYTES = 1 << 16


@contextmanager
def buffer(size_bytes: int) -> Iterator[memoryview]:
    """Room for so many bytes, at least one."""
    if size_bytes <= _SMALL_BYTES:
        yield memoryview(bytearray(size_bytes))
        return
    memory = mmap.mmap(-1, size_bytes)
    view = memoryview(memory)
    try:
        yield view
    finally:
        view.release()
        memory.close()
