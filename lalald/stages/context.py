"""The objects that every stage works with: the service, the store, the clock, and threads for blocking work."""

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
from lalald.filesystem.availability.known_folders import KnownFolders
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.job import Job
from lalald.media.inspections import Inspections
from lalald.outbox.reservations import Reservations
from lalald.stages.precharge.budget import Budget
from lalald.stages.precharge.preflight import Preflight
from lalald.store import StoreThread


@dataclass
class StageContext:
    """One per daemon. `config`, `api` and `downloads` change at a reload, so a stage reads them when it needs them."""

    config: Config
    api: Client
    store: StoreThread
    clock: Clock
    budget: Budget
    new_key: Callable[[], str]  # a new idempotency key; uuid4 in production
    log: Any  # structlog's bound logger is untyped
    disks: MountPools
    downloads: (
        asyncio.Semaphore
    )  # limits the tracks that are fetched at once; uploads are limited by their pool's slots
    reservations: Reservations
    folders: KnownFolders
    read_key: Callable[[Config], Awaitable[FoundKey]]  # reads the license key from its configured place
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    transfers: dict[int, list[tuple[Transfer, int]]] = field(default_factory=dict)
    expected_bytes: dict[int, int] = field(default_factory=dict)  # by job: including transfers that have not begun yet
    changed: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # a job changed or a transfer began; wakes the reports
    batch_refused_at: float | None = None  # when the service last said that the license's plan has no batches
    dead_hosts: Mapping[str, asyncio.Semaphore] = field(
        default_factory=dict
    )  # limits tracks per host; see `ServiceHealth`
    source_tag_seconds: float = 10.0  # how long results wait for the tags of their source
    inspections: Inspections = field(default_factory=Inspections)
    preflight: Preflight = field(init=False)

    def __post_init__(self) -> None:
        self.preflight = Preflight(self.disks, self.clock, self.folders)

    def folder_of(self, path: str) -> str:
        """The configured folder that contains a path; the path's own folder if none does."""
        configured = {
            str(folder)
            for inbox in self.config.inboxes
            for folder in (inbox.path, inbox.outbox, *inbox.archive_folders)
            if path.startswith(f"{folder}/")
        }
        return max(configured, key=len, default=os.path.dirname(path))

    def begin_transfer(self, job: Job, total_bytes: int) -> Transfer:
        """A new transfer, which `status` shows and a cancel stops. May be called on any thread."""
        transfer = Transfer()
        self.transfers.setdefault(job.id, []).append((transfer, total_bytes))
        if not self.changed.is_set():
            self.loop.call_soon_threadsafe(self.changed.set)
        return transfer

    def end_transfers(self, job: Job) -> None:
        """End the job's transfers, including one on a thread that is stuck in a folder: it stops when the folder answers."""
        self.expected_bytes.pop(job.id, None)
        for transfer, _ in self.transfers.pop(job.id, ()):
            transfer.end()
