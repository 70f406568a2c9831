"""Wake a sleeping loop, and check that it still runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class LoopSignal:
    """A loop calls `begin` at its top, and `sleep` when there is nothing to do; others call `wake` and `next_turn`."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def next_turn(self) -> asyncio.Future[None]:
        """A future that is done when the loop has begun its next turn."""
        turned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turned)
        self.wake()
        return turned

    def begin(self) -> None:
        """Begin a turn: a wake from here on ends the next sleep."""
        self._woken.clear()
        waiting, self._waiting = self._waiting, []
        for turned in waiting:
            if not turned.done():
                turned.set_result(None)

    async def sleep(self, seconds: float | None = None) -> None:
        """Return when woken, or after that many seconds."""
        if self._woken.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def keep_beating(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin turns while `work`, which has its own deadline, runs. Raises its error; cancels it when cancelled."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(lambda _: self.wake())
        try:
            while not working.done():
                self.begin()
                await self._woken.wait()
        finally:
            working.cancel()
        await working
