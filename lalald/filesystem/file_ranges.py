"""Insert or remove blocks at the start of a file without rewriting it: fallocate(2), if the file system can (ext4, XFS)."""

from __future__ import annotations

import ctypes
import os

BLOCK_BYTES = 4096  # of nearly every file system; others refuse

_LIBC = ctypes.CDLL(None, use_errno=True)
_FALLOCATE = getattr(_LIBC, "fallocate64", None) or getattr(_LIBC, "fallocate", None)
if _FALLOCATE is not None:
    _FALLOCATE.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_COLLAPSE, _INSERT = 0x08, 0x20


def insert_at_start(descriptor: int, count: int) -> bool:
    """Insert whole blocks. Returns whether it did; if not, nothing has changed."""
    return _fallocate(descriptor, _INSERT, count) and _reserve(descriptor, count)


def _reserve(descriptor: int, count: int) -> bool:
    """Allocate the inserted blocks, or undo the insertion if there is no room. Raises OSError if that fails."""
    if _fallocate(descriptor, 0, count):
        return True
    remove_at_start(descriptor, count)
    return False


def remove_at_start(descriptor: int, count: int) -> None:
    """Remove whole blocks. Raises OSError."""
    if not _fallocate(descriptor, _COLLAPSE, count):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _fallocate(descriptor: int, mode: int, count: int) -> bool:
    return _FALLOCATE is not None and _FALLOCATE(descriptor, mode, 0, count) == 0
