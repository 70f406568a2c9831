"""The inboxes that are watched, each by a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from pathlib import Path
from typing import Any

from lalald.config import Inbox
from lalald.inbox.intake import Intake

_FIRST_ANSWERS_SECONDS = 3.0  # of an inbox at all: a dead share keeps nobody waiting
_FIRST_LOOKS_SECONDS = 60.0


class Inboxes:
    """`look_after` runs a loop of the daemon, whose unknown faults are the daemon's end."""

    def __init__(
        self,
        intake_of: Callable[[Inbox], Intake],
        look_after: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self.intakes: dict[Path, Intake] = {}
        self._intake_of = intake_of
        self._look_after = look_after
        self._loops: dict[Path, asyncio.Task[None]] = {}
        self._first_looks: dict[Path, asyncio.Future[None]] = {}  # those that have not come to their end

    @property
    def all_live(self) -> bool:
        return not any(loop.done() for loop in self._loops.values())

    @property
    def unavailable_count(self) -> int:
        return sum(not intake.describe().available for intake in self.intakes.values())

    def watch(self, inbox: Inbox) -> None:
        """From now on; one that is watched already goes on with these settings, and is looked at in full."""
        path = inbox.path
        if path in self.intakes:
            self.intakes[path].replace(inbox)
            return
        self.intakes[path] = self._intake_of(inbox)
        self._first_looks[path] = asyncio.get_running_loop().create_future()
        self._loops[path] = self._look_after(self._live(path), f"inbox {path}")

    async def _live(self, path: Path) -> None:
        intake, looked = self.intakes[path], self._first_looks[path]
        try:
            await intake.scan()
        finally:
            looked.set_result(None)
            if self._first_looks.get(path) is looked:
                del self._first_looks[path]
        await intake.run()

    def leave_all_but(self, paths: Collection[Path]) -> None:
        """The others are watched no longer."""
        for path in self.intakes.keys() - set(paths):
            del self.intakes[path]
            self._first_looks.pop(path, None)
            self._loops.pop(path).cancel()

    async def looked_at(self) -> list[Path]:
        """Once every inbox was looked at in full; one that does not answer is not waited for. Those that were not."""
        await self._ended(self._first_looks, _FIRST_ANSWERS_SECONDS)
        await self._ended((path for path in self._first_looks if self.intakes[path].has_answered), _FIRST_LOOKS_SECONDS)
        return list(self._first_looks)

    async def _ended(self, paths: Iterable[Path], seconds: float) -> None:
        if looks := [self._first_looks[path] for path in paths]:
            await asyncio.wait(looks, timeout=seconds)

    def look_again(self, path: str) -> None:
        if (intake := self.intakes.get(Path(path))) is not None:
            intake.rescan()

    async def quiet(self) -> None:
        """Once all of them are settled."""
        await asyncio.gather(*(intake.quiet() for intake in self.intakes.values()))
