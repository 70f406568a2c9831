"""What the note beside a failed file advises, by the kind of the failure: a retry only where it can help."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.jobs.failures import failure_advice
from lalald.jobs.failures.failure_advice import ADVICE, Retry, kinds_of, what_to_do
from lalald.jobs.failures.failure_kinds import KIND_BY_CODE, FailureKind, kind_of_refusal
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Failed
from lalald.jobs.states import Request, State, TaskFailure
from lalald.jobs.task import Task
from lalald.jobs.transitions import apply_outcome, retry
from lalald.stages.upload import MAX_UPLOAD_BYTES
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import APPLICATION_ID, MIGRATIONS, bring_to
from tests.jobs.test_transitions import SETTINGS
from tests.support.worker_driver import WorkerDriver, run


def job(kind: FailureKind | None = None, **task: Any) -> Job:
    tasks = (Task(1, None, "demuser", {}, **task),)
    return Job(
        id=7, revision=1, inbox="/in", path="a.mp3", size=1, mtime_ns=1, inode=1, rule="r", settings=SETTINGS, created_at=1.0,
        updated_at=1.0, state=State.FAILED, error="why", failure_kind=kind, tasks=tasks,
    )  # fmt: skip


def test_each_kind_has_advice_and_each_failure_of_a_task_a_kind() -> None:
    assert ADVICE.keys() == set(FailureKind)
    for failure in TaskFailure:
        assert kinds_of(job(error="x", failure=failure)) != ()
    for code, kind in KIND_BY_CODE.items():
        assert kinds_of(job(error="x", failure=TaskFailure.REFUSED, error_code=code)) == (kind,)
    assert kind_of_refusal("something_new") is kind_of_refusal(None) is FailureKind.REFUSED


@pytest.mark.parametrize("kind", FailureKind)
def test_a_retry_is_advised_only_where_it_can_help(kind: FailureKind) -> None:
    words = what_to_do(job(kind))
    if ADVICE[kind].retry is Retry.USELESS:
        assert "lalald retry" not in words
        assert "Drag" not in words
        assert words.endswith("Trying this file again will not help.")
    elif ADVICE[kind].retry is Retry.HELPS_AFTERWARDS:
        assert words.index(ADVICE[kind].words) < words.index(
            "Then drag the file back into /in, or run `lalald retry 7`."
        )
    else:
        assert words.startswith("Drag the file back into /in, or run `lalald retry 7`.")
    assert "{" not in words
    assert "  " not in words


def test_the_advice_says_what_the_kind_asks_for() -> None:
    said = {kind: what_to_do(job(kind)) for kind in FailureKind}
    assert "Make it smaller" in said[FailureKind.TOO_LARGE]
    assert "shorter parts" in said[FailureKind.TOO_LONG]
    assert "Convert it" in said[FailureKind.UNSUPPORTED]
    assert "Convert it" in said[FailureKind.NO_LENGTH]
    assert "change the rule or the file" in said[FailureKind.REFUSED]
    assert "plan" in said[FailureKind.KEY]
    assert "`lalald redo 7` pays again" in said[FailureKind.RESULTS_LEFT]


def test_a_retry_that_pays_says_its_price() -> None:
    failed = job(error="x", failure=TaskFailure.FAILED, task_id="t", minutes=3.5)
    assert "1 task will be paid again (3.5 minutes); what was delivered is not." in what_to_do(failed)
    unknown = job(error="x", failure=TaskFailure.FAILED, task_id="t", minutes=None)
    assert "1 task will be paid again (an unknown number of minutes)" in what_to_do(unknown)
    assert "paid again" not in what_to_do(job(error="x", failure=TaskFailure.REFUSED, error_code="max_duration"))


def test_tasks_that_failed_for_different_reasons_get_the_advice_of_each() -> None:
    failed = job(error="x", failure=TaskFailure.FAILED, task_id="t", minutes=1.0)
    long = Task(2, None, "voice_clean", {}, error="x", failure=TaskFailure.REFUSED, error_code="max_duration")
    words = what_to_do(replace(failed, tasks=(*failed.tasks, long)))
    assert words.startswith("Drag the file back")
    assert ADVICE[FailureKind.SERVICE_FAILED].words in words
    assert ADVICE[FailureKind.TOO_LONG].words in words


def test_a_job_of_an_earlier_version_gets_general_advice() -> None:
    assert what_to_do(job()).startswith("Drag the file back into /in, or run `lalald retry 7`.")
    kept = replace(SETTINGS, on_failure="keep")
    assert what_to_do(replace(job(), settings=kept)).startswith("Run `lalald retry 7`.")


def test_a_retry_forgets_why_it_failed() -> None:
    failed = apply_outcome(replace(job(), state=State.WAITING), Failed("no", kind=FailureKind.TOO_LARGE), 2.0)
    assert failed.failure_kind is FailureKind.TOO_LARGE
    assert retry(failed, 3.0).failure_kind is None
    refused = job(error="x", failure=TaskFailure.FAILED, error_code="inference_error", task_id="t")
    assert retry(refused, 3.0).tasks[0].error_code is None


FAULTS: Mapping[str, tuple[Any, FailureKind]] = {
    "too large by code": ("upload:400,code=exceeded_size", FailureKind.TOO_LARGE),
    "too large by status": ("upload:413", FailureKind.TOO_LARGE),
    "a type that the service refuses": ("upload:415", FailureKind.UNSUPPORTED),
    "another refusal": ("upload:422", FailureKind.REFUSED),
    "an upload refused for this key": ("upload:403", FailureKind.KEY),
    "too long": ("split:400,code=max_duration", FailureKind.TOO_LONG),
    "a file too large for the plan": ("split:400,code=exceeded_size", FailureKind.TOO_LARGE),
    "a refused start": ("split:422", FailureKind.REFUSED),
    "a start refused for this key": ("split:401", FailureKind.KEY),
    "failed on the service": ("split:task_error", FailureKind.SERVICE_FAILED),
    "no length that can be": ("upload:type*2,field=duration,value=0", FailureKind.NO_LENGTH),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_note_advises_by_what_the_service_answered(name: str, tmp_path: Path) -> None:
    """Its words are arbitrary: only codes count."""
    fault, kind = FAULTS[name]

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(fault)
            await driver.drop("ep1.wav")
            (failed,) = await driver.rest()
            assert (failed.state, kinds_of(failed)) == (State.FAILED, (kind,)), failed.error
            note = (driver.inbox / "failed" / "ep1.wav.error.txt").read_text()
            assert ADVICE[kind].words.format(id=1) in note
            assert ("lalald retry" in note) == (ADVICE[kind].retry is not Retry.USELESS)
            driver.sandbox.faults()
            await driver.ask(Request.RETRY, 1)
            done = await driver.until_job("it is done", state=State.DONE)
            assert (done.failure_kind, [task.error_code for task in done.tasks]) == (None, [None])

    run(scenario())


def test_a_file_that_is_too_large_is_never_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            path = driver.inbox / "huge.wav"
            path.touch()
            os.truncate(path, MAX_UPLOAD_BYTES + 1)
            await driver.take("huge.wav")
            (failed,) = await driver.rest()
            assert failed.failure_kind is FailureKind.TOO_LARGE
            assert "Trying this file again will not help." in what_to_do(failed)

    run(scenario())


def test_failed_jobs_of_the_version_before_are_kept(tmp_path: Path) -> None:
    version = MIGRATIONS.index(next(script for script in MIGRATIONS if "failure_kind" in script))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as old:
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        bring_to(old, 0, version)
        old.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
        columns = "id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at, updated_at, error"
        for job_id, error in ((1, "internal: KeyError"), (2, "the service refused it")):
            old.execute(
                f"INSERT INTO jobs ({columns}) VALUES (?, '/in', 'a.wav', 1, 1, 1, 'r', 1, 'upload', 'failed', 'x', 0, 0, ?)",
                (job_id, error),
            )
    with closing(Store.open(state)) as store:
        first, second = store.job(1), store.job(2)
    assert first is not None
    assert second is not None
    assert (first.failure_kind, second.failure_kind) == (FailureKind.INTERNAL, None)
    assert failure_advice.kinds_of(second) == ()
