"""Where the daemon's socket is, and which user is at its other end. Loads little: every client needs it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SOCKET_NAME = "lalald.sock"
_LONGEST_ADDRESS_BYTES = 107  # sun_path holds 108 with its closing zero


@contextmanager
def path_address(state_dir: str | os.PathLike[str], name: str) -> Iterator[str]:
    """An address for the socket `name` that fits into the kernel's 108 bytes, however long the folder's path is."""
    plain = os.path.join(state_dir, name)
    if len(os.fsencode(plain)) <= _LONGEST_ADDRESS_BYTES:
        yield plain
        return
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def abstract_address(state_dir: str | os.PathLike[str]) -> str:
    """An address in the kernel's own name space (unix(7)). Any user can reach it, so both sides check who the other one is."""
    facts = os.stat(state_dir)
    return f"\0lalald-{facts.st_dev:x}-{facts.st_ino:x}"


def peer_user(connection: socket.socket) -> int:
    """The user id of the program at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)  # three ints: process, user, group
    return int.from_bytes(credentials[4:8], sys.byteorder)
