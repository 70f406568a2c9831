"""Access the store from an event loop: queries on several threads, requests on one. No transaction is open between calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lalald.store.page.connections import Connections, WritingConnections

Answer = TypeVar("Answer")
_READERS = 2


class StoreAccess:
    """Every method raises StoreError where the database cannot be used."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._readers = ThreadPoolExecutor(_READERS, "store reader")
        self._watcher = ThreadPoolExecutor(1, "store watcher")
        self._writer = ThreadPoolExecutor(1, "store writer")
        self._reading = Connections(state_dir)
        self._watching = Connections(state_dir)
        self._writing = WritingConnections(state_dir)

    async def ask(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """What `function(reports, *arguments)` returns."""
        return await _on(self._readers, self._reading.call, function, *arguments)

    async def watch(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """The same on a thread for streams, which no long list keeps waiting."""
        return await _on(self._watcher, self._watching.call, function, *arguments)

    async def write(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """What `function(requests, *arguments)` returns, once it is durable."""
        return await _on(self._writer, self._writing.call, function, *arguments)

    async def version(self) -> tuple[int, int]:
        """Another one after each change of the database."""
        return await _on(self._watcher, self._watching.version)


async def _on(threads: ThreadPoolExecutor, function: Callable[..., Answer], *arguments: object) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: function(*arguments))
