"""How an inbox is watched: by the kernel's events where they tell everything, else by our own scan."""

from __future__ import annotations

from typing import NamedTuple

from lalald.config import Inbox
from lalald.config.quantities import format_duration
from lalald.filesystem import mounts


class Mode(NamedTuple):
    """`native` or `polling`, why, and whether a read lease tells of every writer."""

    watch: str
    reason: str
    lease_tells: bool


def choose_mode(inbox: Inbox) -> Mode:
    """What suits the file system that the inbox lies on, unless the configuration says it. Reads the table of mounts."""
    kind = mounts.filesystem_type(inbox.path)
    elsewhere = mounts.is_network(kind) or mounts.may_be_remote(kind)
    if inbox.watch == "polling":
        return Mode("polling", f"as configured, every {format_duration(inbox.poll_interval)}", not elsewhere)
    if inbox.watch == "native":
        return Mode("native", "as configured", not elsewhere)
    if elsewhere:
        return Mode(
            "polling",
            f"every {format_duration(inbox.poll_interval)}: {kind} does not report changes made elsewhere",
            False,
        )
    return Mode("native", f"{kind or 'the file system'} reports every change", True)
