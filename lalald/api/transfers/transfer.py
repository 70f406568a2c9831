"""The state of a running transfer: its progress, its stop, and its deadline for an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the service may take, in seconds.

    A connection across an ocean takes a second; 15 s allow for a lost packet or two. A JSON operation does little: 60 s in all.
    A transfer may last hours, so only the time without a byte counts. After an upload the service reads the whole file, up to
    10 GB, to measure its duration: that answer has longer, since a timeout would send everything again. A request that
    charges uses no connection that was idle for over `charge_idle_seconds`: one that dies under it may have been charged for.
    """

    connect_seconds: float = 15.0
    answer_seconds: float = 60.0
    stall_seconds: float = 60.0
    upload_answer_seconds: float = 300.0
    charge_idle_seconds: float = 5.0


class TransferStopped(Exception):  # noqa: N818 - not an error: it was requested
    """The transfer was stopped on purpose; what arrived so far is kept, and no answer was read."""


class Transfer:
    """One upload or download. `progress` is its bytes so far, written by its thread and read by any; `resumed_from` of them
    were there before it began."""

    def __init__(self) -> None:
        self.progress = 0
        self.resumed_from = 0
        self.stop = threading.Event()
        self.answer_by = float("inf")  # by time.monotonic()
        self.is_answered = False  # a byte of the answer has arrived
        self._answer_seconds = float("inf")

    def end(self) -> None:
        """Stop it, on any thread: within half a second it raises TransferStopped, even if the peer is silent."""
        self.stop.set()

    def go_on(self) -> None:
        """Raises TransferStopped if it was stopped."""
        if self.stop.is_set():
            raise TransferStopped

    def begin(self, answer_seconds: float) -> None:
        """A request is about to be sent; once it is, the answer's head must arrive within so many seconds."""
        self.is_answered = False
        self.answer_by = float("inf")
        self._answer_seconds = answer_seconds

    def await_answer(self) -> None:
        """The request is sent, or the answer has begun: the deadline for the answer runs from now on."""
        self.answer_by = time.monotonic() + self._answer_seconds

    def no_deadline(self) -> None:
        """From now on, only the time without a byte counts."""
        self.answer_by = float("inf")

    @contextmanager
    def on_this_thread(self) -> Iterator[None]:
        """Assign this thread's network waits to the transfer."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Transfer] = ContextVar("transfer")


def current_transfer() -> Transfer:
    """The transfer of this thread."""
    return _current.get()
