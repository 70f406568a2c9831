"""The parts of a running daemon, made once its store is open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from lalald.api import Client
from lalald.config import Config
from lalald.config.license_key import FoundKey
from lalald.daemon.folder_checks import FolderChecks
from lalald.daemon.inbox_loops import Inboxes
from lalald.daemon.log.log_setup import LogSettings
from lalald.daemon.process.signals import Signals
from lalald.daemon.process.systemd import Systemd
from lalald.daemon.process.web_launcher import WebLauncher
from lalald.daemon.supervisor import Supervisor
from lalald.notify.notifier import Notifier
from lalald.stages.context import StageContext
from lalald.worker.holds.license_check import KeyReader
from lalald.worker.worker import Worker


class Clients:
    """Every client of the service that may still have a transfer under way: the current one, and those before a reload."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._clients: WeakSet[Client] = WeakSet()

    def connect(self, config: Config, key: FoundKey) -> Client:
        rates = config.transfers
        client = Client(
            config.api_url, key, upload_rate=rates.upload_rate, download_rate=rates.download_rate, log=self._log
        )
        self._clients.add(client)
        return client

    def interrupt(self) -> None:
        """End every transfer at once; it resumes where it was at the next start."""
        for client in self._clients:
            client.interrupt()


@dataclass(frozen=True, slots=True)
class Parts:
    """`status_changed`: set when the line for `systemctl status` may read differently."""

    context: StageContext
    worker: Worker
    inboxes: Inboxes
    folder_checks: FolderChecks
    clients: Clients
    key_reader: KeyReader
    supervisor: Supervisor
    signals: Signals
    systemd: Systemd
    log_settings: LogSettings
    notifier: Notifier
    page: WebLauncher
    environ: Mapping[str, str]
    status_changed: asyncio.Event


def result_folders(config: Config) -> set[str]:
    """The outboxes, and the folders for finished and failed files: those that are known by their markers, besides the inboxes."""
    return {str(folder) for inbox in config.inboxes for folder in (inbox.outbox, *inbox.archive_folders)}
