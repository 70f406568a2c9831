"""Combine the events of `gather` seconds into messages, one for each cause.

Which events they are about is recorded before the first one leaves: a message that a kill keeps from being recorded as sent is
repeated as it was, without the events that came later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from lalald.jobs.event_facts import Event
from lalald.notify.channels.results import Failed, Refused, Result, Sent, TryLater
from lalald.notify.delivery import CURSOR_KEPT_EVERY, Delivery
from lalald.notify.messages import Message, message, more
from lalald.store.events.causes import Cause, Span, Tally, first_events, join, tallies
from lalald.store.events.event_queue import EventQueue, Selection

SendMessage = Callable[[Message], Awaitable[Result]]
_DETAILED = 12  # causes with a message of their own; one sums up the others
_OTHERS = "others"  # the cause of that one


class _Batch(NamedTuple):
    """The events that messages are made of now; those about the causes `sent` have left."""

    span: Span
    sent: tuple[str, ...]


class _Lost(NamedTuple):
    """So many events up to `upto` are gone."""

    events: int
    upto: int


class _Part(NamedTuple):
    """A message of a batch: `name` is what it is remembered by once it is sent, `happened` how often what it is about did."""

    name: str
    happened: int
    text: Callable[[], Message]


class Gathered:
    """`gather_seconds`: from the first event until its message leaves."""

    def __init__(self, delivery: Delivery, send: SendMessage, *, gather_seconds: float, names: bool) -> None:
        self._delivery = delivery
        self._send = send
        self._gather_seconds = gather_seconds
        self._names = names
        self._is_leaving = False

    def hurry(self) -> None:
        """Nothing more is waited for: the program ends."""
        self._gather_seconds = 0.0

    def leave(self) -> None:
        """Another one sends what follows."""
        self._is_leaving = True

    async def turn(self) -> float | None:
        """Sends what was gathered for long enough. Seconds until the next turn; None: until there are more events."""
        if wait := self._delivery.wait_seconds:
            return wait
        found = await self._delivery.ask(self._look)
        if isinstance(found, _Lost):
            await self._delivery.lost(*found)
            return 0.0
        if found is None or isinstance(found, float):
            return found
        sent = list(found.sent)
        for part in self._parts(await self._causes(found.span), found.sent):
            if self._is_leaving or not await self._is_dealt_with(found, part, sent):
                return self._delivery.wait_seconds
        await self._delivery.ask(lambda queue: queue.advance(self._delivery.name, found.span.upto))
        return 0.0

    def _look(self, queue: EventQueue) -> _Batch | _Lost | float | None:
        """A batch that is to be sent now, which is recorded, or how long to wait, None where nothing waits to be sent."""
        name, selection = self._delivery.name, self._delivery.selection
        reader = queue.reader(name)
        if reader is not None and (lost := queue.lost_after(reader.cursor)):
            return _Lost(lost, reader.cursor + lost)
        first = queue.next_events(selection, reader.cursor, 1) if reader else []
        if reader is None or not first:
            if reader is not None and queue.newest_id() - reader.cursor >= CURSOR_KEPT_EVERY:
                queue.advance(name, queue.newest_id())
            return None
        waited = self._delivery.clock.now() - first[0].fact.at
        upto = reader.batch_upto
        if upto is None:
            if 0 <= waited < self._gather_seconds:
                return self._gather_seconds - waited
            upto = queue.newest_id()
            queue.begin_batch(name, upto)
        return _Batch(Span(reader.cursor, upto), reader.batch_sent)

    async def _causes(self, span: Span) -> list[Cause]:
        """The oldest cause first. The store's thread does other work between two questions."""
        ask, selection = self._delivery.ask, self._delivery.selection
        found: dict[str | bytes, Tally] = {}
        for piece in span.pieces():
            join(found, await ask(partial(_tallies, selection, span, piece)))
        causes = []
        for number, tally in enumerate(sorted(found.values(), key=lambda tally: tally.first_id)):
            question = partial(_first_events, selection, span, tally)
            causes.append(Cause.of(tally, await ask(question) if number < _DETAILED else ()))
        return causes

    def _parts(self, causes: Sequence[Cause], sent: Collection[str]) -> Iterator[_Part]:
        """What is sent counts, so that a new start makes the same ones."""
        detailed, others = causes[:_DETAILED], causes[_DETAILED:]
        for cause in detailed:
            if cause.cause not in sent:
                yield _Part(cause.cause, cause.count, partial(message, cause, names=self._names))
        if others and _OTHERS not in sent:
            yield _Part(_OTHERS, sum(cause.count for cause in others), partial(more, others))

    async def _is_dealt_with(self, batch: _Batch, part: _Part, sent: list[str]) -> bool:
        """Whether the next message may follow."""
        delivery = self._delivery

        async def send() -> Result:
            return await self._send(part.text())

        result = await delivery.attempt(part.name, send)
        match result:
            case TryLater():
                if not sent:  # its next try is about what has happened by then
                    await delivery.ask(partial(_forget_batch, delivery.name))
                await delivery.postponed(result, batch.span.after)
                return False
            case Sent():
                sent.append(part.name)
                now = delivery.clock.now()
                await delivery.sent(
                    lambda queue: queue.causes_dealt_with(delivery.name, batch.span.upto, sent, sent_at=now)
                )
            case Refused() | Failed():
                sent.append(part.name)
                dealt_with = partial(_deal_with, delivery.name, batch.span.upto, tuple(sent))
                await delivery.refused(part.happened, result.reason, dealt_with)
        return True


def _tallies(selection: Selection, span: Span, piece: Span, queue: EventQueue) -> list[Tally]:
    return tallies(queue.connection, selection, span, piece)


def _first_events(selection: Selection, span: Span, tally: Tally, queue: EventQueue) -> tuple[Event, ...]:
    return first_events(queue.connection, selection, span, tally)


def _forget_batch(name: str, queue: EventQueue) -> None:
    queue.begin_batch(name, None)


def _deal_with(name: str, upto: int, causes: tuple[str, ...], queue: EventQueue) -> None:
    queue.causes_dealt_with(name, upto, causes)
