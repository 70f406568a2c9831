"""The delivery state of one entry: each event sent, dropped or postponed is recorded before the next one is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from lalald.clock import Clock
from lalald.jobs.backoff import backoff_seconds
from lalald.notify.channels.results import Refused, Result, TryLater
from lalald.store.events.event_queue import EventQueue, Selection
from lalald.store.store import Store

Answer = TypeVar("Answer")
CURSOR_KEPT_EVERY = 500  # events that an entry does not want count as handled
KEPT_SECONDS = 3 * 86400.0  # from the first try
_MOST_FAULTS = 5  # of one event or message, one after the other
_LEAST_TRIES = 20  # before anything is dropped for its age: the clock may have been stepped


class RunsOnStore(Protocol):
    """`StoreThread`, as far as it is needed here."""

    async def run(self, function: Callable[[Store], Answer]) -> Answer: ...

    async def run_with_others(self, function: Callable[[Store], Answer]) -> Answer: ...


class Delivery:
    """One for each entry. Only its name is ever logged."""

    def __init__(
        self,
        name: str,
        selection: Selection,
        *,
        store: RunsOnStore,
        clock: Clock,
        log: Any,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.selection = selection
        self.clock = clock
        self._store = store
        self._log = log
        self._jitter = jitter
        self._attempts = 0
        self._again_at = float("-inf")  # by the monotonic clock
        self._faults: tuple[object, int] = (None, 0)

    @property
    def wait_seconds(self) -> float:
        """Until the next try; 0 where nothing failed."""
        return max(0.0, self._again_at - self.clock.monotonic())

    async def ask(self, question: Callable[[EventQueue], Answer]) -> Answer:
        """What the queue of events answers."""
        return await self._store.run(lambda store: question(store.event_queue))

    async def attempt(self, what: object, send: Callable[[], Awaitable[Result]]) -> Result:
        """What sending answers. An unexpected exception is raised, but the same thing is not tried for ever.

        `what`: the event or cause.
        """
        try:
            return await send()
        except Exception as error:
            same, count = self._faults
            self._faults = what, count + 1 if same == what else 1
            if self._faults[1] < _MOST_FAULTS:
                raise
            return Refused(f"an unexpected error, {_MOST_FAULTS} times: {type(error).__name__}")

    async def lost(self, count: int, upto: int) -> None:
        """The limit of the table took events away before they were sent."""
        await self.dropped(count, "the limit of kept events was reached", lambda queue: queue.advance(self.name, upto))

    async def sent(self, write: Callable[[EventQueue], None]) -> None:
        """Something was delivered; `write` records it."""
        await self._store.run_with_others(lambda store: write(store.event_queue))
        if self._attempts:
            self._log.info("notify.back", entry=self.name)
        self._attempts, self._again_at = 0, float("-inf")

    async def failed(self, event_id: int, reason: str) -> None:
        """A command ran, and failed."""
        now = self.clock.now()

        def write(queue: EventQueue) -> None:
            queue.advance(self.name, event_id, sent_at=now)
            queue.note_trouble(self.name, reason, now)

        await self.ask(write)
        self._log.warning("notify.command_failed", entry=self.name, reason=reason)

    async def refused(self, count: int, reason: str, write: Callable[[EventQueue], None]) -> None:
        """The receiver will never accept them: it is there, and what was in its way is over."""
        self._attempts, self._again_at = 0, float("-inf")

        def record(queue: EventQueue) -> None:
            write(queue)
            queue.forget_trouble(self.name)

        await self.dropped(count, reason, record)

    async def dropped(self, count: int, reason: str, write: Callable[[EventQueue], None]) -> None:
        """So many events are never sent; `write` moves past them."""
        self._log.error("notify.dropped", entry=self.name, events=count, reason=reason)
        now = self.clock.now()

        def record(queue: EventQueue) -> None:
            write(queue)
            queue.count_dropped(self.name, count, reason, now)

        await self.ask(record)

    async def postponed(self, later: TryLater, cursor: int) -> None:
        """Pause the entry, longer after each failure; an event that was tried for three days is dropped."""
        if self._attempts == 0:
            self._log.warning("notify.failing", entry=self.name, reason=later.reason)
        pause = max(backoff_seconds(self._attempts, self._jitter()), later.retry_after_seconds or 0.0)
        self._attempts += 1
        self._again_at = self.clock.monotonic() + pause
        now = self.clock.now()
        since = await self.ask(lambda queue: queue.note_trouble(self.name, later.reason, now))
        if now - since > KEPT_SECONDS and self._attempts >= _LEAST_TRIES:
            upto, count = await self.ask(partial(_older, self.selection, cursor, now - KEPT_SECONDS))
            if count:
                await self.dropped(
                    count, f"tried for 3 days: {later.reason}", lambda queue: queue.advance(self.name, upto)
                )


def _older(selection: Selection, cursor: int, before: float, queue: EventQueue) -> tuple[int, int]:
    return queue.older_than(selection, cursor, before)
