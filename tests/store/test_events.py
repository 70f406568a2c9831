"""Event rows: one for each fact, in its transaction; gathered, deferred, forgotten where it is over, and never without a reader."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lalald.jobs.event_facts import Event
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource, Stage, State, TaskFailure
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.events import events as written
from lalald.store.events.causes import PIECE, Cause, Span, Tally, first_events, join, tallies
from lalald.store.events.event_log import EventLog
from lalald.store.events.event_queue import RemovedEntry, Selection
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.support.filled_store import DAY, HOUR, NOW, FilledStore

ALL = Selection(frozenset(EventKind))
PROBLEMS = Selection(frozenset(), problems=True)


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    return FilledStore(tmp_path)


@pytest.fixture
def store(filled_store: FilledStore) -> Iterator[Store]:
    """Everything done to it is one commit."""
    with filled_store.store() as opened:
        opened.event_queue.configure({"phone": ALL}, page=False)
        yield opened


def events(store: Store, selection: Selection = ALL) -> list[Event]:
    return store.event_queue.next_events(selection, 0, 1000)


def kinds(store: Store) -> list[str]:
    return [str(event.fact.kind) for event in events(store)]


def held(job: Job, hold: Hold = Hold.DISK, at: float = NOW, source: HoldSource | None = None) -> Job:
    return replace(
        job, state=State.HELD, hold=hold, hold_source=source, hold_reason="no room", held_at=at, updated_at=at
    )


def waiting(job: Job, at: float) -> Job:
    return replace(job, state=State.WAITING, hold=None, hold_reason=None, hold_source=None, held_at=None, updated_at=at)


def failed(job: Job, at: float = NOW, kind: FailureKind | None = FailureKind.UNSUPPORTED) -> Job:
    return replace(job, state=State.FAILED, error=f"no audio in {job.path}", failure_kind=kind, updated_at=at)


def done(job: Job, at: float) -> Job:
    return replace(job, stage=Stage.DONE, state=State.DONE, finished_at=at, updated_at=at)


def test_without_a_reader_nothing_is_written(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.save((job := filled_store.take(store, "a.mp3")), failed(job))
        store.save((job := filled_store.take(store, "b.mp3")), held(job))
        store.folders.set_inbox_state("/in", available=False, reason="gone", watch="native", watch_reason="", now=NOW)
        store.folders.set_folder("/out", marker=None, reason="gone", now=NOW)
        store.events.license_is(EventKind.LICENSE_MISSING, "no key", NOW)
        for table in ("events", "pending_events", "reported_holds", "event_readers"):
            assert store.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert not store.events.was_written


def test_the_page_alone_is_a_reader(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.event_queue.configure({}, page=True)
        store.save((job := filled_store.take(store, "a.mp3")), failed(job))
        assert kinds(store) == ["job.failed"]
        assert store.event_queue.readers() == []


def test_an_event_is_there_exactly_if_its_fact_is(filled_store: FilledStore, store: Store) -> None:
    """In one transaction: what is rolled back has no event, as it would be after a kill."""
    job = filled_store.take(store, "a.mp3")
    store.connection.execute("COMMIT")
    store.connection.execute("BEGIN")
    store.save(job, failed(job))
    store.connection.execute("ROLLBACK")
    assert events(store) == []
    store.connection.execute("BEGIN")
    store.save(job, failed(job))
    (event,) = events(store)
    assert (event.fact.kind, event.fact.subject, event.fact.data["error"]) == (
        "job.failed",
        f"job {job.id}",
        "no audio in a.mp3",
    )


def test_what_a_done_job_says_and_that_no_signed_link_is_among_it(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.event_queue.configure({"phone": ALL}, page=False)
        filled_store._ended(store)
        (event,) = [event for event in events(store) if event.fact.kind is EventKind.JOB_DONE]
    out = str(filled_store.outbox)
    assert event.fact.data["output"] == f"{out}/podcasts/ep1"
    assert [track["path"] for track in event.fact.data["tracks"]] == [
        f"{out}/podcasts/ep1/voice.mp3",
        f"{out}/podcasts/ep1/no_voice.mp3",
    ]
    assert event.fact.data["job"] == {
        "id": 1, "inbox": str(filled_store.inbox), "path": "podcasts/ep1.mp3", "rule": "podcasts", "stage": "done", "minutes": 3.0,
    }  # fmt: skip
    assert "https://" not in str(event.fact.data)


def test_no_text_of_an_event_holds_what_signs_a_link(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    link = "https://d.lalal.ai/media/x.mp3?Expires=1&Signature=abc"
    store.save(job, replace(held(job, Hold.LINK), hold_reason=f"the link {link} cannot be used: its scheme"))
    store.save((job := filled_store.take(store, "b.mp3")), replace(failed(job), error=f"GET {link} answered 403"))
    store.events.publish_due(NOW + 2)
    assert {event.fact.data.get("error") or event.fact.data["reason"] for event in events(store)} == {
        "GET https://d.lalal.ai/media/x.mp3?… answered 403", "the link https://d.lalal.ai/media/x.mp3?… cannot be used: its scheme",
    }  # fmt: skip


def test_a_held_job_that_fails_ends_its_hold(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, held(job))
    store.save(job, failed(job, NOW + 0.5))
    store.events.publish_due(NOW + HOUR)
    assert kinds(store) == ["job.failed"]


def test_many_holds_of_one_cause_are_one_event_with_a_count(filled_store: FilledStore, store: Store) -> None:
    for number in range(2500):
        job = filled_store.take(store, f"{number}.mp3")
        store.save(job, held(job, Hold.MINUTES, NOW + number / 100, HoldSource.LEFT))
    assert events(store) == []
    assert store.events.publish_due(NOW + 25) == NOW + 24.99 + written.HELD_QUIET_SECONDS
    assert store.events.publish_due(NOW + 26) is None
    (event,) = events(store)
    assert (event.fact.count, event.fact.cause, event.fact.is_problem) == (2500, "job.held minutes left", True)
    assert [job["path"] for job in event.fact.data["jobs"]] == [f"{number}.mp3" for number in range(10)]


def test_holds_that_come_for_an_hour_are_said_after_a_minute_and_then_every_five(
    filled_store: FilledStore, store: Store
) -> None:
    counts = []
    for number in range(3600):
        now = NOW + number
        store.save((job := filled_store.take(store, f"{number}.mp3")), held(job, Hold.DUPLICATE, now))
        store.events.publish_due(now)
        counts = [event.fact.count for event in events(store)]
    assert len(counts) == 12
    assert sum(counts) <= 3600


def test_a_first_scan_that_holds_hundreds_is_one_event(filled_store: FilledStore, store: Store) -> None:
    for number in range(300):
        filled_store.take(store, f"{number}.mp3", hold=Hold.FIRST_SCAN, hold_reason="there before the first scan")
    store.events.publish_due(NOW + 2)
    (event,) = events(store)
    assert (event.fact.count, event.fact.data["hold"]) == (300, "first_scan")


def test_causes_of_a_hold_are_distinguished_and_end_together(filled_store: FilledStore, store: Store) -> None:
    first, second = (filled_store.take(store, name) for name in ("a.mp3", "b.mp3"))
    first = store.save(first, held(first, Hold.MINUTES, NOW, HoldSource.LEFT))
    second = store.save(second, held(second, Hold.MINUTES, NOW, HoldSource.PER_FILE))
    store.events.publish_due(NOW + 2)
    assert kinds(store) == ["job.held", "job.held"]
    store.save(first, waiting(first, NOW + 60))
    assert store.events.publish_due(NOW + 200) is None  # one is held still
    store.save(second, waiting(second, NOW + 300))
    store.events.publish_due(NOW + 361)
    assert kinds(store) == ["job.held", "job.held", "hold.cleared"]


def test_a_hold_that_is_over_before_it_was_said_is_never_said(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, held(job))
    store.save(job, waiting(job, NOW + 0.5))
    assert store.events.publish_due(NOW + HOUR) is None
    assert events(store) == []


def test_an_unsuccessful_probe_is_not_reported(filled_store: FilledStore, store: Store) -> None:
    """Released, tried, and held again by the same cause within the same stage."""
    job = filled_store.take(store, "a.mp3")
    now = NOW
    for _ in range(20):
        job = store.save(job, held(job, Hold.DISK, now))
        store.events.publish_due(now + 2)
        now += 600
        job = store.save(job, waiting(job, now))
        now += 20
    store.events.publish_due(now - 20)
    assert kinds(store) == ["job.held"]


def test_a_job_held_again_at_a_later_stage_is_news(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, held(job))
    store.events.publish_due(NOW + 2)
    job = store.save(job, replace(waiting(job, NOW + HOUR), stage=Stage.DOWNLOAD))
    job = store.save(job, held(job, Hold.DISK, NOW + HOUR + 1))
    store.events.publish_due(NOW + HOUR + 3)
    assert kinds(store) == ["job.held", "job.held"]


def test_the_license_says_itself_what_is_wrong_with_it(filled_store: FilledStore, store: Store) -> None:
    filled_store.take(store, "a.mp3")
    store.hold_all(Hold.LICENSE, "no key", NOW)
    store.events.license_is(EventKind.LICENSE_MISSING, "no key", NOW)
    store.events.license_is(EventKind.LICENSE_MISSING, "no key", NOW + 10)  # said at every start
    store.events.license_is(EventKind.LICENSE_REFUSED, "401", NOW + 20)
    store.release_all(Hold.LICENSE, NOW + 30)
    store.events.license_is(None, None, NOW + 30)
    store.events.license_is(None, None, NOW + 40)  # with every answer
    assert kinds(store) == ["license.missing", "license.refused", "hold.cleared"]
    assert all(event.fact.is_problem for event in events(store))


def test_a_flapping_inbox_is_reported_at_most_once_in_five_minutes(store: Store) -> None:
    def seen(available: bool, at: float) -> None:
        store.folders.set_inbox_state(
            "/in", available=available, reason="gone", watch="native", watch_reason="", now=at
        )
        store.events.publish_due(at)

    for second in range(0, 3600, 10):
        seen(second % 20 == 10, NOW + second)
    found = [(event.fact.kind, event.fact.at) for event in events(store)]
    for kind in (EventKind.INBOX_UNAVAILABLE, EventKind.INBOX_BACK):
        moments = [at for said, at in found if said is kind]
        assert 1 <= len(moments) <= 12
        assert all(later - earlier >= written.AGAIN_SECONDS for earlier, later in pairwise(moments))
    assert [kind for kind, _ in found][::2] == [EventKind.INBOX_UNAVAILABLE] * len(found[::2])  # always in turns


def test_an_inbox_that_stays_unavailable_after_flapping_is_reported_in_the_end(store: Store) -> None:
    for at, available in ((0, False), (10, True), (20, False)):
        store.folders.set_inbox_state(
            "/in", available=available, reason="gone", watch="native", watch_reason="", now=NOW + at
        )
    assert kinds(store) == ["inbox.unavailable", "inbox.back"]
    assert store.events.publish_due(NOW + 30) == NOW + 300
    store.events.publish_due(NOW + 301)
    assert kinds(store) == ["inbox.unavailable", "inbox.back", "inbox.unavailable"]


def test_what_was_on_before_a_restart_is_not_said_again(filled_store: FilledStore) -> None:
    for start in range(3):
        with filled_store.store() as store:
            store.event_queue.configure({"phone": ALL}, page=False)
            store.folders.set_folder("/out", marker=None, reason="gone", now=NOW + start * HOUR)
    with filled_store.store() as store:
        store.folders.set_folder("/out", marker="m", reason=None, now=NOW + 4 * HOUR)
        assert kinds(store) == ["folder.unavailable", "folder.back"]


def test_the_service_is_down_once_it_was_for_a_quarter_of_an_hour(store: Store) -> None:
    store.events.service_is("no answer", NOW)
    store.events.service_is(None, NOW + 600)
    assert store.events.publish_due(NOW + 1000) is None
    store.events.service_is("no answer", NOW + 2000)
    assert store.events.publish_due(NOW + 2100) == NOW + 2900
    store.events.publish_due(NOW + 2900)
    store.events.service_is(None, NOW + 3000)
    assert kinds(store) == ["service.down", "service.back"]


def test_a_stepped_clock_keeps_nothing_back_for_years(store: Store) -> None:
    store.events.service_is("no answer", NOW)
    assert store.events.publish_due(NOW - 400 * DAY) is None
    assert kinds(store) == ["service.down"]


def test_paths_that_are_not_utf8_are_kept_exactly(filled_store: FilledStore, store: Store) -> None:
    path = os.fsdecode(b"caf\xe9\n.mp3")
    job = filled_store.take(store, path)
    store.save(job, replace(failed(job), error="no audio"))
    store.folders.set_inbox_state(
        os.fsdecode(b"/in\xff"), available=False, reason="gone", watch="native", watch_reason="", now=NOW
    )
    first, second = events(store)
    assert first.fact.data["job"]["path"] == path
    assert (second.fact.subject, second.fact.data["folder"]) == (os.fsdecode(b"inbox /in\xff"), os.fsdecode(b"/in\xff"))
    store.folders.set_inbox_state(
        os.fsdecode(b"/in\xff"), available=True, reason="", watch="native", watch_reason="", now=NOW + 9
    )
    assert kinds(store)[-1] == "inbox.back"


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def test_a_database_of_the_version_before_keeps_its_rows(filled_store: FilledStore, tmp_path: Path) -> None:
    """With jobs whose results are on the service; the first reader is told of what happens from then on."""
    filled_store.fill()
    version = next(number for number, step in enumerate(MIGRATIONS) if "CREATE TABLE events (" in step)
    (tmp_path / "old").mkdir(mode=0o700)
    with (
        closing(sqlite3.connect(tmp_path / "old/lalald.sqlite3", isolation_level=None)) as old,
        closing(sqlite3.connect(filled_store.state / "lalald.sqlite3")) as filled,
    ):
        bring_to(old, 0, version)
        for table in ("job_settings", "jobs", "tasks", "tracks", "charges"):
            columns = ", ".join(name for name in _columns(old, table) if name in _columns(filled, table))
            rows = filled.execute(f"SELECT {columns} FROM {table}").fetchall()
            old.executemany(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(rows[0]))})", rows)
    store = Store.open(tmp_path / "old")
    try:
        with filled_store.store() as before:
            assert [store.job(number) for number in range(1, 10)] == [before.job(number) for number in range(1, 10)]
        assert store.deadlines.jobs_with_results(NOW - HOUR, NOW) == [(6, NOW - 60)]
        store.event_queue.configure({"phone": ALL}, page=False)
        store.save((job := filled_store.take(store, "new.mp3")), failed(job))
        assert kinds(store) == ["job.failed"]
    finally:
        store.close()


# who reads


def causes(store: Store, selection: Selection = PROBLEMS, after: int = 0) -> list[Cause]:
    span, connection = Span(after, store.event_queue.newest_id()), store.connection
    results = []
    for ids in (3, PIECE):  # the pieces make no difference
        found: dict[str | bytes, Tally] = {}
        for piece in span.pieces(ids):
            join(found, tallies(connection, selection, span, piece))
        ordered = sorted(found.values(), key=lambda tally: tally.first_id)
        results.append([Cause.of(tally, first_events(connection, selection, span, tally)) for tally in ordered])
    assert results[0] == results[1]
    return results[0]


def test_2500_failures_of_one_cause_are_one_with_the_first_ten(filled_store: FilledStore, store: Store) -> None:
    for number in range(2500):
        store.save((job := filled_store.take(store, f"{number}.mp3")), failed(job, NOW + number / 50))
    store.save((job := filled_store.take(store, "large.mp3")), failed(job, NOW, FailureKind.TOO_LARGE))
    first, second = causes(store)
    assert (first.count, second.count) == (2500, 1)
    assert [event.fact.data["job"]["path"] for event in first.events] == [f"{number}.mp3" for number in range(10)]


def test_failures_of_tasks_are_distinguished_by_their_codes_not_by_their_text(
    filled_store: FilledStore, store: Store
) -> None:
    for number, code in enumerate(["http_422", "http_422", "max_duration"]):
        job = filled_store.take(store, f"podcasts/{number}.mp3")
        task = replace(job.tasks[0], error=f"words {number}", failure=TaskFailure.REFUSED, error_code=code)
        store.save(job, replace(failed(job.with_task(task), kind=None), error=f"other words {number}"))
    assert [cause.count for cause in causes(store)] == [2, 1]


def test_what_is_over_before_its_message_leaves_is_not_sent_nor_that_it_is(
    filled_store: FilledStore, store: Store
) -> None:
    store.folders.set_folder("/out", marker=None, reason="gone", now=NOW)
    store.folders.set_folder("/out", marker=None, reason=None, now=NOW + 10)
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, failed(job, NOW))
    store.save(job, done(job, NOW + 20))
    store.folders.set_folder("/done", marker=None, reason="gone", now=NOW + 30)
    assert [event.fact.kind for cause in causes(store) for event in cause.events] == ["folder.unavailable"]
    store.folders.set_folder("/done", marker=None, reason=None, now=NOW + 40)
    assert causes(store) == []


def test_the_end_of_a_reported_problem_is_reported(filled_store: FilledStore, store: Store) -> None:
    store.folders.set_folder("/out", marker=None, reason="gone", now=NOW)
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, failed(job, NOW))
    newest = store.event_queue.newest_id()
    store.folders.set_folder("/out", marker=None, reason=None, now=NOW + 10)
    store.save(job, done(job, NOW + 20))
    assert [event.fact.kind for cause in causes(store, after=newest) for event in cause.events] == [
        "folder.back",
        "job.done",
    ]


def test_a_done_job_does_not_count_as_a_problem_unless_it_ends_one(filled_store: FilledStore, store: Store) -> None:
    store.save((job := filled_store.take(store, "a.mp3")), done(job, NOW))
    assert causes(store) == []
    assert [cause.count for cause in causes(store, ALL)] == [1]


def test_an_entry_for_every_done_job_gets_those_that_failed_before_too(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, failed(job, NOW))
    store.save(job, done(job, NOW + 20))
    assert [event.fact.kind for cause in causes(store, ALL) for event in cause.events] == ["job.done"]


def test_a_job_that_failed_twice_counts_once(filled_store: FilledStore, store: Store) -> None:
    job = filled_store.take(store, "a.mp3")
    job = store.save(job, failed(job, NOW))
    job = store.save(job, waiting(job, NOW + 5))
    store.save(job, failed(job, NOW + 9))
    (cause,) = causes(store)
    assert (cause.count, len(cause.events)) == (1, 1)


def test_a_cursor_starts_where_its_entry_is_first_configured(filled_store: FilledStore, store: Store) -> None:
    store.save((job := filled_store.take(store, "a.mp3")), failed(job))
    store.event_queue.configure({"phone": ALL, "new": ALL}, page=False)
    store.save((job := filled_store.take(store, "b.mp3")), failed(job))
    cursors = {reader.name: reader.cursor for reader in store.event_queue.readers()}
    assert cursors == {"phone": 0, "new": 1}
    assert store.event_queue.configure({"new": ALL}, page=False) == [RemovedEntry("phone", 2)]
    store.event_queue.configure({"phone": ALL, "new": ALL}, page=False)
    assert {reader.name: reader.cursor for reader in store.event_queue.readers()} == {"phone": 2, "new": 1}


def test_what_a_removed_entry_wanted_and_was_not_sent_is_counted(filled_store: FilledStore, store: Store) -> None:
    queue = store.event_queue
    wants = {"phone": PROBLEMS, "none": Selection(frozenset({EventKind.DAEMON_STARTED})), "all": ALL}
    assert queue.configure(wants, page=True) == []
    for name, kind in (("a.mp3", FailureKind.UNSUPPORTED), ("b.mp3", FailureKind.TOO_LARGE)):
        store.save((job := filled_store.take(store, name)), failed(job, kind=kind))
    for number in range(3):
        store.save((job := filled_store.take(store, f"{number}.mp3")), done(job, NOW))
    queue.causes_dealt_with("phone", queue.newest_id(), [events(store)[0].fact.cause])
    queue.advance("all", 1)
    assert queue.configure({}, page=True) == [RemovedEntry("all", 4), RemovedEntry("phone", 1)]
    assert queue.configure({}, page=True) == []


def test_of_an_entry_of_an_earlier_version_problems_are_counted(filled_store: FilledStore) -> None:
    """It did not store what an entry wants."""
    before = next(number for number, script in enumerate(MIGRATIONS) if "event_readers ADD COLUMN kinds" in script)
    filled_store.state.mkdir(exist_ok=True)
    with closing(sqlite3.connect(filled_store.state / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, before)
        old.execute("INSERT INTO event_readers (name, cursor, dropped) VALUES ('phone', 0, 3)")
    with filled_store.store() as store:
        store.save((job := filled_store.take(store, "a.mp3")), failed(job))
        store.save((job := filled_store.take(store, "b.mp3")), done(job, NOW))
        assert store.event_queue.readers()[0].dropped == 3
        assert store.event_queue.configure({}, page=False) == [RemovedEntry("phone", 1)]


def test_the_last_reader_takes_the_events_with_it(filled_store: FilledStore, store: Store) -> None:
    store.save((job := filled_store.take(store, "a.mp3")), failed(job))
    store.events.service_is("down", NOW)
    store.event_queue.configure({}, page=False)
    for table in ("events", "pending_events", "reported_holds"):
        assert store.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


# how long they are kept


def test_events_are_kept_until_they_are_old_and_dealt_with(filled_store: FilledStore, store: Store) -> None:
    for number in range(10):
        store.save((job := filled_store.take(store, f"{number}.mp3")), failed(job, NOW - 8 * DAY + number * DAY))
    assert store.events.trim(NOW - DAY) == 0  # none was sent
    store.event_queue.advance("phone", 5, sent_at=NOW)
    assert store.events.trim(NOW - DAY) == 5
    assert [event.id for event in events(store)] == [6, 7, 8, 9, 10]


def test_the_begin_of_what_is_not_over_is_kept_for_its_end(store: Store) -> None:
    store.folders.set_folder("/out", marker=None, reason="gone", now=NOW - 30 * DAY)
    store.folders.set_folder("/done", marker=None, reason="gone", now=NOW - 30 * DAY)
    store.folders.set_folder("/done", marker=None, reason=None, now=NOW - 29 * DAY)
    store.event_queue.advance("phone", 3)
    assert store.events.trim(NOW) == 2
    store.folders.set_folder("/out", marker=None, reason=None, now=NOW)
    assert kinds(store) == ["folder.unavailable", "folder.back"]


def test_no_more_than_a_number_of_events_is_kept_and_what_is_lost_is_known(
    filled_store: FilledStore, store: Store
) -> None:
    job = filled_store.take(store, "a.mp3")
    for _ in range(3):
        store.events.job_failed(job, NOW)
    store.connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (written.MOST_EVENTS + 998,))
    store.events.job_failed(job, NOW)
    assert [event.id for event in events(store)] == [1, 2, 3, written.MOST_EVENTS + 999]
    store.events.job_failed(job, NOW)
    assert [event.id for event in events(store)] == [written.MOST_EVENTS + 999, written.MOST_EVENTS + 1000]
    assert store.event_queue.lost_after(3) == written.MOST_EVENTS + 995
    assert store.event_queue.lost_after(store.event_queue.newest_id()) == 0


# the page's log


def test_the_log_is_read_in_pages_by_id_newest_first(filled_store: FilledStore, store: Store) -> None:
    for number in range(25):
        job = filled_store.take(store, f"{number}.mp3")
        store.save(job, failed(job) if number % 5 else done(job, NOW))
    log = EventLog(store.connection)
    first = log.page(limit=10)
    assert [event.id for event in first] == list(range(25, 15, -1))
    assert [event.id for event in log.page(before=16, limit=10)] == list(range(15, 5, -1))
    assert [event.id for event in log.page(kinds=[EventKind.JOB_DONE])] == [21, 16, 11, 6, 1]
    assert log.page(before=1) == []
