"""The folders that `status` lists: inboxes, outboxes, and done and failed folders outside the inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lalald.reports.formatting import iso
from lalald.reports.needs_attention import Attention
from lalald.store.report_types import FolderReport, InboxReport


def inboxes(
    seen: Sequence[InboxReport], configured: Sequence[str] | None, reported: Sequence[Attention]
) -> list[InboxReport]:
    """The configured inboxes in order, scanned yet or not; without a configuration, those that the daemon scanned last.

    What the daemon reported just now (`reported`) overrides what it saved.
    """
    known = {inbox.path: inbox for inbox in seen}
    paths = known if configured is None else configured
    found = [known.get(path, InboxReport(path, None, None, None, None)) for path in paths]
    away = _unavailable(reported)
    return [
        inbox._replace(available=False, reason=away[inbox.path])
        if inbox.available is not False and inbox.path in away
        else inbox
        for inbox in found
    ]


def folders(
    seen: Sequence[FolderReport], configured: Sequence[str] | None, reported: Sequence[Attention]
) -> list[FolderReport]:
    """The same for other folders."""
    known = {folder.path: folder for folder in seen}
    paths = known if configured is None else configured
    found = [known.get(path, FolderReport(path, None, None)) for path in paths]
    away = _unavailable(reported)
    return [
        folder._replace(available=False, reason=away[folder.path])
        if folder.available is not False and folder.path in away
        else folder
        for folder in found
    ]


def _unavailable(reported: Sequence[Attention]) -> dict[str, str]:
    """Unavailable folders that the daemon reported just now; it may have been unable to save that."""
    return {item.subject: item.message for item in reported if item.code.endswith("_unavailable")}


def inbox_facts(inbox: InboxReport, *, running: bool) -> dict[str, Any]:
    """For JSON. A stopped daemon watches nothing."""
    facts = {**inbox._asdict(), "since": iso(inbox.since)}
    return facts if running else {**facts, "watch": None, "watch_reason": None}


def facts(folder: FolderReport) -> dict[str, Any]:
    return {**folder._asdict(), "since": iso(folder.since)}
