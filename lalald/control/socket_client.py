"""Ask the daemon over its socket. A health check runs every few seconds, so this loads neither asyncio nor anything else."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from lalald.control.socket_address import SOCKET_NAME, abstract_address, path_address, peer_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    Item = tuple[str, str, str, str]  # code, subject, message, hint

WAKE_TIMEOUT_SECONDS = 2.0
_LONGEST_REPORT_BYTES = 1 << 20
_FIELDS = 4


def wake(state_dir: str | os.PathLike[str]) -> bool:
    """Tell the daemon that the database holds a new request. False if no daemon answers."""
    return _ask(state_dir, b"wake", WAKE_TIMEOUT_SECONDS) == b"ok"


def ping(state_dir: str | os.PathLike[str], timeout_seconds: float) -> bool:
    """Whether a daemon answers within `timeout_seconds` that all its loops run."""
    return _ask(state_dir, b"ping", timeout_seconds) == b"ok"


class Report:
    """`is_running`: a daemon answers, and all its loops run. `items`: what needs a person."""

    __slots__ = ("is_running", "items")

    def __init__(self, is_running: bool, items: Sequence[Item] = ()) -> None:
        self.is_running = is_running
        self.items = items


def report(state_dir: str | os.PathLike[str], timeout_seconds: float) -> Report:
    """What the daemon reports within `timeout_seconds`. One of an earlier version can only be pinged."""
    answer = _ask(state_dir, b"report", timeout_seconds)
    if answer == b"unknown":
        return Report(ping(state_dir, timeout_seconds))
    state, *fields = answer.decode("utf-8", "surrogateescape").split("\0")
    starts = range(0, len(fields) - _FIELDS + 1, _FIELDS)
    return Report(state == "ok", [tuple(fields[at : at + _FIELDS]) for at in starts])  # type: ignore[misc] # four of them


def _ask(state_dir: str | os.PathLike[str], word: bytes, timeout_seconds: float) -> bytes:
    """The daemon's answer to a word; empty if there is none."""
    with suppress(OSError), path_address(state_dir, SOCKET_NAME) as address:
        return _exchange(address, word, timeout_seconds)
    with suppress(OSError):
        return _exchange(abstract_address(state_dir), word, timeout_seconds, os.stat(state_dir).st_uid)
    return b""


def _exchange(address: str, word: bytes, timeout_seconds: float, owner: int | None = None) -> bytes:
    """Send a word and read the answer. `owner`: the user that must run the daemon, if no file's mode guards the address."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_seconds)
        client.connect(address)
        if owner is not None and peer_user(client) not in (0, owner):
            return b""
        client.sendall(word + b"\n")
        answer = b""
        while len(answer) < _LONGEST_REPORT_BYTES and (more := client.recv(65536)):
            answer += more
        return answer.strip(b"\n")
