"""A release answers the question that its hold asked, for the price that was shown, and nothing else."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.config import Minutes
from lalald.jobs import transitions
from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending import consent
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State
from lalald.sandbox.server import Sandbox
from lalald.stages.precharge.budget import Budget
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.request_writer import Requests
from lalald.store.schema.migrations import bring_to
from tests.conftest import MakeHome
from tests.jobs.test_transitions import NOW, SETTINGS, job_with, task
from tests.support.filled_store import FilledStore
from tests.support.running import until, write_wav
from tests.support.worker_driver import WorkerDriver, run

SIX_SECONDS = 6.0  # 0.1 minutes

QUESTIONS = [
    (Hold.MINUTES, HoldSource.PER_FILE, {"per_day", "left", "price"}),
    (Hold.MINUTES, HoldSource.PER_DAY, {"per_file", "left", "price"}),
    (Hold.MINUTES, HoldSource.PRICE, {"per_file", "per_day", "left", "price"}),
    (Hold.MINUTES, HoldSource.LEFT, {"per_file", "per_day", "left"}),
    (Hold.MINUTES, HoldSource.SERVICE, {"per_file", "per_day", "left"}),
    (Hold.DUPLICATE, None, {"per_file", "per_day", "left", "price"}),
    (Hold.FIRST_SCAN, None, {"per_file", "per_day", "left", "price"}),
    (Hold.LOST_TASK, None, {"per_file", "per_day", "left", "price"}),
    (Hold.DISK, None, {"per_file", "per_day", "left"}),
    (Hold.MOUNT, None, {"per_file", "per_day", "left"}),
    (Hold.LINK, None, {"per_file", "per_day", "left"}),
    (Hold.LICENSE, None, {"per_file", "per_day", "left"}),
]


async def checked(job: Job, needed: float) -> set[str]:
    """Which limits would still keep the job from being charged these minutes."""

    async def plenty() -> float:
        return 1000.0

    async def little() -> float:
        return 1.0

    async def nothing_spent(_since: float) -> float:
        return 0.0

    found = set()
    for limits, left in ((Minutes(per_file=2.0), plenty), (Minutes(per_day=2.0), plenty), (Minutes(), little)):
        refusal = await Budget(limits, Clock(), left, nothing_spent).refusal(job, needed)
        found |= {str(refusal.source)} if refusal else set()
    dearer = await Budget(Minutes(), Clock(), plenty, nothing_spent).refusal(job, needed * 3)
    return found | ({"price"} if dearer else set())


@pytest.mark.parametrize(
    ("hold", "source", "still"), QUESTIONS, ids=[f"{hold} {source or ''}".strip() for hold, source, _ in QUESTIONS]
)
def test_what_is_still_checked_after_each_release(hold: Hold, source: HoldSource | None, still: set[str]) -> None:
    job = job_with(task(), state=State.HELD, hold=hold, hold_source=source, duration=360.0)
    assert run(checked(transitions.release(job, NOW, price=6.0), 6.0)) == still
    probed = transitions.release(job, NOW, by_a_person=False)
    assert run(checked(probed, 6.0)) == {"per_file", "per_day", "left"}, "a probe agrees to nothing"


@pytest.mark.parametrize(
    ("shown", "figure", "agreed"),
    [
        (9.0, 9.9, True),
        (9.0, 10.0, True),
        (9.0, 10.01, False),
        (100.0, 110.0, True),
        (100.0, 110.1, False),
        (0.1, 1.1, True),
    ],
)
def test_a_price_holds_up_to_ten_per_cent_and_a_minute(shown: float, figure: float, agreed: bool) -> None:
    assert consent.covers(shown, figure) is agreed


def test_several_tasks_that_are_charged_one_after_the_other_stay_within_one_price() -> None:
    tasks = tuple(task(number=number) for number in range(1, 11))
    job = job_with(*tasks, state=State.HELD, hold=Hold.FIRST_SCAN, duration=600.0)
    job = transitions.release(job, NOW, price=100.0)
    for charged in range(10):
        assert consent.is_within_approval(replace(job, minutes=charged * 10.9), (10 - charged) * 10.9)


def test_a_limit_that_was_waived_without_a_price_is_asked_about_once_the_price_is_known() -> None:
    job = job_with(task(), state=State.HELD, hold=Hold.MINUTES, hold_source=HoldSource.PER_FILE)
    after = transitions.release(job, NOW, price=None)
    assert consent.has_waived(after, HoldSource.PER_FILE)
    assert not consent.has_waived(replace(after, duration=600.0), HoldSource.PER_FILE)


def test_a_release_ends_no_other_wait() -> None:
    lost = task(number=1, idempotency_key="k", requested_at=NOW, hold=Hold.LOST_TASK, hold_reason="lost")
    dear = task(number=2, hold=Hold.MINUTES, hold_reason="dear", hold_source=HoldSource.PER_FILE)
    job = job_with(
        lost,
        dear,
        state=State.HELD,
        hold=Hold.MINUTES,
        hold_source=HoldSource.PER_FILE,
        source_id="s",
        stage=Stage.SPLIT,
    )
    after = transitions.release(job, NOW, price=1.0)
    assert (after.tasks[0], after.tasks[1].hold) == (lost, None)


SHOWN = RequestTerms(Hold.MINUTES, HoldSource.PER_FILE, "r", 6.0)


@pytest.mark.parametrize(
    ("facts", "shown", "words"),
    [
        ({}, SHOWN, None),
        ({}, None, "names no price"),
        ({}, replace(SHOWN, hold=Hold.DUPLICATE, source=None), "held for duplicate, and is held for minutes (per_file) now"),
        ({}, replace(SHOWN, source=HoldSource.LEFT), "held for minutes (left)"),
        ({}, replace(SHOWN, task_fingerprint="another"), "its tasks have changed"),
        ({"duration": 400.0}, SHOWN, None),
        ({"duration": 426.0}, SHOWN, "released for 6.0 minutes, and costs 7.1 now"),
        ({"duration": None}, replace(SHOWN, minutes=None), None),
        ({}, replace(SHOWN, minutes=None), "released for an unknown price, and costs 6.0 now"),
        ({"hold": Hold.DISK, "hold_source": None}, None, None),
    ],
)  # fmt: skip
def test_a_request_is_valid_only_for_what_was_shown(
    facts: dict[str, Any], shown: RequestTerms | None, words: str | None
) -> None:
    held = {
        "state": State.HELD,
        "hold": Hold.MINUTES,
        "hold_source": HoldSource.PER_FILE,
        "duration": 360.0,
        "task_fingerprint": "r",
    }
    objection = consent.objection(job_with(task(), **{**held, **facts}), shown)
    assert objection == words or (words is not None and words in (objection or ""))


def test_what_was_shown_survives_the_store() -> None:
    for shown in (SHOWN, RequestTerms(None, None, "", None), RequestTerms(Hold.DISK, None, "r", 0.0)):
        assert RequestTerms.from_json(shown.to_json()) == shown


def test_a_file_that_is_longer_than_shown_is_held_again_with_both_figures(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_file=0.5)) as driver:
            await driver.drop("a.wav", seconds=180.0)
            held = await driver.until_job("it is too dear", hold_source=HoldSource.PER_FILE)
            # a header that says 1 minute; the service will hear 3
            await driver.store.run(lambda store: store.save(held, replace(held, duration=60.0)))
            job = await driver.job()
            await driver.leave_release(job, 1.0)
            held = await driver.until_job("three times the price", hold_source=HoldSource.PRICE)
            assert "needs 3.0 minutes, but was released for 1.0" in (held.hold_reason or "")
            assert driver.charges().total() == 0
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("the new price is agreed to", state=State.DONE)
            assert driver.charges().total() == 1

    run(scenario())


@pytest.mark.parametrize(
    ("shown", "minutes"),
    [
        ({"hold": Hold.DUPLICATE, "hold_source": None}, 1.2),
        ({"hold_source": HoldSource.PRICE}, 1.2),
        ({}, 0.012),
        ({"task_fingerprint": "of another rule"}, 1.2),
    ],
    ids=["another hold", "another question", "another price", "another rule"],
)
def test_a_release_does_nothing_where_the_job_is_not_what_was_shown(
    tmp_path: Path, shown: dict[str, Any], minutes: float
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes(per_file=0.05, per_day=0.05)) as driver:
            await driver.drop("a.wav", seconds=72.0)
            held = await driver.until_job("too dear", hold_source=HoldSource.PER_FILE)
            await driver.leave_release(replace(held, **shown), minutes)
            await driver.until(lambda: driver.journal.of("release.refused"), "it is said")
            after = await driver.until_job("the request is answered", request=None)
            assert (after.state, after.per_file_waived, after.duplicate_accepted) == (State.HELD, False, False)
            assert driver.charges().total() == 0

    run(scenario())


# the command line


def held(
    filled_store: FilledStore,
    store: Store,
    path: str,
    hold: Hold,
    source: HoldSource | None = None,
    minutes: float = 3.0,
) -> Job:
    job = filled_store.take(store, f"podcasts/{path}", duration=minutes * 60)
    waits = replace(job, state=State.HELD, hold=hold, hold_source=source, hold_reason="as in a test", held_at=NOW)
    return store.save(job, waits)


def asked(filled_store: FilledStore) -> dict[int, float | None]:
    with Requests.open(filled_store.state) as requests:
        found = [report.job for report in requests.jobs() if report.job.request is Request.RELEASE]
        return {job.id: job.request_terms and job.request_terms.minutes for job in found}


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    """The daemon knows of 7 minutes left; five jobs of four kinds are held."""
    filled_store = FilledStore(tmp_path, minutes={"per_file": 4, "per_day": 100})
    with filled_store.store() as store:
        store.state.set("minutes", {"left": 7.0, "at": NOW}, NOW)
        held(filled_store, store, "1.mp3", Hold.MINUTES, HoldSource.PER_FILE, 5.0)
        held(filled_store, store, "2.mp3", Hold.MINUTES, HoldSource.LEFT, 3.5)
        held(filled_store, store, "3.mp3", Hold.DUPLICATE, minutes=1.5)
        held(filled_store, store, "4.mp3", Hold.FIRST_SCAN, minutes=5.0)
        job = held(filled_store, store, "5.mp3", Hold.LOST_TASK)
        store.save(job, replace(job.with_task(replace(job.tasks[0], requested_at=NOW)), stage=Stage.SPLIT))
    return filled_store


def test_release_all_of_several_kinds_says_the_prices_and_wants_a_yes(filled_store: FilledStore) -> None:
    code, said, complaint = filled_store.call("release", "--all")
    assert (code, asked(filled_store)) == (2, {})
    assert "minutes: 2 jobs, about 8.5 min will be charged\n" in said
    assert "duplicate: 1 job, about 1.5 min will be charged\n" in said
    assert "first_scan: 1 job, about 5.0 min will be charged\n" in said
    assert "Add --yes, or choose with --hold KIND." in complaint


def test_release_all_promises_only_what_will_happen(filled_store: FilledStore) -> None:
    said = filled_store.said("release", "--all", "--yes")
    assert "2 jobs released; about 6.5 min will be charged\n" in said
    assert "1 job will stay held (minutes.per_file): job 4 needs 5.0 minutes, minutes.per_file allows 4\n" in said
    assert "1 job will stay held (minutes left): job 2 needs 3.5 minutes, 2.0 are free" in said
    assert asked(filled_store) == {1: 5.0, 3: 1.5, 4: 5.0}, "what only a top-up helps is not asked for"


def test_release_all_of_one_kind_or_rule(filled_store: FilledStore) -> None:
    assert "1 job released; about 1.5 min will be charged\n" in filled_store.said(
        "release", "--all", "--hold", "duplicate"
    )
    assert asked(filled_store) == {3: 1.5}
    assert "No job is held." in filled_store.said("release", "--all", "--rule", "no such rule", "--hold", "duplicate")
    assert "wants" not in filled_store.said("release", "--all", "--rule", "podcasts", "--yes")
    assert filled_store.call("release", "--all", "--hold", "lost_task")[0] == 2, "it is paid twice: that wants a yes"
    filled_store.said("release", "--all", "--hold", "lost_task", "--yes")
    assert asked(filled_store)[5] == 3.0
    for words in (["release", "3", "--hold", "minutes"], ["release", "3", "--rule", "podcasts"]):
        assert filled_store.call(*words)[0] == 2


def test_a_release_by_number_stores_the_price_that_it_prints(filled_store: FilledStore) -> None:
    assert (
        "job 1 podcasts/1.mp3: waives minutes.per_file for this price; about 5.0 min will be charged\n"
        in filled_store.said("release", "1")
    )
    assert filled_store.said("release", "4").startswith(
        "job 4 podcasts/4.mp3: stays held for now: needs 5.0 minutes, minutes.per_file allows 4;"
        " once it runs, about 5.0 min will be charged\n"
    )
    assert asked(filled_store) == {1: 5.0, 4: 5.0}


def test_a_file_kept_back_by_what_it_states_is_uploaded_when_it_is_released_by_number(
    filled_store: FilledStore,
) -> None:
    assert filled_store.said("release", "2").startswith(
        "job 2 podcasts/2.mp3: is uploaded now, and the service's figure decides; about 3.5 min according to the file\n"
    )
    assert asked(filled_store) == {2: 3.5}


def test_a_release_as_json(filled_store: FilledStore) -> None:
    facts = json.loads(filled_store.said("release", "--all", "--yes", "--json"))
    assert [one["id"] for one in facts["released"]] == [1, 3, 4]
    assert [(one["id"], one["stays_held_for"]) for one in facts["stay_held"]] == [(2, "left"), (4, "per_file")]
    assert facts["lost_tasks_not_released"] == 1
    assert {"hold": "minutes", "jobs": 2, "minutes": 8.5, "unknown": 0} in facts["holds"]
    one = json.loads(filled_store.said("release", "3", "--json"))
    assert one["released"] == [
        {"id": 3, "path": "podcasts/3.mp3", "hold": "duplicate", "hold_source": None, "minutes": 1.5, "stays_held": None,
         "stays_held_for": None}
    ]  # fmt: skip
    code, said, _ = filled_store.call("release", "--all", "--json")
    assert (code, json.loads(said)["released"]) == (2, [])


def test_retry_and_redo_print_their_price_as_json(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = held(filled_store, store, "6.mp3", Hold.DISK, minutes=2.0)
        store.save(job, replace(job, state=State.FAILED, hold=None, error="broken"))
    (filled_store.inbox / "podcasts").mkdir()
    (filled_store.inbox / "podcasts" / "6.mp3").write_bytes(b"sound")
    for verb in ("retry", "redo"):
        facts = json.loads(filled_store.said(verb, "6", "--json"))
        assert ([one["id"] for one in facts["jobs"]], facts["minutes"], facts["unknown"]) == ([6], 2.0, 0), verb
    assert json.loads(filled_store.said("retry", "--failed", "--json"))["minutes"] == 2.0


def test_a_release_survives_kill_9_between_the_request_and_its_effect(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, minutes={"per_file": 0.01})
    write_wav(home.inbox / "a.wav", seconds=6.0)
    process = home.start()
    until(lambda: home.jobs()[0]["hold"] == "minutes", "it is too dear")
    process.send_signal(signal.SIGSTOP)
    assert home.command("release", "1").returncode == 0
    process.kill()
    process.wait(20)
    home.start()
    assert [job["state"] for job in home.rest()] == ["done"]
    assert len(sandbox.state()["charges"]) == 1


# from before


def old_database(root: Path) -> sqlite3.Connection:
    """As the version wrote it that had one flag."""
    connection = sqlite3.connect(root / FILE_NAME, isolation_level=None)
    bring_to(connection, 0, 5)
    connection.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
    return connection


def old_job(connection: sqlite3.Connection, **facts: Any) -> int:
    row = {
        "inbox": "/in", "path": "a.wav", "size": 1, "mtime_ns": 1, "inode": 1, "rule": "r", "handling": 1, "stage": "upload",
        "state": "held", "recipe": "", "created_at": 1.0, "updated_at": 1.0, **facts,
    }  # fmt: skip
    marks = ", ".join("?" * len(row))
    cursor = connection.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({marks})", [*row.values()])
    job_id = int(cursor.lastrowid or 0)
    tasks = [
        (job_id, 1, "stem_separator", '{"stem": "vocals"}', "split"),
        (job_id, 2, "multistem", '{"stem_list": ["drum", "bass"]}', "split"),
    ]
    connection.executemany("INSERT INTO tasks (job_id, number, mode, presets, stage) VALUES (?, ?, ?, ?, ?)", tasks)
    return job_id


def test_an_older_flag_becomes_what_its_command_promised_at_the_price_of_then(tmp_path: Path) -> None:
    connection = old_database(tmp_path)
    old_job(connection, state="waiting", released=1, duration=120.0)
    old_job(connection, state="waiting", released=1, duration=None)
    old_job(connection, state="waiting", released=0, duration=120.0)
    connection.close()
    with closing(Store.open(tmp_path)) as store:
        first, second, third = store.jobs_by_id((1, 2, 3))
    assert (first.per_file_waived, first.per_day_waived, first.duplicate_accepted) == (True, True, True)
    assert first.approved_minutes == pytest.approx(6.0), "2 minutes for one stem, 4 for two"
    assert (second.per_file_waived, second.approved_minutes) == (True, None)
    assert (third.per_file_waived, third.per_day_waived, third.duplicate_accepted) == (False, False, False)


@pytest.mark.parametrize(
    ("reason", "source"),
    [
        ("needs 9.0 minutes, minutes.per_file allows 5", HoldSource.PER_FILE),
        ("needs 9.0 minutes, minutes.per_day allows 5 and 3.0 are spent or promised today", HoldSource.PER_DAY),
        ("the service says that the minutes do not suffice: no", HoldSource.SERVICE),
        ("needs 9.0 minutes, 2.5 are free (0.0 promised to other jobs)", HoldSource.LEFT),
    ],
)
def test_what_an_older_hold_is_about_is_read_from_its_words_once(
    tmp_path: Path, reason: str, source: HoldSource
) -> None:
    connection = old_database(tmp_path)
    old_job(connection, hold="minutes", hold_reason=reason)
    connection.execute("UPDATE tasks SET waits_for = 'minutes', waits_reason = ? WHERE number = 2", (reason,))
    old_job(connection, hold="disk", hold_reason="full")
    connection.close()
    with closing(Store.open(tmp_path)) as store:
        first, second = store.jobs_by_id((1, 2))
    assert (first.hold_source, [one.hold_source for one in first.tasks]) == (source, [None, source])
    assert second.hold_source is None


def test_a_release_that_an_older_version_left_pays_nothing_unseen(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    connection = old_database(state)
    old_job(connection, hold="duplicate", hold_reason="again?", request="release", duration=60.0)
    connection.close()

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            (refused,) = await driver.until(lambda: driver.journal.of("release.refused"), "it is said")
            assert "names no price" in refused["reason"]
            assert (await driver.job()).state is State.HELD

    run(scenario())
