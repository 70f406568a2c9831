"""Sources and tasks expire after a day, links after an hour: no paid result is lost without a report."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lalald.config.license_key import FoundKey, LicenseKey
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Request, Stage, State, TaskFailure
from tests.support.running import tree
from tests.support.worker_driver import WorkerDriver, run

LEAD_AND_VOICE = (("multistem", {"stem_list": ["drum"]}), ("change_voice", {"voice_pack_id": "ALEX_KAYE"}))
ALL_OF_MULTISTEM = ["ep1/drum.wav", "ep1/no_multistem.wav"]


def test_a_source_that_expired_before_any_charge_is_uploaded_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.outbox.rename(tmp_path / "away")
            await driver.drop("ep1.wav")
            held = await driver.until_job("the outbox is away", state=State.HELD, hold=Hold.MOUNT)
            assert held.stage is Stage.SPLIT
            driver.pass_time(25)
            assert driver.counts()["upload"] == 1, "not before its job goes on"
            (tmp_path / "away").rename(driver.outbox)
            await driver.until_job("the outbox is back", state=State.DONE)
            assert driver.counts()["upload"] == 2
            assert sum(driver.charges().values()) == 1

    run(scenario())


GONE = "The file has not been uploaded properly or has already been deleted."


def test_sources_of_a_former_account_are_uploaded_again_and_charged_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.outbox.rename(tmp_path / "away")
            await driver.drop("ep1.wav", "ep2.wav", "ep3.wav")
            for number in (1, 2, 3):
                await driver.until_job("it is uploaded", number, state=State.HELD, stage=Stage.SPLIT)
            driver.api.use_key(FoundKey(LicenseKey("the-key-of-another-account")))
            (tmp_path / "away").rename(driver.outbox)
            for number in (1, 2, 3):
                await driver.until_job("it is delivered", number, state=State.DONE)
            assert driver.counts()["upload"] == 6
            assert sorted(driver.charges().values()) == [1, 1, 1]

    run(scenario())


def test_a_task_that_the_former_account_did_not_start_gets_a_source_in_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:429*0")
            await driver.drop("ep1.wav")
            await driver.until(driver.charges, "the first task is started")
            driver.api.use_key(FoundKey(LicenseKey("the-key-of-another-account")))
            driver.sandbox.faults()
            await driver.until(lambda: driver.charges().total() == 2, "the second one is started by the next account")
            assert driver.counts()["upload"] == 2
            assert sorted(driver.charges().values()) == [1, 1]

    run(scenario())


def test_a_source_that_is_refused_after_a_second_upload_fails_without_a_charge(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(f"split:400*0,detail={GONE}")
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.FAILED
            assert "Nothing was charged for it" in str(job.error)
            assert driver.counts()["upload"] == 2, "one more upload, and no loop of uploads"
            driver.sandbox.faults()
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("the retry succeeds", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_a_task_whose_source_is_refused_again_fails_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults(f"change_voice:400*0,detail={GONE}")
            await driver.drop("ep1.wav")
            failed = await _failed(driver)
            assert str(failed.error).startswith("task 2 (change_voice): ")
            assert driver.seen() == ALL_OF_MULTISTEM

    run(scenario())


def test_a_fresh_source_that_is_unknown_after_an_unanswered_start_is_a_lost_task(tmp_path: Path) -> None:
    """The unanswered start may have been charged, by this account or by a former one."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:503*0,done=true")
            await driver.drop("ep1.wav")
            await driver.until(driver.charges, "the task was started, and its id was lost")
            driver.sandbox.faults(f"split:400*0,detail={GONE}")
            (job,) = await driver.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "Minutes may have been charged once" in str(job.hold_reason)
            assert driver.counts()["upload"] == 1

    run(scenario())


def test_a_source_that_expires_while_a_start_is_unanswered_is_a_lost_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:503*0,done=true")
            await driver.drop("ep1.wav")
            await driver.until(driver.charges, "the task was started, and its id was lost")
            driver.sandbox.faults(f"split:400*0,detail={GONE}")  # a service that looks at the source first
            driver.pass_time(25)
            (job,) = await driver.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "no answer arrived, and the service no longer has its source" in str(job.hold_reason)
            assert driver.counts()["upload"] == 1
            assert sum(driver.charges().values()) == 1
            driver.sandbox.faults()
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("it was paid again", state=State.DONE)
            assert driver.counts()["upload"] == 2
            assert sum(driver.charges().values()) == 2

    run(scenario())


def test_on_lost_task_resubmit_uploads_an_expired_source_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, on_lost_task="resubmit") as driver:
            driver.sandbox.faults("split:503*0,done=true")
            await driver.drop("ep1.wav")
            await driver.until(driver.charges, "the task was started, and its id was lost")
            driver.sandbox.faults(f"split:400,detail={GONE}")
            driver.pass_time(25)
            await driver.until_job("it was paid again, unasked", state=State.DONE)
            assert driver.counts()["upload"] == 2
            assert sum(driver.charges().values()) == 2
            (said,) = driver.journal.of("task.resubmitted")
            assert said["reason"].endswith("it may be charged twice")

    run(scenario())


def test_a_stalled_task_is_held_then_fails_when_the_service_forgets_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:stuck*0")
            await driver.drop("ep1.wav")
            await _seen_at(driver, 40)
            driver.pass_time(4)
            held = await driver.until_job("it is stalled", state=State.HELD)
            assert (held.hold, held.stage) == (Hold.LOST_TASK, Stage.CHECK)
            assert "has been at 40 % for over 3 hours" in str(held.hold_reason)
            for _ in range(25):
                driver.pass_time(1)
                await asyncio.sleep(1)
            failed = await driver.until_job("the service has forgotten it", state=State.FAILED, archived=True)
            assert str(failed.error).startswith("task 1 (stem_separator): expired: ")
            assert tree(driver.inbox) == ["failed/ep1.wav", "failed/ep1.wav.error.txt"]
            assert len(driver.journal.of("job.held")) == 1
            driver.sandbox.faults()
            await _retried_in_vain(driver)
            await driver.redo(1)
            await driver.until_job("it was paid again", 2, state=State.DONE, archived=True)
            assert sum(driver.charges().values()) == 2
            assert tree(driver.inbox) == ["done/ep1.wav"]

    run(scenario(), speed=600.0)


async def _seen_at(driver: WorkerDriver, percent: int) -> None:
    async def seen() -> bool:
        return any(task.progress == percent for job in await driver.jobs() for task in job.tasks)

    await driver.until(seen, f"a task was seen at {percent} %")


def test_a_stalled_task_resumes_automatically(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("split:stuck*0")
            await driver.drop("ep1.wav")
            await _seen_at(driver, 40)
            driver.pass_time(4)
            held = await driver.until_job("it is stalled", state=State.HELD)
            driver.sandbox.decide(str(held.tasks[0].task_id), "success")
            checks = driver.counts()["check"]
            await driver.until(lambda: driver.counts()["check"] > checks, "it is checked again automatically")
            await driver.until_job("it went on", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    run(scenario(), speed=600.0)


def test_results_not_fetched_for_a_day_fail_and_name_the_cost_of_a_retry(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("download:503*0")
            await driver.drop("ep1.wav")
            await driver.until_job("the results are there", stage=Stage.DOWNLOAD)
            driver.pass_time(25)
            failed = await driver.until_job("the service has forgotten them", state=State.FAILED, archived=True)
            assert "`lalald redo 1` pays again" in str(failed.error)
            assert driver.seen() == []
            driver.sandbox.faults()
            await _retried_in_vain(driver)
            await driver.redo(1)
            await driver.until_job("it was paid again", 2, state=State.DONE)
            assert sum(driver.charges().values()) == 2

    run(scenario(), speed=600.0)


async def _retried_in_vain(driver: WorkerDriver) -> None:
    """A retry asks the service once more, which knows nothing any more, and pays nothing."""
    checks = driver.counts()["check"]
    await driver.ask(Request.RETRY, 1)
    failed = await driver.until_job("the retry is over", state=State.FAILED, archived=True, request=None)
    await driver.until(lambda: driver.counts()["check"] > checks, "the service was asked")
    failed = await driver.until_job("and knows nothing", state=State.FAILED, archived=True)
    assert failed.tasks[0].failure is TaskFailure.EXPIRED
    note = (driver.inbox / "failed" / "ep1.wav.error.txt").read_text()
    assert "pays nothing; `lalald redo 1` pays again" in note
    assert sum(driver.charges().values()) == 1


def test_links_that_die_within_the_day_are_renewed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("download:503*0")
            await driver.drop("ep1.wav")
            await driver.until_job("the results are there", stage=Stage.DOWNLOAD)
            driver.pass_time(20)
            driver.sandbox.faults()
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert sum(driver.charges().values()) == 1

    run(scenario())


def test_a_source_that_cannot_be_deleted_until_it_expires_costs_no_results(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("delete:503*0")
            await driver.drop("ep1.wav")
            waiting = await driver.until_job("everything is delivered", stage=Stage.DELETE)
            delivered = ["ep1/no_vocals.wav", "ep1/vocals.wav"]
            await driver.until(lambda: driver.seen() == delivered, "staging is tidied once that is saved")
            assert waiting.state is State.WAITING
            driver.pass_time(25)
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert job.warning == "the source could not be deleted from the service before it expired there"

    run(scenario())


def test_the_results_of_a_job_with_a_lost_task_are_delivered_before_they_expire(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE, manifest=True) as driver:
            driver.sandbox.faults("change_voice:reset_after")
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "task 2 (change_voice) was started" in str(job.hold_reason)
            assert driver.seen() == ALL_OF_MULTISTEM, "no manifest: not everything is there"
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("it was paid again", state=State.DONE)
            assert driver.seen() == sorted([*ALL_OF_MULTISTEM, "ep1/converted_mix.wav", "ep1/lalald.json"])
            assert driver.charges().total() == 3

    run(scenario())


def test_the_results_of_a_job_with_a_stalled_task_are_delivered_before_they_expire(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:stuck*0")
            await driver.drop("ep1.wav")
            await _seen_at(driver, 40)
            assert driver.seen() == []
            driver.pass_time(4)
            held = await driver.until_job("it is stalled", state=State.HELD)
            assert held.hold is Hold.LOST_TASK
            await driver.until(
                lambda: driver.seen() == ALL_OF_MULTISTEM, "the other task's results are there, and no more"
            )
            await driver.ask(Request.CANCEL, 1)
            job = await driver.until_job("it was cancelled", state=State.CANCELLED)
            assert driver.seen() == ALL_OF_MULTISTEM
            assert tree(driver.inbox) == ["ep1.wav"]
            assert _statuses(driver) == ["success", "cancelled"]
            assert [task.error for task in job.tasks] == [None, "it was cancelled"]

    run(scenario())


def test_a_cancel_that_the_service_does_not_answer_keeps_no_paid_results_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:stuck*0", "cancel:503*0")
            await driver.drop("ep1.wav")
            await _seen_at(driver, 40)
            await driver.ask(Request.CANCEL, 1)
            await driver.until(lambda: driver.counts().get("cancel"), "the service was asked to cancel")
            driver.pass_time(4)
            await driver.until(lambda: driver.seen() == ALL_OF_MULTISTEM, "the other task's results are delivered")
            assert (await driver.job()).request is Request.CANCEL
            driver.sandbox.faults("change_voice:stuck*0")
            await driver.until_job("the service answers", state=State.CANCELLED, request=None)
            assert driver.seen() == ALL_OF_MULTISTEM
            assert _statuses(driver) == ["success", "cancelled"]

    run(scenario())


def _statuses(driver: WorkerDriver) -> list[str]:
    return [task["status"] for task in driver.sandbox.state()["tasks"]]


def test_the_results_of_a_job_without_minutes_for_all_its_tasks_are_delivered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:400*0,code=exceeded_duration")
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.MINUTES)
            assert driver.seen() == ALL_OF_MULTISTEM
            await asyncio.sleep(90)
            assert driver.counts()["change_voice"] == 1, "nothing has changed: it is not asked again"
            driver.sandbox.faults()
            driver.sandbox.set_minutes(5000)
            await driver.until_job("a top-up releases it", state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


def test_a_refused_task_fails_alone_and_is_paid_alone_by_a_retry(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:400,detail=Voice pack not found.")
            await driver.drop("ep1.wav")
            failed = await _failed(driver)
            assert str(failed.error).startswith("task 2 (change_voice): Voice pack not found")
            assert driver.seen() == ALL_OF_MULTISTEM
            assert tree(driver.inbox) == ["failed/ep1.wav", "failed/ep1.wav.error.txt"]
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("the other task is processed", state=State.DONE)
            assert driver.charges().total() == 2
            assert driver.counts()["upload"] == 1, "a failed job keeps its source on the service"
            assert tree(driver.inbox) == ["done/ep1.wav"]

    run(scenario())


def test_tracks_whose_links_stay_dead_fail_alone_and_are_not_paid_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as driver:
            driver.sandbox.faults({"operation": "download", "kind": "dead", "match": "converted_mix", "count": 0})
            await driver.drop("ep1.wav")
            failed = await _failed(driver)
            assert "task 2 (change_voice): the service's links to its tracks are dead" in str(failed.error)
            assert driver.seen() == ALL_OF_MULTISTEM
            note = (driver.inbox / "failed" / "ep1.wav.error.txt").read_text()
            assert "This requests the paid results again and pays nothing; `lalald redo 1` pays again." in note
            driver.sandbox.faults()
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("new links were received", state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


async def _failed(driver: WorkerDriver) -> Job:
    (job,) = await driver.rest()
    assert job.state is State.FAILED
    return job
