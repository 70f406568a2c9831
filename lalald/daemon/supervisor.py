"""The daemon's own tasks: an unexpected exception in one of them ends the daemon, and systemd starts it again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Supervisor:
    """`failure` fails with the first exception that a task raised. Made within the event loop."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last: set[asyncio.Task[Any]] = set()

    @property
    def has_failed(self) -> bool:
        return self.failure.done()

    def start(self, work: Coroutine[Any, Any, Any], name: str, *, stops_last: bool = False) -> asyncio.Task[Any]:
        """`stops_last`: only `cancel_all` cancels it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        if stops_last:
            self._last.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._last.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.has_failed:
            self.failure.set_exception(error)

    def cancel_first(self) -> None:
        """Cancel every task but those that stop last."""
        for task in self._tasks - self._last:
            task.cancel()

    async def cancel_all(self, timeout_seconds: float) -> None:
        """Cancel every task and wait for their ends, at most for `timeout_seconds`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_seconds)
