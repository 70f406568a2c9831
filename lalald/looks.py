"""Looks at folders that may never answer, such as a share whose server is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from lalald.errors import FolderUnavailableError
from lalald.naming import shown

Answer = TypeVar("Answer")


class Looks:
    """One look at a time at each folder: one that never answers keeps one thread and not all of them."""

    def __init__(self, executor: Callable[[], Executor], answer_seconds: float = 30.0) -> None:
        self._executor = executor
        self._answer_seconds = answer_seconds
        self._under_way: dict[tuple[str, Callable[..., Any]], asyncio.Future[Any]] = {}

    async def at(self, folder: str, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `function(folder, *arguments)` finds on a thread; who asks the same of the folder meanwhile is told the same.

        Raises FolderUnavailableError where the folder does not answer in time.
        """
        place = (folder, function)
        look = self._under_way.get(place)
        if look is None:
            look = asyncio.get_running_loop().run_in_executor(self._executor(), function, folder, *arguments)
            self._under_way[place] = look
            look.add_done_callback(lambda _: self._under_way.pop(place, None))
        try:
            async with asyncio.timeout(self._answer_seconds):
                found: Answer = await asyncio.shield(look)
        except TimeoutError as error:
            message = f"The folder {shown(folder)} has not answered for {self._answer_seconds:g} seconds."
            raise FolderUnavailableError(message, hint="Is its server down? It is taken up when it answers.") from error
        return found
