"""Which markers are this database's own, and which another one's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lalald.store import Store

INBOX = "/in"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


def test_a_marker_that_this_database_did_not_write_is_foreign_for_good(store: Store) -> None:
    assert not store.markers.is_foreign(INBOX, None), "a folder that cannot be written has none"
    assert store.markers.is_foreign(INBOX, "other")
    assert store.markers.note(INBOX, "other", 1.0)
    store.folders.mark_inbox_seen(INBOX, "other", 1.0)
    assert store.markers.note(INBOX, "other", 2.0)
    assert store.markers.note_accepted("other", "other", 3.0)


def test_a_marker_is_own_once_it_is_planned_or_that_of_any_known_folder(store: Store) -> None:
    store.markers.plan("planned", 1.0)
    store.folders.mark_inbox_seen("/elsewhere", "an inbox's", 1.0)
    store.folders.set_folder("/out", marker="an outbox's", reason=None, now=1.0)
    for marker in ("planned", "an inbox's", "an outbox's"):
        assert not store.markers.note(INBOX, marker, 2.0)


def test_the_marker_of_a_folder_that_was_replaced_stays_known(store: Store) -> None:
    assert store.markers.note_accepted("new", "former", 1.0)
    assert not store.markers.is_foreign(INBOX, "former")


def test_plans_do_not_grow_without_bounds(store: Store) -> None:
    for number in range(250):
        store.markers.plan(str(number), 1.0)
    assert not store.markers.is_foreign(INBOX, "249")
    assert store.markers.is_foreign(INBOX, "0")
