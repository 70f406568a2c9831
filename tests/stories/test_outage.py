"""The service is down for a day: one probe for all jobs instead of a backoff per job; everything resumes afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lalald.jobs.states import Hold, State
from lalald.jobs.task import Task
from lalald.store import NewFile
from tests.support.running import write_wav
from tests.support.worker_driver import WorkerDriver, run

JOBS = 1000
DAY_SECONDS = 86_400.0
SPEED = 20_000.0  # a day lasts 4.3 s
VOCALS = (Task(1, None, "stem_separator", {"stem": "vocals"}),)


async def drop_many(driver: WorkerDriver, count: int) -> None:
    """Different files that cost a link each."""
    first = driver.inbox / "ep0.wav"
    content = bytearray(write_wav(first, seconds=0.02))
    found = []
    for number in range(count):
        path = driver.inbox / f"ep{number}.wav"
        content[-4:] = number.to_bytes(4, "little")
        path.write_bytes(content)
        facts = path.stat()
        identity = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        settings = driver.settings_of(duplicates="process")
        found.append(NewFile(str(driver.inbox), path.name, *identity, "rule", settings, VOCALS))
    await driver.store.run(lambda store: store.add_files(found, driver.clock.now()))
    driver.worker.wake()


@pytest.mark.parametrize(
    ("faults", "minutes", "state", "most"),
    [
        (["*:503*0"], 1000.0, State.WAITING, 700),  # half of five minutes between two requests, at last
        (["*:403*0"], 1000.0, State.HELD, 1500),  # a probe a minute
        ([], 0.0, State.HELD, 1500),
    ],
    ids=["503", "a refused license", "an empty balance"],
)
def test_a_day_without_the_service_costs_a_bounded_number_of_requests(
    faults: list[str], minutes: float, state: State, most: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, jitter=0.5) as driver:
            driver.sandbox.set_minutes(minutes)
            driver.sandbox.faults(*faults)
            await drop_many(driver, JOBS)
            await asyncio.sleep(DAY_SECONDS)
            assert sum(driver.counts().values()) < most
            assert driver.charges().total() == 0
            said = driver.journal.loud()
            assert all(times <= JOBS for times in said.values()), "once a job at most, not at every try"
            assert {job.state for job in await driver.jobs()} <= {State.WAITING, state}
            await _resumes(driver)

    run(scenario(), speed=SPEED)


async def _resumes(driver: WorkerDriver) -> None:
    driver.sandbox.faults()
    driver.sandbox.set_minutes(5000.0)

    async def carried() -> bool:
        held = await driver.store.run(lambda store: store.counts.by_hold())
        return Hold.LICENSE not in held and len(driver.journal.of("job.done")) >= 20

    await driver.until(carried, "it continues, and some have ended")


def test_a_license_that_cannot_be_verified_is_an_outage(tmp_path: Path) -> None:
    """The key that was missing has come, and the service cannot be reached: "held: license" alone would blame the key."""

    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("upload:403*0", "minutes:403*0")
            await driver.drop("ep1.wav")
            await driver.until_job("its license is refused", state=State.HELD, hold=Hold.LICENSE)
            assert driver.worker.service_problem is None
            driver.sandbox.faults("minutes:503*0")
            driver.worker.holds.ask_service_now()
            await driver.until(lambda: "503" in (driver.worker.service_problem or ""), "it is told what is wrong")
            await asyncio.sleep(200.0)
            assert len(driver.journal.of("service.down")) == 1
            driver.sandbox.faults()
            await driver.until_job("it resumes automatically", state=State.DONE)
            assert driver.worker.service_problem is None

    run(scenario())
