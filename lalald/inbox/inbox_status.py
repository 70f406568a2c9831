"""The state of an inbox, as `status` shows it: whether it is available, and how it is watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lalald.clock import Clock
from lalald.config.quantities import format_duration
from lalald.inbox.inbox_folder import InboxFolder
from lalald.inbox.registration import FileRegistrar
from lalald.inbox.scanning.watching import Watching
from lalald.inbox.set_aside import RunsOnStore
from lalald.store import Store


@dataclass(frozen=True, slots=True)
class InboxState:
    """`watch` is native or polling."""

    available: bool
    reason: str
    watch: str
    watch_reason: str


class StateReporter:
    """Saves the state of an inbox whenever it changes, and calls `on_change` then."""

    def __init__(
        self,
        folder: InboxFolder,
        registrar: FileRegistrar,
        watching: Watching,
        store: RunsOnStore,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._registrar = registrar
        self._watching = watching
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._saved: InboxState | None = None
        self._reported_unreadable = 0

    def state(self) -> InboxState:
        found, mode, settling = self._folder.state, self._watching.mode, self._registrar.settling
        reason = mode.reason
        if settling.is_unreliable and found.available:
            least = format_duration(max(settling.unreliable_seconds, settling.settle_seconds))
            reason = f"{reason}; whether a program is writing to a file cannot be seen here, so it must not change for {least}"
        return InboxState(found.available, found.reason, mode.watch, reason)

    async def save(self) -> None:
        state, unreadable = self.state(), self._registrar.unreadable.count
        if state != self._saved:
            await self._store.run(partial(_save, self._folder.root, state, self._clock.now()))
            self._saved = state
            self._on_change()
        if unreadable != self._reported_unreadable:
            self._reported_unreadable = unreadable
            self._on_change()


def _save(inbox: str, state: InboxState, now: float, store: Store) -> None:
    store.folders.set_inbox_state(
        inbox,
        available=state.available,
        reason=state.reason,
        watch=state.watch,
        watch_reason=state.watch_reason,
        now=now,
    )
