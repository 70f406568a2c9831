"""An unexpected exception at any step of an inspection, or a parser that ends the process, affects that file alone."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.reconcile import MatchedFile
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, State
from lalald.media.inspections import CondemnedFileError, Inspections
from lalald.sandbox.server import Sandbox
from lalald.store.tables.set_aside_files import SetAsideFiles
from tests.conftest import MakeHome
from tests.support import SUPPORT
from tests.support.intake_driver import IntakeDriver, run_story
from tests.support.intake_driver import until as until_async
from tests.support.running import tree, until, write_wav

POISON = "poison.mp3"
GOOD = [f"good{number:02}.mp3" for number in range(20)]
DEFAULT = InspectionSteps()


class OddError(Exception):
    """An unexpected exception."""


def is_about(argument: Any, name: str) -> bool:
    """Whether a path, a job or a file among the arguments of a step is the one of this name."""
    if isinstance(argument, MatchedFile):
        return is_about(argument.finished.path, name)
    if isinstance(argument, Job):
        return is_about(argument.path, name)
    if isinstance(argument, list | tuple):
        return any(is_about(part, name) for part in argument)
    return isinstance(argument, str) and name in argument.split("/")


class Faulty:
    """A step that raises for files of a name, or in a folder of that name, while it is `sick`."""

    def __init__(self, step: str, name: str, error: Callable[[], Exception] = OddError) -> None:
        self.name = name
        self.error = error
        self.sick = True
        self.raised = 0
        self.function = getattr(DEFAULT, step)
        self.steps = replace(DEFAULT, **{step: self._step})

    def _step(self, *arguments: Any) -> Any:
        if self.sick and is_about(arguments, self.name):
            self.raised += 1
            raise self.error()
        return self.function(*arguments)


async def set_aside(driver: IntakeDriver) -> list[str]:
    rows = await driver.thread.run(lambda store: SetAsideFiles(store.connection).of(str(driver.folder)))
    return [row.path for row in rows]


def at_each_step(steps: list[str]) -> Any:
    return pytest.mark.parametrize("step", steps)


ALWAYS = ["refusal", "choose", "reconcile"]  # a new file passes them; the others have a story of their own below
OTHERS = ["folder_refusal", "sha256", "remove_if_moved", "inspections"]


def test_every_inspection_step_is_tested() -> None:
    assert {field.name for field in fields(InspectionSteps)} == {*ALWAYS, *OTHERS}


@pytest.mark.parametrize("arrives", ["before", "after"])
@at_each_step(ALWAYS)
def test_one_file_among_twenty_that_raises_is_set_aside_and_inspected_again(
    step: str, arrives: str, tmp_path: Path
) -> None:
    faulty = Faulty(step, POISON)
    driver = IntakeDriver(tmp_path, existing="take")
    driver.steps = faulty.steps

    def drop() -> None:
        for number, name in enumerate([*GOOD[:10], POISON, *GOOD[10:]]):
            driver.put(name, b"abc%d" % number)

    async def story() -> None:
        if arrives == "before":
            drop()
        async with driver.running() as intake:
            if arrives == "after":
                drop()
            await driver.wait_for(GOOD)
            await driver.wait_for_event("file.set_aside")
            assert await set_aside(driver) == [POISON]
            before = faulty.raised
            intake.request_rescan()
            await until_async(lambda: _is(faulty.raised > before), "it is inspected again at a rescan")
            assert len([line for line in driver.log.lines if line[:2] == ("error", "file.set_aside")]) == 1
            faulty.sick = False
            intake.request_rescan()
            await driver.wait_for([*GOOD, POISON])
            assert await set_aside(driver) == []

    run_story(story)


async def _is(found: bool) -> bool:
    return found


@at_each_step(ALWAYS)
def test_set_aside_files_are_inspected_again_at_the_next_start(step: str, tmp_path: Path) -> None:
    faulty = Faulty(step, POISON)
    driver = IntakeDriver(tmp_path, existing="take")
    driver.put(POISON)

    async def story() -> None:
        driver.steps = faulty.steps
        async with driver.running():
            await driver.wait_for_event("file.set_aside")
        driver.steps = DEFAULT
        async with driver.running():
            await driver.wait_for([POISON])
            assert await set_aside(driver) == []

    run_story(story)


def test_an_existing_file_that_was_set_aside_is_held_like_the_others_later(tmp_path: Path) -> None:
    faulty = Faulty("choose", POISON)
    driver = IntakeDriver(tmp_path, existing="hold")
    names = [*GOOD, "one more.mp3", "and another.mp3"]
    for name in [*names, POISON]:
        driver.put(name)

    async def story() -> None:
        driver.steps = faulty.steps
        async with driver.running():
            await driver.wait_for(names)
            await driver.wait_for_event("inbox.first_scan_done")
        driver.steps = DEFAULT
        async with driver.running():
            jobs = await driver.wait_for([*names, POISON])
            assert {(job.state, job.hold) for job in jobs} == {(State.HELD, Hold.FIRST_SCAN)}

    run_story(story)


def test_a_folder_that_raises_does_not_stop_the_others(tmp_path: Path) -> None:
    faulty = Faulty("folder_refusal", "odd")
    driver = IntakeDriver(tmp_path, existing="take")
    driver.steps = faulty.steps
    driver.put("odd/inside.mp3")
    driver.put("even/inside.mp3")

    async def story() -> None:
        async with driver.running() as intake:
            await driver.wait_for(["even/inside.mp3"])
            assert await set_aside(driver) == ["odd/"]
            driver.put("even/later.mp3")
            await driver.wait_for(["even/inside.mp3", "even/later.mp3"])
            faulty.sick = False
            intake.request_rescan()
            await driver.wait_for(["even/inside.mp3", "even/later.mp3", "odd/inside.mp3"])
            await until_async(lambda: _is_empty(driver), "nothing is set aside")

    run_story(story)


async def _is_empty(driver: IntakeDriver) -> bool:
    return await set_aside(driver) == []


def test_new_settings_apply_to_the_others_if_one_file_raises(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path, existing="take", rules=())
    for name in [*GOOD[:5], POISON]:
        driver.put(name)

    async def story() -> None:
        async with driver.running():
            await until_async(lambda: _has_skipped(driver, 6), "all are left alone")
        driver.inbox = IntakeDriver(tmp_path, existing="take").inbox
        driver.steps = Faulty("choose", POISON).steps
        async with driver.running():
            await driver.wait_for(GOOD[:5])
            assert await set_aside(driver) == [POISON]

    run_story(story)


async def _has_skipped(driver: IntakeDriver, count: int) -> bool:
    known = await driver.thread.run(lambda store: store.known_in(str(driver.folder), ""))
    return len(known) == count


@pytest.mark.parametrize("step", ["sha256", "remove_if_moved"])
def test_a_returned_file_that_raises_does_not_stop_the_others(step: str, tmp_path: Path) -> None:
    faulty = Faulty(step, POISON)
    driver = IntakeDriver(tmp_path, existing="take")
    driver.steps = faulty.steps
    driver.put(POISON)

    async def story() -> None:
        async with driver.running():
            (job,) = await driver.wait_for([POISON])
            failed = driver.folder / "failed"
            failed.mkdir(exist_ok=True)
            (driver.folder / POISON).rename(failed / POISON)
            facts = {"state": "failed", "moved_to": str(failed / POISON), "archived": 1}
            await driver.set_job(job.id, **facts, **({"sha256": "0" * 64, "inode": 1} if step == "sha256" else {}))
            await driver.thread.run(lambda store: store.forget(str(driver.folder), [POISON]))
            (failed / POISON).rename(driver.folder / POISON)
            await until_async(lambda: _is(faulty.raised > 0), "it was met")
            for name in GOOD[:3]:
                driver.put(name, os.urandom(8))
            await until_async(lambda: _has(driver, GOOD[:3]), "the others are processed")

    run_story(story)


async def _has(driver: IntakeDriver, names: list[str]) -> bool:
    return set(names) <= set(await driver.paths())


@pytest.mark.parametrize("step", ALWAYS)
def test_running_out_of_descriptors_pauses_intake_and_sets_nothing_aside(step: str, tmp_path: Path) -> None:
    faulty = Faulty(step, POISON, lambda: OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    driver = IntakeDriver(tmp_path, existing="take")
    driver.steps, driver.probe_seconds = faulty.steps, 0.05

    async def story() -> None:
        async with driver.running():
            driver.put(POISON)
            await until_async(lambda: _is(faulty.raised > 2), "it was met")
            faulty.sick = False
            await driver.wait_for([POISON])
            assert driver.log.said("file.set_aside") == []
            assert await set_aside(driver) == []

    run_story(story)


# a parser that ends the process


def died_in(folder: Path, *paths: str) -> None:
    """A separate process dies while it reads these files at the same time."""
    process = os.fork()
    if process == 0:
        try:
            with ExitStack() as reads:
                inspections = Inspections(folder)
                for path in paths:
                    reads.enter_context(inspections.reading(path, 1, 2))
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def test_a_file_in_which_two_processes_died_is_skipped_and_the_others_are_read(tmp_path: Path) -> None:
    died_in(tmp_path, "/in/a", "/in/b", os.fsdecode(b"/in/\xff"))
    second = Inspections(tmp_path)
    second.measure("/in/b", 1, 2)
    second.close()
    died_in(tmp_path, "/in/a")
    third = Inspections(tmp_path)
    with pytest.raises(CondemnedFileError, match="crashed 2 times in a row"):
        third.measure("/in/a", 1, 2)
    third.measure("/in/a", 1, 3)  # another content
    third.measure("/in/b", 1, 2)
    third.close()
    fourth = Inspections(tmp_path)
    with pytest.raises(CondemnedFileError):
        fourth.measure("/in/a", 1, 2)
    fourth.pardon("/in")
    fourth.measure("/in/a", 1, 2)
    fourth.close()
    Inspections(tmp_path).measure("/in/a", 1, 2)


def test_a_death_is_forgotten_once_the_file_was_read(tmp_path: Path) -> None:
    for _ in range(3):
        died_in(tmp_path, "/in/a")
        inspections = Inspections(tmp_path)
        inspections.measure("/in/a", 1, 2)
        inspections.close()


def test_a_regular_exit_while_a_file_is_read_does_not_count_as_a_death(tmp_path: Path) -> None:
    for _ in range(3):
        inspections = Inspections(tmp_path)
        with inspections.reading("/in/a", 1, 2):
            inspections.close()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"9999", b"   5[1,2]", bytes(20_000)])
def test_a_foreign_file_in_place_of_the_inspection_marks_does_not_prevent_the_start(
    content: bytes, tmp_path: Path
) -> None:
    for name in ("inspected", "inspection-deaths.json"):
        (tmp_path / name).write_bytes(content)
    Inspections(tmp_path).measure("/in/a", 1, 2)


def test_nothing_is_written_while_nothing_is_read(tmp_path: Path) -> None:
    inspections = Inspections(tmp_path)
    inspections.measure("/in/a", 1, 2)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert list(before) == ["inspected"]
    inspections.pardon("/in")
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("was_there", [True, False])
def test_a_file_in_which_two_daemons_died_is_skipped_and_reported(
    was_there: bool, sandbox: Sandbox, make_home: MakeHome
) -> None:
    """Files of the first scan are read by intake, for their price; later ones before their upload."""
    home = make_home(sandbox.url)
    home.daemon = (str(SUPPORT / "crashing_reader.py"), str(home.config))
    good = [f"good{number:02}.wav" for number in range(15)]
    process = None if was_there else home.start()
    for number, name in enumerate(["deadly.wav", *(good if was_there else [])]):
        write_wav(home.inbox / name, seconds=0.1, pitch=200.0 + number)
    for _ in range(2):
        process = process or home.start(wait=False)
        assert process.wait(30) == -signal.SIGSEGV
        process = None
    home.start()
    for number, name in enumerate([] if was_there else good):
        write_wav(home.inbox / name, seconds=0.1, pitch=300.0 + number)
    jobs = until(partial(_all_ended, home, good), "the others are done")
    status = json.loads(home.command("status", "--json").stdout)
    assert home.command("status").returncode == 1
    if was_there:
        assert [file["path"] for file in status["set_aside"]] == ["deadly.wav"]
        assert "crashed 2 times in a row" in status["set_aside"][0]["error"]
        (explained,) = json.loads(home.command("explain", "--json", str(home.inbox / "deadly.wav")).stdout)
        assert "crashed 2 times in a row" in explained["reason"]
    else:
        (failed,) = [job for job in jobs if job["path"] == "deadly.wav"]
        assert "crashed 2 times in a row" in failed["error"]
        assert "Nothing was spent" in (home.inbox / "failed/deadly.wav.error.txt").read_text()
        assert "failed/deadly.wav" in tree(home.inbox)
    assert home.stop() == 0


def test_run_once_exits_with_1_if_a_file_is_set_aside(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.daemon = (str(SUPPORT / "crashing_reader.py"), str(home.config), "--once")
    for number, name in enumerate(["deadly.wav", "good.wav"]):
        write_wav(home.inbox / name, seconds=0.1, pitch=200.0 + number)
    codes = [home.start(wait=False).wait(60) for _ in range(3)]
    assert codes == [-signal.SIGSEGV, -signal.SIGSEGV, 1]
    assert [job["path"] for job in home.jobs() if job["state"] == "done"] == ["good.wav"]


def _all_ended(home: Any, names: list[str]) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = home.jobs()
    done = {job["path"] for job in jobs if job["state"] == "done"}
    return jobs if set(names) <= done and all(job["state"] in ("done", "failed") for job in jobs) else []
