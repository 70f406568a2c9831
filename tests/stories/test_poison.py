"""Some files always fail while the service works: the others continue, and nothing is requested without end."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lalald.jobs.states import Hold, Request, Stage, State
from lalald.sandbox.options import Options
from tests.support.worker_driver import PLENTY, VOCALS, WorkerDriver, run

POISON = tuple(f"poison{number}.wav" for number in range(10))
GOOD = tuple(f"good{number}.wav" for number in range(20))
SOON_SECONDS = (
    240.0  # of flying time, most of which is the machine's own: pauses of minutes are seen, and a busy machine is not
)
MULTISTEM = (("multistem", {"stem_list": ["drum"]}),)
VOICE = (("change_voice", {"voice_pack_id": "ALEX_KAYE"}),)


def subjects(driver: WorkerDriver, operation: str) -> list[str]:
    """The files of each request of an operation."""
    requests = driver.sandbox.state()["requests"]
    return [entry["subject"] or "" for entry in requests if entry["operation"] == operation]


async def delivered(driver: WorkerDriver, names: tuple[str, ...]) -> None:
    async def all_are() -> bool:
        done = {job.path for job in await driver.jobs() if job.state is State.DONE}
        return set(names) <= done

    await driver.until(all_are, "the good ones are delivered")


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ("upload:400*0,code=internal_error,match=poison", VOCALS),
        ("upload:reset_after*0,match=poison", VOCALS),
        ("split:400*0,code=internal_error,match=poison", MULTISTEM),
        ("*:503*0,match=poison", MULTISTEM),
        ("batch:500*0,match=poison", VOCALS),
        ("change_voice:503*0,match=poison", VOICE),
        ("download:503*0,match=poison", VOCALS),
        ("download:reset_before*0,match=poison", VOCALS),
        ("check:size*0,extra_bytes=7,match=poison", VOCALS),
        ("delete:500*0,match=poison", VOCALS),
    ],
    ids=str,
)
def test_ten_poison_files_do_not_delay_twenty_good_ones(fault: str, asked: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, jitter=1.0, asked=asked, duplicates="process") as driver:
            faults = [fault] if not fault.startswith("batch") else [fault, fault.replace("batch", "split")]
            driver.sandbox.faults(*faults)
            await driver.drop(*POISON)
            await asyncio.sleep(60.0)
            began_at = driver.clock.monotonic()
            await driver.drop(*GOOD)
            await delivered(driver, GOOD)
            assert driver.clock.monotonic() - began_at < SOON_SECONDS
            if fault.startswith(("delete", "check:size")):
                return
            jobs = {job.path: job for job in await driver.jobs()}
            assert not any(jobs[name].state is State.DONE for name in POISON)
            driver.sandbox.faults()
            await delivered(driver, POISON)
            assert all(count == 1 for count in driver.charges().values())

    run(scenario())


def test_poison_files_delay_a_queue_by_seconds_only(tmp_path: Path) -> None:
    """All of them are dropped at once, and the poison ones are first, and smallest."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path, jitter=1.0) as driver:
            driver.sandbox.faults("upload:400*0,code=internal_error,match=poison")
            began_at = driver.clock.monotonic()
            await driver.drop(*POISON, seconds=0.05)
            await driver.drop(*GOOD)
            await delivered(driver, GOOD)
            assert driver.clock.monotonic() - began_at < SOON_SECONDS
            assert len(subjects(driver, "upload")) < 90, "three for each at most, and not more and more of the poison"

    run(scenario())


def test_a_dead_download_host_does_not_delay_other_hosts(tmp_path: Path) -> None:
    """The tracks of ten tasks lie on a host that refuses connections; those of the others come as fast as ever."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path, jitter=1.0, duplicates="process") as driver:
            driver.sandbox.faults("check:http_link*0,url=http://127.0.0.1:9/track,match=poison")
            await driver.drop(*POISON)

            async def at_the_dead_host() -> bool:
                return all(job.download_host == "127.0.0.1:9" and job.attempts for job in await driver.jobs())

            await driver.until(at_the_dead_host, "each was tried there")
            breaker = driver.worker.health.breakers["download"].of("127.0.0.1:9")
            await asyncio.sleep(300.0)
            assert breaker.is_open
            began_at = driver.clock.monotonic()
            await driver.drop(*GOOD)
            await delivered(driver, GOOD)
            assert driver.clock.monotonic() - began_at < SOON_SECONDS
            assert breaker.is_open
            assert "refused" in (driver.worker.service_problem or "")

    run(scenario())


def test_a_task_that_breaks_every_check_is_checked_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=30.0)
        async with WorkerDriver(tmp_path, options=options, jitter=1.0, duplicates="process") as driver:
            driver.sandbox.faults("check:500*0,match=poison")
            await driver.drop("poison.wav", *GOOD)

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.advance(60.0)
            began_at = driver.clock.monotonic()
            await delivered(driver, GOOD)
            assert driver.clock.monotonic() - began_at < SOON_SECONDS
            assert (await driver.job(1)).stage is Stage.CHECK
            (said,) = driver.journal.of("check.set_aside")
            assert said["job"] == 1
            before = len(subjects(driver, "check"))
            (later,) = await driver.drop("later.wav")
            await driver.until_job("it runs", later, stage=Stage.CHECK)
            driver.sandbox.advance(60.0)
            await delivered(driver, ("later.wav",))
            asked = subjects(driver, "check")[before:]
            assert all(names in ("poison.wav", "later.wav") for names in asked), "the next round is not poisoned again"
            driver.sandbox.faults()
            await delivered(driver, ("poison.wav",))

    run(scenario())


@pytest.mark.parametrize("fault", ["400", "422", "500", "html", "half", "null"])
def test_one_bad_id_among_two_hundred_does_not_prevent_checks(fault: str, tmp_path: Path) -> None:
    """199 paid tasks are done; one makes `/check/` fail for every request with it. Two more spoil it at once."""

    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options, jitter=1.0, duplicates="process") as driver:
            culprits = ("poison0.wav", "poison1.wav")
            good = tuple(f"good{number}.wav" for number in range(60))
            await driver.drop(culprits[0], *good[:30], culprits[1], *good[30:], seconds=0.02)

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.faults(f"check:{fault}*0,match=poison")
            driver.sandbox.advance(3600.0)
            asked_before = driver.counts()["check"]
            await delivered(driver, good)
            assert driver.counts()["check"] - asked_before < 60
            driver.sandbox.faults()
            await delivered(driver, culprits)

    run(scenario())


def test_an_outage_of_checks_is_over_with_two_requests(tmp_path: Path) -> None:
    """Every part of the halved request fails; once the service is back all are checked together."""

    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options, jitter=1.0, duplicates="process") as driver:
            await driver.drop(*(f"ep{number}.wav" for number in range(60)), seconds=0.02)

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.faults("check:503*0")
            before = driver.counts()["check"]
            await asyncio.sleep(3600.0)
            assert driver.counts()["check"] - before < 60, "within the breaker's pauses, halved or not"
            driver.sandbox.advance(3600.0)
            driver.sandbox.faults()
            before = driver.counts()["check"]
            await delivered(driver, tuple(f"ep{number}.wav" for number in range(60)))
            assert driver.counts()["check"] - before <= 4

    run(scenario(), speed=500.0)


def test_requests_without_an_answer_are_not_halved(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options, duplicates="process") as driver:
            await driver.drop("poison.wav", *GOOD)

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.faults("check:reset_after*9,match=poison")
            before = len(subjects(driver, "check"))
            await driver.until(lambda: len(subjects(driver, "check")) > before + 10, "it was asked again and again")
            together = [names for names in subjects(driver, "check")[before:] if len(names.split(", ")) == 21]
            assert len(together) >= 9
            assert not driver.journal.of("check.set_aside")

    run(scenario())


def test_429_pauses_every_operation(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=3600.0)
        async with WorkerDriver(tmp_path, options=options) as driver:
            await driver.drop("ep1.wav")
            await driver.until_job("it runs", stage=Stage.CHECK)
            driver.sandbox.faults("check:429*1,retry_after=100")
            await driver.until(lambda: driver.worker.health.pause.wait_seconds > 50.0, "the service asks for a pause")
            assert "429" in (driver.worker.service_problem or "")
            asked = sum(driver.counts().values())
            await driver.drop("ep2.wav")
            await asyncio.sleep(40.0)
            assert sum(driver.counts().values()) == asked
            await driver.until_job("it goes on when the pause is over", 2, stage=Stage.CHECK)
            assert Counter(event for _, event, _ in driver.journal.events)["service.back"] == 1

    run(scenario())


@pytest.mark.parametrize("asked", [MULTISTEM, VOICE, VOCALS], ids=["multistem", "change_voice", "stem_separator"])
def test_a_single_start_without_batches_is_a_refusal_like_any_other(asked: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=asked) as driver:
            driver.sandbox.faults("split:400*0,code=batch_not_avaliable", "change_voice:400*0,code=batch_not_avaliable")
            await driver.drop("ep1.wav")
            job = await driver.until_job("it fails", state=State.FAILED)
            assert "batch_not_avaliable" in (job.error or "")
            assert "Nothing was charged" in (job.error or "")
            assert driver.counts().get("split", 0) + driver.counts().get("change_voice", 0) == 1

    run(scenario())


@pytest.mark.parametrize("value", ["0", "-1", "1e12", "NaN", "Infinity", "[]", '"long"', "3600001"])
def test_an_impossible_duration_fails_unpaid_after_a_second_upload(value: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(f"upload:type*0,field=duration,value={value}")
            await driver.drop("ep1.wav")
            job = await driver.until_job("it fails", state=State.FAILED)
            assert driver.counts()["upload"] == 2
            assert "which is impossible" in (job.error or "")
            assert "Nothing was spent" in (job.error or "")
            assert driver.charges().total() == 0

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "uploads"),
    [
        ('upload:type*0,field=id,value=""', 10),
        (f"upload:type*0,field=id,value={'x' * 300}", 10),
        ("upload:null*0,field=id", 10),
        ("upload:type*0,field=size,value=-5", 4),
        ("upload:type*0,field=size,value=1e300", 4),
        ("upload:type*0,field=size,value=7", 4),
    ],
    ids=str,
)
def test_uploads_with_unusable_answers_finally_fail(fault: str, uploads: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(fault)
            await driver.drop("ep1.wav")
            job = await driver.until_job("it fails", state=State.FAILED)
            assert driver.counts()["upload"] == uploads
            assert "Nothing was charged" in (job.error or "")

    run(scenario(), speed=500.0)


@pytest.mark.parametrize("value", ["0", "-1e9", "1e300", '"soon"', "1"])
def test_an_absurd_expiry_is_ignored(value: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults(f"upload:type*0,field=expires,value={value}")
            await driver.drop("ep1.wav")
            await driver.until_job("it is delivered", state=State.DONE)
            assert driver.counts()["upload"] == 1

    run(scenario())


@pytest.mark.parametrize("on_lost_task", ["hold", "resubmit"])
@pytest.mark.parametrize("value", ['""', "x" * 300, "[]"], ids=["empty", "long", "a list"])
def test_an_unusable_task_id_is_a_lost_task_and_not_paid_again_without_a_decision(
    value: str, on_lost_task: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=MULTISTEM, on_lost_task=on_lost_task) as driver:
            driver.sandbox.faults(f"split:type*0,field=task_id,value={value}")
            await driver.drop("ep1.wav")
            job = await driver.until_job("a person decides", state=State.HELD, hold=Hold.LOST_TASK)
            assert "charged" in (job.hold_reason or "")
            assert driver.charges().total() == (1 if on_lost_task == "hold" else 2), (
                "paid again once where a person requests it"
            )
            asked = driver.counts()["split"]
            await asyncio.sleep(600.0)
            assert driver.counts()["split"] == asked

    run(scenario(), speed=500.0)


def test_a_start_with_unusable_answers_keeps_its_key(tmp_path: Path) -> None:
    """The service takes the key each time, and gives no id: that is bounded, and told in its words."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=MULTISTEM) as driver:
            driver.sandbox.faults("split:200*0,detail=Accepted.")
            await driver.drop("ep1.wav")
            job = await driver.until_job("a person decides", state=State.HELD, hold=Hold.LOST_TASK)
            assert driver.counts()["split"] == 3
            assert "3 times" in (job.hold_reason or "")
            assert "it has no task_id" in (job.hold_reason or "")
            assert driver.charges().total() == 0

    run(scenario())


@pytest.mark.parametrize("fault", ["500", "html", "empty", "422"])
def test_a_batch_that_fails_as_a_whole_is_halved_with_the_same_keys(fault: str, tmp_path: Path) -> None:
    """One of many files makes the request fail, refused or answered in a way that cannot be read: it stands alone at last."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path, jitter=0.5, duplicates="process") as driver:
            names = (
                *(f"a{number}.wav" for number in range(12)),
                "poison.wav",
                *(f"b{number}.wav" for number in range(12)),
            )
            driver.sandbox.faults("split:hang*0")
            await driver.drop("first.wav")
            await driver.until(lambda: driver.counts().get("split"), "the first start is on its way")
            await driver.drop(*names)

            async def gathered() -> bool:
                return all(job.stage is Stage.SPLIT for job in await driver.jobs())

            await driver.until(gathered, "everything is uploaded")
            driver.sandbox.faults(*(f"{operation}:{fault}*0,match=poison" for operation in ("batch", "split")))
            await delivered(driver, ("first.wav", *(name for name in names if name != "poison.wav")))
            together = [entry.split(", ") for entry in subjects(driver, "batch") if "poison.wav" in entry]
            assert len(together[0]) > 2
            assert len(together[-1]) <= 2
            assert len(together) < 20
            if fault == "422":
                await driver.until_job("refused alone, it fails alone", 14, state=State.FAILED)
            driver.sandbox.faults()
            if fault != "422":
                await delivered(driver, ("poison.wav",))
            assert driver.charges().total() == len(names) + (0 if fault == "422" else 1)
            assert all(count == 1 for count in driver.charges().values()), "with the same keys nothing is paid twice"

    run(scenario())


def test_a_task_that_cannot_be_cancelled_does_not_affect_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(checks_per_minute=PLENTY, processing_seconds=36_000.0)
        async with WorkerDriver(tmp_path, options=options, duplicates="process") as driver:
            await driver.drop("poison.wav", *GOOD[:5])

            async def running() -> bool:
                return all(job.stage is Stage.CHECK for job in await driver.jobs())

            await driver.until(running, "all of them run")
            driver.sandbox.faults("cancel:500*0,match=poison")
            await driver.ask(Request.CANCEL, *range(1, 7))
            for job_id in range(2, 7):
                await driver.until_job("the others are cancelled", job_id, state=State.CANCELLED)
            before = len([names for names in subjects(driver, "cancel") if names == "poison.wav"])
            await asyncio.sleep(600.0)
            tried = len([names for names in subjects(driver, "cancel") if names == "poison.wav"]) - before
            assert 0 < tried < 600, "with the shortest pauses of all, half a second, and the breaker's"
            driver.sandbox.faults()
            await driver.until_job("it is cancelled at last", 1, state=State.CANCELLED)

    run(scenario(), speed=500.0)


@pytest.mark.parametrize("fault", ["400*1", "422*1", "500*3", "html*3"])
def test_a_cancel_of_many_tasks_is_halved(fault: str, tmp_path: Path) -> None:
    """Refused as a whole, or answered three times in a way that cannot be read, while each half of it is accepted."""

    async def scenario() -> None:
        asked = [("multistem", {"stem_list": [stem]}) for stem in ("drum", "bass", "piano", "vocals")]
        options = Options(checks_per_minute=PLENTY, processing_seconds=36_000.0)
        async with WorkerDriver(tmp_path, options=options, asked=asked) as driver:
            await driver.drop("ep1.wav")
            await driver.until_job("it runs", stage=Stage.CHECK)
            driver.sandbox.faults(f"cancel:{fault}")
            await driver.ask(Request.CANCEL, 1)
            await driver.until_job("it is cancelled", state=State.CANCELLED)
            assert [task["status"] for task in driver.sandbox.state()["tasks"]] == ["cancelled"] * 4
            assert int(fault[-1]) + 2 <= driver.counts()["cancel"] <= int(fault[-1]) + 4

    run(scenario())


def test_a_task_that_runs_delays_no_other_of_its_job(tmp_path: Path) -> None:
    """Each word of its progress is news of the task and not of the start that the job still owes."""

    async def scenario() -> None:
        options = Options(processing_seconds=8.0, checks_per_minute=PLENTY)
        async with WorkerDriver(tmp_path, options=options, asked=(*VOCALS, *MULTISTEM), jitter=1.0) as driver:
            driver.sandbox.faults("split:503*3")
            await driver.drop("a.wav")

            async def both_run() -> bool:
                return all(task.task_id is not None for task in (await driver.job()).tasks)

            await driver.until(both_run, "both of its tasks run")
            assert (await driver.job()).setbacks == 0

    run(scenario())
