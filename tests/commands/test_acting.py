"""What the commands that act leave in the store, say about money, and refuse."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.jobs.states import Hold, Stage, State, TaskFailure
from lalald.reports.formatting import price
from lalald.store.queries import Reports
from tests.support.filled_store import NOW, FilledStore, answering
from tests.support.running import write_wav

ASLEEP = "The daemon is not running: it will do this at its next start.\n"


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    filled = FilledStore(tmp_path)
    filled.fill()
    with filled.store() as store:  # enough for everything that waits, too
        store.state.set("minutes", {"left": 142.5, "at": NOW - 300}, NOW - 300)
    return filled


def asked(filled_store: FilledStore) -> dict[int, str]:
    """The requests in the rows of jobs."""
    with Reports.open(filled_store.state) as reports:
        return {report.job.id: str(report.job.request) for report in reports.jobs() if report.job.request}


def asked_of_the_daemon(filled_store: FilledStore) -> list[tuple[str, str | None]]:
    with filled_store.store() as store:
        return [(kind, argument) for _, kind, argument in store.requests.all()]


def test_a_retry_says_what_it_will_cost(filled_store: FilledStore) -> None:
    assert (
        filled_store.said("retry", "2", "3")
        == (
            "job 2 bad.mp3: resumes; about 9.0 min will be charged\n"
            "job 3 podcasts/stopped.mp3: resumes; about 3.0 min will be charged\n"
            "total: about 12.0 min\n"
        )
        + ASLEEP
    )
    assert asked(filled_store) == {2: "retry", 3: "retry"}


def test_a_retry_of_paid_work_costs_only_what_failed(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        broken = job.with_task(replace(job.tasks[1], error="no voice in it", failure=TaskFailure.FAILED))
        store.save(job, replace(broken, state=State.FAILED, error="expired"))
        job = store.job(2)
        assert job is not None
        paid = tuple(replace(task, task_id=f"t{task.number}", minutes=1.0) for task in job.tasks)
        store.save(job, replace(job, tasks=paid))
    assert (
        filled_store.said("retry", "--failed")
        == (
            "job 2 bad.mp3: resumes; nothing more is charged\n"
            "job 6 mix.wav: resumes; about 6.0 min will be charged\n"
            "total: about 6.0 min\n"
        )
        + ASLEEP
    )
    assert asked(filled_store) == {2: "retry", 6: "retry"}


def test_a_retry_beyond_the_minutes_left_says_that_the_job_will_be_held(filled_store: FilledStore) -> None:
    with filled_store.store() as store:  # all that waits needs 18 of them
        store.state.set("minutes", {"left": 40.0, "at": NOW}, NOW)
    said = filled_store.said("retry", "2", "3")
    assert said.splitlines()[:2] == [
        "job 2 bad.mp3: resumes; about 9.0 min will be charged",
        "job 3 podcasts/stopped.mp3: resumes; about 3.0 min will be charged",
    ]
    with filled_store.store() as store:
        store.state.set("minutes", {"left": 38.0, "at": NOW}, NOW)
    first, second, *_ = filled_store.said("retry", "2", "3").splitlines()
    assert first == "job 2 bad.mp3: resumes; about 9.0 min will be charged"
    assert second.startswith("job 3 podcasts/stopped.mp3: will be held: needs 3.0 minutes, ")
    assert second.endswith("; once it runs, about 3.0 min will be charged")
    facts = json.loads(filled_store.said("retry", "2", "3", "--json"))
    assert [one["stays_held_for"] for one in facts["jobs"]] == [None, "left"]


def test_a_redo_beyond_the_minutes_left_says_that_the_new_job_will_be_held(filled_store: FilledStore) -> None:
    source = filled_store.inbox / "done/podcasts/ep1.mp3"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"sound")
    with filled_store.store() as store:
        store.state.set("minutes", {"left": 28.0, "at": NOW}, NOW)
    said = filled_store.said("redo", "1")
    assert said.startswith(
        "job 1 podcasts/ep1.mp3: will be held: needs 3.0 minutes, 1.0 are free; once it runs, about 3.0"
    )


def test_an_unknown_duration_is_read_from_the_file_where_it_can_be(filled_store: FilledStore) -> None:
    write_wav(filled_store.inbox / "podcasts/short.wav", 12.0)
    with filled_store.store() as store:
        for name in ("short.wav", "gone.wav"):
            job = filled_store.take(store, f"podcasts/{name}", duration=None)
            store.save(job, replace(job, state=State.FAILED, error="broken"))
    assert (
        filled_store.said("retry", "10", "11")
        == (
            "job 10 podcasts/short.wav: resumes; about 0.2 min will be charged\n"
            "job 11 podcasts/gone.wav: resumes; its cost is unknown: the file does not state its length\n"
            "total: at least 0.2 min, 1 file of unknown length\n"
        )
        + ASLEEP
    )


def test_a_job_named_twice_is_requested_and_priced_once(filled_store: FilledStore) -> None:
    once = "job 4 long.mp3: waives minutes.per_file for this price; about 9.0 min will be charged\n"
    assert filled_store.said("release", "4", "#4", "4") == once + ASLEEP
    source = filled_store.inbox / "done/podcasts/ep1.mp3"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"sound")
    assert filled_store.said("redo", "1", "#1", str(source)).count("job 1 ") == 1


def test_an_unknown_price_is_not_shown_as_zero() -> None:
    assert price(0.0, 2) == "2 files of unknown length"
    assert price(0.0) == "about 0.0 min"


def test_nothing_failed_is_nothing_to_retry(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        filled_store.take(store, "fine.mp3")
    assert filled_store.said("retry", "--failed") == "No job has failed.\n"
    assert filled_store.said("release", "--all") == "No job is held.\n"


def test_a_long_list_is_cut_to_a_screen(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        for number in range(30):
            job = filled_store.take(store, f"podcasts/{number}.mp3")
            store.save(job, replace(job, state=State.FAILED, error="broken"))
    lines = filled_store.said("retry", "--failed").splitlines()
    assert len(lines) == 20 + 3
    assert lines[20:22] == ["… and 11 more jobs", "total: about 99.0 min"]
    assert len(asked(filled_store)) == 31


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["retry", "2", "99", "x"], "no such job: 99, x. No change was made."),
        (
            ["retry", "2", "1"],
            "job 1 is done; retry needs a cancelled or failed job. No change was made.",
        ),
        (["retry", "2", "7", "8"], "job 7 is running, job 8 is waiting; retry needs a cancelled or failed job."),
        (["retry"], "retry needs job numbers, or --failed."),
        (["retry", "2", "--failed"], "retry needs job numbers, or --failed."),
        (
            ["cancel", "6", "1"],
            "job 1 is done; cancel needs a failed, held or waiting job. No change was made.",
        ),
        (["cancel"], "cancel needs job numbers, or --all."),
        (["cancel", "6", "--all"], "cancel needs job numbers, or --all."),
        (["cancel", "6", "--every-client"], "--every-client needs --all"),
        (["cancel", "--all", "--every-client"], "It needs a confirmation; no change was made."),
        (["release", "4", "6"], "job 6 is running; release needs a held job. No change was made."),
        (
            ["release"],
            "release needs job numbers, paths of configured folders, or --all; --hold and --rule need --all.",
        ),
        (["release", "4", "/nowhere"], "/nowhere is not a folder of the daemon; no change was made."),
        (["rescan", "/nowhere"], "/nowhere is not an inbox of the daemon; no change was made."),
        (["redo", "2", "6"], "the file of job 2 is no longer at /in/bad.mp3; no change was made."),
        (
            ["redo", "6"],
            "job 6 (mix.wav) is running; only a finished job can be processed again. No change was made.",
        ),
        (["redo", "./2"], "no job has processed "),
        (["redo", "99"], "no such job: 99. No change was made."),
        (["release", ""], "an argument is empty."),
        (["redo", ""], "an argument is empty."),
        (["rescan", ""], "an argument is empty."),
    ],
)
def test_an_invalid_request_changes_nothing(filled_store: FilledStore, arguments: list[str], complaint: str) -> None:
    with answering(filled_store.state) as wakes:
        output = filled_store.run(*arguments) if "--every-client" in arguments else None
        code, said, complained = (
            (output.returncode, output.stdout, filled_store.plain(output.stderr))
            if output
            else filled_store.call(*arguments)
        )
    assert (code, said) == (2, "")
    assert complained.startswith("lalald: ")
    assert complaint in complained
    assert "Traceback" not in complained
    assert (asked(filled_store), asked_of_the_daemon(filled_store), wakes) == ({}, [], [])


def test_a_request_wakes_the_daemon(filled_store: FilledStore) -> None:
    for number, arguments in enumerate(
        (["retry", "2"], ["cancel", "6"], ["release", "4"], ["rescan"], ["cancel", "--all"])
    ):
        with answering(filled_store.state) as wakes:
            assert ASLEEP not in filled_store.said(*arguments), number
            assert wakes == ["wake"]


def test_cancel_shows_what_was_charged(filled_store: FilledStore) -> None:
    assert (
        filled_store.said("cancel", "6", "8", "2", "5")
        == (
            "job 6 mix.wav: to be cancelled; 9.0 min have been charged\n"
            "job 8 patient.wav: to be cancelled; nothing was charged\n"
            "job 2 bad.mp3: to be abandoned; its file stays where it is; nothing was charged\n"
            "job 5 podcasts/lost.mp3: to be cancelled; a task that was started without an answer may have been charged\n"
        )
        + ASLEEP
    )
    assert asked(filled_store) == {2: "cancel", 5: "cancel", 6: "cancel", 8: "cancel"}


def test_cancel_says_that_finished_tasks_are_delivered(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        store.save(job, replace(job, stage=Stage.DOWNLOAD))
    output = "job 6 mix.wav: has finished on the service, and is delivered; 9.0 min have been charged\n"
    assert filled_store.said("cancel", "6") == output + ASLEEP


def test_cancel_all_spares_what_has_ended(filled_store: FilledStore) -> None:
    assert filled_store.said("cancel", "--all") == "6 jobs to be cancelled.\n" + ASLEEP
    assert asked(filled_store) == dict.fromkeys((4, 5, 6, 7, 8, 9), "cancel")
    assert asked_of_the_daemon(filled_store) == []


def test_every_client_is_cancelled_where_that_is_meant(filled_store: FilledStore) -> None:
    answer = filled_store.run("cancel", "--all", "--every-client", "--yes")
    assert answer.stdout == "6 jobs to be cancelled, and every task of other programs.\n" + ASLEEP
    assert asked_of_the_daemon(filled_store) == [("cancel_every_client", None)]


@pytest.mark.parametrize(
    ("word", "meant"), [("y", True), ("YES", True), ("n", False), ("", False), ("yep", False), ("\x04", False)]
)
def test_every_client_needs_a_confirmation_on_a_terminal(filled_store: FilledStore, word: str, meant: bool) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "lalald", "cancel", "--all", "--every-client"]
    program = subprocess.Popen(command, env=filled_store.environ, stdin=follower, stdout=subprocess.PIPE, text=True)
    os.write(leader, f"{word}\n".encode())
    out, _ = program.communicate(timeout=60)
    os.close(follower)
    os.close(leader)
    assert program.returncode == 0
    assert out.startswith(
        "This stops every task of your LALAL.AI account, including those of other programs and of the website.\n"
    )
    assert out.endswith(ASLEEP if meant else "No change was made.\n")
    assert asked_of_the_daemon(filled_store) == ([("cancel_every_client", None)] if meant else [])
    assert bool(asked(filled_store)) is meant


def test_release_shows_the_price_and_that_a_lost_task_is_paid_again(filled_store: FilledStore) -> None:
    assert (
        filled_store.said("release", "4", "5")
        == (
            "job 4 long.mp3: waives minutes.per_file for this price; about 9.0 min will be charged\n"
            "job 5 podcasts/lost.mp3: is started again; about 3.0 min will be charged again\n"
            "total: about 12.0 min\n"
        )
        + ASLEEP
    )
    assert asked(filled_store) == {4: "release", 5: "release"}


def test_release_all_never_pays_for_a_lost_task_again(filled_store: FilledStore) -> None:
    assert (
        filled_store.said("release", "--all")
        == (
            "1 job released; about 9.0 min will be charged\n"
            "1 job held as lost_task not released: releasing them pays again. To do that, name them or add `--hold lost_task`.\n"
        )
        + ASLEEP
    )
    assert asked(filled_store) == {4: "release"}
    with filled_store.store() as store:
        store.connection.execute("DELETE FROM jobs WHERE id = 4")
    assert filled_store.said("release", "--all") == (
        "1 job held as lost_task not released: releasing them pays again. To do that, name them or add `--hold lost_task`.\n"
        "No other job is held.\n"
    )


def test_a_stalled_task_differs_from_a_lost_one_and_is_not_paid_again(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        parked = replace(job.tasks[0], hold=Hold.LOST_TASK, hold_reason="it has stood at 40 %")
        held = replace(job.with_task(parked), state=State.HELD, hold=Hold.LOST_TASK, hold_reason="it has stood at 40 %")
        store.save(job, held)
    status = filled_store.said("status", code=3)
    assert "#6 it has stood at 40 %\n  Already paid; they resume when their task makes progress." in status
    assert "#5 the task started, and its id never came\n  `lalald release ID` pays again" in status
    codes = [item["code"] for item in json.loads(filled_store.said("status", "--json", code=3))["needs_attention"]]
    assert {"hold_lost_task", "hold_stalled_task"} <= {*codes}
    assert (
        "it resumes automatically when its task makes progress; `lalald release 6`: it gets more time"
        in filled_store.said("show", "6")
    )
    assert "`lalald release 5`: it is started again and pays; `lalald cancel 5` ends it" in filled_store.said(
        "show", "5"
    )
    assert "1 job held as lost_task not released: their tasks are paid and make no progress" in filled_store.said(
        "release", "--all"
    )
    output = "job 6 mix.wav: gets more time; nothing more is charged\n"
    assert filled_store.said("release", "6") == output + ASLEEP


def test_release_accepts_the_folder_of_an_inbox(filled_store: FilledStore) -> None:
    assert (
        filled_store.said("release", f"{filled_store.inbox}/")
        == "/in: accepted the folder that is there now\n" + ASLEEP
    )
    assert asked_of_the_daemon(filled_store) == [("release_folder", str(filled_store.inbox))]
    assert asked(filled_store) == {}


def test_redo_finds_the_job_by_number_and_by_path(filled_store: FilledStore) -> None:
    source = filled_store.inbox / "done/podcasts/ep1.mp3"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"sound")
    for word in ("1", "#1", str(source), f"{filled_store.inbox}/podcasts/../podcasts/ep1.mp3"):
        assert (
            filled_store.said("redo", word)
            == ("job 1 podcasts/ep1.mp3: is processed again as a new job; about 3.0 min will be charged\n") + ASLEEP
        )
        assert asked_of_the_daemon(filled_store) == [("redo", "1")]


def test_rescan_asks_for_one_inbox_or_all(filled_store: FilledStore) -> None:
    assert filled_store.said("rescan") == "Requested a scan of every inbox\n" + ASLEEP
    assert filled_store.said("rescan", f"{filled_store.inbox}/podcasts") == "Requested a scan of /in\n" + ASLEEP
    assert asked_of_the_daemon(filled_store) == [("rescan", None), ("rescan", str(filled_store.inbox))]


def test_an_odd_name_is_never_printed_raw(filled_store: FilledStore) -> None:
    assert "job 9 caf\\udce9\\nlatte\\x1b[31m.wav: to be cancelled" in filled_store.said("cancel", "9")


def test_status_and_show_list_requests_that_are_not_handled_yet(filled_store: FilledStore) -> None:
    filled_store.said("cancel", "6")
    filled_store.said("rescan")
    assert "; 2 requests not handled by the daemon yet\n" in filled_store.said("status", code=3)
    assert "  state            running (cancel requested, not handled by the daemon yet)\n" in filled_store.said(
        "show", "6"
    )


def test_a_job_held_since_its_first_scan_is_priced_when_all_are_released(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        for number in range(25):
            filled_store.take(store, f"{number}.mp3", NOW, hold=Hold.FIRST_SCAN, hold_reason="it lay there")
        filled_store.take(store, "unknown.mp3", NOW, hold=Hold.FIRST_SCAN, hold_reason="it lay there", duration=None)
    assert filled_store.said("release", "--all") == (
        "26 jobs released; at least 225.0 min, 1 file of unknown length, will be charged\n" + ASLEEP
    )


def test_retry_suggests_redo_for_a_finished_job_and_show_for_a_running_one(filled_store: FilledStore) -> None:
    assert "  `lalald redo 1` processes the file of a finished job again" in filled_store.complained("retry", "1")
    assert "  `lalald show 7` shows details." in filled_store.complained("retry", "7")
