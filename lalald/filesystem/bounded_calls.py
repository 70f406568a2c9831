"""Use files without waiting for a disk or server that never answers, in a program that ends soon. The daemon has `mount_pools`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from lalald.errors import FolderUnavailableError
from lalald.filesystem.names import printable

Answer = TypeVar("Answer")

ANSWER_SECONDS = 5.0
UNANSWERED = "its disk or server does not answer"


class BoundedCalls:
    """Nothing more is asked of a folder that did not answer once. A thread that waits for it ends with the process."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._silent: set[Path] = set()

    def run(self, folder: Path, function: Callable[..., Answer], *arguments: object) -> Answer:
        """`function(*arguments)`, which uses something in the folder. Raises FolderUnavailableError if it does not return in time."""
        if not any(map(folder.is_relative_to, self._silent)):
            call: Future[Answer] = Future()
            threading.Thread(target=_run, args=(call, function, arguments), daemon=True).start()
            try:
                return call.result(self._answer_seconds)
            except TimeoutError:
                if call.done():  # just now; or the error is the function's own
                    return call.result()
            self._silent.add(folder)
        words = f"{printable(str(folder))} cannot be used: {UNANSWERED}"
        raise FolderUnavailableError(words, hint="Is its server down, or its disk failing?", path=str(folder))


def _run(call: Future[Answer], function: Callable[..., Answer], arguments: tuple[object, ...]) -> None:
    try:
        answer = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - the caller gets it
        call.set_exception(error)
    else:
        call.set_result(answer)
