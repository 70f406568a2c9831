"""What messages say: what happened, to which file, what was charged, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lalald.jobs.event_facts import Event, Fact, failed, held
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.states import Hold, HoldSource, TaskFailure
from lalald.notify.messages import Message, message
from lalald.notify.payload import payload_bytes
from lalald.notify.samples import sample_cause, sample_event
from tests.jobs.test_failure_advice import job


def said(fact: Fact, count: int = 1, minutes: float | None = None, *, names: bool = True) -> Message:
    cause = sample_cause(Event(1, "ab", fact))
    return message(replace(cause, count=count, minutes=cause.minutes if minutes is None else minutes), names=names)


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("names", [True, False])
def test_every_message_says_more_than_its_title_and_names_no_placeholder(kind: EventKind, names: bool) -> None:
    text = message(sample_cause(sample_event(kind, 1.8e9)), names=names)
    assert len(text.title) <= 120
    assert " ID" not in text.body
    assert kind is EventKind.DAEMON_STARTED or text.title.removeprefix("lalald: ") != text.body.rstrip(".") or not names
    assert names or ("song" not in f"{text}" and "box" not in f"{text}".replace("inbox", ""))


def failure(**facts: Any) -> Fact:
    data = {
        "job": {"id": 7, "path": "a.mp3", "minutes": 0.0},
        "error": "no",
        "failure": None,
        "paid": False,
        "paid_again": 0.0,
    }
    data["job"] = {**data["job"], "minutes": facts.pop("minutes", 0.0)}  # type: ignore[dict-item]
    return Fact.of(EventKind.JOB_FAILED, "job 7", 0.0, {**data, **facts})


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ({}, ["Charged so far: nothing.", "`lalald retry 7` resumes it."]),
        ({"paid": True}, ["A charge may have begun."]),
        ({"failure": "too_long"}, ["Charged so far: nothing.", "Split it into shorter parts"]),
        ({"failure": "key"}, ["Then: `lalald retry 7` resumes it."]),
        ({"failure": "results_left", "minutes": 2.0, "paid": True}, ["Charged so far: 2.0 min.", "`lalald redo 7` pays again."]),
        ({"failure": "service_failed", "minutes": 2.0, "paid": True, "paid_again": 2.0}, ["and pays 2.0 min again."]),
        ({"failure": "service_failed", "minutes": 2.0, "paid": True, "paid_again": None}, ["resumes it, and pays again."]),
        ({"failure": "of a later version"}, ["`lalald retry 7` resumes it"]),
    ],
)  # fmt: skip
def test_a_failure_says_what_was_charged_and_what_a_retry_does(facts: dict[str, Any], lines: list[str]) -> None:
    text = said(failure(**facts))
    assert text.title == "lalald: a.mp3 failed"
    assert all(line in text.body for line in lines), text.body


def test_the_event_of_a_failure_has_the_kind_of_its_tasks_and_what_is_paid_again() -> None:
    fact = failed(job(error="x", failure=TaskFailure.FAILED, task_id="t", minutes=2.0), 0.0)
    assert (fact.data["failure"], fact.data["paid"], fact.data["paid_again"]) == ("service_failed", True, 2.0)


def test_many_files_say_what_they_cost_together() -> None:
    done = sample_event(EventKind.JOB_DONE, 0.0).fact
    assert said(done, 12, 30.04).title == "lalald: 12 files done, 30.1 min charged"
    assert said(done, 12, 0.0).title == "lalald: 12 files done, nothing charged"
    assert "Charged so far: 4.0 min." in said(failure(failure="internal"), 12, 4.0).body


def test_a_long_path_hides_not_what_happened() -> None:
    path = f"{'folder/' * 40}song.mp3"
    text = said(failure(job={"id": 7, "path": path, "minutes": 0.0}))
    assert text.title.endswith("folder/song.mp3 failed")
    assert len(text.title) < 80
    assert f"• {path}" in text.body


@pytest.mark.parametrize(
    ("hold", "facts", "title", "body"),
    [
        (Hold.MINUTES, {"hold_source": HoldSource.PER_FILE}, "above minutes.per_file", "`lalald release 7` lets one past"),
        (Hold.LOST_TASK, {"minutes": 2.0, "task": {"task_id": "t"}}, "its task makes no progress", "so far: 2.0 min.\nAlready paid"),
        (Hold.LOST_TASK, {"task": {"requested_at": 1.0}}, "a task may have been paid", "A charge may have begun."),
        (Hold.FIRST_SCAN, {"hold_reason": "twice"}, "before the first scan", "Charged so far: nothing.\n`lalald plan` shows"),
        (Hold.DISK, {}, "there is no room", "Charged so far: nothing."),
    ],
)  # fmt: skip
def test_a_hold_says_its_limit_and_what_its_release_does(
    hold: Hold, facts: dict[str, Any], title: str, body: str
) -> None:
    found = job(**facts.pop("task", {}))
    text = said(held(replace(found, hold=hold, **facts), hold, 0.0))
    assert title in text.title
    assert body in text.body


def test_no_code_of_the_service_names_a_file_where_no_names_are_sent() -> None:
    fact = failed(job(error="x", failure=TaskFailure.REFUSED, error_code="cannot read secret.mp3"), 0.0)
    assert fact.data["codes"] == ["refused"]
    assert b"secret" not in payload_bytes(Event(1, "ab", fact), names=False)
