"""What the stages work with: the service, the store, the clock, and threads for what blocks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lalald.api import Client, Transfer
from lalald.budget import Budget
from lalald.clock import Clock
from lalald.config import Config
from lalald.jobs import Job
from lalald.known_folders import KnownFolders
from lalald.reservations import Reservations
from lalald.store import StoreThread

Answer = TypeVar("Answer")


@dataclass
class Bench:
    """One for the daemon. `config`, `api` and the executors change at a reload; a stage reads them when it needs them."""

    config: Config
    api: Client
    store: StoreThread
    clock: Clock
    budget: Budget
    new_key: Callable[[], str]  # uuid4 in production
    log: Any  # structlog's bound logger is untyped at its edges
    uploads: Executor
    downloads: Executor
    files: Executor
    reservations: Reservations
    folders: KnownFolders
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    transfers: dict[int, list[tuple[Transfer, int]]] = field(default_factory=dict)
    moved: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # a job moved or a transfer began, for those who tell of it
    batch_refused_at: float | None = None  # the licence's plan has no batches

    async def on(self, executor: Executor, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Runs what blocks on a thread."""
        return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)

    def transfer(self, job: Job, total_bytes: int) -> Transfer:
        """A transfer that `status` can see and a cancel can stop; on any thread."""
        transfer = Transfer()
        self.transfers.setdefault(job.id, []).append((transfer, total_bytes))
        self.loop.call_soon_threadsafe(self.moved.set)
        return transfer

    def transferred(self, job: Job) -> None:
        self.transfers.pop(job.id, None)


def source_path(job: Job) -> str:
    """Where the job's file is now."""
    return job.location or os.path.join(job.inbox, job.path)
