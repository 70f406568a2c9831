"""Events in a real database, and entries that read them by a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lalald.clock import Clock
from lalald.config.model import NotifyEntry
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.states import Stage, State
from lalald.notify.channels.results import Result, Sent
from lalald.notify.channels.senders import Surroundings, run_bounded
from lalald.notify.delivery import Delivery
from lalald.store import Store
from lalald.store.events.event_queue import Reader, Selection
from tests.support.filled_store import EVERYTHING, NOW, FilledStore

Answer = TypeVar("Answer")


class HandClock(Clock):
    """Changes only when a test turns it."""

    def __init__(self, now: float = NOW) -> None:
        self.seconds = now

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def turn(self, seconds: float) -> None:
        self.seconds += seconds


class Notes:
    """A log that a test can ask."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def _note(self, event: str, **facts: Any) -> None:
        self.lines.append((event, facts))

    debug = info = warning = error = _note

    def said(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.lines if name == event]


class Desk:
    """A state folder with an entry called `phone` that reads its events."""

    def __init__(self, root: Path) -> None:
        self.filled_store = FilledStore(root)
        self.store = Store.open(self.filled_store.state)
        self.clock = HandClock()
        self.log = Notes()
        self.store.event_queue.configure({"phone": EVERYTHING}, page=False)
        self.around = Surroundings({"PATH": "/usr/bin:/bin", "LALALD_LICENSE_KEY": "a-key"}, self.clock, run_bounded)

    async def run(self, function: Callable[[Store], Answer]) -> Answer:
        """As the store's thread: one transaction for each call."""
        self.store.connection.execute("BEGIN")
        try:
            answer = function(self.store)
        except BaseException:
            self.store.connection.execute("ROLLBACK")
            raise
        self.store.connection.execute("COMMIT")
        return answer

    run_with_others = run

    def reopen(self) -> None:
        """As after a kill: what is committed is all there is."""
        self.store.close()
        self.store = Store.open(self.filled_store.state)

    def close(self) -> None:
        self.store.close()

    def delivery(self, *, kinds: frozenset[EventKind] = frozenset(EventKind), problems: bool = False) -> Delivery:
        selection = Selection(kinds, problems)
        return Delivery("phone", selection, store=self, clock=self.clock, log=self.log, jitter=lambda: 1.0)

    @property
    def reader(self) -> Reader:
        found = self.store.event_queue.reader("phone")
        assert found is not None
        return found

    # facts

    def fail(self, *names: str, kind: FailureKind = FailureKind.UNSUPPORTED, error: str = "no audio in it") -> None:
        """Jobs for these files, each failed."""
        self.store.connection.execute("BEGIN")
        for name in names:
            job = self.filled_store.take(self.store, name, self.clock.now())
            self.store.save(
                job, replace(job, state=State.FAILED, error=error, failure_kind=kind, updated_at=self.clock.now())
            )
        self.store.connection.execute("COMMIT")

    def finish(self, *names: str) -> None:
        for name in names:
            job = self.filled_store.take(self.store, name, self.clock.now())
            now = self.clock.now()
            self.store.save(job, replace(job, stage=Stage.DONE, state=State.DONE, finished_at=now, updated_at=now))


class Sender:
    """Answers as a test says, and remembers what it was given."""

    def __init__(self, answer: Callable[[int], Result] = lambda _: Sent()) -> None:
        self.answer = answer
        self.given: list[Any] = []

    async def __call__(self, given: Any) -> Result:
        self.given.append(given)
        return self.answer(len(self.given) - 1)


def entry(**settings: Any) -> NotifyEntry:
    return NotifyEntry(**{"name": "phone", "kinds": frozenset(EventKind), "problems": False, **settings})
