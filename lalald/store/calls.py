"""Calls of the store's thread, and callbacks that do nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from lalald.errors import StoreBusyError, StoreError
from lalald.store.rows import UnreadableJob
from lalald.store.store import Store


class Call:
    """A function that is run on the store, and the future of its answer."""

    __slots__ = ("answer", "error", "function", "future")

    def __init__(self, function: Callable[[Store], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        self.answer: Any = None
        self.error: Exception | None = None


def give(calls: Sequence[Call]) -> None:
    """On the event loop: each answer or error to its caller, who may not wait any more."""
    for call in calls:
        if call.future.cancelled():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.answer)


def take_all(calls: deque[Call]) -> list[Call]:
    """The calls, which are no longer there; another thread may take one meanwhile."""
    found: list[Call] = []
    with suppress(IndexError):
        while True:
            found.append(calls.popleft())
    return found


def call_with(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], store: Store) -> Any:
    return function(store, *args, **kwargs)


def out_of_memory() -> StoreBusyError:
    return StoreBusyError("the database cannot be used: out of memory.", hint="It will be retried.")


def ignore_error(_trouble: StoreError | None) -> None:
    """Do nothing when the database fails or works again."""


def ignore_jobs(_jobs: Sequence[UnreadableJob]) -> None:
    """Do nothing about unreadable jobs; the database lists them."""


def ignore_events() -> None:
    """Do nothing about new events: there is no notifier."""
