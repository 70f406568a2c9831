"""The signals that the daemon answers: SIGTERM and SIGINT stop it, SIGHUP reloads its configuration."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from lalald.daemon.process.orphans import Orphans


class Signals:
    """`stop` and `reload` are set once a signal asks for it. Made within the event loop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()

    def listen(self) -> None:
        """Answer signals from now on; as the first process of a container, also reap orphans."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        if os.getpid() == 1:
            Orphans().start(loop)

    async def unless_stopped(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Run `work` to its end, or cancel it when the daemon is stopped. Return whether it ended; raise its error."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        return False
