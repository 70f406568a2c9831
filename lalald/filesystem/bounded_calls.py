"""Use files without waiting for a disk or server that never answers, in a program that ends soon. The daemon has `mount_pools`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from lalald.errors import FolderUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")

ANSWER_SECONDS = 5.0
WAKING_SECONDS = 10.0  # for what nothing can begin without: a sleeping disk takes some time to spin up
UNANSWERED = "its disk or server does not answer"


class BoundedCalls:
    """Nothing more is asked of a folder that did not answer once. A thread that waits for it ends with the process."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._silent: set[Path] = set()

    def run(self, folder: Path, function: Callable[..., Answer], *arguments: object) -> Answer:
        """`function(*arguments)`, which uses something in the folder. Raises FolderUnavailableError if it does not return in time."""
        if not any(map(folder.is_relative_to, self._silent)):
            call = _Call(function, arguments)
            threading.Thread(target=call.run, daemon=True).start()
            if call.ended.wait(self._answer_seconds):
                answer: Answer = call.result()
                return answer
            self._silent.add(folder)
        from lalald.filesystem.names import printable  # not loaded by a health check

        words = f"{printable(str(folder))} cannot be used: {UNANSWERED}"
        raise FolderUnavailableError(words, hint="Is its server down, or its disk failing?", path=str(folder))


class _Call:
    """A call on a thread of its own. `concurrent.futures` takes long to load, for a command that runs every few seconds."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
        self.ended = threading.Event()
        self._function = function
        self._arguments = arguments
        self._answer: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._answer = self._function(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            self._error = error
        self.ended.set()

    def result(self) -> Any:
        """Once it has ended."""
        if self._error is not None:
            raise self._error
        return self._answer
