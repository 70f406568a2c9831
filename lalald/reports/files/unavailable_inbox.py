"""Whether an inbox can be used: inspected now, and compared with the marker that the daemon saved."""

from __future__ import annotations

from lalald.config import Inbox
from lalald.filesystem import markers
from lalald.store.queries import Reports


def why_unavailable(inbox: Inbox, reports: Reports | None) -> str | None:
    """Why the inbox is unavailable; None if it is available."""
    marker = None if reports is None else reports.known_files().folders.inbox_marker(str(inbox.path))
    found = markers.inspect_folder(str(inbox.path), marker)
    return None if found.available else found.reason
