"""The loops of all entries. A changed entry takes over once what is being delivered under its name has ended: nothing is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from lalald.config.model import NotifyEntry
from lalald.notify.entry_loop import EntryLoop


class EntryLoops:
    """`make_loop`: of one entry."""

    def __init__(self, make_loop: Callable[[NotifyEntry], EntryLoop]) -> None:
        self._make_loop = make_loop
        self._loops: dict[NotifyEntry, EntryLoop] = {}
        self._tasks: dict[NotifyEntry, asyncio.Task[None]] = {}
        self._leaving: dict[str, list[asyncio.Task[None]]] = {}  # by the name of their entry, which was changed

    def __iter__(self) -> Iterator[tuple[NotifyEntry, EntryLoop]]:
        return iter(self._loops.items())

    async def configure(self, entries: Sequence[NotifyEntry]) -> None:
        """Unchanged entries continue; a changed one ends after its delivery, a removed one at once."""
        names = {entry.name for entry in entries}
        removed = [task for name in self._leaving.keys() - names for task in self._leaving.pop(name)]
        for entry in self._loops.keys() - set(entries):
            self._loops.pop(entry).leave()
            if (task := self._tasks.pop(entry, None)) is not None:
                (self._leaving.setdefault(entry.name, []) if entry.name in names else removed).append(task)
        await _end(removed)
        for entry in entries:
            if entry not in self._loops:
                self._loops[entry] = self._make_loop(entry)

    def start(self) -> None:
        """The tasks of those that have none yet."""
        for entry, loop in self._loops.items():
            if entry not in self._tasks:
                before = [task for task in self._leaving.pop(entry.name, ()) if not task.done()]
                self._leaving |= {entry.name: before} if before else {}
                self._tasks[entry] = asyncio.create_task(_run_after(before, loop), name=f"notify {entry.name}")

    def wake(self) -> None:
        """There are events."""
        for loop in self._loops.values():
            loop.wake()

    def cancel(self) -> None:
        for task in (*self._tasks.values(), *(task for tasks in self._leaving.values() for task in tasks)):
            task.cancel()


async def _run_after(before: Iterable[asyncio.Task[None]], loop: EntryLoop) -> None:
    if waited_for := set(before):
        await asyncio.wait(waited_for)
    await loop.run()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
