"""What the commands that look say: whole outputs, of the real program on a real store."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald import __version__
from lalald.commands.command_list import VERBS
from lalald.commands.jobs import job_lines
from lalald.commands.output.lines import plain as plain_lines
from lalald.commands.output.status_screen import lines
from lalald.commands.parser import build
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import ConfigError, StoreError
from lalald.jobs.states import Hold, State
from lalald.jobs.transfer_progress import TransferProgress
from lalald.reports.hold_advice import TO_DO
from lalald.reports.status_json import facts as status_facts
from lalald.reports.status_report import Folders, gather
from lalald.store import NewFile, Store
from lalald.store.file_types import SkipReason
from lalald.store.queries import Reports
from tests.support.another_user import BECOME_NOBODY
from tests.support.filled_store import DAY, HOUR, NOW, ODD_NAME, FilledStore, answering


@pytest.fixture
def empty(tmp_path: Path) -> FilledStore:
    return FilledStore(tmp_path)


@pytest.fixture
def filled_store(empty: FilledStore) -> FilledStore:
    empty.fill()
    return empty


@pytest.fixture(autouse=True)
def _universal_time() -> Iterator[None]:
    """Moments are told in local time; in this process and in those it starts."""
    import time

    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def status_of(filled_store: FilledStore, now: float = NOW, width: int | None = None) -> str:
    overview = gather(filled_store.state, Folders([str(filled_store.inbox)], [str(filled_store.outbox)]), None, now)
    return filled_store.plain(plain_lines(lines(overview, width)))


STATUS = """\
lalald 0.1.0 is running since 2027-01-13 08:00  /config

! 1 job failed 4 h ago: #2 bad.mp3: the service refused it: no audio in it (HTTP 400, request id 0123456789abcdef). Nothing was charged.
  `lalald jobs --failed` lists them; `lalald retry ID` resumes one, `lalald cancel ID` dismisses it.
! 1 job held (lost_task): #5 the task started, and its id never came
  `lalald release ID` pays again, `lalald cancel ID` ends the job, `lalald show ID` explains.
! 1 job held (minutes, about 9.0 min): #4 needs 9.0 minutes, minutes.per_file allows 5
  Top up, or raise the limits and reload: they resume. `lalald release ID` lets one past its limit, never past the minutes left.

running   #7  sending.wav  uploading   25 %  250 kB/s  15 s left
          #6  mix.wav      processing  20 %
waiting   2 jobs (2 to upload); about 18.0 min will be charged
finished  #1  podcasts/ep1.mp3  → /out/podcasts/ep1  3.0 min charged  39 d ago
jobs      1 done, 1 failed, 2 held, 1 cancelled
minutes   33.5 left (asked 5 min ago, less 9.0 charged since); 9.0 charged today, 9.0 this month
inboxes   /in  watched, native
"""


def test_status_shows_what_needs_a_person_then_what_runs_then_what_is_done(filled_store: FilledStore) -> None:
    with answering(filled_store.state):
        assert status_of(filled_store) == STATUS


@pytest.mark.parametrize("width", [80, 120, 200])
def test_status_fits_the_terminal_and_24_lines(filled_store: FilledStore, width: int) -> None:
    with answering(filled_store.state):
        printable = status_of(filled_store, width=width).splitlines()
    assert len(printable) <= 24
    assert [line for line in printable if len(line) > width] == []
    report = " ".join(printable)
    for command in ("`lalald jobs --failed`", "`lalald retry ID`", "`lalald release ID`"):
        assert command in report, "a command is never broken"
    for words in ("25 %", "250 kB/s", "15 s left", "3.0 min charged", "39 d ago"):
        assert words in report


def test_minutes_charged_are_reported_by_day_and_month(filled_store: FilledStore) -> None:
    def charged(now: float) -> list[str]:
        return list(re.findall(r"([\d.]+) (?:charged today|this month)", status_of(filled_store, now)))

    assert charged(NOW) == ["9.0", "9.0"]
    assert charged(NOW + DAY) == ["0.0", "9.0"]
    assert charged(NOW + 20 * DAY) == ["0.0", "0.0"]
    assert charged(NOW - 39 * DAY) == ["9.0", "12.0"]


def test_status_of_a_stopped_daemon_says_so_and_ends_with_3(filled_store: FilledStore) -> None:
    assert filled_store.said("status", code=3).startswith(
        "lalald is not running, or does not respond  state folder /state\n"
        "\n"
        "! Start it: `lalald run`, or `systemctl start lalald`.\n"
    )


def test_status_ends_with_1_where_jobs_failed_or_are_held_and_with_0_where_all_is_well(
    filled_store: FilledStore,
) -> None:
    with answering(filled_store.state):
        filled_store.said("status", code=1)
        with filled_store.store() as store:
            store.connection.execute("UPDATE jobs SET state = 'done', stage = 'done' WHERE state IN ('failed', 'held')")
        assert filled_store.run("status").returncode == 0
    with answering(filled_store.state, well=False):
        filled_store.said("status", code=3)


# what `status --json` says of the filled store, without minutes
DAEMON_AND_ATTENTION: dict[str, Any] = {
    "daemon": {
        "running": False,
        "state_dir": "/state",
        "pid": 4242,
        "version": "0.1.0",
        "config": "/config",
        "started_at": "2027-01-13T08:00:00Z",
    },
    "needs_attention": [
        {
            "code": "daemon_not_running",
            "subject": "",
            "message": "lalald is not running, or does not respond.",
            "hint": "Start it: `lalald run`, or `systemctl start lalald`.",
        },
        {
            "code": "jobs_failed",
            "subject": "",
            "message": "1 job failed at 2027-01-15 04:00:00: #2 bad.mp3: the service refused it: no audio in it"
            " (HTTP 400, request id 0123456789abcdef). Nothing was charged.",
            "hint": "`lalald jobs --failed` lists them; `lalald retry ID` resumes one, `lalald cancel ID` dismisses it.",
        },
        {
            "code": "hold_lost_task",
            "subject": "",
            "message": "1 job held (lost_task): #5 the task started, and its id never came",
            "hint": TO_DO[Hold.LOST_TASK],
        },
        {
            "code": "hold_minutes",
            "subject": "",
            "message": "1 job held (minutes, about 9.0 min): #4 needs 9.0 minutes, minutes.per_file allows 5",
            "hint": TO_DO[Hold.MINUTES],
        },
    ],
}
NO_TROUBLE: dict[str, Any] = {
    "license": {"trouble": None, "reason": None, "hint": None, "since": None},
    "config_error": None,
    "config_rejected": None,
    "service": {"trouble": None, "since": None},
    "set_aside": [],
    "unreadable_jobs": [],
    "stopped_steps": [],
}
FOLDERS_AND_COUNTS: dict[str, Any] = {
    "inboxes": [
        {
            "path": "/in",
            "available": True,
            "reason": "",
            "watch": None,
            "watch_reason": None,
            "since": None,
        },
    ],
    "outboxes": [{"path": "/out", "available": None, "reason": None, "since": None}],
    "archive_folders": [],
    "jobs": {"waiting": 2, "running": 2, "held": 2, "failed": 1, "cancelled": 1, "done": 1},
    "stages": {"upload": 3, "split": 0, "check": 1, "download": 0, "delete": 0, "archive": 0},
    "requests": 0,
}
JOBS_UNDER_WAY_AND_FINISHED: dict[str, Any] = {
    "under_way": [
        {
            "id": 7,
            "inbox": "/in",
            "path": "sending.wav",
            "stage": "upload",
            "progress": 25.0,
            "updated_at": "2027-01-15T07:59:00Z",
            "rate": None,
            "seconds_left": None,
        },
        {
            "id": 6,
            "inbox": "/in",
            "path": "mix.wav",
            "stage": "check",
            "progress": 20.0,
            "updated_at": "2027-01-15T07:59:00Z",
            "rate": None,
            "seconds_left": None,
        },
    ],
    "waiting": {"minutes": 18.0, "unknown": 0},
    "finished": [
        {
            "id": 1,
            "inbox": "/in",
            "path": "podcasts/ep1.mp3",
            "folder": "/out/podcasts/ep1",
            "minutes": 3.0,
            "finished_at": "2026-12-06T20:00:00Z",
            "same_as": None,
            "warning": None,
        }
    ],
    "skipped": [],
}
HOLDS_AND_FAILURES: dict[str, Any] = {
    "holds": [
        {
            "hold": "lost_task",
            "jobs": 1,
            "since": "2027-01-15T07:00:00Z",
            "reason": "the task started, and its id never came",
            "job_id": 5,
            "minutes": 0.0,
            "unknown": 0,
            "is_stalled": False,
            "to_do": TO_DO[Hold.LOST_TASK],
        },
        {
            "hold": "minutes",
            "jobs": 1,
            "since": "2027-01-15T06:00:00Z",
            "reason": "needs 9.0 minutes, minutes.per_file allows 5",
            "job_id": 4,
            "minutes": 9.0,
            "unknown": 0,
            "is_stalled": False,
            "to_do": TO_DO[Hold.MINUTES],
        },
    ],
    "incomplete": [],
    "notify": [],
    "failures": [
        {
            "id": 2,
            "inbox": "/in",
            "path": "bad.mp3",
            "stage": "upload",
            "progress": None,
            "updated_at": "2027-01-15T04:00:00Z",
            "error": "the service refused it: no audio in it (HTTP 400, request id 0123456789abcdef). Nothing was charged.",
        }
    ],
}


def test_status_as_json_has_its_keys(filled_store: FilledStore) -> None:
    facts = json.loads(filled_store.said("status", "--json", code=3))
    minutes = facts.pop("minutes")  # what was charged depends on the day of the test
    assert sorted(minutes) == ["left", "left_at", "this_month", "today"]
    assert (minutes["left"], minutes["left_at"]) == (33.5, "2027-01-15T07:55:00Z")
    assert facts == {
        **DAEMON_AND_ATTENTION,
        **NO_TROUBLE,
        **FOLDERS_AND_COUNTS,
        **JOBS_UNDER_WAY_AND_FINISHED,
        **HOLDS_AND_FAILURES,
    }


def test_status_counts_skipped_files_by_reason(filled_store: FilledStore) -> None:
    assert "skipped" not in status_of(filled_store)
    inbox = str(filled_store.inbox)
    for name, reason in (
        ("liner.pdf", SkipReason.NO_RULE),
        ("scans/cover.jpg", SkipReason.NO_RULE),
        ("scans/cut off.wav", SkipReason.EMPTY),
        ("old.wav", SkipReason.EXISTING),
    ):
        with filled_store.store() as store:
            store.add_files([NewFile(inbox, name, 9, 1, 1, None, None, skip_reason=reason)], NOW)
    words = "such as liner.pdf: no rule processes them; `lalald plan` says why"
    empty = "1 file, such as scans/cut off.wav: it is empty; copy it again"
    assert f"\nskipped   2 files, {words}\n          {empty}\n" in status_of(filled_store)
    assert json.loads(filled_store.said("status", "--json", code=3))["skipped"] == [
        {"code": "no_rule", "files": 2, "example": "liner.pdf"},
        {"code": "empty", "files": 1, "example": "scans/cut off.wav"},
    ]


def test_status_names_the_file_whose_results_a_copy_got(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.connection.execute("UPDATE jobs SET duplicate_of = 2, minutes = 0 WHERE id = 1")
        store.connection.execute("DELETE FROM charges WHERE job_id = 1")
        store.connection.execute("UPDATE tasks SET minutes = NULL, paid_by = 2 WHERE job_id = 1")
    assert "free, same as #2 bad.mp3" in status_of(filled_store)
    (finished,) = json.loads(filled_store.said("status", "--json", code=3))["finished"]
    assert finished["same_as"] == "bad.mp3"


def test_status_counts_the_warnings_of_what_has_finished(filled_store: FilledStore) -> None:
    assert "warning" not in status_of(filled_store)
    with filled_store.store() as store:
        store.connection.execute("UPDATE tracks SET tag_notes = 'no_room' WHERE job_id = 1")
    rows = status_of(filled_store).partition("\nfinished  ")[2].splitlines()
    assert (rows[0].rpartition("  ")[2], rows[1].strip()) == ("1 warning", "`lalald show 1` lists the warnings")
    (finished,) = json.loads(filled_store.said("status", "--json", code=3))["finished"]
    assert finished["warning"].endswith("got no tags: the outbox had no room to write them")


def test_a_running_daemon_tries_a_failing_service_again_and_says_so(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.state.set("service", {"trouble": "no answer within 30 s", "since": NOW - 60}, NOW)
    with answering(filled_store.state):
        said = status_of(filled_store)
    assert "\nservice   no answer within 30 s (since 07:59); it is tried again automatically\n" in said


def test_status_shows_troubles_of_inboxes_service_and_configuration(empty: FilledStore, tmp_path: Path) -> None:
    inboxes = [str(tmp_path / name) for name in ("gone", "polled", "new")]
    with empty.store() as store:
        store.folders.set_inbox_state(
            inboxes[0], available=False, reason="it is not mounted", watch="", watch_reason="", now=NOW
        )
        store.folders.set_inbox_state(
            inboxes[1],
            available=True,
            reason="settle is 10 s",
            watch="polling",
            watch_reason="nfs tells nothing",
            now=NOW,
        )
        store.state.set("service", {"trouble": "no answer within 30 s", "since": NOW - HOUR}, NOW)
    overview = gather(empty.state, Folders(inboxes, []), "config.yaml: 2 errors", NOW)
    report = plain_lines(lines(overview, None)).replace(str(tmp_path), "")
    assert report == (
        "lalald is not running, or does not respond  state folder /state\n"
        "\n"
        "! Start it: `lalald run`, or `systemctl start lalald`.\n"
        "! The configuration cannot be used: config.yaml: 2 errors\n"
        "  lalald would not start with it; `lalald check-config` lists every error.\n"
        "! The inbox /gone is unavailable: it is not mounted\n"
        "  Bring it back; its jobs resume. If it was replaced on purpose: `lalald release /gone`.\n"
        "! The service does not answer as it should: no answer within 30 s (since 2027-01-15 07:00:00)\n"
        "  Check the network; jobs wait and resume automatically.\n"
        "\n"
        "service   no answer within 30 s (since 07:00)\n"
        "stopped   no jobs\n"
        "jobs      0 done\n"
        "minutes   0.0 charged today, 0.0 this month; minutes left: not known yet\n"
        "inboxes   /gone    unavailable since 08:00\n"
        "          /polled  not watched\n"
        "          /new     not watched\n"
    )


def test_status_works_while_the_configuration_has_errors(filled_store: FilledStore) -> None:
    filled_store.config.write_text(filled_store.config.read_text() + "outpox: 1\n")
    report = filled_store.said("status", code=3)
    assert "lalald would not start with it; `lalald check-config` lists every error." in report
    assert "inboxes   /in  not watched" in report


def test_status_shows_six_running_jobs_and_the_latest_failure_and_counts_the_rest(empty: FilledStore) -> None:
    with empty.store() as store:
        for number in range(23):
            store.set_progress({empty.take(store, f"{number}.mp3").id: TransferProgress(50, 100)})
        for number in range(7):
            job = empty.take(store, f"podcasts/{number}.mp3")
            store.save(job, replace(job, state=State.FAILED, error="broken"))
    with answering(empty.state):
        report = status_of(empty)
    assert report.count("uploading  50 %") == 6
    assert "          and 17 more jobs\n" in report
    assert "! 7 jobs failed; the latest 0 s ago: #30 podcasts/6.mp3: broken\n" in report


def test_a_stopped_daemon_moves_nothing(filled_store: FilledStore) -> None:
    report = status_of(filled_store)
    assert "stopped   #7  sending.wav  uploading   25 %\n" in report
    assert "left\n" not in report


def test_watching_needs_a_terminal(filled_store: FilledStore) -> None:
    assert filled_store.complained("status", "--watch") == (
        "lalald: --watch needs a terminal.\n  Programs can use `lalald status --json`.\n"
    )


def jobs_of(filled_store: FilledStore, width: int | None, *, with_reasons: bool = False) -> list[str]:
    with Reports.open(filled_store.state) as reports:
        return plain_lines(job_lines(list(reports.jobs()), NOW, width, with_reasons=with_reasons)).splitlines()


def test_jobs_are_one_line_each_with_the_newest_last_and_odd_names_escaped(filled_store: FilledStore) -> None:
    whole = jobs_of(filled_store, None)
    assert len(whole) == 10
    assert whole[0].split() == ["ID", "STATE", "FILE", "RULE", "MINUTES", "AGE", "REASON"]
    assert [re.split(r"  +", line.strip()) for line in whole[1:]] == [
        ["1", "done", "podcasts/ep1.mp3", "podcasts", "3.0", "39 d"],
        ["2", "failed upload", "bad.mp3", "remix", "-", "4 h", whole[2][whole[2].index("the service") :]],
        ["3", "cancelled", "podcasts/stopped.mp3", "podcasts", "-", "3 h", "it was cancelled"],
        ["4", "held minutes", "long.mp3", "remix", "-", "2 h", "needs 9.0 minutes, minutes.per_file allows 5"],
        ["5", "held lost_task", "podcasts/lost.mp3", "podcasts", "-", "60 min", "the task started, and its id never came"],
        ["6", "check 20 %", "mix.wav", "remix", "9.0", "60 s"],
        ["7", "upload 25 %", "sending.wav", "remix", "-", "60 s"],
        ["8", "waiting upload", "patient.wav", "remix", "-", "10 s", "no answer within 30 s"],
        ["9", "waiting upload", r"caf\udce9\nlatte\x1b[31m.wav", "remix", "-", "5 s"],
    ]  # fmt: skip
    assert whole[2].endswith("no audio in it (HTTP 400, request id 0123456789abcdef). Nothing was charged.")
    assert "request id 0123456789abcdef). Nothing was charged." in filled_store.run("jobs").stdout, (
        "piped, nothing is shortened"
    )


def test_jobs_fit_80_columns_and_show_the_rule_where_there_is_room(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        long = "podcasts/" + "a very long name " * 10 + "końcówka.mp3"
        filled_store.take(store, long)
    narrow, wide = jobs_of(filled_store, 80), jobs_of(filled_store, 120)
    assert len(narrow) == len(wide) == 11
    assert max(map(len, narrow)) <= 80 < max(map(len, wide)) <= 120
    assert ("RULE" in narrow[0], "RULE" in wide[0]) == (False, True)
    assert re.search(r"  podcasts/a.*….*ka\.mp3  ", narrow[10]), "without its middle"
    assert re.search(r"  the service .*…$", narrow[2]), "without its end"


def test_failed_and_held_jobs_have_their_reason_in_a_separate_line(filled_store: FilledStore) -> None:
    said = filled_store.said("jobs", "--failed", "--held").splitlines()
    assert [" ".join(line.split())[:13] for line in said[1::2]] == ["2 failed uplo", "4 held minute", "5 held lost_t"]
    assert said[4] == "  needs 9.0 minutes, minutes.per_file allows 5"
    narrow = jobs_of(filled_store, 40, with_reasons=True)
    assert narrow[4] == "  the service refused it: no audio in…"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--failed",), [2]),
        (("--held",), [4, 5]),
        (("--failed", "--held"), [2, 4, 5]),
        (("--stage", "upload"), [2, 3, 4, 7, 8, 9]),
        (("--stage", "upload", "--held"), [4]),
        (("--stage", "done"), [1]),
        (("--limit", "2"), [8, 9]),
        (("--limit", "2", "--stage", "upload"), [8, 9]),
        (("--limit", "0"), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (("--stage", "delete"), []),
    ],
)
def test_jobs_can_be_chosen(filled_store: FilledStore, arguments: tuple[str, ...], expected: list[int]) -> None:
    assert [job["id"] for job in json.loads(filled_store.said("jobs", "--json", *arguments))] == expected
    rows = filled_store.said("jobs", *arguments).splitlines()
    assert [int(row.split()[0]) for row in rows if re.match(r" *\d+  ", row)] == expected


def test_jobs_that_are_not_shown_are_counted(filled_store: FilledStore) -> None:
    code, out, report = filled_store.call("jobs", "--limit", "4")
    assert (code, report) == (0, "5 older jobs not shown; --limit 0 shows all.\n")
    assert len(out.splitlines()) == 5
    assert filled_store.said("jobs", "--stage", "delete") == "No jobs.\n"


@pytest.mark.parametrize("is_set_aside", [True, False])
def test_jobs_whose_rows_cannot_be_read_are_named(filled_store: FilledStore, is_set_aside: bool) -> None:
    with closing(Store.open(filled_store.state)) as store, store.connection:
        store.connection.execute("UPDATE jobs SET hold_source = 'of a later version' WHERE id IN (1, 8)")
        if is_set_aside:
            store.jobs_by_id([1, 8])
    reported = "2 jobs cannot be read from the database and are not listed: 1, 8. `lalald status` says what to do.\n"
    code, out, report = filled_store.call("jobs")
    assert (code, len(out.splitlines()), report) == (0, 1 + 7, reported)
    code, out, report = filled_store.call("jobs", "--json")
    assert (code, [job["id"] for job in json.loads(out)], report) == (0, [2, 3, 4, 5, 6, 7, 9], reported)


RUNNING_JOB: dict[str, Any] = {
    "id": 6,
    "inbox": "/in",
    "path": "mix.wav",
    "rule": "remix",
    "stage": "check",
    "state": "running",
    "hold": None,
    "hold_reason": None,
    "held_at": None,
    "error": None,
    "warning": None,
    "progress": 20.0,
    "minutes": 9.0,
    "attempts": 0,
    "due_at": None,
    "created_at": "2027-01-15T07:50:00Z",
    "updated_at": "2027-01-15T07:59:00Z",
    "uploaded_at": None,
    "delivered_at": None,
    "finished_at": None,
    "request": None,
    "file": "/in/mix.wav",
    "size": 5_000_000,
    "duration": 180.0,
    "sha256": None,
    "source_id": "source-6",
    "expires_at": None,
    "duplicate_of": None,
    "ignore_duplicates": False,
    "outbox": "/out",
    "tracks": [],
}
ITS_TASKS: list[dict[str, Any]] = [
    {
        "number": 1,
        "name": "lead",
        "mode": "stem_separator",
        "presets": {"stem": "vocals", "multivocal": "lead_back"},
        "task_id": "task-6a",
        "stage": "check",
        "state": "running",
        "progress": 40,
        "minutes": 3.0,
        "started_at": "2027-01-15T07:59:00Z",
        "idempotency_key": None,
        "error": None,
        "failure": None,
        "incomplete_since": None,
    },
    {
        "number": 2,
        "name": None,
        "mode": "multistem",
        "presets": {"stem_list": ["drum", "bass"]},
        "task_id": "task-6b",
        "stage": "check",
        "state": "running",
        "progress": None,
        "minutes": 6.0,
        "started_at": "2027-01-15T07:59:00Z",
        "idempotency_key": None,
        "error": None,
        "failure": None,
        "incomplete_since": None,
    },
]


def test_a_job_as_json_has_its_keys(filled_store: FilledStore) -> None:
    jobs = {job["id"]: job for job in json.loads(filled_store.said("jobs", "--json"))}
    assert [job["state"] for job in jobs.values()] == [
        "done", "failed", "cancelled", "held", "held", "running", "running", "waiting", "waiting",
    ]  # fmt: skip
    assert jobs[6] == {**RUNNING_JOB, "tasks": ITS_TASKS}
    assert jobs[1]["tracks"] == [
        {
            "task": 1,
            "label": label,
            "type": kind,
            "path": f"/out/podcasts/ep1/{label}.mp3",
            "size": 1_000_000,
            "sha256": "ab" * 32,
            "sent_sha256": None,
            "tag_notes": [],
            "declared_size": None,
            "wanted": True,
            "delivered": True,
            "missing": False,
        }
        for label, kind in (("voice", "stem"), ("no_voice", "back"))
    ]
    assert jobs[1]["file"] == "/in/done/podcasts/ep1.mp3"
    assert (jobs[8]["attempts"], jobs[8]["due_at"], jobs[8]["error"]) == (
        3,
        "2027-01-15T08:01:30Z",
        "no answer within 30 s",
    )
    assert (jobs[4]["hold"], jobs[4]["hold_reason"]) == ("minutes", "needs 9.0 minutes, minutes.per_file allows 5")


def test_json_is_ascii_and_gives_an_odd_name_back_byte_for_byte(filled_store: FilledStore) -> None:
    said = filled_store.said("jobs", "--json")
    assert said.isascii()
    assert json.loads(said)[-1]["path"] == ODD_NAME


def test_json_of_no_jobs_is_an_empty_list(empty: FilledStore) -> None:
    with empty.store():
        pass
    assert json.loads(empty.said("jobs", "--json")) == []


SHOW = """\
job 5
  state            held
  stage            split
  held             lost_task since 2027-01-15 07:00:00
  reason           the task started, and its id never came
  to do            `lalald release 5`: it is started again and pays; `lalald cancel 5` ends it
  file             /in/podcasts/lost.mp3
  dropped as       podcasts/lost.mp3
  inbox            /in
  outbox           /out
  rule             podcasts
  size             5 MB (5,000,000 bytes)
  duration         3m
  minutes charged  0.0
  source id        source-5
  source expires   -
  sha256           -

steps
  dropped      2027-01-15 06:00:00
  last change  2027-01-15 07:00:00

task 1: voice_clean
  state            waiting
  stage            split
  presets          {"dereverb_enabled": true, "stem": "voice"}
  task id          -
  idempotency key  key-5
  started          -
  minutes charged  -
"""


def test_show_has_everything_about_a_job(filled_store: FilledStore) -> None:
    assert filled_store.said("show", "5") == SHOW
    done = filled_store.said("show", "#1")
    assert done.splitlines()[-5:] == [
        "  track voice      /out/podcasts/ep1/voice.mp3 (1 MB)",
        "  track no_voice   /out/podcasts/ep1/no_voice.mp3 (1 MB)",
        "",
        "charges",
        "  2026-12-06 08:00:00  3.0 min  task 1  task-1",
    ]
    assert "  results          /out/podcasts/ep1\n" in done
    assert (
        "steps\n"
        "  dropped         2026-12-06 08:00:00\n"
        "  task 1 started  2026-12-06 08:00:00\n"
        "  finished        2026-12-06 20:00:00\n"
    ) in done
    assert "  attempts         3 failed attempts, next at 2027-01-15 08:01:30\n" in filled_store.said("show", "8")
    failed = filled_store.said("show", "2")
    assert "request id 0123456789abcdef" in failed
    assert "  to do            Drag the file back into /in, or run `lalald retry 2`." in failed


def test_show_as_json_is_the_object_of_the_list(filled_store: FilledStore) -> None:
    assert json.loads(filled_store.said("show", "6", "--json")) == json.loads(filled_store.said("jobs", "--json"))[5]


@pytest.mark.parametrize("word", ["99", "0", "x", "-1", "1.5", "9" * 30, "9" * 5000, "٣"])
def test_an_unknown_job_is_a_plain_error(filled_store: FilledStore, word: str) -> None:
    complaint = filled_store.complained("show", "--", word)
    assert complaint == f"lalald: no such job: {word}. No change was made.\n  `lalald jobs` lists them.\n"


def test_without_a_store_commands_say_what_is_missing(empty: FilledStore) -> None:
    for command in (["status"], ["jobs"], ["show", "1"], ["retry", "1"], ["rescan"], ["cancel", "--all"]):
        complaint = empty.complained(*command, code=3)
        assert complaint == (
            "lalald: /state holds no database yet.\n  lalald has not run with this state folder yet: start it with `lalald run`.\n"
        )


def test_a_damaged_database_is_reported_and_not_changed(filled_store: FilledStore) -> None:
    database = filled_store.state / "lalald.sqlite3"
    database.write_bytes(b"this is no database, whatever its name says" * 100)
    complaint = filled_store.complained("jobs", code=2)
    assert "is damaged or no database" in complaint
    assert "Traceback" not in complaint
    assert database.read_bytes().startswith(b"this is no database")


def test_a_backup_is_not_written_to_a_name_that_the_database_uses(filled_store: FilledStore) -> None:
    for name in (
        "lalald.sqlite3-wal",
        "lalald.sqlite3.version-3",
        "lalald.lock",
        "lalald.sock",
        "inspected",
        "web-key",
    ):
        target = filled_store.state / name
        complaint = filled_store.complained("backup", str(target), code=2)
        assert f"{name} is a name of lalald's own in its state folder" in complaint
        assert not target.exists()
    assert filled_store.call("backup", str(filled_store.state / "monday.sqlite3"))[0] == 0
    complaint = filled_store.complained("backup", str(filled_store.state / "missing" / "monday.sqlite3"), code=2)
    assert "/missing is not a folder" in complaint
    assert "/new is not a folder" in filled_store.complained("backup", str(filled_store.state / "new") + "/", code=2)


def test_damage_that_shows_only_when_it_is_read_is_reported_in_plain_words(filled_store: FilledStore) -> None:
    database = filled_store.state / "lalald.sqlite3"
    content = database.read_bytes()
    database.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))
    for command in (
        ["jobs"],
        ["jobs", "--json"],
        ["status"],
        ["show", "1"],
        ["retry", "--failed"],
        ["cancel", "--all"],
    ):
        code, out, complaint = filled_store.call(*command)
        assert code == 2, command
        error = json.loads(out) if "--json" in command else {"error": complaint, "hint": complaint}
        assert "is damaged" in error["error"]
        assert "restore a backup" in error["hint"].lower()


@pytest.mark.parametrize(
    "call",
    [
        "Reports.open(state)",
        "backup.run(Namespace(config=None, file=str(state.parent / 'copy'), json=False))",
        "relocate.run(Namespace(config=None, old='/old', new='/tmp', json=False))",
    ],
)
def test_another_user_is_reported_why_nothing_can_be_read(open_folder: Path, call: str) -> None:
    filled_store = FilledStore(open_folder)
    filled_store.fill()
    filled_store.state.chmod(0o700)
    error = error_of_nobody(call, filled_store.state)
    if os.getuid() == 0:
        assert error.startswith("lalald.errors.StoreError: ")
        assert "may not be read by this user" in error


def test_a_backup_into_a_closed_folder_is_reported(open_folder: Path) -> None:
    closed = open_folder / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    call = f"backup.run(Namespace(config=None, file={str(closed / 'inner' / 'copy')!r}, json=False))"
    error = error_of_nobody(call, open_folder / "state")
    if os.getuid() == 0:
        assert error.startswith("lalald.errors.FolderPermissionError: ")
        assert "Permission denied" in error


def error_of_nobody(call: str, state: Path) -> str:
    """The last line of what a user who owns nothing gets; this user, if that is not root. The program is imported before."""
    script = f"""
import os
from argparse import Namespace
from pathlib import Path
from lalald.commands import backup, relocate
from lalald.store.queries import Reports
{BECOME_NOBODY}
state = Path({str(state)!r})
{call}
"""
    environ = {**os.environ, "LALALD_STATE_DIR": str(state)}
    answer = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    return answer.stderr.strip().rpartition("\n")[2]


def test_without_a_command_help_lists_every_command(empty: FilledStore) -> None:
    said = empty.run().stdout
    assert said == empty.said("--help")
    for name, verb in VERBS.items():
        assert f"  {name:<14}{verb.summary}" in joined(said)
    assert empty.said("--version") == f"lalald {__version__} (Python {platform.python_version()})\n"


def joined(text: str) -> str:
    """Without its line breaks, but those that begin a row of the list."""
    return re.sub(r"\n +(?=\S)|\n(?=\w)", lambda found: found[0] if found[0] == "\n  " else " ", text)


@pytest.mark.parametrize("name", VERBS)
def test_every_command_has_a_summary_costs_and_examples_that_parse(name: str) -> None:
    help_text = build([name])._subparsers._group_actions[0].choices[name].format_help()  # type: ignore[union-attr,index]
    verb = VERBS[name]
    assert verb.summary in joined(help_text)
    assert f"costs: {verb.costs}" in joined(help_text)
    assert verb.examples
    for example in verb.examples:
        words = example.split("lalald ", 1)[1].split(" | ")[0].split(" > ")[0].split(" && ")[0].split()
        assert build(words).parse_args(words).command == words[0]


def test_a_misspelt_command_or_option_ends_with_2(empty: FilledStore) -> None:
    assert 'unknown command "statsu" (known: init, check-config' in empty.complained("statsu")
    assert 'Did you mean "status"?' in empty.complained("--config", "/nowhere", "statsu")
    assert "unknown arguments: --jason" in empty.complained("jobs", "--jason")
    assert "unknown arguments: --js" in empty.complained("jobs", "--js")
    assert "expected a number of jobs, got '-5'" in empty.complained("jobs", "--limit=-5")
    assert "expected a number of jobs, got '999" in empty.complained("jobs", "--limit", "9" * 5000)
    assert "argument --stage: invalid choice: 'uploading'" in empty.complained("jobs", "--stage", "uploading")


def test_the_configuration_may_be_named_before_and_after_the_command(filled_store: FilledStore) -> None:
    other = filled_store.config.with_name("other.yaml")
    filled_store.config.rename(other)
    assert filled_store.said("--config", str(other), "jobs") == filled_store.said("jobs", "--config", str(other))
    answer = filled_store.run("jobs")
    assert answer.returncode == 2
    assert filled_store.plain(answer.stderr) == (
        "lalald: LALALD_CONFIG: there is no file /config\n  lalald init writes one to start from\n"
    )


def test_a_reader_that_has_enough_ends_nothing_in_an_error(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        for number in range(400):
            filled_store.take(store, f"podcasts/{number}.mp3")
    writer = subprocess.Popen(
        [sys.executable, "-m", "lalald", "jobs", "--json"],
        env=filled_store.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.read(10)
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(30) == 0


def test_every_hold_says_what_ends_it_and_what_a_release_does(filled_store: FilledStore) -> None:
    report = {
        Hold.LICENSE: "it resumes automatically when the service accepts the license key; `lalald release 4`: it is retried now",
        Hold.MINUTES: "it resumes automatically when its minutes fit your limits; `lalald release 4`: it waives minutes.per_file",
        Hold.DISK: "it resumes automatically when there is room, and nothing is in the way; `lalald release 4`: it is retried now",
        Hold.MOUNT: "it resumes automatically when the folder is back; `lalald release 4`: it is retried now",
        Hold.FIRST_SCAN: "`lalald release 4`: it is processed; `lalald cancel 4` ends it",
        Hold.DUPLICATE: "`lalald release 4`: it is processed again and pays; `lalald cancel 4` ends it",
    }
    for hold, words in report.items():
        with filled_store.store() as store:
            job = store.job(4)
            assert job is not None
            store.save(job, replace(job, hold=hold))
        assert f"  to do            {words}" in filled_store.said("show", "4")


def test_a_job_whose_file_vanished_cannot_be_retried(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = filled_store.take(store, "podcasts/gone.mp3")
        dropped = replace(
            job, state=State.CANCELLED, error="the file changed before anything was spent on it", archived=True
        )
        store.save(job, dropped)
    assert "to do            nothing: the file that now has this name in the inbox is a new job" in filled_store.said(
        "show", str(job.id)
    )


def test_a_demo_whose_folder_cannot_be_made_says_so(filled_store: FilledStore) -> None:
    answer = filled_store.run("demo", "--keep", "/proc/demo/here")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("lalald: /proc/demo/here cannot be created: No such file or directory.\n")


def test_minutes_that_a_retry_has_paid_again_are_counted_and_shown(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(1)
        assert job is not None
        again = replace(job.tasks[0], task_id="again", minutes=3.0)
        store.save(job, job.with_task(again))
    report = "  minutes charged  6.0, 3.0 of them for earlier attempts\n"
    assert report in filled_store.said("show", "1")
    assert json.loads(filled_store.said("show", "1", "--json"))["minutes"] == 6.0


@pytest.mark.parametrize("arguments", [["status"], ["jobs", "--json"], ["schema"]])
def test_an_answer_that_cannot_be_written_is_reported_in_a_sentence(
    filled_store: FilledStore, arguments: list[str]
) -> None:
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "lalald", *arguments],
            env=filled_store.environ, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (
        1,
        "lalald: the answer cannot be written: No space left on device.\n",
    )


def test_closed_streams_are_no_reason_to_fail(filled_store: FilledStore) -> None:
    answer = subprocess.run(
        ["sh", "-c", 'exec "$0" -m lalald jobs <&- >&- 2>/dev/null', sys.executable],
        env=filled_store.environ,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0
    asked = subprocess.run(
        ["sh", "-c", 'exec "$0" -m lalald cancel --all --every-client <&-', sys.executable],
        env=filled_store.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (asked.returncode, "It needs a confirmation; no change was made." in asked.stderr) == (2, True)


def test_a_locale_without_our_letters_does_not_cause_an_error(filled_store: FilledStore) -> None:
    answer = filled_store.run("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert answer.returncode == 3
    assert answer.stderr == ""
    with filled_store.store() as store:
        filled_store.take(store, "podcasts/żółw…🎵.mp3")
    assert "\\u017c\\xf3\\u0142w\\u2026\\U0001f3b5.mp3" in filled_store.run("jobs", PYTHONIOENCODING="ascii").stdout


def test_on_a_terminal_the_same_is_drawn(filled_store: FilledStore) -> None:
    if shutil.which("script") is None:
        pytest.skip("needs script(1) to make a terminal")
    command = f"{sys.executable} -m lalald status"
    environ = {**filled_store.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    answer = subprocess.run(
        ["script", "--return", "--quiet", "--command", command, "/dev/null"],
        env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 3
    assert "\x1b[1mjobs      \x1b[0m" in answer.stdout
    assert "━" in answer.stdout
    assert "the service refused it: no audio in it (HTTP 400, request id 0123456789abcdef)" in answer.stdout


def test_health_ends_with_0_only_while_every_loop_turns(filled_store: FilledStore) -> None:
    missing = (
        "lalald: no daemon responds for the state folder /state, or one of its loops is stuck.\n"
        "  `lalald status` says more; start it with `lalald run` or `systemctl start lalald`.\n"
    )
    assert filled_store.complained("health", code=3) == missing
    with answering(filled_store.state):
        assert filled_store.said("health") == ""
        assert filled_store.said("health", "--timeout", "5") == ""
    with answering(filled_store.state, well=False):
        assert filled_store.complained("health", code=3) == missing


@pytest.mark.parametrize("word", ["-1", "0", "nan", "inf", "soon"])
def test_health_waits_for_some_time_or_says_what_is_expected(filled_store: FilledStore, word: str) -> None:
    complaint = filled_store.complained("health", "--timeout", word)
    assert f"expected a number of seconds above 0, got '{word}'" in complaint


def test_health_loads_next_to_nothing(filled_store: FilledStore) -> None:
    with answering(filled_store.state):
        for environ in ({"LALALD_STATE_DIR": str(filled_store.state)}, {}):
            answer = subprocess.run(
                [sys.executable, "-X", "importtime", "-m", "lalald", "health"],
                env={**filled_store.environ, **environ}, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert answer.returncode == 0
            loaded = {line.rsplit("|", 1)[1].strip() for line in answer.stderr.splitlines()}
            ours = {name for name in loaded if name.startswith("lalald")} - {
                "lalald",
                "lalald.errors",
                "lalald.daemon.process.streams",
            }
            light = {
                "lalald.commands",
                "lalald.commands.health",
                "lalald.control",
                "lalald.control.socket_address",
                "lalald.control.socket_client",
                "lalald.daemon",
                "lalald.daemon.process",
            }
            assert ours == light | (
                set()
                if environ
                else {
                    "lalald.commands.prerequisites",
                    "lalald.commands.prerequisites.state_folder",
                    "lalald.config",
                    "lalald.config.paths",
                    "lalald.config.yaml",
                    "lalald.config.yaml.source_text",
                    "lalald.filesystem",
                    "lalald.filesystem.bounded_calls",
                }
            )
            assert not loaded & {
                "argparse",
                "asyncio",
                "dataclasses",
                "inspect",
                "pydantic",
                "yaml",
                "sqlite3",
                "json",
                "typing",
            }


def folder_by(config: Path, text: str | bytes, **environ: str) -> str:
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(state_dir(str(config), {"HOME": "/home/me", **environ}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state_dir: /var/lib/lalald\n", "/var/lib/lalald"),
        ("log: {level: info}\nstate_dir: /var/lib/lalald   # a local disk\r\ninboxes: []\n", "/var/lib/lalald"),
        ("\ufeffstate_dir: '/with space/#1'\n", "/with space/#1"),
        ('state_dir: "/with space" # why\n', "/with space"),
        ("state_dir: ~/state\n", "/home/me/state"),
        ("state_dir: $BASE/state\n", "/base/state"),
        ("state_dir: state\n", "{root}/state"),
        ("state_dir:\n  /folded\n", "/folded"),
        ('"state_dir": /quoted/key\n', "/quoted/key"),
        ("{state_dir: /flow}\n", "/flow"),
        ("state_dir: &here /anchored\n", "/anchored"),
        ('state_dir: "/esc\\u0061ped"\n', "/escaped"),
        ("# state_dir: /commented\nstate_dir: /real\n", "/real"),
        ("# state_dir: /commented\n", "/home/me/.local/state/lalald"),
        ("state_dir: ~\n", "/home/me/.local/state/lalald"),
        ("state_dir:\n", "/home/me/.local/state/lalald"),
        ("inboxes: []\n", "/home/me/.local/state/lalald"),
        ("", "/home/me/.local/state/lalald"),
        ("inboxes: [\n", "/home/me/.local/state/lalald"),
    ],
)
def test_the_state_folder_is_found_without_reading_all_of_the_configuration(
    tmp_path: Path, text: str, expected: str
) -> None:
    found = folder_by(tmp_path / "config.yaml", text, BASE="/base")
    assert found == expected.format(root=tmp_path)


def test_the_environment_names_the_state_folder_too(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    assert folder_by(config, "state_dir: /a\n", LALALD_STATE_DIR="/b", STATE_DIRECTORY="/c") == "/b"
    assert folder_by(config, "inboxes: []\n", STATE_DIRECTORY="/c:/d") == "/c"
    assert str(state_dir(None, {"LALALD_STATE_DIR": "/b"})) == "/b"


def test_the_full_configuration_agrees_on_the_state_folder(tmp_path: Path) -> None:
    from lalald.config import load

    (tmp_path / "in").mkdir()
    rest = f"inboxes: [{{path: {tmp_path}/in, outbox: {tmp_path}/out, rules: [{{name: r, mode: demuser}}]}}]\n"
    config = tmp_path / "config.yaml"
    texts = [
        "",
        "state_dir: /a/b/../c\n",
        "state_dir: relative\n",
        "state_dir: $BASE/x # y\n",
        "state_dir: '~/x'\n",
        "state_dir:\n",
    ]
    environments: list[dict[str, str]] = [
        {},
        {"LALALD_STATE_DIR": "/e"},
        {"STATE_DIRECTORY": "/s"},
        {"XDG_STATE_HOME": "/x"},
    ]
    for text in texts:
        for extra in environments:
            environ = {"HOME": str(tmp_path), "BASE": "/base", **extra}
            config.write_text(text + rest)
            assert state_dir(str(config), environ) == load(config, environ).state_dir, (text, extra)


def test_a_state_folder_that_cannot_be_determined_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"variable \$NOWHERE is not set"):
        folder_by(tmp_path / "config.yaml", "state_dir: $NOWHERE/x\n")
    with pytest.raises(ConfigError, match="line 1  not UTF-8"):
        folder_by(tmp_path / "config.yaml", b"state_dir: /caf\xe9\n")
    with pytest.raises(ConfigError, match="no configuration found"):
        state_dir(None, {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)})


def test_holds_that_the_store_knows_all_have_something_to_do(empty: FilledStore) -> None:
    with empty.store() as store:
        for hold in Hold:
            empty.take(store, f"{hold}.mp3", hold=hold, hold_reason="why")
    holds: list[dict[str, Any]] = status_facts(gather(empty.state, None, None, NOW))["holds"]
    assert {hold["hold"] for hold in holds} == set(Hold)
    assert "`lalald show ID` explains." not in {hold["to_do"] for hold in holds}


def test_a_newer_database_is_refused(filled_store: FilledStore) -> None:
    with closing(sqlite3.connect(filled_store.state / "lalald.sqlite3")) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match="newer lalald"):
        gather(filled_store.state, None, None, NOW)
