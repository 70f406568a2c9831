"""The folders that `status` lists: inboxes, outboxes, and done and failed folders outside the inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from lalald.reports.formatting import iso
from lalald.reports.needs_attention import Attention
from lalald.store.report_types import FolderReport, InboxReport

Row = TypeVar("Row", InboxReport, FolderReport)


def inboxes(
    seen: Sequence[InboxReport], configured: Sequence[str] | None, reported: Sequence[Attention]
) -> list[InboxReport]:
    """The configured inboxes in order, scanned yet or not; without a configuration, those that the daemon scanned last.

    What the daemon reported just now (`reported`) overrides what it saved.
    """
    known = {inbox.path: inbox for inbox in seen}
    paths = known if configured is None else configured
    return _with_reported([known.get(path, InboxReport(path, None, None, None, None)) for path in paths], reported)


def folders(
    seen: Sequence[FolderReport], configured: Sequence[str] | None, reported: Sequence[Attention]
) -> list[FolderReport]:
    """The same for other folders."""
    known = {folder.path: folder for folder in seen}
    paths = known if configured is None else configured
    return _with_reported([known.get(path, FolderReport(path, None, None)) for path in paths], reported)


def _with_reported(rows: Sequence[Row], reported: Sequence[Attention]) -> list[Row]:
    """The rows, with folders unavailable that the daemon reported just now; it may have been unable to save that."""
    away = {item.subject: item.message for item in reported if item.code.endswith("_unavailable")}
    return [
        row._replace(available=False, reason=away[row.path]) if row.available is not False and row.path in away else row
        for row in rows
    ]


def inbox_facts(inbox: InboxReport, *, running: bool) -> dict[str, Any]:
    """For JSON. A stopped daemon watches nothing."""
    facts = {**inbox._asdict(), "since": iso(inbox.since)}
    return facts if running else {**facts, "watch": None, "watch_reason": None}


def facts(folder: FolderReport) -> dict[str, Any]:
    return {**folder._asdict(), "since": iso(folder.since)}
