"""Answers and tracks of any size: no disk is filled, and nothing paid is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lalald.filesystem.files import free_bytes
from lalald.jobs.states import Hold, Request, State
from lalald.sandbox.options import Options
from tests.support.private_mounts import in_own_mounts, mount_disk
from tests.support.raw_server import RawServer, Talk
from tests.support.running import tree
from tests.support.worker_driver import PLENTY, WorkerDriver, run

MIB = 1 << 20
TRACK = b"a small track"
OPTIONS = Options(checks_per_minute=PLENTY)


def endless(talk: Talk) -> None:
    talk.request()
    talk.say("HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nConnection: close\r\n\r\n")
    while True:
        talk.say(bytes(MIB))


def vast(talk: Talk) -> None:
    talk.request()
    talk.say(f"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: {10**15}\r\n\r\n")
    while True:
        talk.say(bytes(MIB))


def small(talk: Talk) -> None:
    while talk.request()[0]:
        talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(TRACK)}\r\n\r\n", TRACK)


def check_says(**fault: Any) -> Mapping[str, Any]:
    return {"operation": "check", "count": 0, **fault}


@pytest.mark.parametrize("script", [endless, vast])
def test_an_endless_track_is_abandoned_and_stays_paid(script: Any, tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(
                check_says(kind="label", track={"url": f"{server.url}/track", "size": None}, only="vocals")
            )
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, job.hold) == (State.HELD, Hold.LINK)
            assert "more than any track of this source can have" in str(job.hold_reason)
            assert "The task is paid; run `lalald release 1` to try again." in str(job.hold_reason)
            assert sum((driver.outbox / path).stat().st_size for path in driver.seen()) < MIB
            driver.sandbox.faults()
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("its links are right now", state=State.DONE)
            assert sum(driver.charges().values()) == 1

    with RawServer(script) as server:
        run(scenario(server))


def test_an_endless_track_leaves_room_on_a_small_disk(tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        mount_disk(tmp_path / "outbox", "50m")
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(
                check_says(kind="label", track={"url": f"{server.url}/track", "size": None}, only="vocals")
            )
            await driver.drop("ep1.wav")
            held = await driver.until_job("the disk is full", state=State.HELD)
            assert held.hold is Hold.DISK
            assert free_bytes(str(driver.outbox)) > 8 * MIB
            assert sum(driver.charges().values()) == 1

    with RawServer(endless) as server:
        in_own_mounts(lambda: run(scenario(server)))


def test_at_most_a_hundred_tracks_are_delivered(tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            output = [{"type": "stem", "label": f"t{n}", "url": f"{server.url}/{n}"} for n in range(1000)]
            driver.sandbox.faults(check_says(kind="type", field="tracks", value=output))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert job.warning == "the service named 1,000 tracks of task 1; only the first 100 were delivered"
            assert driver.seen() == sorted(f"ep1/t{n}.wav" for n in range(100))

    with RawServer(small) as server:
        run(scenario(server))


def test_the_wanted_tracks_are_found_among_a_thousand(tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, tracks=("t500", "t999")) as driver:
            output = [{"type": "stem", "label": f"t{n}", "url": f"{server.url}/{n}"} for n in range(1000)]
            driver.sandbox.faults(check_says(kind="type", field="tracks", value=output))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, job.warning) == (State.DONE, None)
            assert driver.seen() == ["ep1/t500.wav", "ep1/t999.wav"]

    with RawServer(small) as server:
        run(scenario(server))


@pytest.mark.parametrize("operation", ["upload", "split"])
def test_a_very_long_id_is_rejected(operation: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            field = "id" if operation == "upload" else "task_id"
            driver.sandbox.faults({"operation": operation, "kind": "type", "field": field, "value": "i" * 100_000})
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            expected = (State.DONE, None) if operation == "upload" else (State.HELD, Hold.LOST_TASK)
            assert (job.state, job.hold) == expected
            assert len(str(job)) + len(repr(driver.journal.events)) < 20_000
            assert sum(driver.charges().values()) == 1

    run(scenario())


@pytest.mark.parametrize("name", ["label", "type", "name"])
def test_a_very_long_name_is_truncated(name: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, manifest=True) as driver:
            driver.sandbox.faults(check_says(kind="label", track={name: "n" * 1_000_000}, only="vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert len(tree(driver.outbox)) == 3
            assert len(str(job)) + len(repr(driver.journal.events)) < 20_000

    run(scenario())
