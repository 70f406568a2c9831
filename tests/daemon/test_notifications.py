"""What the daemon's own facts become: low minutes are told once, an accepted key ends its trouble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.config import Minutes
from lalald.daemon.notifications import note_minutes
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.job import Stage
from lalald.store import Store
from lalald.store.events.event_queue import Selection
from tests.support.filled_store import DAY, EVERYTHING, HOUR, NOW, FilledStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Nine minutes were charged an hour ago, and a hundred before the last seven days."""
    filled = FilledStore(tmp_path)
    with filled.store() as opened:
        for name, minutes, at in (("a.mp3", 9.0, NOW - HOUR), ("b.mp3", 100.0, NOW - 8 * DAY)):
            job = filled.take(opened, name, at)
            task = replace(job.tasks[0], stage=Stage.CHECK, task_id=name, started_at=at, minutes=minutes)
            opened.save(job, replace(job.with_task(task), stage=Stage.CHECK, source_id=name, updated_at=at))
        opened.event_queue.configure({"phone": EVERYTHING}, page=False)
        yield opened


def kinds(store: Store) -> list[str]:
    return [str(event.fact.kind) for event in store.event_queue.next_events(Selection(frozenset(EventKind)), 0, 100)]


def test_minutes_for_less_than_a_week_are_reported_once_until_a_top_up(store: Store) -> None:
    for left in (30.0, 9.0, 8.9, 8.0, 40.0, 7.0):
        note_minutes(store, left, Minutes(), NOW)
    assert kinds(store) == ["minutes.low", "minutes.low"]
    assert [
        event.fact.data["left"] for event in store.event_queue.next_events(Selection(frozenset(EventKind)), 0, 9)
    ] == [8.9, 7.0]


def test_the_reserve_does_not_count_as_minutes_left(store: Store) -> None:
    note_minutes(store, 30.0, Minutes(reserve=25.0), NOW)
    assert kinds(store) == ["minutes.low"]


def test_low_minutes_are_no_problem_yet(store: Store) -> None:
    note_minutes(store, 1.0, Minutes(), NOW)
    assert store.event_queue.next_events(Selection(frozenset(), problems=True), 0, 9) == []


def test_an_answer_with_the_minutes_proves_that_the_key_is_accepted(store: Store) -> None:
    store.events.license_is(EventKind.LICENSE_REFUSED, "401", NOW - DAY)  # by the daemon before this one
    note_minutes(store, 50.0, Minutes(), NOW)
    note_minutes(store, 50.0, Minutes(), NOW + 10)
    assert kinds(store) == ["license.refused", "hold.cleared"]


def test_without_a_reader_only_the_minutes_are_noted(store: Store) -> None:
    store.event_queue.configure({}, page=False)
    note_minutes(store, 1.0, Minutes(), NOW)
    assert store.state.get("minutes") == {"left": 1.0, "at": NOW}
    assert store.state.get("minutes_low") is None
