"""The moves between stages: whatever a stage returns, a job never skips work it owes and never pays twice by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald import jobs
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
        job = jobs.after(job, Done(step(job)), NOW)
        seen.append(job.stage)
    assert seen == list(Stage)
    assert job.state is State.DONE


def test_a_job_owes_the_earliest_stage_of_its_tasks() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2), source_id="s")
    assert jobs.owed(job) is Stage.CHECK


def test_the_tracks_of_the_other_tasks_are_delivered_before_a_job_fails() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2, error="no voice"), stage=Stage.CHECK, source_id="s")
    delivering = jobs.after(job, Done(job), NOW)
    assert (delivering.stage, delivering.state) == (Stage.DOWNLOAD, State.WAITING)
    delivered = delivering.with_task(replace(delivering.tasks[0], stage=Stage.DONE))
    failed = jobs.after(delivering, Done(delivered), NOW)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert "no voice" in failed.error


def test_a_retry_pays_for_the_failed_tasks_alone() -> None:
    job = job_with(
        task(Stage.DONE, task_id="t1"), task(Stage.CHECK, 2, task_id="t2", error="no voice"),
        stage=Stage.CHECK, state=State.FAILED, source_id="s", expires_at=NOW + 60,
    )  # fmt: skip
    again = jobs.retried(job, NOW)
    assert again.tasks[0] == job.tasks[0]
    assert again.tasks[1] == task(Stage.SPLIT, 2)
    assert (again.stage, again.state, again.source_id) == (Stage.SPLIT, State.WAITING, "s")


def test_a_retry_after_the_source_expired_uploads_again() -> None:
    job = job_with(task(error="no voice", task_id="t"), state=State.FAILED, source_id="s", expires_at=NOW - 60)
    assert jobs.retried(job, NOW).stage is Stage.UPLOAD


def test_a_retry_keeps_the_key_of_a_request_that_was_never_answered() -> None:
    unanswered = task(idempotency_key="k", asked_at=NOW - 9)
    job = job_with(unanswered, state=State.FAILED, stage=Stage.SPLIT, source_id="s", expires_at=NOW - 60)
    again = jobs.retried(job, NOW)
    assert again.tasks == (unanswered,)
    assert again.stage is Stage.SPLIT


def test_a_released_lost_task_is_started_with_a_new_key() -> None:
    job = job_with(
        task(idempotency_key="k", asked_at=NOW), state=State.HELD, hold=Hold.LOST_TASK, source_id="s", stage=Stage.SPLIT
    )
    assert jobs.released(job, NOW).tasks == (task(),)
    assert jobs.released(job, NOW, by_a_person=False).tasks == job.tasks


def test_a_hold_remembers_since_when() -> None:
    held = jobs.after(job_with(task()), Held(Hold.DISK, "full"), NOW)
    assert (held.state, held.hold, held.held_at) == (State.HELD, Hold.DISK, NOW)
    assert jobs.after(held, Held(Hold.DISK, "still full"), NOW + 60).held_at == NOW


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
    after = jobs.after(job, outcome, NOW)
    assert after.stage is job.stage
    assert after.tasks == job.tasks


@given(some_jobs)
def test_no_job_is_done_while_a_task_owes_something(job: Job) -> None:
    after = jobs.after(job, Done(job), NOW)
    if after.state is State.DONE:
        assert all(task.stage is Stage.DONE and task.error is None for task in after.tasks)
        assert after.filed


@given(some_jobs)
def test_a_retry_never_forgets_a_paid_task_that_did_not_fail(job: Job) -> None:
    again = jobs.retried(replace(job, state=State.FAILED), NOW)
    for before, after in zip(job.tasks, again.tasks, strict=True):
        if before.error is None:
            assert after.task_id == before.task_id


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_backoff_is_never_longer_than_five_minutes(attempts: int, jitter: float) -> None:
    assert 0.5 <= jobs.backoff_seconds(attempts, jitter) <= 300.0


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
