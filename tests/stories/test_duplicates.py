"""The same bytes in every way that they can return: what is reused, what needs a decision, and nothing paid without one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.config import Minutes
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State
from lalald.sandbox.options import Options
from lalald.store import NewFile, Store
from lalald.store.queries import Reports
from tests.support.running import tree, write_wav
from tests.support.worker_driver import PLENTY, WorkerDriver, run, tasks_of

PITCH = 300.0
VOCALS = ("stem_separator", {"stem": "vocals"})
DRUM = ("stem_separator", {"stem": "drum"})
BASS = ("stem_separator", {"stem": "bass"})


def emptied(driver: WorkerDriver) -> None:
    """A program that waits for results takes them away."""
    for path in driver.outbox.iterdir():
        if path.name != ".lalald":
            shutil.rmtree(path)


async def first_done(driver: WorkerDriver, **changes: Any) -> Job:
    await driver.drop("first.wav", pitch=PITCH, **changes)
    return await driver.until_job("the first is done", state=State.DONE)


async def again(driver: WorkerDriver, name: str = "again.wav", **changes: Any) -> Job:
    """The same bytes under another name; their job at rest."""
    (job_id,) = await driver.drop(name, pitch=PITCH, **changes)
    await driver.rest()
    return await driver.job(job_id)


@pytest.mark.parametrize("hours", [0.0, 23.0])
def test_removed_results_are_fetched_again_for_free_while_the_service_has_them(tmp_path: Path, hours: float) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, delete=False) as driver:
            await first_done(driver)
            emptied(driver)
            driver.pass_time(hours)
            job = await again(driver)
            assert (job.state, job.minutes, job.duplicate_of) == (State.DONE, 0.0, 1)
            assert [name for name in tree(driver.outbox) if name.startswith("again/")] == [
                "again/no_vocals.wav",
                "again/vocals.wav",
            ]
            assert (driver.charges().total(), driver.counts()["upload"]) == (1, 1)

    run(scenario())


def test_after_24_hours_a_person_is_asked_and_the_answer_pays_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, delete=False) as driver:
            await first_done(driver)
            emptied(driver)
            driver.pass_time(25.0)
            job = await again(driver)
            assert (job.state, job.hold) == (State.HELD, Hold.DUPLICATE)
            assert "job 1 has paid for the same bytes" in (job.hold_reason or "")
            assert driver.charges().total() == 1
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("it is paid again", job.id, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


@pytest.mark.parametrize(("hours", "state"), [(0.5, State.DONE), (2.0, State.HELD)])
def test_after_a_delete_links_live_for_an_hour(tmp_path: Path, hours: float, state: State) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await first_done(driver)
            emptied(driver)
            driver.pass_time(hours)
            assert (await again(driver)).state is state
            assert driver.charges().total() == 1

    run(scenario())


@pytest.mark.parametrize("fault", ["check:server_error*0", "download:404*0"])
def test_results_that_the_service_no_longer_has_need_a_decision(tmp_path: Path, fault: str) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, delete=False) as driver:
            await first_done(driver)
            emptied(driver)
            driver.sandbox.faults(fault)
            job = await again(driver)
            assert (job.hold, job.tasks[0].stage, job.tasks[0].task_id) == (Hold.DUPLICATE, Stage.SPLIT, None)
            assert driver.charges().total() == 1
            driver.sandbox.faults()
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("it is paid again, and asked about once", job.id, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("spoil", [damaged, Path.unlink], ids=["changed", "partly gone"])
@pytest.mark.parametrize(("delete", "state", "charges"), [(False, State.DONE, 1), (True, State.HELD, 1)])
def test_changed_results_are_fetched_again_or_need_a_decision(
    tmp_path: Path, spoil: Callable[[Path], None], delete: bool, state: State, charges: int
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, delete=delete) as driver:
            await first_done(driver)
            spoil(driver.outbox / "first" / "vocals.wav")
            driver.pass_time(2.0)
            job = await again(driver)
            assert job.state is state
            assert driver.charges().total() == charges
            if state is State.HELD:
                await driver.ask(Request.RELEASE, job.id)
                await driver.until_job("it was asked once", job.id, state=State.DONE)
                assert driver.charges().total() == 2

    run(scenario())


def test_a_damaged_copy_is_skipped_if_another_is_intact(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await first_done(driver)
            await again(driver, "second.wav")
            damaged(driver.outbox / "second" / "vocals.wav")
            driver.pass_time(30.0)
            assert (await again(driver, "third.wav")).state is State.DONE
            assert driver.charges().total() == 1

    run(scenario())


def test_process_always_pays_and_hold_always_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await first_done(driver)
            job = await again(driver, "asks.wav", duplicates="hold")
            assert (job.hold, driver.charges().total()) == (Hold.DUPLICATE, 1)
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("the answer pays", job.id, state=State.DONE)
            assert driver.charges().total() == 2
            assert (await again(driver, "pays.wav", duplicates="process")).state is State.DONE
            assert driver.charges().total() == 3

    run(scenario())


def test_duplicates_hold_also_asks_while_the_first_job_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=PLENTY, processing_seconds=3600.0)
        ) as driver:
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it is processed", stage=Stage.CHECK)
            await driver.drop("asks.wav", pitch=PITCH, duplicates="hold")
            await driver.until_job("it is asked at once", 2, state=State.HELD, hold=Hold.DUPLICATE)
            await driver.drop("copy.wav", pitch=PITCH)
            await driver.until_job("the copy waits for the first", 3, state=State.WAITING, duplicate_of=1)
            with Reports.open(driver.state) as reports:  # it will cost nothing
                assert (reports.waiting_price(), reports.waiting_minutes()) == ((0.0, 0), 0.0)

    run(scenario())


def test_other_tracks_than_were_delivered_are_fetched_or_asked_about(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, delete=False) as driver:
            await first_done(driver, tracks=("vocals",))
            assert tree(driver.outbox) == ["first/vocals.wav"]
            assert (await again(driver, tracks=("no_vocals",))).state is State.DONE
            assert "again/no_vocals.wav" in tree(driver.outbox)
            driver.pass_time(25.0)
            assert (await again(driver, "third.wav", tracks=("vocals", "no_vocals"))).hold is Hold.DUPLICATE
            assert driver.charges().total() == 1

    run(scenario())


def test_of_several_tasks_only_the_new_one_is_paid(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, output="{dir}/{name}/{task}-{label}.{ext}") as driver:
            await first_done(driver, tasks=tasks_of(VOCALS, DRUM))
            job = await again(driver, tasks=tasks_of(BASS, VOCALS))
            assert job.state is State.DONE
            assert [task.paid_by for task in job.tasks] == [None, 1]
            assert driver.charges().total() == 3
            assert len([name for name in tree(driver.outbox) if name.startswith("again/")]) == 4

    run(scenario())


def test_reused_results_are_delivered_while_other_tasks_wait_for_a_decision(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, output="{dir}/{name}/{task}-{label}.{ext}") as driver:
            await first_done(driver, tasks=tasks_of(VOCALS, DRUM))
            shutil.rmtree(driver.outbox / "first")
            await again(driver, "second.wav", tasks=tasks_of(VOCALS))  # within the hour after the delete
            driver.pass_time(25.0)
            job = await again(driver, "third.wav", tasks=tasks_of(VOCALS, DRUM))
            assert (job.state, job.hold) == (State.HELD, Hold.DUPLICATE)
            assert [task.stage for task in job.tasks] == [Stage.DONE, Stage.SPLIT]
            assert driver.charges().total() == 2
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("the other is paid again", job.id, state=State.DONE)
            assert driver.charges().total() == 3

    run(scenario())


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_tasks_paid_by_a_cancelled_or_failed_job_are_not_paid_again_without_a_decision(
    tmp_path: Path, ending: str
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=PLENTY, processing_seconds=600.0)
        ) as driver:
            if ending == "failed":
                driver.sandbox.faults("split:task_error*1", "batch:task_error*1")
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it is paid", stage=Stage.CHECK)
            if ending == "cancelled":
                await driver.ask(Request.CANCEL, 1)
            else:
                driver.pass_time(1.0)
            await driver.until_job("it ends", state=State(ending))
            job = await again(driver)
            assert job.hold is Hold.DUPLICATE
            assert driver.charges().total() == 1

    run(scenario())


def test_a_job_that_failed_unpaid_is_not_a_duplicate(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("upload:400*1")
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it fails", state=State.FAILED)
            assert (await again(driver)).state is State.DONE
            assert driver.charges().total() == 1

    run(scenario())


def test_equal_files_that_arrive_at_once_in_two_inboxes_are_paid_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            second = tmp_path / "second"
            second.mkdir()
            for number in range(3):
                write_wav(driver.inbox / f"a{number}.wav", seconds=0.1, pitch=PITCH)
                write_wav(second / f"b{number}.wav", seconds=0.1, pitch=PITCH)
            await driver.take("a0.wav", "a1.wav", "a2.wav")
            await driver.take("b0.wav", "b1.wav", "b2.wav", inbox=second)
            assert {job.state for job in await driver.rest()} == {State.DONE}
            assert driver.charges().total() == 1
            assert len(tree(driver.outbox)) == 12

    run(scenario())


def test_a_duplicate_of_a_duplicate_and_a_file_that_came_back_from_done_cost_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await first_done(driver)
            await again(driver, "second.wav")
            shutil.rmtree(driver.outbox / "first")
            driver.pass_time(24 * 100.0)
            await driver.store.run(lambda store: store.history.trim(driver.clock.now() - 90 * 86_400.0, range(1, 1000)))
            assert [job.id for job in await driver.jobs()] == [2], "of one content the newest is kept"
            (driver.inbox / "done" / "first.wav").rename(driver.inbox / "back.wav")
            await driver.take("back.wav")
            await driver.rest()
            assert (await driver.job(3)).state is State.DONE
            assert driver.charges().total() == 1

    run(scenario())


@pytest.mark.parametrize("paid", [True, False])
def test_a_cancelled_job_that_paid_is_remembered_for_good(tmp_path: Path, paid: bool) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=PLENTY, processing_seconds=600.0)
        ) as driver:
            if not paid:
                driver.sandbox.faults("upload:503*0")
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it is on its way", **({"stage": Stage.CHECK} if paid else {"attempts": 1}))
            await driver.ask(Request.CANCEL, 1)
            job = await driver.until_job("it is cancelled", state=State.CANCELLED)
            await driver.store.run(lambda store: store.drop_file(job))
            await driver.store.run(lambda store: store.history.trim(driver.clock.now() + 1.0, range(1, 1000)))
            assert bool(await driver.jobs()) is paid

    run(scenario())


def test_the_source_is_deleted_on_the_service_only_after_its_duplicates_have_fetched(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=PLENTY, processing_seconds=600.0)
        ) as driver:
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it is processed", stage=Stage.CHECK)
            await driver.drop("again.wav", pitch=PITCH)
            await driver.until_job("the duplicate waits", 2, duplicate_of=1, attempts=1)
            job = await driver.job(2)
            parked = await driver.store.run(
                lambda store: store.save(
                    job, replace(job, state=State.HELD, hold=Hold.LINK, hold_reason="as in a test")
                )
            )
            driver.pass_time(0.5)
            await driver.until_job("the first waits with its delete", stage=Stage.DELETE, attempts=1)
            emptied(driver)
            assert "delete" not in driver.counts()
            await driver.store.run(
                lambda store: store.save(parked, replace(parked, state=State.WAITING, hold=None, due_at=0.0))
            )
            driver.worker.wake()
            assert {job.state for job in await driver.rest()} == {State.DONE}
            assert (driver.charges().total(), driver.counts()["delete"]) == (1, 1)
            assert [name for name in tree(driver.outbox) if name.startswith("again/")] == [
                "again/no_vocals.wav",
                "again/vocals.wav",
            ]

    run(scenario())


def test_an_undecided_duplicate_does_not_delay_the_deletion_of_the_source(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=PLENTY, processing_seconds=600.0)
        ) as driver:
            await driver.drop("first.wav", pitch=PITCH)
            await driver.until_job("it is processed", stage=Stage.CHECK)
            await driver.drop("asks.wav", pitch=PITCH, duplicates="hold")
            await driver.until_job("it is asked about", 2, hold=Hold.DUPLICATE)
            driver.pass_time(1.0)
            await driver.until_job("the first is done", state=State.DONE)
            assert driver.counts()["delete"] == 1

    run(scenario())


async def known_songs(driver: WorkerDriver, count: int) -> None:
    """As many done jobs of different songs, paid long ago, whose results are gone."""
    await driver.end()
    names = [f"song{number}.wav" for number in range(count)]
    contents = [write_wav(driver.inbox / name, seconds=0.1, pitch=100.0 + number) for number, name in enumerate(names)]
    with closing(Store.open(driver.state)) as store:
        for name, content in zip(names, contents, strict=True):
            found = NewFile(str(driver.inbox), name, len(content), 1, 1, "rule", driver.settings_of(), tasks_of(VOCALS))
            (job_id,) = store.add_files([found], 1.0)
            job = store.job(job_id or 0)
            assert job is not None
            task = replace(
                job.tasks[0], stage=Stage.DONE, task_id=f"t{job_id}", requested_at=1.0, started_at=1.0, minutes=1.0
            )
            digest = hashlib.sha256(content).hexdigest()
            store.save(
                job, replace(job.with_task(task), stage=Stage.DONE, state=State.DONE, sha256=digest, archived=True)
            )
    await driver.begin()


def test_a_folder_of_500_known_songs_is_one_line_of_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await known_songs(driver, 500)
            names = [f"again{number}.wav" for number in range(500)]
            for number, name in enumerate(names):
                (driver.inbox / f"song{number}.wav").rename(driver.inbox / name)
            await driver.take(*names)
            assert [job.hold for job in await driver.rest()].count(Hold.DUPLICATE) == 500
            said = await driver.until(lambda: driver.journal.of("job.held"), "it is said")
            assert [(one["hold"], one["count"]) for one in said] == [("duplicate", 500)]
            assert driver.counts().get("upload", 0) == 0

    run(scenario(), speed=1.0)  # how long the log waits for more is the machine's time


def test_twenty_copies_that_are_released_together_are_paid_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await first_done(driver)
            emptied(driver)
            driver.pass_time(25.0)
            ids = await driver.drop(*(f"{number}.wav" for number in range(20)), pitch=PITCH)
            assert [job.hold for job in await driver.rest()].count(Hold.DUPLICATE) == 20
            await driver.ask(Request.RELEASE, *ids)
            await driver.until_job("the last one has them too", ids[-1], state=State.DONE)
            assert {job.state for job in await driver.rest()} == {State.DONE}
            assert driver.charges().total() == 2

    run(scenario())


def test_an_accepted_duplicate_is_still_checked_against_the_limits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, minutes=Minutes()) as driver:
            await first_done(driver, seconds=6.0)
            emptied(driver)
            driver.pass_time(25.0)
            job = await again(driver, seconds=6.0)
            assert job.hold is Hold.DUPLICATE
            driver.context.budget.limits = Minutes(per_file=0.05)
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("the limit is another question", job.id, hold_source=HoldSource.PER_FILE)
            assert driver.charges().total() == 1
            await driver.ask(Request.RELEASE, job.id)
            await driver.until_job("both are answered", job.id, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


def test_a_redo_pays_without_being_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            first = await first_done(driver)
            now = driver.clock.now()
            fresh = tasks_of(VOCALS)
            await driver.store.run(lambda store: store.redo(first, now, fresh))
            driver.worker.wake()
            await driver.until_job("a redo is processed", 2, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())
