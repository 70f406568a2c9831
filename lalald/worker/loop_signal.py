"""Turns of a loop that sleeps until it is woken: that it comes round is the proof that it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class LoopSignal:
    """`begin` is called at the top of the loop; whoever asked for a turn is told then."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._asked: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def turn(self) -> asyncio.Future[None]:
        """Done when the loop has come round once more."""
        turned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(turned)
        self.wake()
        return turned

    def begin(self) -> None:
        """What wakes the loop from now on counts for its next sleep."""
        self._woken.clear()
        asked, self._asked = self._asked, []
        for turned in asked:
            if not turned.done():
                turned.set_result(None)

    async def sleep(self, seconds: float | None = None) -> None:
        """Until woken, or so long."""
        if self._woken.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """Comes round while the work lasts, which has a deadline of its own. Its error is raised; cancelled, it is cancelled, too."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(lambda _: self.wake())
        try:
            while not working.done():
                self.begin()
                await self._woken.wait()
        finally:
            working.cancel()
        await working
