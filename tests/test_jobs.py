"""The moves between stages: whatever a stage returns, a job never skips work it owes and never pays twice by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lalald import moves
from lalald.errors import LalaldError, TransientError
from lalald.jobs import (
    MOVES,
    Done,
    Dropped,
    Failed,
    Handling,
    Held,
    Hold,
    Job,
    Later,
    Outcome,
    Stage,
    State,
    Task,
    TaskFailure,
    Track,
    told,
)

HANDLING = Handling(
    outbox="/out",
    output="{dir}/{name}/{label}.{ext}",
    on_conflict="rename",
    duplicates="reuse",
    tracks=None,
    labels={},
    delete=True,
    manifest=False,
    on_success="move",
    done_dir="/in/done",
    on_failure="move",
    failed_dir="/in/failed",
)
NOW = 1_000_000.0


def job_with(*tasks: Task, stage: Stage = Stage.UPLOAD, **facts: object) -> Job:
    job = Job(
        id=1, revision=0, inbox="/in", path="a.wav", size=10, mtime_ns=1, inode=1, rule="r", handling=HANDLING,
        created_at=NOW, updated_at=NOW, stage=stage, tasks=tasks,
    )  # fmt: skip
    return replace(job, **facts)  # type: ignore[arg-type] # the facts are the fields' own


def task(stage: Stage = Stage.SPLIT, number: int = 1, **facts: object) -> Task:
    made = Task(number=number, name=None, mode="demuser", presets={}, stage=stage)
    return replace(made, **facts)  # type: ignore[arg-type]


def test_a_job_goes_from_upload_to_done_in_order() -> None:
    job = job_with(task())
    seen = [job.stage]
    steps = (
        lambda job: replace(job, source_id="s"),
        lambda job: job.with_task(replace(job.tasks[0], stage=Stage.CHECK, task_id="t")),
        lambda job: job.with_task(replace(job.tasks[0], stage=Stage.DOWNLOAD, tracks=(Track("stem", "music", "u"),))),
        lambda job: job.with_task(replace(job.tasks[0], stage=Stage.DONE)),
        lambda job: replace(job, stage=Stage.ARCHIVE),
        lambda job: replace(job, filed=True),
    )
    for step in steps:
        job = moves.after(job, Done(step(job)), NOW)
        seen.append(job.stage)
    assert seen == list(Stage)
    assert job.state is State.DONE


def test_a_job_owes_the_earliest_stage_of_its_tasks() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2), source_id="s")
    assert moves.owed(job) is Stage.CHECK


def test_the_tracks_of_the_other_tasks_are_delivered_before_a_job_fails() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2, error="no voice"), stage=Stage.CHECK, source_id="s")
    delivering = moves.after(job, Done(job), NOW)
    assert (delivering.stage, delivering.state) == (Stage.DOWNLOAD, State.WAITING)
    delivered = delivering.with_task(replace(delivering.tasks[0], stage=Stage.DONE))
    failed = moves.after(delivering, Done(delivered), NOW)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert "no voice" in failed.error


def test_a_retry_pays_for_the_failed_tasks_alone() -> None:
    job = job_with(
        task(Stage.DONE, task_id="t1"), task(Stage.CHECK, 2, task_id="t2", error="no voice", failure=TaskFailure.FAILED),
        stage=Stage.CHECK, state=State.FAILED, source_id="s", expires_at=NOW + 60,
    )  # fmt: skip
    again = moves.retried(job, NOW)
    assert again.tasks[0] == job.tasks[0]
    assert again.tasks[1] == task(Stage.SPLIT, 2)
    assert (again.stage, again.state, again.source_id) == (Stage.SPLIT, State.WAITING, "s")


def test_a_retry_after_the_source_expired_uploads_again() -> None:
    job = job_with(
        task(error="no voice", task_id="t", failure=TaskFailure.FAILED),
        state=State.FAILED,
        source_id="s",
        expires_at=NOW - 60,
    )
    assert moves.retried(job, NOW).stage is Stage.UPLOAD


def test_a_retry_keeps_the_key_of_a_request_that_was_never_answered() -> None:
    unanswered = task(idempotency_key="k", asked_at=NOW - 9)
    job = job_with(unanswered, state=State.FAILED, stage=Stage.SPLIT, source_id="s", expires_at=NOW - 60)
    again = moves.retried(job, NOW)
    assert again.tasks == (unanswered,)
    assert again.stage is Stage.SPLIT


def test_a_released_lost_task_is_started_with_a_new_key() -> None:
    job = job_with(
        task(idempotency_key="k", asked_at=NOW), state=State.HELD, hold=Hold.LOST_TASK, source_id="s", stage=Stage.SPLIT
    )
    assert moves.released(job, NOW).tasks == (task(),)
    assert moves.released(job, NOW, by_a_person=False).tasks == job.tasks


def test_a_job_whose_stage_is_tried_in_vain_remembers_since_when() -> None:
    once = moves.after(job_with(task()), Later("no answer"), NOW)
    again = moves.after(once, Later("no answer"), NOW + 60)
    assert (again.attempts, again.held_at) == (2, NOW)
    assert moves.after(again, Held(Hold.DISK, "full"), NOW + 90).held_at == NOW + 90
    assert moves.after(again, Done(again), NOW + 90).held_at is None
    assert moves.after(replace(again, attempts=0), Later("no answer"), NOW + 120).held_at == NOW + 120


def test_a_hold_remembers_since_when() -> None:
    held = moves.after(job_with(task()), Held(Hold.DISK, "full"), NOW)
    assert (held.state, held.hold, held.held_at) == (State.HELD, Hold.DISK, NOW)
    assert moves.after(held, Held(Hold.DISK, "still full"), NOW + 60).held_at == NOW


tasks = st.builds(
    task,
    stage=st.sampled_from([Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DONE]),
    number=st.integers(1, 3),
    error=st.none() | st.just("no"),
    task_id=st.none() | st.just("t"),
)
some_jobs = st.builds(
    lambda found, stage, source, filed: job_with(
        *{task.number: task for task in found}.values(), stage=stage, source_id=source, filed=filed
    ),
    st.lists(tasks, min_size=1, max_size=3),
    st.sampled_from(list(Stage)[:-1]),
    st.none() | st.just("s"),
    st.booleans(),
)
outcomes = st.one_of(
    st.builds(Held, st.sampled_from(Hold), st.just("why")),
    st.builds(Later, st.just("why"), error=st.none() | st.builds(TransientError, st.just("503"))),
    st.builds(Failed, st.just("why")),
    st.builds(Dropped, st.just("why")),
)


@given(some_jobs, outcomes)
def test_only_done_work_changes_the_stage(job: Job, outcome: Outcome) -> None:
    after = moves.after(job, outcome, NOW)
    assert after.stage is job.stage
    assert after.tasks == job.tasks


@given(some_jobs)
def test_no_job_is_done_while_a_task_owes_something(job: Job) -> None:
    after = moves.after(job, Done(job), NOW)
    if after.state is State.DONE:
        assert all(task.stage is Stage.DONE and task.error is None for task in after.tasks)
        assert after.filed


@given(some_jobs)
def test_a_retry_never_forgets_a_paid_task_that_did_not_fail(job: Job) -> None:
    again = moves.retried(replace(job, state=State.FAILED), NOW)
    for before, after in zip(job.tasks, again.tasks, strict=True):
        if before.error is None:
            assert after.task_id == before.task_id


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_backoff_is_never_longer_than_five_minutes(attempts: int, jitter: float) -> None:
    assert 0.5 <= moves.backoff_seconds(attempts, jitter) <= 300.0


def test_the_legal_moves_lead_to_the_end_from_everywhere() -> None:
    for stage in Stage:
        reached, new = {stage}, {stage}
        while new:
            new = {after for before in new for after in MOVES[before]} - reached
            reached |= new
        assert Stage.DONE in reached


@pytest.mark.parametrize(
    ("message", "hint", "sentence"),
    [
        ("there is no file /key", "put the key into it", "there is no file /key; put the key into it"),
        ("It is away.", "Mount it.", "It is away. Mount it."),
        ("It is away.", "", "It is away."),
    ],
)
def test_an_error_and_what_to_do_about_it_make_sentences(message: str, hint: str, sentence: str) -> None:
    assert told(LalaldError(message, hint=hint)) == sentence


class Carried(RuleBasedStateMachine):
    """A job and a service that charges: whatever comes, in whatever order, it keeps to its moves and its paid tasks.

    `ledger` is the service's: which ids it gave to a task and charged. A second charge is one that somebody asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.asked_for: Counter[int] = Counter()
        self.ledger: Counter[int] = Counter()
        self.keys = 0
        self.spent: set[str | None] = set()
        self.job = job_with()

    @initialize(tasks=st.integers(1, 3), source=st.booleans())
    def dropped(self, tasks: int, source: bool) -> None:
        facts = {"source_id": "s", "expires_at": NOW + 86_400} if source else {}
        self.job = job_with(*(task(number=number) for number in range(1, tasks + 1)), **facts)
        self.job = replace(self.job, stage=moves.owed(self.job))

    def became(self, after: Job) -> None:
        before, self.job = self.job, after
        assert before.stage is after.stage or after.stage in MOVES[before.stage]
        for old, new in zip(before.tasks, after.tasks, strict=True):
            lost = old.task_id is not None and new.task_id is None
            assert not lost or old.error is not None, "a paid task is forgotten only once it has failed"
            assert old.stage is not Stage.DONE or new == old, "a delivered one is never touched"

    def waits_at(self, *stages: Stage) -> bool:
        return self.job.state is State.WAITING and self.job.stage in stages

    @rule(outcome=outcomes)
    def comes_to_nothing(self, outcome: Outcome) -> None:
        dropped_paid = isinstance(outcome, Dropped) and self.job.paid
        if self.job.state is State.WAITING and not dropped_paid:
            self.became(moves.after(self.job, outcome, self.now))

    @precondition(lambda self: self.waits_at(Stage.UPLOAD))
    @rule()
    def is_uploaded(self) -> None:
        self.became(
            moves.after(self.job, Done(replace(self.job, source_id="s", expires_at=self.now + 86_400)), self.now)
        )

    @precondition(lambda self: self.waits_at(Stage.SPLIT))
    @rule(answer=st.sampled_from(["started", "carried out, unanswered", "unanswered", "refused"]))
    def is_split(self, answer: str) -> None:
        owing = [one for one in self.job.tasks if one.stage is Stage.SPLIT and not one.error and not one.waits_for]
        one = replace(owing[0], idempotency_key=owing[0].idempotency_key or self.new_key(), asked_at=self.now)
        job = self.job.with_task(one)
        if (
            one.idempotency_key in self.spent
        ):  # the service starts nothing twice with one key, and gives the id to nobody
            held = Held(Hold.LOST_TASK, "why", job=job, tasks=(one.number,))
            return self.became(moves.after(self.job, held, self.now))
        if answer == "refused":
            refused = job.with_task(replace(one, asked_at=None, error="no"))
            return self.became(moves.after(self.job, Done(refused), self.now))
        if answer != "unanswered":
            self.ledger[one.number] += 1
            self.spent.add(one.idempotency_key)
        if answer == "started":
            job = job.with_task(replace(one, stage=Stage.CHECK, task_id=f"t{self.ledger[one.number]}"))
            return self.became(moves.after(job, Done(job), self.now))
        return self.became(moves.after(self.job, Later("no answer", job=job), self.now))

    def new_key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    @precondition(lambda self: self.waits_at(Stage.CHECK))
    @rule(status=st.sampled_from(["success", "error", "stuck"]))
    def is_checked(self, status: str) -> None:
        running = [one for one in self.job.tasks if one.stage is Stage.CHECK and not one.error and not one.waits_for]
        after = {
            "success": replace(running[0], stage=Stage.DOWNLOAD, tracks=(Track("stem", "music", "u"),)),
            "error": replace(running[0], error="no voice"),
            "stuck": replace(running[0], waits_for=Hold.LOST_TASK, waits_reason="it stands still"),
        }
        self.became(moves.after(self.job, Done(self.job.with_task(after[status])), self.now))

    @precondition(lambda self: self.waits_at(Stage.DOWNLOAD))
    @rule(links=st.sampled_from(["alive", "alive", "dead", "dead for good"]))
    def is_downloaded(self, links: str) -> None:
        owed = [one for one in self.job.tasks if one.stage is Stage.DOWNLOAD and not one.error]
        changes: dict[str, dict[str, Any]] = {
            "alive": {"stage": Stage.DONE},
            "dead": {"stage": Stage.CHECK, "links_asked": 1},
            "dead for good": {"error": "dead", "links_asked": 2},
        }
        job = self.job
        for one in owed if links == "alive" else owed[:1]:
            job = job.with_task(replace(one, **changes[links]))
        self.became(moves.after(self.job, Done(job), self.now))

    @precondition(lambda self: self.waits_at(Stage.DELETE))
    @rule()
    def is_deleted(self) -> None:
        self.became(moves.after(self.job, Done(replace(self.job, stage=Stage.ARCHIVE)), self.now))

    @precondition(lambda self: self.waits_at(Stage.ARCHIVE))
    @rule()
    def is_filed(self) -> None:
        self.became(moves.after(self.job, Done(replace(self.job, filed=True)), self.now))

    @precondition(lambda self: self.job.state in (State.FAILED, State.CANCELLED))
    @rule()
    def is_retried(self) -> None:
        self._allow(lambda one: one.error is not None and one.stage is Stage.CHECK)
        before = self.job
        self.became(replace(moves.retried(before, self.now), stage=before.stage))
        self.job = moves.retried(before, self.now)

    @precondition(lambda self: self.job.state is State.HELD)
    @rule(by_a_person=st.booleans())
    def is_released(self, by_a_person: bool) -> None:
        before, after = self.job, moves.released(self.job, self.now, by_a_person=by_a_person)
        if by_a_person and before.hold is Hold.LOST_TASK:
            self._allow(lambda one: one.asked_at is not None and one.task_id is None)
        self.became(replace(after, stage=before.stage))
        self.job = after
        assert after.state is State.WAITING
        if not by_a_person:
            kept = [(one.idempotency_key, one.asked_at) for one in before.tasks]
            assert [(one.idempotency_key, one.asked_at) for one in after.tasks] == kept, "nobody said to pay again"

    def _allow(self, again: Callable[[Task], bool]) -> None:
        self.asked_for.update(one.number for one in self.job.tasks if again(one))

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3600.0

    @invariant()
    def every_charge_was_asked_for(self) -> None:
        for one in self.job.tasks:
            assert self.ledger[one.number] <= 1 + self.asked_for[one.number]

    @invariant()
    def a_job_at_its_end_owes_nothing(self) -> None:
        if self.job.state is State.DONE:
            assert self.job.filed
            assert all(one.stage is Stage.DONE for one in self.job.tasks)
        if self.job.state is State.HELD:
            assert self.job.hold is not None
            assert self.job.held_at is not None


Carried.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestCarried = Carried.TestCase
