"""The same bytes with the same tasks: which job waits for which, and which results are reused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.jobs.states import Hold, Request, Stage, State
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store import NewFile, Store
from tests.conftest import MakeHome
from tests.support.running import tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run, tasks_of


async def held_since_first_scan(driver: WorkerDriver, name: str, pitch: float) -> None:
    path = driver.inbox / name
    write_wav(path, seconds=0.1, pitch=pitch)
    facts = path.stat()
    found = NewFile(
        str(driver.inbox), name, facts.st_size, facts.st_mtime_ns, facts.st_ino, "rule", driver.settings_of(),
        tasks_of(*driver.asked), hold=Hold.FIRST_SCAN, hold_reason="it lay there",
    )  # fmt: skip
    now = driver.clock.now()
    await driver.store.run(lambda store: store.add_files([found], now))


def test_a_held_file_does_not_delay_its_copy_and_is_not_paid_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await held_since_first_scan(driver, "old.wav", 300)
            await driver.drop("new.wav", pitch=300)
            await driver.until_job("the copy is processed", 2, state=State.DONE)
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("the old one has the copy's results", state=State.DONE)
            assert driver.charges().total() == 1
            assert [name for name in tree(driver.outbox) if "no_" in name] == ["new/no_vocals.wav", "old/no_vocals.wav"]

    run(scenario())


def test_an_old_file_released_while_its_copy_is_processed_waits_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(
            tmp_path, options=Options(checks_per_minute=100_000, processing_seconds=3600.0)
        ) as driver:
            await held_since_first_scan(driver, "old.wav", 300)
            await driver.drop("new.wav", pitch=300)
            await driver.until_job("the copy is processed", 2, stage=Stage.CHECK)
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("the old one waits for it", state=State.WAITING, duplicate_of=2, attempts=1)
            assert "waits for job 2" in ((await driver.job()).error or "")
            driver.pass_time(2.0)
            assert {job.state for job in await driver.rest()} == {State.DONE}
            assert driver.charges().total() == 1

    run(scenario())


@pytest.mark.parametrize(
    ("duplicates", "damage"),
    [
        ("reuse", "jobs SET warning = CAST(x'ff' AS TEXT)"),
        ("reuse", "jobs SET stage = 'mix'"),
        ("reuse", "jobs SET sha256 = CAST(x'ff' AS TEXT)"),
        ("reuse", "tasks SET presets = '{'"),
        ("hold", "tasks SET failure = 'unheard of'"),
    ],
)
def test_a_file_that_an_unreadable_job_has_paid_for_is_not_paid_again_without_asking(
    duplicates: str, damage: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, duplicates=duplicates) as driver:
            await driver.drop("first.wav", pitch=300)
            await driver.until_job("it is done", state=State.DONE)

            def spoil(store: Store) -> None:
                store.connection.execute(f"UPDATE {damage}")
                store.jobs_by_id([1])  # sets it aside

            await driver.store.run(spoil)
            await driver.drop("same.wav", pitch=300)
            await driver.drop("other.wav", pitch=330, seconds=0.2 if "sha256" in damage else 0.1)
            held = await driver.until_job("a person decides", 2, state=State.HELD)
            assert held.hold is Hold.DUPLICATE
            assert "job 1" in str(held.hold_reason)
            assert "cannot be read" in str(held.hold_reason)
            await driver.until_job("another content is not asked about", 3, state=State.DONE)
            assert driver.charges().total() == 2
            await driver.ask(Request.RELEASE, 2)
            await driver.until_job("it is paid for again", 2, state=State.DONE)
            assert driver.charges().total() == 3

    run(scenario())


def test_an_unreadable_job_that_paid_for_another_task_asks_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            await driver.drop("first.wav", pitch=300)
            await driver.until_job("it is done", state=State.DONE)
            await driver.store.run(
                lambda store: store.connection.execute("UPDATE jobs SET hold_source = 'new'") and None
            )
            await driver.drop("same.wav", pitch=300, tasks=tasks_of(("demuser", {"stem": "music"})))
            await driver.until_job("it is charged", 2, state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())


def test_run_once_ends_although_a_file_waits_for_a_held_one(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, minutes={"per_file": 0.01})
    write_wav(home.inbox / "a.wav")
    write_wav(home.inbox / "b.wav")
    assert home.command("run", "--once", seconds=20).returncode == 1
    assert sorted(str(job["hold"]) for job in home.jobs()) == ["None", "minutes"]


def test_available_results_are_reused_although_another_outbox_is_unavailable(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    second, other = home.root / "second", home.root / "other"
    second.mkdir()
    other.mkdir()
    first = home.settings["inboxes"][0]
    home.settings["inboxes"].append({**first, "path": str(second), "outbox": str(other)})
    home.write_config()
    home.start()
    for place, name in ((home.inbox, "a.wav"), (second, "b.wav")):
        write_wav(place / name)
        until(lambda place=place, name=name: tree(place) == [f"done/{name}"], f"{name} was carried")
    other.rename(home.root / "away")
    write_wav(home.inbox / "c.wav")
    assert [job["state"] for job in home.rest()] == ["done"] * 3
    assert len(sandbox.state()["charges"]) == 1
