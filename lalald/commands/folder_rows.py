"""Inboxes, outboxes, and folders for finished files, as `status` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lalald.attention import Attention
from lalald.commands.layout import Cell
from lalald.commands.wording import iso, moment, shown
from lalald.store.reports import FolderReport, InboxReport


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


def inbox_row(inbox: InboxReport, *, running: bool) -> tuple[Cell, ...]:
    path = shown(inbox.path)
    if inbox.available is None:
        return path, "not scanned yet", ""
    if not inbox.available:
        return away_row(inbox)
    if not running:
        return path, "not watched", "lalald is not running"
    told = "; ".join(shown(part) for part in (inbox.watch_reason, inbox.reason) if part)
    return path, f"watched, {inbox.watch or 'somehow'}", told


def away_row(folder: InboxReport | FolderReport) -> tuple[Cell, ...]:
    since = "" if folder.since is None else f" since {moment(folder.since)}"
    return shown(folder.path), f"unavailable{since}", shown(folder.reason or "")


def facts(folder: FolderReport) -> dict[str, Any]:
    return {**folder._asdict(), "since": iso(folder.since)}
