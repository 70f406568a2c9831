"""Which places of an inbox were scanned, by its settings: what is in others is old when they are scanned for the first time."""

from __future__ import annotations

import hashlib
import os

from lalald.config import Inbox
from lalald.store import Store


def scans_more_places(inbox: Inbox, store: Store) -> bool:
    """Whether subfolders, or what `ignore` excluded, are scanned now and were not before."""
    before = store.state.get(places_key(str(inbox.path)))
    if not isinstance(before, dict):
        return False
    return bool(inbox.recursive and not before["recursive"]) or not set(before["ignore"]) <= {*inbox.ignore}


def save_places(inbox: Inbox, now: float, store: Store) -> None:
    """Record that these places were scanned."""
    places = {"recursive": inbox.recursive, "ignore": sorted(inbox.ignore)}
    if store.state.get(places_key(str(inbox.path))) != places:
        store.state.set(places_key(str(inbox.path)), places, now)


def places_key(inbox: str) -> str:
    """The key of the scanned places in the store's state; a hash, since the inbox's path may not be valid text."""
    return f"seen in {hashlib.sha256(os.fsencode(inbox)).hexdigest()[:16]}"
