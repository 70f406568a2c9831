"""What every route of the page works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lalald.config import Config, Inbox
from lalald.control import socket_client
from lalald.control.page_settings import PageSettings
from lalald.filesystem.mount_pools import MountPools
from lalald.reports import status_json
from lalald.reports.status_report import Folders, gather
from lalald.store.queries import Reports
from lalald.web.access.auth import Auth
from lalald.web.access.origins import Origins
from lalald.web.store_access import StoreAccess


@dataclass(frozen=True, slots=True)
class Page:
    """One for the process."""

    settings: PageSettings
    store: StoreAccess
    auth: Auth
    origins: Origins
    disks: MountPools
    now: Callable[[], float]

    @property
    def config(self) -> Config:
        return self.settings.config

    def inbox(self, path: str) -> Inbox | None:
        """The configured inbox of this path."""
        return next((inbox for inbox in self.config.inboxes if str(inbox.path) == path), None)

    def status(self, _reports: Reports, said: socket_client.Report | None = None) -> dict[str, Any]:
        """As `lalald status --json`; on a thread of the store. `said`: by the daemon just now; else it is asked."""
        return status_json.facts(gather(self.config.state_dir, folders(self.config), None, self.now(), said))

    def wake_daemon(self) -> bool:
        """Whether the daemon is there to see what was left for it; on a thread."""
        return socket_client.wake(self.config.state_dir)


def folders(config: Config) -> Folders:
    """The folders of a configuration, in its order."""
    outboxes = dict.fromkeys(str(inbox.outbox) for inbox in config.inboxes)
    filing = dict.fromkeys(str(folder) for inbox in config.inboxes for folder in inbox.archive_folders)
    return Folders([str(inbox.path) for inbox in config.inboxes], list(outboxes), list(filing))
