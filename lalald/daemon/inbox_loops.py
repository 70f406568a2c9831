"""The inboxes that are watched, each with its own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from lalald.config import Inbox
from lalald.inbox.intake import Intake

_FIRST_ANSWERS_SECONDS = 3.0  # for an inbox to answer at all: a dead share delays nothing
_FIRST_SCANS_SECONDS = 60.0


class Inboxes:
    """`make_intake` makes the loop of an inbox, `start_loop` runs it as a task of the daemon."""

    def __init__(
        self,
        make_intake: Callable[[Inbox], Intake],
        start_loop: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self.intakes: dict[Path, Intake] = {}
        self._make_intake = make_intake
        self._start_loop = start_loop
        self._loops: dict[Path, asyncio.Task[None]] = {}
        self._first_scans: dict[Path, asyncio.Future[None]] = {}  # those that have not ended

    @property
    def are_alive(self) -> bool:
        return not any(loop.done() for loop in self._loops.values())

    @property
    def unavailable_count(self) -> int:
        return sum(not intake.state().available for intake in self.intakes.values())

    def watch_only(self, inboxes: Iterable[Inbox]) -> None:
        """Watch these and no others; one that is watched already gets its new settings and is scanned in full."""
        wanted = {inbox.path: inbox for inbox in inboxes}
        for path in self.intakes.keys() - wanted.keys():
            del self.intakes[path]
            self._first_scans.pop(path, None)
            self._loops.pop(path).cancel()
        for inbox in wanted.values():
            self._watch(inbox)

    def _watch(self, inbox: Inbox) -> None:
        path = inbox.path
        if path in self.intakes:
            self.intakes[path].replace(inbox)
            return
        self.intakes[path] = self._make_intake(inbox)
        self._first_scans[path] = asyncio.get_running_loop().create_future()
        self._loops[path] = self._start_loop(self._run(path), f"inbox {path}")

    async def _run(self, path: Path) -> None:
        intake, first_scan = self.intakes[path], self._first_scans[path]
        try:
            await intake.scan()
        finally:
            first_scan.set_result(None)
            if self._first_scans.get(path) is first_scan:
                del self._first_scans[path]
        await intake.run()

    async def wait_for_first_scans(self) -> list[Path]:
        """Wait until every inbox was scanned in full, but not for one that does not answer. Return those that were not."""
        await self._wait_for(self._first_scans, _FIRST_ANSWERS_SECONDS)
        answering = [path for path in self._first_scans if self.intakes[path].has_answered]
        await self._wait_for(answering, _FIRST_SCANS_SECONDS)
        return list(self._first_scans)

    async def _wait_for(self, paths: Iterable[Path], timeout_seconds: float) -> None:
        if scans := [self._first_scans[path] for path in paths]:
            await asyncio.wait(scans, timeout=timeout_seconds)

    def request_rescan(self, path: str) -> None:
        if (intake := self.intakes.get(Path(path))) is not None:
            intake.request_rescan()

    async def wait_until_idle(self) -> None:
        """Wait until every inbox has processed or skipped all its files."""
        await asyncio.gather(*(intake.wait_until_idle() for intake in self.intakes.values()))
