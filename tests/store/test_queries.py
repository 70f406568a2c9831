"""What the command line reads from the store, and what it may write."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from lalald.errors import StoreError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.store.queries import Reports
from lalald.store.report_types import HoldReport, InboxReport
from lalald.store.request_writer import FITTING, Kind, Requests
from lalald.store.tables.skipped_files import skipped_files
from tests.support.filled_store import HOUR, NOW, ODD_NAME, FilledStore


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    filled = FilledStore(tmp_path)
    filled.fill()
    return filled


def test_the_same_jobs_come_out_as_the_daemon_put_in(filled_store: FilledStore) -> None:
    with filled_store.store() as store, Reports.open(filled_store.state) as reports:
        jobs = [report.job for report in reports.jobs()]
        assert jobs == [store.job(number) for number in range(1, 10)]
        assert jobs[8].path == ODD_NAME
        assert reports.job(99) is None


def test_jobs_come_in_pieces_without_a_gap(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        for number in range(700):
            filled_store.take(store, f"podcasts/{number}.mp3")
        store.connection.execute("DELETE FROM jobs WHERE id BETWEEN 500 AND 520")
    with Reports.open(filled_store.state) as reports:
        ids = [report.job.id for report in reports.jobs()]
        assert ids == [number for number in range(1, 710) if not 500 <= number <= 520]
        assert [report.job.id for report in reports.jobs(limit=600)] == ids[-600:]
        assert [report.job.id for report in islice(reports.jobs(limit=600), 3)] == ids[-600:][:3]
        assert reports.count() == len(ids)
        assert reports.count(stage=Stage.UPLOAD, states=[State.HELD, State.CANCELLED]) == 2


def test_a_summary_counts_what_runs_apart_from_what_waits(filled_store: FilledStore) -> None:
    with Reports.open(filled_store.state) as reports:
        counts = reports.counts()
        assert counts.states == {"waiting": 2, "running": 2, "held": 2, "failed": 1, "cancelled": 1, "done": 1}
        assert counts.stages == {"upload": 3, "check": 1}
        assert counts.running == {"upload": 1, "check": 1}
        assert [(report.job.id, report.percent) for report in reports.under_way(10)] == [(7, 25.0), (6, 20.0)]
        assert [report.job.id for report in reports.under_way(1)] == [7]
        assert [report.job.id for report in reports.failures(5)] == [2]


def test_a_job_that_waits_for_its_second_task_does_not_run(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        store.save(job, replace(job, stage=Stage.SPLIT))
    with Reports.open(filled_store.state) as reports:
        report = reports.job(6)
        assert report is not None
        assert (report.state, report.percent) == ("waiting", None)
        assert reports.counts().running == {"upload": 1, "check": 0}


def test_holds_are_grouped_with_their_first_reason_and_their_price(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        filled_store.take(
            store, "podcasts/a.mp3", NOW - 10, hold=Hold.FIRST_SCAN, hold_reason="it lay there", duration=60.0
        )
        filled_store.take(store, "b.mp3", NOW - 5, hold=Hold.FIRST_SCAN, hold_reason="it too", duration=120.0)
        filled_store.take(store, "c.mp3", NOW - 5, hold=Hold.FIRST_SCAN, hold_reason="it too", duration=None)
    with Reports.open(filled_store.state) as reports:
        assert reports.holds() == [
            HoldReport("first_scan", 3, NOW - 10, "it lay there", 10, 7.0, 1),
            HoldReport("lost_task", 1, NOW - HOUR, "the task started, and its id never came", 5, 0.0, 0),
            HoldReport("minutes", 1, NOW - 2 * HOUR, "needs 9.0 minutes, minutes.per_file allows 5", 4, 9.0, 0),
        ]


def test_only_what_is_not_paid_is_priced(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        held = replace(job, state=State.HELD, hold=Hold.MINUTES, hold_reason="r", held_at=NOW)
        store.save(job, held.with_task(replace(job.tasks[1], task_id=None, minutes=None, stage=Stage.SPLIT)))
    with Reports.open(filled_store.state) as reports:
        assert {hold.hold: hold.minutes for hold in reports.holds()} == {"minutes": 9.0 + 6.0, "lost_task": 0.0}
        assert [report.job.id for report in reports.unpaid()] == [4, 5, 7, 8, 9]


def test_minutes_are_summed_since_a_moment(filled_store: FilledStore) -> None:
    with Reports.open(filled_store.state) as reports:
        assert [reports.spent_since(NOW - days * 86400) for days in (0, 1, 41)] == [0.0, 9.0, 12.0]


def test_a_file_is_found_where_it_was_and_where_it_is(filled_store: FilledStore) -> None:
    def number(path: str) -> int | None:
        with Reports.open(filled_store.state) as reports:
            report = reports.job_at(path)
            return None if report is None else report.job.id

    with filled_store.store() as store:
        filled_store.take(store, "long.mp3", size=7)
    assert number(f"{filled_store.inbox}/done/podcasts/ep1.mp3") == 1
    assert number(f"{filled_store.inbox}/podcasts/ep1.mp3") == 1
    assert number(f"{filled_store.inbox}/{ODD_NAME}") == 9
    assert number(f"{filled_store.inbox}/long.mp3") == 10
    assert number(f"{filled_store.inbox}/other.mp3") is None
    assert number("/elsewhere/long.mp3") is None


def test_facts_and_inboxes_are_reported(filled_store: FilledStore) -> None:
    with Reports.open(filled_store.state) as reports:
        minutes = reports.fact("minutes")
        assert minutes is not None
        assert (minutes.value, minutes.at) == ({"left": 42.5, "at": NOW - 300}, NOW - 300)
        assert reports.fact("nothing") is None
        assert reports.inboxes() == [InboxReport(str(filled_store.inbox), True, "", "native", "ext4 tells")]


def test_reports_write_nothing(filled_store: FilledStore) -> None:
    with Reports.open(filled_store.state) as reports:
        assert not issubclass(Reports, Requests)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reports.connection.execute("UPDATE jobs SET request = 'cancel'")


def test_neither_reports_nor_requests_make_or_migrate_a_database(tmp_path: Path) -> None:
    for kind in (Reports, Requests):
        with pytest.raises(StoreError, match="holds no database yet"):
            kind.open(tmp_path)
    filled_store = FilledStore(tmp_path / "filled_store")
    filled_store.fill()
    with closing(sqlite3.connect(filled_store.state / "lalald.sqlite3")) as connection, connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    for kind in (Reports, Requests):
        with pytest.raises(StoreError, match="version 0"):
            kind.open(filled_store.state)
    assert os.listdir(tmp_path) == ["filled_store"]


def states(filled_store: FilledStore) -> dict[int, tuple[int, Request | None]]:
    with Reports.open(filled_store.state) as reports:
        return {report.job.id: (report.job.revision, report.job.request) for report in reports.jobs()}


def test_a_request_leaves_the_revision_alone(filled_store: FilledStore) -> None:
    before = states(filled_store)
    with Requests.open(filled_store.state) as requests:
        requests.leave(Request.CANCEL, [6, 7])
        requests.leave(Request.RETRY, [2])
        assert requests.asked() == 3
    asked = {6: Request.CANCEL, 7: Request.CANCEL, 2: Request.RETRY}
    assert states(filled_store) == {number: (revision, asked.get(number)) for number, (revision, _) in before.items()}


def test_a_request_left_while_the_daemon_carries_the_job_meets_it_at_its_next_save(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
    assert isinstance(job, Job)
    with Requests.open(filled_store.state) as requests, requests.together():
        requests.leave(Request.CANCEL, [6])
    with filled_store.store() as store:
        saved = store.save(job, job.with_task(replace(job.tasks[0], progress=80)))
        assert (saved.request, saved.tasks[0].progress) == (Request.CANCEL, 80)


@pytest.mark.parametrize(
    ("request_", "but", "expected"),
    [
        (Request.CANCEL, [], [2, 4, 5, 6, 7, 8, 9]),
        (Request.RETRY, [], [2, 3]),
        (Request.RELEASE, [], [4, 5]),
        (Request.RELEASE, [Hold.LOST_TASK], [4]),
    ],
)
def test_all_are_those_that_the_request_fits(
    filled_store: FilledStore, request_: Request, but: list[Hold], expected: list[int]
) -> None:
    with Requests.open(filled_store.state) as requests:
        assert requests.leave_all(request_, but=but) == len(expected)
        asked = [report for report in requests.jobs() if report.job.request is request_]
        assert [report.job.id for report in asked] == expected
        assert {report.job.state for report in asked} <= FITTING[request_]


def test_all_can_be_narrowed_to_a_state(filled_store: FilledStore) -> None:
    with Requests.open(filled_store.state) as requests:
        assert requests.leave_all(Request.RETRY, states=[State.FAILED]) == 1


def test_what_is_asked_of_the_daemon_itself_is_asked_once_and_in_order(filled_store: FilledStore) -> None:
    with Requests.open(filled_store.state) as requests:
        requests.ask(Kind.RESCAN, now=lambda: NOW)
        requests.ask(Kind.REDO, "1", now=lambda: NOW)
        requests.ask(Kind.REDO, "1", now=lambda: NOW)
        requests.ask(Kind.RESCAN, now=lambda: NOW)
        requests.ask(Kind.RESCAN, "/in", now=lambda: NOW)
        assert requests.asked() == 3
    with filled_store.store() as store:
        asked = store.requests.all()
        assert [request[1:] for request in asked] == [("rescan", None), ("redo", "1"), ("rescan", "/in")]
        store.requests.drop(asked[1][0])
        assert store.requests.all() == [asked[0], asked[2]]


def test_requests_made_together_are_made_whole_or_not_at_all(filled_store: FilledStore) -> None:
    def ask_half(requests: Requests) -> None:
        with requests.together():
            requests.leave(Request.CANCEL, [6])
            requests.ask(Kind.RESCAN)
            raise KeyboardInterrupt

    with Requests.open(filled_store.state) as requests:
        with pytest.raises(KeyboardInterrupt):
            ask_half(requests)
        assert requests.asked() == 0


def test_a_request_waits_for_a_daemon_that_writes(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.connection.execute("UPDATE jobs SET attempts = 9 WHERE id = 8")
        asked = threading.Event()

        def ask() -> None:
            with Requests.open(filled_store.state) as requests, requests.together():
                requests.leave(Request.CANCEL, [8])
            asked.set()

        thread = threading.Thread(target=ask)
        thread.start()
        assert not asked.wait(0.3)
    thread.join(10)
    assert asked.is_set()
    assert states(filled_store)[8][1] is Request.CANCEL


def test_the_questions_of_a_summary_use_indices(filled_store: FilledStore) -> None:
    """With 100,000 jobs a look at each row would make every `status` slow."""
    plans: list[str] = []
    with Reports.open(filled_store.state) as reports:
        queries: list[str] = []
        reports.connection.set_trace_callback(queries.append)
        reports.counts()
        reports.under_way(20)
        reports.holds()
        reports.failures(5)
        reports.finished(3)
        reports.waiting_price()
        list(islice(reports.jobs(states=[State.FAILED], limit=50), 1))
        reports.spent_since(NOW)
        reports.asked()
        skipped_files(reports.connection, ["/in", "/other"])
        reports.connection.set_trace_callback(None)
        for query in {query for query in queries if query.startswith("SELECT")}:
            plans += [f"{row[3]}  <- {query}" for row in reports.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    full = [plan for plan in plans if plan.startswith("SCAN jobs") and "INDEX" not in plan.split("<-")[0]]
    assert full == []
    assert any("jobs_finished" in plan for plan in plans)
    files = [plan for plan in plans if "FROM files" in plan]
    assert files
    assert all("files_skipped" in plan.split("<-")[0] for plan in files)
    assert any("SCAN requests" in plan for plan in plans)


@pytest.mark.parametrize("is_agreed", [False, True])
def test_a_copy_costs_its_price_once_a_person_agreed_to_pay_again(tmp_path: Path, *, is_agreed: bool) -> None:
    filled = FilledStore(tmp_path)
    with filled.store() as store:
        first = filled.take(store, "podcasts/first.mp3")
        store.save(first, replace(first, state=State.DONE, stage=Stage.DONE))
        copy = filled.take(store, "podcasts/copy.mp3")
        store.save(copy, replace(copy, duplicate_of=first.id, duplicate_accepted=is_agreed))
    minutes = 3.0 if is_agreed else 0.0
    with Reports.open(filled.state) as reports:
        assert (reports.waiting_price(), reports.waiting_minutes()) == ((minutes, 0), minutes)


def test_a_request_for_a_folder_whose_name_is_not_utf8_reaches_the_daemon(filled_store: FilledStore) -> None:
    folder = "/in\udcff"
    with Requests.open(filled_store.state) as requests:
        requests.ask(Kind.RELEASE_FOLDER, folder)
    with filled_store.store() as store:
        assert [(kind, argument) for _, kind, argument in store.requests.all()] == [(Kind.RELEASE_FOLDER, folder)]
