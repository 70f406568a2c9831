"""What the first scan of an inbox will hold, by what is in the folder and in the database now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lalald.config import Inbox
from lalald.filesystem.markers import read_marker
from lalald.inbox.first_scan import MOST_EXISTING_FILES
from lalald.store.queries import Reports
from lalald.store.tables.known_markers import WATCHED_BEFORE, KnownMarkers
from lalald.store.tables.restored_copy import RestoredCopy, held_because

MORE_THAN_A_FEW = (
    f"more than {MOST_EXISTING_FILES} files are in the inbox before its first scan;"
    " `lalald release --all --hold first_scan` releases them"
)


def is_first_scan(inbox: Inbox, reports: Reports | None) -> bool:
    """Whether no scan of the inbox has ended. `reports` is None before the daemon's first start."""
    return reports is None or not reports.known_files().folders.inbox_seen(str(inbox.path))


def why_held_at_first_scan(inbox: Inbox, reports: Reports | None, has_more_than: Callable[[int], bool]) -> str | None:
    """Why files that are in the inbox will be held, all of them; None if they will not, or the first scan is over.

    `has_more_than`: whether a rule matches more files than so many.
    """
    if not is_first_scan(inbox, reports):
        return None
    if reports is not None and (copied_at := RestoredCopy(reports.connection).copied_at(str(inbox.path))):
        return held_because(copied_at)
    if inbox.existing != "hold":
        return None
    if _is_foreign(inbox, reports):
        return WATCHED_BEFORE
    return MORE_THAN_A_FEW if has_more_than(MOST_EXISTING_FILES) else None


def _is_foreign(inbox: Inbox, reports: Reports | None) -> bool:
    marker = None
    with suppress(OSError):  # an inbox that cannot be read is reported as unavailable
        marker = read_marker(str(inbox.path))
    if reports is None:
        return marker is not None
    return KnownMarkers(reports.connection).is_foreign(str(inbox.path), marker)
