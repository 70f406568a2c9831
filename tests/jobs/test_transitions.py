"""The moves between stages: whatever a stage returns, a job never skips work it owes and never pays twice unless a person requested it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lalald.errors import LalaldError, TransientError
from lalald.jobs import backoff, transitions
from lalald.jobs.job import Job, JobSettings, describe_error
from lalald.jobs.outcomes import Advance, Discarded, Failed, Held, Outcome, RetryLater
from lalald.jobs.states import MOVES, Hold, Stage, State, TaskFailure
from lalald.jobs.task import Task, Track

SETTINGS = JobSettings(
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
        id=1, revision=0, inbox="/in", path="a.wav", size=10, mtime_ns=1, inode=1, rule="r", settings=SETTINGS,
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
        lambda job: replace(job, archived=True),
    )
    for step in steps:
        job = transitions.apply_outcome(job, Advance(step(job)), NOW)
        seen.append(job.stage)
    assert seen == list(Stage)
    assert job.state is State.DONE


def test_a_job_is_at_the_earliest_stage_of_its_tasks() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2), source_id="s")
    assert transitions.next_stage(job) is Stage.CHECK


def test_the_tracks_of_the_other_tasks_are_delivered_before_a_job_fails() -> None:
    job = job_with(task(Stage.DOWNLOAD), task(Stage.CHECK, 2, error="no voice"), stage=Stage.CHECK, source_id="s")
    delivering = transitions.apply_outcome(job, Advance(job), NOW)
    assert (delivering.stage, delivering.state) == (Stage.DOWNLOAD, State.WAITING)
    delivered = delivering.with_task(replace(delivering.tasks[0], stage=Stage.DONE))
    failed = transitions.apply_outcome(delivering, Advance(delivered), NOW)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert "no voice" in failed.error


def test_a_retry_pays_for_the_failed_tasks_alone() -> None:
    job = job_with(
        task(Stage.DONE, task_id="t1"), task(Stage.CHECK, 2, task_id="t2", error="no voice", failure=TaskFailure.FAILED),
        stage=Stage.CHECK, state=State.FAILED, source_id="s", expires_at=NOW + 60,
    )  # fmt: skip
    again = transitions.retry(job, NOW)
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
    assert transitions.retry(job, NOW).stage is Stage.UPLOAD


def test_a_retry_keeps_the_key_of_a_request_that_was_never_answered() -> None:
    unanswered = task(idempotency_key="k", requested_at=NOW - 9)
    job = job_with(unanswered, state=State.FAILED, stage=Stage.SPLIT, source_id="s", expires_at=NOW - 60)
    again = transitions.retry(job, NOW)
    assert again.tasks == (unanswered,)
    assert again.stage is Stage.SPLIT


def test_a_released_lost_task_is_started_with_a_new_key() -> None:
    job = job_with(
        task(idempotency_key="k", requested_at=NOW),
        state=State.HELD,
        hold=Hold.LOST_TASK,
        source_id="s",
        stage=Stage.SPLIT,
    )
    assert transitions.release(job, NOW).tasks == (task(),)
    assert transitions.release(job, NOW, by_a_person=False).tasks == job.tasks


def test_a_job_whose_stage_keeps_failing_remembers_since_when() -> None:
    once = transitions.apply_outcome(job_with(task()), RetryLater("no answer"), NOW)
    again = transitions.apply_outcome(once, RetryLater("no answer"), NOW + 60)
    assert (again.attempts, again.held_at) == (2, NOW)
    assert transitions.apply_outcome(again, Held(Hold.DISK, "full"), NOW + 90).held_at == NOW + 90
    assert transitions.apply_outcome(again, Advance(again), NOW + 90).held_at is None
    assert (
        transitions.apply_outcome(replace(again, attempts=0), RetryLater("no answer"), NOW + 120).held_at == NOW + 120
    )


def test_a_hold_remembers_since_when() -> None:
    held = transitions.apply_outcome(job_with(task()), Held(Hold.DISK, "full"), NOW)
    assert (held.state, held.hold, held.held_at) == (State.HELD, Hold.DISK, NOW)
    assert transitions.apply_outcome(held, Held(Hold.DISK, "still full"), NOW + 60).held_at == NOW


tasks = st.builds(
    task,
    stage=st.sampled_from([Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DONE]),
    number=st.integers(1, 3),
    error=st.none() | st.just("no"),
    task_id=st.none() | st.just("t"),
)
some_jobs = st.builds(
    lambda found, stage, source, filed: job_with(
        *{task.number: task for task in found}.values(), stage=stage, source_id=source, archived=filed
    ),
    st.lists(tasks, min_size=1, max_size=3),
    st.sampled_from(list(Stage)[:-1]),
    st.none() | st.just("s"),
    st.booleans(),
)
outcomes = st.one_of(
    st.builds(Held, st.sampled_from(Hold), st.just("why")),
    st.builds(RetryLater, st.just("why"), error=st.none() | st.builds(TransientError, st.just("503"))),
    st.builds(Failed, st.just("why")),
    st.builds(Discarded, st.just("why")),
)


@given(some_jobs, outcomes)
def test_only_done_work_changes_the_stage(job: Job, outcome: Outcome) -> None:
    after = transitions.apply_outcome(job, outcome, NOW)
    assert after.stage is job.stage
    assert after.tasks == job.tasks


@given(some_jobs)
def test_no_job_is_done_while_a_task_is_unfinished(job: Job) -> None:
    after = transitions.apply_outcome(job, Advance(job), NOW)
    if after.state is State.DONE:
        assert all(task.stage is Stage.DONE and task.error is None for task in after.tasks)
        assert after.archived


@given(some_jobs)
def test_a_retry_never_forgets_a_paid_task_that_did_not_fail(job: Job) -> None:
    again = transitions.retry(replace(job, state=State.FAILED), NOW)
    for before, after in zip(job.tasks, again.tasks, strict=True):
        if before.error is None:
            assert after.task_id == before.task_id


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_backoff_is_never_longer_than_five_minutes(attempts: int, jitter: float) -> None:
    assert 0.5 <= backoff.backoff_seconds(attempts, jitter) <= 300.0


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
    assert describe_error(LalaldError(message, hint=hint)) == sentence


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
        self.job = replace(self.job, stage=transitions.next_stage(self.job))

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
        dropped_paid = isinstance(outcome, Discarded) and self.job.paid
        if self.job.state is State.WAITING and not dropped_paid:
            self.became(transitions.apply_outcome(self.job, outcome, self.now))

    @precondition(lambda self: self.waits_at(Stage.UPLOAD))
    @rule()
    def is_uploaded(self) -> None:
        self.became(
            transitions.apply_outcome(
                self.job, Advance(replace(self.job, source_id="s", expires_at=self.now + 86_400)), self.now
            )
        )

    @precondition(lambda self: self.waits_at(Stage.SPLIT))
    @rule(answer=st.sampled_from(["started", "carried out, unanswered", "unanswered", "refused"]))
    def is_split(self, answer: str) -> None:
        unstarted_tasks = [one for one in self.job.tasks if one.stage is Stage.SPLIT and not one.error and not one.hold]
        one = replace(
            unstarted_tasks[0],
            idempotency_key=unstarted_tasks[0].idempotency_key or self.new_key(),
            requested_at=self.now,
        )
        job = self.job.with_task(one)
        if (
            one.idempotency_key in self.spent
        ):  # the service starts nothing twice with one key, and gives the id to nobody
            held = Held(Hold.LOST_TASK, "why", job=job, tasks=(one.number,))
            return self.became(transitions.apply_outcome(self.job, held, self.now))
        if answer == "refused":
            refused = job.with_task(replace(one, requested_at=None, error="no"))
            return self.became(transitions.apply_outcome(self.job, Advance(refused), self.now))
        if answer != "unanswered":
            self.ledger[one.number] += 1
            self.spent.add(one.idempotency_key)
        if answer == "started":
            job = job.with_task(replace(one, stage=Stage.CHECK, task_id=f"t{self.ledger[one.number]}"))
            return self.became(transitions.apply_outcome(job, Advance(job), self.now))
        return self.became(transitions.apply_outcome(self.job, RetryLater("no answer", job=job), self.now))

    def new_key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    @precondition(lambda self: self.waits_at(Stage.CHECK))
    @rule(status=st.sampled_from(["success", "error", "stuck"]))
    def is_checked(self, status: str) -> None:
        running = [one for one in self.job.tasks if one.stage is Stage.CHECK and not one.error and not one.hold]
        after = {
            "success": replace(running[0], stage=Stage.DOWNLOAD, tracks=(Track("stem", "music", "u"),)),
            "error": replace(running[0], error="no voice"),
            "stuck": replace(running[0], hold=Hold.LOST_TASK, hold_reason="it stands still"),
        }
        self.became(transitions.apply_outcome(self.job, Advance(self.job.with_task(after[status])), self.now))

    @precondition(lambda self: self.waits_at(Stage.DOWNLOAD))
    @rule(links=st.sampled_from(["alive", "alive", "dead", "dead for good"]))
    def is_downloaded(self, links: str) -> None:
        owed = [one for one in self.job.tasks if one.stage is Stage.DOWNLOAD and not one.error]
        changes: dict[str, dict[str, Any]] = {
            "alive": {"stage": Stage.DONE},
            "dead": {"stage": Stage.CHECK, "link_renewals": 1},
            "dead for good": {"error": "dead", "link_renewals": 2},
        }
        job = self.job
        for one in owed if links == "alive" else owed[:1]:
            job = job.with_task(replace(one, **changes[links]))
        self.became(transitions.apply_outcome(self.job, Advance(job), self.now))

    @precondition(lambda self: self.waits_at(Stage.DELETE))
    @rule()
    def is_deleted(self) -> None:
        self.became(transitions.apply_outcome(self.job, Advance(replace(self.job, stage=Stage.ARCHIVE)), self.now))

    @precondition(lambda self: self.waits_at(Stage.ARCHIVE))
    @rule()
    def is_archived(self) -> None:
        self.became(transitions.apply_outcome(self.job, Advance(replace(self.job, archived=True)), self.now))

    @precondition(lambda self: self.job.state in (State.FAILED, State.CANCELLED))
    @rule()
    def is_retried(self) -> None:
        self._allow(lambda one: one.error is not None and one.stage is Stage.CHECK)
        before = self.job
        self.became(replace(transitions.retry(before, self.now), stage=before.stage))
        self.job = transitions.retry(before, self.now)

    @precondition(lambda self: self.job.state is State.HELD)
    @rule(by_a_person=st.booleans())
    def is_released(self, by_a_person: bool) -> None:
        before, after = self.job, transitions.release(self.job, self.now, by_a_person=by_a_person)
        if by_a_person and before.hold is Hold.LOST_TASK:
            self._allow(lambda one: one.requested_at is not None and one.task_id is None)
        self.became(replace(after, stage=before.stage))
        self.job = after
        assert after.state is State.WAITING
        if not by_a_person:
            kept = [(one.idempotency_key, one.requested_at) for one in before.tasks]
            assert [(one.idempotency_key, one.requested_at) for one in after.tasks] == kept, "no request to pay again"

    def _allow(self, again: Callable[[Task], bool]) -> None:
        self.asked_for.update(one.number for one in self.job.tasks if again(one))

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3600.0

    @invariant()
    def every_charge_was_approved(self) -> None:
        for one in self.job.tasks:
            assert self.ledger[one.number] <= 1 + self.asked_for[one.number]

    @invariant()
    def a_job_at_its_end_owes_nothing(self) -> None:
        if self.job.state is State.DONE:
            assert self.job.archived
            assert all(one.stage is Stage.DONE for one in self.job.tasks)
        if self.job.state is State.HELD:
            assert self.job.hold is not None
            assert self.job.held_at is not None


Carried.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestCarried = Carried.TestCase


STAGES_OF_TASKS = st.sampled_from([Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.DONE])
TRACKS = st.lists(
    st.builds(Track, st.just("stem"), st.just("music"), st.just("https://h/1"), path=st.sampled_from([None, "p"]), delivered=st.booleans()),
    max_size=2,
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["done", "later", "at once", "parked"]),
        st.sampled_from([None, "source"]),
        st.lists(st.tuples(STAGES_OF_TASKS, TRACKS, st.sampled_from([None, Hold.MINUTES])), min_size=2, max_size=2),
    ),
    min_size=1,
    max_size=5,
)


def outcome_after(job: Job, kind: str, source_id: str | None, facts: list[Any]) -> Outcome:
    """An outcome such as a stage could have, and some that no stage has; but what is
    delivered stays delivered, and only a release ends a wait."""
    if kind == "later":
        return RetryLater("later", error=TransientError("503"))
    if kind == "at once":
        return RetryLater("at once", due_at=0.0)
    tasks = tuple(
        replace(old, stage=stage, tracks=_with_delivered(old, tracks), hold=old.hold or hold)
        for old, (stage, tracks, hold) in zip(job.tasks, facts, strict=True)
    )
    changed = replace(job, source_id=source_id, tasks=tasks)
    return Held(Hold.DISK, "full", job=changed, tasks=(1,)) if kind == "parked" else Advance(changed)


def _with_delivered(old: Task, tracks: Sequence[Track]) -> tuple[Track, ...]:
    kept = tuple(track for track in old.tracks if track.delivered)
    return kept + tuple(tracks)[len(kept) :]


@given(STEPS, st.sampled_from([0.3, 0.5, 1.0]))
@settings(derandomize=True)  # outcomes are made up: among some thousands there are sequences that no stages could give
def test_no_sequence_of_outcomes_runs_a_stage_again_and_again(steps: list[Any], jitter: float) -> None:
    """Whatever stages return, round and round, what runs more often than it gets further runs ever more rarely. Checks have a
    window of their own."""
    job, now, runs = job_with(task(), task(number=2)), NOW, []
    for kind, source_id, facts in steps * 60:
        now = max(now + (2.0 if job.stage is Stage.CHECK else 0.01), job.due_at)
        if job.stage is not Stage.CHECK:
            runs.append(now)
        job = transitions.apply_outcome(job, outcome_after(job, kind, source_id, facts), now, jitter)
        if job.state is not State.WAITING:
            job = replace(transitions.release(job, now, by_a_person=False), due_at=now + 20.0)
    assert max((sum(at <= other < at + 60.0 for other in runs) for at in runs), default=0) <= 40


def test_what_goes_back_again_and_again_pauses_ever_longer() -> None:
    job, now, pauses = job_with(task(), stage=Stage.SPLIT, source_id="s"), NOW, []
    for _ in range(12):
        job = transitions.apply_outcome(job, Advance(replace(job, source_id=None)), now)
        assert job.stage is Stage.UPLOAD
        pauses.append(job.due_at - now)
        now = job.due_at
        job = transitions.apply_outcome(job, Advance(replace(job, source_id="s")), now)
        assert (job.stage, job.due_at) == (Stage.SPLIT, 0.0)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == backoff.LONGEST_BACKOFF_SECONDS
    failed = replace(job, state=State.FAILED)
    assert transitions.retry(failed, now).setbacks == 0, "a person asks for a fresh start"


def test_the_pause_of_renewed_links_is_kept_until_the_download() -> None:
    tracks = (Track("stem", "music", "https://h/1"),)
    job = job_with(task(Stage.DOWNLOAD, task_id="t", tracks=tracks), stage=Stage.DOWNLOAD, source_id="s", setbacks=3)
    job = transitions.apply_outcome(job, Advance(job.with_task(replace(job.tasks[0], stage=Stage.CHECK))), NOW)
    assert (job.stage, job.due_at, job.setbacks) == (Stage.CHECK, NOW + 8.0, 4)
    job = transitions.apply_outcome(job, Advance(job.with_task(replace(job.tasks[0], stage=Stage.DOWNLOAD))), NOW + 2.0)
    assert (job.stage, job.due_at) == (Stage.DOWNLOAD, NOW + 8.0)


def test_progress_of_running_tasks_does_not_count_as_a_setback() -> None:
    job = job_with(task(Stage.CHECK, task_id="t", progress=3), stage=Stage.CHECK, source_id="s")
    after = transitions.apply_outcome(job, Advance(job.with_task(replace(job.tasks[0], progress=4))), NOW)
    assert (after.setbacks, after.due_at) == (0, 0.0)


@pytest.mark.parametrize("attempts", [0, 4])
def test_a_running_task_hurries_and_delays_no_other_task_of_its_job(attempts: int) -> None:
    running, unstarted_tasks = task(Stage.CHECK, task_id="t", progress=3), task(Stage.SPLIT, number=2)
    job = job_with(
        running,
        unstarted_tasks,
        stage=Stage.SPLIT,
        source_id="s",
        attempts=attempts,
        due_at=NOW + 30.0 * attempts,
        error="503",
    )
    for progress in range(4, 40):
        job = transitions.apply_outcome(
            job, Advance(job.with_task(replace(running, progress=progress, progressed_at=NOW))), NOW
        )
    assert (job.setbacks, job.attempts, job.error, job.due_at) == (0, attempts, "503", NOW + 30.0 * attempts)
    assert job.tasks[0].progress == 39


def test_a_job_waits_at_the_host_that_failed_it_and_else_at_its_first_tracks() -> None:
    hosts = ("https://A.example:444/1", "https://b.example/2", "https://user:word@c.example/3", "no link", "https://[")
    tracks = tuple(Track("stem", str(number), url) for number, url in enumerate(hosts))
    job = job_with(task(Stage.CHECK, task_id="t"), stage=Stage.CHECK, source_id="s")
    job = transitions.apply_outcome(
        job, Advance(job.with_task(replace(job.tasks[0], stage=Stage.DOWNLOAD, tracks=tracks))), NOW
    )
    assert job.download_host == "a.example:444"
    error = TransientError("refused")
    error.host = "b.example"
    job = transitions.apply_outcome(job, RetryLater("refused", error=error), NOW)
    assert job.download_host == "b.example"
    delivered = replace(job.tasks[0], tracks=tuple(replace(track, delivered=True, path="p") for track in tracks))
    job = transitions.apply_outcome(job, Advance(job.with_task(replace(delivered, stage=Stage.DONE))), NOW)
    assert job.download_host == ""
