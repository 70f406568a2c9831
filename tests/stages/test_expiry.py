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
        async with WorkerDriver(tmp_path) as shop:
            shop.outbox.rename(tmp_path / "away")
            await shop.drop("ep1.wav")
            held = await shop.until_job("the outbox is away", state=State.HELD, hold=Hold.MOUNT)
            assert held.stage is Stage.SPLIT
            shop.pass_time(25)
            assert shop.counts()["upload"] == 1, "not before its job goes on"
            (tmp_path / "away").rename(shop.outbox)
            await shop.until_job("the outbox is back", state=State.DONE)
            assert shop.counts()["upload"] == 2
            assert sum(shop.charges().values()) == 1

    run(scenario())


GONE = "The file has not been uploaded properly or has already been deleted."


def test_sources_of_a_former_account_are_uploaded_again_and_charged_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.outbox.rename(tmp_path / "away")
            await shop.drop("ep1.wav", "ep2.wav", "ep3.wav")
            for number in (1, 2, 3):
                await shop.until_job("it is uploaded", number, state=State.HELD, stage=Stage.SPLIT)
            shop.api.use_key(FoundKey(LicenseKey("the-key-of-another-account")))
            (tmp_path / "away").rename(shop.outbox)
            for number in (1, 2, 3):
                await shop.until_job("it is delivered", number, state=State.DONE)
            assert shop.counts()["upload"] == 6
            assert sorted(shop.charges().values()) == [1, 1, 1]

    run(scenario())


def test_a_source_that_is_refused_after_a_second_upload_fails_without_a_charge(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults(f"split:400*0,detail={GONE}")
            await shop.drop("ep1.wav")
            (job,) = await shop.rest()
            assert job.state is State.FAILED
            assert "Nothing was charged for it" in str(job.error)
            assert shop.counts()["upload"] == 2, "one more upload, and no loop of uploads"
            shop.sandbox.faults()
            await shop.ask(Request.RETRY, 1)
            await shop.until_job("the retry succeeds", state=State.DONE)
            assert sum(shop.charges().values()) == 1

    run(scenario())


def test_a_task_whose_source_is_refused_again_fails_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults(f"change_voice:400*0,detail={GONE}")
            await shop.drop("ep1.wav")
            failed = await _failed(shop)
            assert str(failed.error).startswith("task 2 (change_voice): ")
            assert shop.seen() == ALL_OF_MULTISTEM

    run(scenario())


def test_a_fresh_source_that_is_unknown_after_an_unanswered_start_is_a_lost_task(tmp_path: Path) -> None:
    """The unanswered start may have been charged, by this account or by a former one."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("split:503*0,done=true")
            await shop.drop("ep1.wav")
            await shop.until(shop.charges, "the task was started, and its id was lost")
            shop.sandbox.faults(f"split:400*0,detail={GONE}")
            (job,) = await shop.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "Minutes may have been charged once" in str(job.hold_reason)
            assert shop.counts()["upload"] == 1

    run(scenario())


def test_a_source_that_expires_while_a_start_is_unanswered_is_a_lost_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("split:503*0,done=true")
            await shop.drop("ep1.wav")
            await shop.until(shop.charges, "the task was started, and its id was lost")
            shop.sandbox.faults(f"split:400*0,detail={GONE}")  # a service that looks at the source first
            shop.pass_time(25)
            (job,) = await shop.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "no answer arrived, and the service no longer has its source" in str(job.hold_reason)
            assert shop.counts()["upload"] == 1
            assert sum(shop.charges().values()) == 1
            shop.sandbox.faults()
            await shop.ask(Request.RELEASE, 1)
            await shop.until_job("it was paid again", state=State.DONE)
            assert shop.counts()["upload"] == 2
            assert sum(shop.charges().values()) == 2

    run(scenario())


def test_on_lost_task_resubmit_uploads_an_expired_source_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, on_lost_task="resubmit") as shop:
            shop.sandbox.faults("split:503*0,done=true")
            await shop.drop("ep1.wav")
            await shop.until(shop.charges, "the task was started, and its id was lost")
            shop.sandbox.faults(f"split:400,detail={GONE}")
            shop.pass_time(25)
            await shop.until_job("it was paid again, unasked", state=State.DONE)
            assert shop.counts()["upload"] == 2
            assert sum(shop.charges().values()) == 2
            (said,) = shop.journal.of("task.resubmitted")
            assert said["reason"].endswith("it may be charged twice")

    run(scenario())


def test_a_stalled_task_is_held_then_fails_when_the_service_forgets_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("split:stuck*0")
            await shop.drop("ep1.wav")
            await _seen_at(shop, 40)
            shop.pass_time(4)
            held = await shop.until_job("it is stalled", state=State.HELD)
            assert (held.hold, held.stage) == (Hold.LOST_TASK, Stage.CHECK)
            assert "has been at 40 % for over 3 hours" in str(held.hold_reason)
            for _ in range(25):
                shop.pass_time(1)
                await asyncio.sleep(1)
            failed = await shop.until_job("the service has forgotten it", state=State.FAILED, archived=True)
            assert str(failed.error).startswith("task 1 (stem_separator): expired: ")
            assert tree(shop.inbox) == ["failed/ep1.wav", "failed/ep1.wav.error.txt"]
            assert len(shop.journal.of("job.held")) == 1
            shop.sandbox.faults()
            await _retried_in_vain(shop)
            await shop.redo(1)
            await shop.until_job("it was paid again", 2, state=State.DONE, archived=True)
            assert sum(shop.charges().values()) == 2
            assert tree(shop.inbox) == ["done/ep1.wav"]

    run(scenario(), speed=600.0)


async def _seen_at(shop: WorkerDriver, percent: int) -> None:
    async def seen() -> bool:
        return any(task.progress == percent for job in await shop.jobs() for task in job.tasks)

    await shop.until(seen, f"a task was seen at {percent} %")


def test_a_stalled_task_resumes_automatically(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("split:stuck*0")
            await shop.drop("ep1.wav")
            await _seen_at(shop, 40)
            shop.pass_time(4)
            held = await shop.until_job("it is stalled", state=State.HELD)
            shop.sandbox.decide(str(held.tasks[0].task_id), "success")
            checks = shop.counts()["check"]
            await shop.until(lambda: shop.counts()["check"] > checks, "it is checked again automatically")
            await shop.until_job("it went on", state=State.DONE)
            assert sum(shop.charges().values()) == 1

    run(scenario(), speed=600.0)


def test_results_not_fetched_for_a_day_fail_and_name_the_cost_of_a_retry(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("download:503*0")
            await shop.drop("ep1.wav")
            await shop.until_job("the results are there", stage=Stage.DOWNLOAD)
            shop.pass_time(25)
            failed = await shop.until_job("the service has forgotten them", state=State.FAILED, archived=True)
            assert "`lalald redo 1` pays again" in str(failed.error)
            assert shop.seen() == []
            shop.sandbox.faults()
            await _retried_in_vain(shop)
            await shop.redo(1)
            await shop.until_job("it was paid again", 2, state=State.DONE)
            assert sum(shop.charges().values()) == 2

    run(scenario(), speed=600.0)


async def _retried_in_vain(shop: WorkerDriver) -> None:
    """A retry asks the service once more, which knows nothing any more, and pays nothing."""
    checks = shop.counts()["check"]
    await shop.ask(Request.RETRY, 1)
    failed = await shop.until_job("the retry is over", state=State.FAILED, archived=True, request=None)
    await shop.until(lambda: shop.counts()["check"] > checks, "the service was asked")
    failed = await shop.until_job("and knows nothing", state=State.FAILED, archived=True)
    assert failed.tasks[0].failure is TaskFailure.EXPIRED
    note = (shop.inbox / "failed" / "ep1.wav.error.txt").read_text()
    assert "pays nothing; `lalald redo 1` pays again" in note
    assert sum(shop.charges().values()) == 1


def test_links_that_die_within_the_day_are_renewed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("download:503*0")
            await shop.drop("ep1.wav")
            await shop.until_job("the results are there", stage=Stage.DOWNLOAD)
            shop.pass_time(20)
            shop.sandbox.faults()
            (job,) = await shop.rest()
            assert job.state is State.DONE
            assert sum(shop.charges().values()) == 1

    run(scenario())


def test_a_source_that_cannot_be_deleted_until_it_expires_costs_no_results(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as shop:
            shop.sandbox.faults("delete:503*0")
            await shop.drop("ep1.wav")
            waiting = await shop.until_job("everything is delivered", stage=Stage.DELETE)
            delivered = ["ep1/no_vocals.wav", "ep1/vocals.wav"]
            await shop.until(lambda: shop.seen() == delivered, "staging is tidied once that is saved")
            assert waiting.state is State.WAITING
            shop.pass_time(25)
            (job,) = await shop.rest()
            assert job.state is State.DONE
            assert job.warning == "the source could not be deleted from the service before it expired there"

    run(scenario())


def test_the_results_of_a_job_with_a_lost_task_are_delivered_before_they_expire(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE, manifest=True) as shop:
            shop.sandbox.faults("change_voice:reset_after")
            await shop.drop("ep1.wav")
            (job,) = await shop.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LOST_TASK)
            assert "task 2 (change_voice) was started" in str(job.hold_reason)
            assert shop.seen() == ALL_OF_MULTISTEM, "no manifest: not everything is there"
            await shop.ask(Request.RELEASE, 1)
            await shop.until_job("it was paid again", state=State.DONE)
            assert shop.seen() == sorted([*ALL_OF_MULTISTEM, "ep1/converted_mix.wav", "ep1/lalald.json"])
            assert shop.charges().total() == 3

    run(scenario())


def test_the_results_of_a_job_with_a_stalled_task_are_delivered_before_they_expire(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults("change_voice:stuck*0")
            await shop.drop("ep1.wav")
            await _seen_at(shop, 40)
            assert shop.seen() == []
            shop.pass_time(4)
            held = await shop.until_job("it is stalled", state=State.HELD)
            assert held.hold is Hold.LOST_TASK
            await shop.until(lambda: shop.seen() == ALL_OF_MULTISTEM, "the other task's results are there, and no more")
            await shop.ask(Request.CANCEL, 1)
            job = await shop.until_job("it was cancelled", state=State.CANCELLED)
            assert shop.seen() == ALL_OF_MULTISTEM
            assert tree(shop.inbox) == ["ep1.wav"]
            assert _statuses(shop) == ["success", "cancelled"]
            assert [task.error for task in job.tasks] == [None, "it was cancelled"]

    run(scenario())


def test_a_cancel_that_the_service_does_not_answer_keeps_no_paid_results_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults("change_voice:stuck*0", "cancel:503*0")
            await shop.drop("ep1.wav")
            await _seen_at(shop, 40)
            await shop.ask(Request.CANCEL, 1)
            await shop.until(lambda: shop.counts().get("cancel"), "the service was asked to cancel")
            shop.pass_time(4)
            await shop.until(lambda: shop.seen() == ALL_OF_MULTISTEM, "the other task's results are delivered")
            assert (await shop.job()).request is Request.CANCEL
            shop.sandbox.faults("change_voice:stuck*0")
            await shop.until_job("the service answers", state=State.CANCELLED, request=None)
            assert shop.seen() == ALL_OF_MULTISTEM
            assert _statuses(shop) == ["success", "cancelled"]

    run(scenario())


def _statuses(shop: WorkerDriver) -> list[str]:
    return [task["status"] for task in shop.sandbox.state()["tasks"]]


def test_the_results_of_a_job_without_minutes_for_all_its_tasks_are_delivered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults("change_voice:400*0,code=exceeded_duration")
            await shop.drop("ep1.wav")
            (job,) = await shop.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.MINUTES)
            assert shop.seen() == ALL_OF_MULTISTEM
            await asyncio.sleep(90)
            assert shop.counts()["change_voice"] == 1, "nothing has changed: it is not asked again"
            shop.sandbox.faults()
            shop.sandbox.set_minutes(5000)
            await shop.until_job("a top-up releases it", state=State.DONE)
            assert shop.charges().total() == 2

    run(scenario())


def test_a_refused_task_fails_alone_and_is_paid_alone_by_a_retry(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults("change_voice:400,detail=Voice pack not found.")
            await shop.drop("ep1.wav")
            failed = await _failed(shop)
            assert str(failed.error).startswith("task 2 (change_voice): Voice pack not found")
            assert shop.seen() == ALL_OF_MULTISTEM
            assert tree(shop.inbox) == ["failed/ep1.wav", "failed/ep1.wav.error.txt"]
            await shop.ask(Request.RETRY, 1)
            await shop.until_job("the other task is processed", state=State.DONE)
            assert shop.charges().total() == 2
            assert shop.counts()["upload"] == 1, "a failed job keeps its source on the service"
            assert tree(shop.inbox) == ["done/ep1.wav"]

    run(scenario())


def test_tracks_whose_links_stay_dead_fail_alone_and_are_not_paid_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=LEAD_AND_VOICE) as shop:
            shop.sandbox.faults({"operation": "download", "kind": "dead", "match": "converted_mix", "count": 0})
            await shop.drop("ep1.wav")
            failed = await _failed(shop)
            assert "task 2 (change_voice): the service's links to its tracks are dead" in str(failed.error)
            assert shop.seen() == ALL_OF_MULTISTEM
            note = (shop.inbox / "failed" / "ep1.wav.error.txt").read_text()
            assert "This requests the paid results again and pays nothing; `lalald redo 1` pays again." in note
            shop.sandbox.faults()
            await shop.ask(Request.RETRY, 1)
            await shop.until_job("new links were received", state=State.DONE)
            assert shop.charges().total() == 2

    run(scenario())


async def _failed(shop: WorkerDriver) -> Job:
    (job,) = await shop.rest()
    assert job.state is State.FAILED
    return job
