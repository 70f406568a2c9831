"""Webhooks and commands: one delivery for each event, in order, as soon as it happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from lalald.jobs.event_facts import Event
from lalald.notify.channels.results import Failed, Refused, Result, Sent, TryLater
from lalald.notify.delivery import CURSOR_KEPT_EVERY, Delivery
from lalald.store.events.event_queue import EventQueue

SendEvent = Callable[[Event], Awaitable[Result]]
_AT_ONCE = 20  # events read together
_MOST_TRIES = 2  # of what must not be repeated: once more after it was cut off


class EachEvent:
    """`open_sender` gives what delivers one event, for as long as there are some. `runs_once`: it is not to be repeated."""

    def __init__(
        self,
        delivery: Delivery,
        open_sender: Callable[[], AbstractAsyncContextManager[SendEvent]],
        *,
        runs_once: bool = False,
    ) -> None:
        self._delivery = delivery
        self._open_sender = open_sender
        self._runs_once = runs_once
        self._cursor: int | None = None
        self._is_leaving = False

    async def turn(self) -> float | None:
        """Delivers what there is. Seconds until the next try; None: until there are more events."""
        if wait := self._delivery.wait_seconds:
            return wait
        if not (events := await self._next()):
            return None
        async with self._open_sender() as send:
            while events:
                for event in events:
                    if not await self._is_dealt_with(event, send) or self._is_leaving:
                        return self._delivery.wait_seconds
                events = await self._next() if len(events) == _AT_ONCE else []
        return None

    def hurry(self) -> None:
        """Nothing waits here but for a receiver that fails."""

    def leave(self) -> None:
        """Another one delivers what follows."""
        self._is_leaving = True

    async def _next(self) -> list[Event]:
        """The next events; what the limit of the table took away is reported first."""
        known = self._cursor

        def look(queue: EventQueue) -> tuple[list[Event], int, int]:
            cursor = _cursor_of(self._delivery.name, queue) if known is None else known
            events = queue.next_events(self._delivery.selection, cursor, _AT_ONCE)
            lost, newest = queue.lost_after(cursor), queue.newest_id()
            if not events and newest - cursor >= CURSOR_KEPT_EVERY:
                queue.advance(self._delivery.name, newest)
                return [], newest, lost
            return events, cursor + lost, lost

        events, cursor, lost = await self._delivery.ask(look)
        if lost:
            await self._delivery.lost(lost, cursor)
        self._cursor = cursor
        return events

    async def _is_dealt_with(self, event: Event, send: SendEvent) -> bool:
        """Whether the next event may follow."""
        delivery = self._delivery
        if self._runs_once and await delivery.ask(partial(_begin, delivery.name, event.id)) > _MOST_TRIES:
            result: Result = Refused("it was cut off twice by the end of the daemon")
        else:
            result = await delivery.attempt(event.id, partial(send, event))
        match result:
            case TryLater():
                if self._runs_once:
                    await delivery.ask(partial(_not_begun, delivery.name))
                await delivery.postponed(result, event.id - 1)
                self._cursor = None  # what was dropped for its age moved it
                return False
            case Sent():
                now = delivery.clock.now()
                await delivery.sent(lambda queue: queue.advance(delivery.name, event.id, sent_at=now))
            case Failed():
                await delivery.failed(event.id, result.reason)
            case Refused():
                await delivery.refused(1, result.reason, partial(_advance, delivery.name, event.id))
        self._cursor = event.id
        return True


def _cursor_of(name: str, queue: EventQueue) -> int:
    reader = queue.reader(name)
    return queue.newest_id() if reader is None else reader.cursor


def _advance(name: str, upto: int, queue: EventQueue) -> None:
    queue.advance(name, upto)


def _not_begun(name: str, queue: EventQueue) -> None:
    queue.take_back_try(name)


def _begin(name: str, event_id: int, queue: EventQueue) -> int:
    return queue.begin_try(name, event_id)
