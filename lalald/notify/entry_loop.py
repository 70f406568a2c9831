"""The loop of one entry: it sleeps until there are events or a pause ends. Its errors do not affect other entries."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import Any, Protocol

from lalald.errors import StoreRefusedError

_FAULT_SECONDS = 60.0  # after an unexpected exception


class Turns(Protocol):
    """`EachEvent` or `Gathered`."""

    async def turn(self) -> float | None: ...

    def hurry(self) -> None: ...

    def leave(self) -> None: ...


class EntryLoop:
    def __init__(self, name: str, turns: Turns, log: Any) -> None:
        self.name = name
        self._turns = turns
        self._log = log
        self._news = asyncio.Event()
        self._news.set()  # there may be events from before
        self._idle = asyncio.Event()
        self._is_leaving = False

    def wake(self) -> None:
        """There are events."""
        self._idle.clear()
        self._news.set()

    async def finish(self) -> None:
        """Returns once nothing more can be sent for now; messages wait for no others."""
        self._turns.hurry()
        self.wake()
        await self._idle.wait()

    def leave(self) -> None:
        """End once what is being delivered is delivered and recorded."""
        self._is_leaving = True
        self._turns.leave()
        self.wake()

    async def run(self) -> None:
        """Until it is to leave."""
        while not self._is_leaving:
            self._news.clear()
            wait = await self._turn()
            if not self._news.is_set() and wait != 0.0:
                self._idle.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def _turn(self) -> float | None:
        try:
            return await self._turns.turn()
        except StoreRefusedError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of one entry must not end the daemon
            # Its words may hold the address; where it happened does not.
            where = "".join(traceback.format_tb(error.__traceback__))
            self._log.error("notify.fault", entry=self.name, reason=type(error).__name__, traceback=where)
            return _FAULT_SECONDS
