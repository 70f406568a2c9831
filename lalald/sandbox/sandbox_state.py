"""The state of one sandbox, and what needs several parts of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from lalald.sandbox.faults.active_faults import ActiveFaults
from lalald.sandbox.faults.faults import fault
from lalald.sandbox.journal import Journal
from lalald.sandbox.options import Options
from lalald.sandbox.service.accounts import Accounts
from lalald.sandbox.service.clock import Clock
from lalald.sandbox.service.duration import Durations
from lalald.sandbox.service.links import Links
from lalald.sandbox.service.storage import Storage
from lalald.sandbox.service.tasks import Task


class SandboxState:
    """`folder` holds the uploads, `new_id` makes ids, `secret` signs the links."""

    def __init__(self, options: Options, folder: Path, new_id: Callable[[], str], secret: bytes) -> None:
        self.options = options
        self.storage = Storage(folder)
        self.new_id = new_id
        self.clock = Clock()
        self.accounts = Accounts(options, self.clock, new_id)
        self.faults = ActiveFaults([fault(spec) for spec in options.faults])
        self.durations = Durations(options.durations, options.default_duration_seconds)
        self.journal = Journal(self.clock, options.journal_entries)
        self.links = Links(secret)

    def link(self, task: Task, label: str) -> str:
        return self.links.link(task.id, label, self.clock() + self.options.link_seconds)

    def delete_expired_files(self) -> None:
        """Delete the bytes of sources whose tracks can no longer be downloaded."""
        for source in self.accounts.expired_sources():
            if source.stored is not None:
                self.storage.delete(source.stored)
                source.stored = None

    async def hash_sources(self) -> None:
        """Compute the SHA-256 of large sources; it stays None if the bytes are deleted."""
        for source in self.accounts.sources:
            if source.sha256 is None and source.stored is not None:
                source.sha256 = await asyncio.to_thread(source.stored.sha256)
