"""Count the files of an inbox that was never scanned, up to a limit."""

from __future__ import annotations

import os

from lalald.config import Inbox
from lalald.inbox.explanation import choose, folder_refusal, refusal
from lalald.inbox.scanning.walk import Walk, join


def has_more_files_than(limit: int, inbox: Inbox) -> bool:
    """Whether more than `limit` files match a rule; stops at the first one too many."""
    walk = Walk(
        os.fspath(inbox.path),
        skipped=lambda folder: folder_refusal(inbox, folder) is not None,
        recursive=inbox.recursive,
    )
    count = 0
    try:
        while listings := walk.take():
            paths = (join(listing.folder, name) for listing in listings for name, size, _ in listing.files if size)
            count += sum(refusal(inbox, path) is None and choose(inbox, path).rule is not None for path in paths)
            if count > limit:
                return True
    finally:
        walk.close()
    return False
