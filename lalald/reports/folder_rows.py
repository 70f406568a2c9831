"""Inboxes, outboxes, and folders for finished files, as `status` knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lalald.reports.formatting import iso
from lalald.reports.needs_attention import Attention
from lalald.store.queries import FolderReport, InboxReport


def inboxes(
    seen: Sequence[InboxReport], configured: Sequence[str] | None, told: Sequence[Attention]
) -> list[InboxReport]:
    """Those of the configuration, in its order, though the daemon may not have seen them yet; else what it saw last.

    What the daemon `told` just now counts before what it wrote down.
    """
    known = {inbox.path: inbox for inbox in seen}
    paths = known if configured is None else configured
    found = [known.get(path, InboxReport(path, None, None, None, None)) for path in paths]
    away = _away(told)
    return [
        inbox._replace(available=False, reason=away[inbox.path])
        if inbox.available is not False and inbox.path in away
        else inbox
        for inbox in found
    ]


def folders(
    seen: Sequence[FolderReport], configured: Sequence[str] | None, told: Sequence[Attention]
) -> list[FolderReport]:
    """The same for other folders."""
    known = {folder.path: folder for folder in seen}
    paths = known if configured is None else configured
    found = [known.get(path, FolderReport(path, None, None)) for path in paths]
    away = _away(told)
    return [
        folder._replace(available=False, reason=away[folder.path])
        if folder.available is not False and folder.path in away
        else folder
        for folder in found
    ]


def _away(told: Sequence[Attention]) -> dict[str, str]:
    """What the daemon said just now, and may not have been able to write down."""
    return {item.subject: item.message for item in told if item.code.endswith("_unavailable")}


def inbox_facts(inbox: InboxReport, *, running: bool) -> dict[str, Any]:
    """A stopped daemon watches nothing, whatever it did before."""
    facts = {**inbox._asdict(), "since": iso(inbox.since)}
    return facts if running else {**facts, "watch": None, "watch_reason": None}


def facts(folder: FolderReport) -> dict[str, Any]:
    return {**folder._asdict(), "since": iso(folder.since)}
