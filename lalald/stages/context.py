"""What the stages work with: the service, the store, the clock, and threads for what blocks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lalald.api import Client, Transfer
from lalald.clock import Clock
from lalald.config import Config
from lalald.config.license_key import FoundKey
from lalald.filesystem.known_folders import KnownFolders
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.job import Job
from lalald.media.inspections import Inspections
from lalald.outbox.reservations import Reservations
from lalald.stages.precharge.budget import Budget
from lalald.stages.precharge.preflight import Preflight
from lalald.store import StoreThread


@dataclass
class StageContext:
    """One for the daemon. `config`, `api` and `downloads` change at a reload; a stage reads them when it needs them."""

    config: Config
    api: Client
    store: StoreThread
    clock: Clock
    budget: Budget
    new_key: Callable[[], str]  # uuid4 in production
    log: Any  # structlog's bound logger is untyped at its edges
    disks: MountPools
    downloads: asyncio.Semaphore  # tracks on their way at once; of uploads there is one a slot
    reservations: Reservations
    folders: KnownFolders
    read_key: Callable[[Config], Awaitable[FoundKey]]  # as it is now, wherever the configuration says it is
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    transfers: dict[int, list[tuple[Transfer, int]]] = field(default_factory=dict)
    expected_bytes: dict[int, int] = field(default_factory=dict)  # by job: of transfers that may not have begun yet
    changed: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # a job moved or a transfer began, for those who tell of it
    batch_refused_at: float | None = None  # the license's plan has no batches
    dead_hosts: Mapping[str, asyncio.Semaphore] = field(
        default_factory=dict
    )  # a turn for tracks of each; see `ServiceHealth`
    inspections: Inspections = field(default_factory=Inspections)
    preflight: Preflight = field(init=False)

    def __post_init__(self) -> None:
        self.preflight = Preflight(self.disks, self.clock, self.folders)

    def folder_of(self, path: str) -> str:
        """The configured folder in which a path lies; its own folder where there is none."""
        configured = {
            str(folder)
            for inbox in self.config.inboxes
            for folder in (inbox.path, inbox.outbox, *inbox.filing_folders)
            if path.startswith(f"{folder}/")
        }
        return max(configured, key=len, default=os.path.dirname(path))

    def begin_transfer(self, job: Job, total_bytes: int) -> Transfer:
        """A transfer that `status` can see and a cancel can stop; on any thread."""
        transfer = Transfer()
        self.transfers.setdefault(job.id, []).append((transfer, total_bytes))
        if not self.changed.is_set():
            self.loop.call_soon_threadsafe(self.changed.set)
        return transfer

    def end_transfers(self, job: Job) -> None:
        """They are over: one that was given up, since a folder does not answer, goes no further when it does."""
        self.expected_bytes.pop(job.id, None)
        for transfer, _ in self.transfers.pop(job.id, ()):
            transfer.end()
