"""The daemon's notifier: where its events come from, and when it ends."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lalald.clock import Clock
from lalald.config.model import Config, Minutes
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.event_facts import plain_fact
from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels.senders import Answer, Surroundings
from lalald.notify.notifier import Notifier, selections
from lalald.store import Store, StoreThread
from lalald.store.events.event_queue import RemovedEntry

_LAST_SECONDS = 10.0  # for a receiver to hear what a `run --once` has to say
_WEEK_SECONDS = 7 * 86400.0
_LOW_FACT = "minutes_low"


def make_notifier(
    store: StoreThread,
    environ: Mapping[str, str],
    clock: Clock,
    disks: MountPools,
    log: Any,
    tls: Callable[[], ssl.SSLContext],
) -> Notifier:
    """A notifier that uses its files on the threads of their folders: a share that hangs delays nothing else.

    `tls`: a context that is there anyway, since a second one takes 5 MiB; nothing of a connection is shared by it.
    """

    async def run_at(folder: Path, function: Callable[..., Answer], *arguments: Any) -> Answer:
        return await disks.run(str(folder), function, *arguments)

    return Notifier(store, Surroundings(environ, clock, run_at, tls), log)


def note_start(store: Store, config: Config, now: float) -> list[RemovedEntry]:
    """Within the first transaction of a daemon: who reads events from now on, and that it was started. Returns who no longer does."""
    removed = store.event_queue.configure(selections(config.notify), page=config.web.listen is not None)
    store.events.happened(plain_fact(EventKind.DAEMON_STARTED, "daemon", now))
    return removed


def note_minutes(store: Store, left: float, limits: Minutes, now: float) -> None:
    """Within a transaction: the service reported the minutes left, so the key is accepted. Whether they are low is said once."""
    store.state.set("minutes", {"left": left, "at": now}, now)
    if not store.events.are_wanted:
        return
    store.events.license_is(None, None, now)
    low = left - limits.reserve < store.charges.spent_since(now - _WEEK_SECONDS)
    if low == bool(store.state.get(_LOW_FACT)):
        return
    store.state.set(_LOW_FACT, low, now)
    if low:
        store.events.minutes_are_low(left, now)


async def configure(notifier: Notifier, config: Config) -> None:
    """At the start, and after a reload. The page reads events, too."""
    await notifier.configure(config.notify, page=config.web.listen is not None)


async def send_last(notifier: Notifier) -> None:
    """Sends what can be sent at the end of a `run --once`; the rest is sent by the next run."""
    await notifier.finish(_LAST_SECONDS)
