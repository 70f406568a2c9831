"""How an inbox is to be watched: by the kernel's events if they report every change, else by polling."""

from __future__ import annotations

from typing import NamedTuple

from lalald.config import Inbox
from lalald.config.quantities import format_duration
from lalald.filesystem import mounts


class WatchMode(NamedTuple):
    """`watch`: `native` or `polling`. `leases_reliable`: whether a read lease reveals every program that writes to a file."""

    watch: str
    reason: str
    leases_reliable: bool


def choose_mode(inbox: Inbox) -> WatchMode:
    """The mode that suits the inbox's file system, unless one is configured. Reads the table of mounts."""
    kind = mounts.filesystem_type(inbox.path)
    is_remote = mounts.is_network(kind) or mounts.may_be_remote(kind)
    pause = format_duration(inbox.poll_interval)
    if inbox.watch == "polling":
        return WatchMode("polling", f"as configured, every {pause}", not is_remote)
    if inbox.watch == "native":
        return WatchMode("native", "as configured", not is_remote)
    if is_remote:
        return WatchMode("polling", f"every {pause}: {kind} does not report changes made elsewhere", False)
    return WatchMode("native", f"{kind or 'the file system'} reports every change", True)
