"""The notifier: one task of the daemon. It publishes what has waited long enough, and wakes a loop for each entry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from lalald.config.model import NotifyEntry
from lalald.notify.channels.senders import Surroundings, run_command, runs_each_event, send_message, webhook_sender
from lalald.notify.delivery import Delivery, RunsOnStore
from lalald.notify.each_event import EachEvent
from lalald.notify.entry_loop import EntryLoop, Turns
from lalald.notify.entry_loops import EntryLoops
from lalald.notify.expiring_results import Expiring, report_expiring
from lalald.notify.gathered import Gathered
from lalald.store.events.event_queue import RemovedEntry, Selection
from lalald.store.store import Store

_LEAST_PAUSE_SECONDS = 0.25  # between two looks at what is new: many events come together


class Notifier:
    """Sleeps while there are no events; without an entry or the page there are never any."""

    def __init__(
        self, store: RunsOnStore, around: Surroundings, log: Any, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._around = around
        self._log = log
        self._jitter = jitter
        self._news = asyncio.Event()
        self._is_wanted = False
        self._loops = EntryLoops(lambda entry: EntryLoop(entry.name, self._turns_of(entry), log))
        self._expiring: Expiring | None = None  # as far as it is committed

    def wake(self) -> None:
        """Events were written, or tasks were started."""
        self._news.set()

    async def configure(self, entries: Sequence[NotifyEntry], *, page: bool) -> None:
        """Use these entries from now on. Unchanged ones continue where they are, changed ones after what is being delivered."""
        wanted = selections(entries)
        log_removed(await self._store.run(lambda store: store.event_queue.configure(wanted, page=page)), self._log)
        self._is_wanted = page or bool(entries)
        await self._loops.configure(entries)
        self._news.set()

    async def run(self) -> None:
        """For ever; the loops of the entries end with it."""
        try:
            while True:
                self._news.clear()
                await self._wait(await self._look())
        finally:
            self._loops.cancel()

    async def finish(self, receiver_seconds: float) -> None:
        """Sends what can be sent now, for a program that ends; what fails is sent by the next one.

        A receiver is waited for as long as this. A command ends by its own timeout: cut off at every run, it would never end.
        """
        if self._is_wanted:
            now = self._around.clock.now()
            await self._store.run(lambda store: store.events.publish_due(now, holds_at_once=True))
            self._loops.start()
            await asyncio.gather(
                *(_within(None if entry.command else receiver_seconds, loop.finish()) for entry, loop in self._loops)
            )

    async def _look(self) -> float | None:
        """Publishes what is due. Seconds until something else is."""
        if not self._is_wanted:
            return None
        now = self._around.clock.now()
        next_at, self._expiring = await self._store.run(partial(self._publish, now))
        self._loops.start()
        self._loops.wake()
        return None if next_at is None else max(_LEAST_PAUSE_SECONDS, next_at - now)

    def _publish(self, now: float, store: Store) -> tuple[float | None, Expiring]:
        found = report_expiring(store, now, self._expiring)
        moments = [found.next_at, store.events.publish_due(now)]
        return min((moment for moment in moments if moment is not None), default=None), found

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        await asyncio.sleep(_LEAST_PAUSE_SECONDS)

    def _turns_of(self, entry: NotifyEntry) -> Turns:
        around = self._around
        delivery = Delivery(
            entry.name, _selection(entry), store=self._store, clock=around.clock, log=self._log, jitter=self._jitter
        )
        if not runs_each_event(entry):
            send = partial(send_message, entry, around)
            return Gathered(delivery, send, gather_seconds=entry.gather, names=entry.names)
        if entry.command:
            run = partial(run_command, entry, around)
            return EachEvent(delivery, lambda: nullcontext(run), runs_once=True)
        return EachEvent(delivery, lambda: webhook_sender(entry, around))


def selections(entries: Sequence[NotifyEntry]) -> dict[str, Selection]:
    """What each entry wants, by its name."""
    return {entry.name: _selection(entry) for entry in entries}


def log_removed(removed: Sequence[RemovedEntry], log: Any) -> None:
    """Events of entries that are not configured any more are never sent: it is reported once."""
    for entry in removed:
        hint = "An entry is known by its name: what a removed or renamed one has not sent is dropped."
        log.warning("notify.entry_removed", entry=entry.name, unsent_events=entry.unsent, hint=hint)


def _selection(entry: NotifyEntry) -> Selection:
    return Selection(entry.kinds, entry.problems)


async def _within(seconds: float | None, work: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
