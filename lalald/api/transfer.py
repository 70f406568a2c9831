"""A transfer under way, as other threads see it: how far it is, and how to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class TransferStopped(Exception):  # noqa: N818 - nothing went wrong: somebody asked for it
    """The transfer was ended on purpose; what arrived so far stays, and no answer was read."""


class Transfer:
    """One upload or download. `progress` is its bytes so far, written by its thread and read by any."""

    def __init__(self) -> None:
        self.progress = 0
        self.stop = threading.Event()
        self._cut: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """Ends it within milliseconds, from any thread: what it waits for on the network is cut off."""
        self.stop.set()
        with self._lock:
            if self._cut is not None:
                self._cut()

    def attach(self, cut: Callable[[], None]) -> None:
        """From its own thread: what has to be called to end the waiting that follows.

        Raises:
            TransferStopped
        """
        with self._lock:
            self._cut = cut
        self.go_on()

    def detach(self) -> None:
        with self._lock:
            self._cut = None

    def go_on(self) -> None:
        """Raises:
        TransferStopped: it was ended.
        """
        if self.stop.is_set():
            raise TransferStopped
