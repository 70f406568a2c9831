"""Intake on real folders, real inotify and the real store: how files become jobs, and how the inbox is watched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.errors import StoreError
from lalald.inbox.intake import Intake
from lalald.jobs.states import Hold
from lalald.jobs.task import Task
from lalald.store import Store, StoreThread
from tests.inbox.test_native_watch import in_small_limits, needs_namespaces
from tests.support import ROOT
from tests.support.intake_driver import (
    RULES,
    IntakeDriver,
    created_job_for,
    knows_no_folders,
    run_story,
    until,
)
from tests.support.running import own_disks


def test_a_file_moved_in_becomes_a_job_of_its_rule(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            path = driver.put("a.mp3")
            (job,) = await driver.wait_for(["a.mp3"])
            facts = path.stat()
            assert (job.inbox, job.rule, job.size, job.mtime_ns, job.inode) == (
                str(driver.folder), "rest", 3, facts.st_mtime_ns, facts.st_ino,
            )  # fmt: skip
            assert job.tasks == (
                Task(number=1, name=None, mode="stem_separator", presets={"stem": "vocals"}),
                Task(number=2, name="drums", mode="multistem", presets={"stem_list": ["drum"]}),
            )
            assert (job.settings.outbox, job.settings.done_dir) == (
                str(tmp_path / "outbox"),
                str(driver.folder / "done"),
            )
            await intake.wait_until_idle()
            assert driver.new_jobs_count == 1
            assert driver.log.said("job.created") == [
                {"job": job.id, "inbox": str(driver.folder), "path": "a.mp3", "rule": "rest"}
            ]

    run_story(story)


def test_written_linked_and_replaced_files_become_jobs(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            (driver.folder / "written.mp3").write_bytes(b"abc")
            outside = driver.outside / "linked"
            outside.write_bytes(b"abcd")
            (driver.folder / "linked.mp3").hardlink_to(outside)
            (driver.folder / ".hidden.mp3").write_bytes(b"abcde")
            (driver.folder / ".hidden.mp3").rename(driver.folder / "shown.mp3")
            await driver.wait_for(["written.mp3", "linked.mp3", "shown.mp3"])

    run_story(story)


def test_a_slowly_copied_file_is_processed_when_it_is_complete(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            with (driver.folder / "slow.mp3").open("wb") as file:
                for _ in range(5):
                    file.write(b"x" * 1000)
                    file.flush()
                    driver.put("beacon.mp3", os.urandom(8))
                    await until(partial(created_job_for, driver, "beacon.mp3"), "the beacon")
                    driver.log.lines.clear()
                    assert "slow.mp3" not in await driver.paths()
                assert not intake.is_idle()
            await until(partial(created_job_for, driver, "slow.mp3"), "the slow one")
            assert [job.size for job in await driver.jobs() if job.path == "slow.mp3"] == [5000]

    run_story(story)


def test_settle_waits_until_nothing_has_changed_for_its_time(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path, settle=0.4)

    async def story() -> None:
        async with driver.running() as intake:
            began = time.monotonic()
            path = driver.put("a.mp3")
            while time.monotonic() < began + 0.3:
                await asyncio.sleep(0.05)
                path.write_bytes(b"x" * int((time.monotonic() - began) * 1000))
            changed = time.monotonic()
            (job,) = await driver.wait_for(["a.mp3"])
            assert time.monotonic() >= changed + 0.35
            assert job.size == path.stat().st_size
            await intake.wait_until_idle()

    run_story(story)


def test_new_nested_folders_are_processed_completely_and_watched(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            deep = driver.outside / "album" / "cd 1" / "bonus"
            deep.mkdir(parents=True)
            names = [f"album/cd 1/bonus/{number}.mp3" for number in range(20)] + ["album/cover.mp3"]
            for name in names:
                (driver.outside / name).write_bytes(b"abc")
            (driver.outside / "album").rename(driver.folder / "album")
            await driver.wait_for(names)
            driver.put("album/cd 1/bonus/later.mp3")
            await driver.wait_for([*names, "album/cd 1/bonus/later.mp3"])
            await intake.wait_until_idle()

    run_story(story)


def test_no_file_is_lost_in_folders_created_at_the_same_time(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            names = [f"{number % 7}/{number % 5}/{number}.mp3" for number in range(300)]
            await asyncio.to_thread(lambda: [driver.put(name) for name in names])
            await driver.wait_for(names)

    run_story(story)


def test_a_burst_of_files_loses_none(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            names = [f"{number}.mp3" for number in range(2000)]
            for name in names:
                (driver.outside / name).write_bytes(b"a")
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.002)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            await asyncio.to_thread(lambda: [os.rename(driver.outside / name, driver.folder / name) for name in names])
            await driver.wait_for(names)
            await intake.wait_until_idle()
            ticking.cancel()
            assert ticks > 50  # the loop went on with other things all the while

    run_story(story)


def test_names_of_every_kind_become_jobs(tmp_path: Path) -> None:
    names = [
        "Müller.mp3", "Mu\u0308ller.mp3", "new\nline.mp3", "it's \"quoted\".mp3", "x" * 251 + ".mp3", "\udcff\udcfe.mp3",
        "日本/\U0001f3b5.mp3", "\udcff/a.mp3", "-rf.mp3", "UPPER.MP3",
    ]  # fmt: skip
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running():
            for number, name in enumerate(names):
                driver.put(name, b"a" * (number + 1))
            await driver.wait_for(names)
        async with driver.running():
            assert sorted(await driver.paths()) == sorted(names)

    run_story(story)


REFUSED = (
    ".hidden.mp3", "a.mp3.part", "@eaDir/a.mp3", "done/a.mp3", "failed/a.mp3", "out/a.mp3", "x.live.mp3", "drafts/x.mp3"
)  # fmt: skip


def test_excluded_files_are_neither_processed_nor_recorded(tmp_path: Path) -> None:
    driver = IntakeDriver(
        tmp_path, ignore=("*.live.mp3", "drafts/"), done_dir=tmp_path / "inbox/done", outbox=tmp_path / "inbox/out"
    )

    async def story() -> None:
        async with driver.running() as intake:
            for path in REFUSED:
                driver.put(path)
            (driver.folder / "link.mp3").symlink_to(driver.put("real.mp3"))
            (driver.folder / "linked").symlink_to(driver.outside)
            (driver.folder / "empty.mp3").touch()
            await driver.wait_for(["real.mp3"])
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await driver.paths() == ["real.mp3"]
            assert await driver.thread.run(lambda store: store.known_folders(str(driver.folder))) == {""}
            known = await driver.thread.run(lambda store: store.known_in(str(driver.folder), ""))
            assert {path: file.skip_reason for path, file in known.items()} == {"real.mp3": None, "empty.mp3": "empty"}

    run_story(story)


@pytest.mark.parametrize("watch", ["native", "polling"])
def test_a_download_is_processed_once_its_control_file_is_gone(tmp_path: Path, watch: str) -> None:
    driver = IntakeDriver(tmp_path, watch=watch)

    async def story() -> None:
        controls = [driver.put(path) for path in ("a.wav.aria2", "album.aria2", "old.wav.aria2", "renamed.wav.aria2")]
        driver.put("old.wav")
        async with driver.running() as intake:
            for path in ("a.wav", "album/cd1/b.wav", "album/c.wav", "renamed.wav", "other.wav"):
                driver.put(path)
            await driver.wait_for(["other.wav"])
            await intake.scan()
            assert intake.is_idle(), "nothing is waited for that may take months"
            assert await driver.paths() == ["other.wav"]
            for control in controls[:-1]:
                control.unlink()
            controls[-1].rename(driver.outside / "moved")
            await driver.wait_for(["a.wav", "album/c.wav", "album/cd1/b.wav", "old.wav", "other.wav", "renamed.wav"])

    run_story(story)


def test_a_file_without_a_rule_is_skipped_and_reported_once_across_restarts(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("notes.txt")
            assert "not an audio or video" in (await driver.wait_for_event("file.skipped"))["reason"]
            intake.request_rescan()
            await intake.wait_until_idle()
        async with driver.running() as intake:
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await driver.jobs() == []
        assert len(driver.log.said("file.skipped")) == 1

    run_story(story)


def test_an_empty_file_is_reported_once_and_processed_when_it_has_content(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            path = driver.put("a.mp3", b"")
            assert (await driver.wait_for_event("file.skipped"))["reason"] == "it is empty"
            intake.request_rescan()
            await intake.wait_until_idle()
        async with driver.running() as intake:  # skipped files are matched again
            await intake.wait_until_idle()
            assert await driver.jobs() == []
            path.write_bytes(b"content")
            (job,) = await driver.wait_for(["a.mp3"])
            assert job.size == 7
            await driver.set_job(job.id, state="done", stage="done")
            path.write_bytes(b"")
            intake.request_rescan()
            await intake.wait_until_idle()
            known = await driver.thread.run(lambda store: store.known_in(str(driver.folder), ""))
            assert known["a.mp3"].job_id == job.id, "a job's file stays that job's"
        assert len(driver.log.said("file.skipped")) == 1

    run_story(story)


def test_polling_finds_new_changed_and_gone_files(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path, watch="polling")

    async def story() -> None:
        async with driver.running() as intake:
            assert intake.state().watch == "polling"
            path = driver.put("sub/a.mp3")
            (job,) = await driver.wait_for(["sub/a.mp3"])
            driver.put("sub/a.mp3", b"other content")
            await driver.wait_for(["sub/a.mp3", "sub/a.mp3"])
            await driver.set_job(job.id + 1, state="done", stage="done")
            path.unlink()
            await until(partial(knows_no_folders, driver), "the file forgotten")
            with (driver.folder / "b.mp3").open("wb") as file:
                file.write(b"abc")
                file.flush()
                await intake.scan()
                await intake.scan()
                assert "b.mp3" not in await driver.paths()
            await driver.wait_for(["b.mp3", "sub/a.mp3", "sub/a.mp3"])

    run_story(story)


def test_the_state_of_an_inbox_is_saved_only_when_it_changes(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def state() -> list[Any]:
        columns = "available, reason, watch, watch_reason, updated_at"
        return await driver.thread.run(
            lambda store: list(store.connection.execute(f"SELECT {columns} FROM inboxes").fetchone())
        )

    async def story() -> None:
        async with driver.running() as intake:
            first = await state()
            assert first[:3] == [1, "", "native"]
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await state() == first
            driver.folder.rename(tmp_path / "away")
            await driver.wait_for_event("inbox.unavailable")
            await until(partial(is_unavailable, driver), "the new state")

    run_story(story)


async def is_unavailable(driver: IntakeDriver) -> bool:
    row = await driver.thread.run(lambda store: store.connection.execute("SELECT available FROM inboxes").fetchone())
    return not row[0]


def test_a_reload_applies_new_settings_and_matches_skipped_files_again(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path, rules=(RULES[0],))

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("a.mp3")
            await driver.wait_for_event("file.skipped")
            intake.replace(replace(driver.inbox, rules=RULES, watch="polling"))
            await driver.wait_for(["a.mp3"])
            assert intake.state().watch == "polling"

    run_story(story)


@pytest.mark.parametrize("way", ["a reload", "a start"])
@pytest.mark.parametrize(("old", "hold"), [(25, Hold.FIRST_SCAN), (3, None)])
def test_new_rules_match_skipped_files_and_hold_more_than_twenty_existing_ones(
    tmp_path: Path, old: int, hold: Hold | None, way: str
) -> None:
    """A file from before the first scan still counts as existing when a later rule matches it."""
    driver = IntakeDriver(tmp_path, rules=(RULES[0],))
    archive = [driver.put(f"old/{index}.mp3").relative_to(driver.folder).as_posix() for index in range(old)]

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            driver.put("new.mp3")
            driver.put("new.txt")
            await until(lambda: has_skipped(driver, old + 2), "all of them were left alone")
            driver.inbox = replace(driver.inbox, rules=RULES)
            if way == "a reload":
                intake.replace(driver.inbox)
                await driver.wait_for([*archive, "new.mp3"])
        if way == "a start":
            async with driver.running():
                await driver.wait_for([*archive, "new.mp3"])
        async with driver.running():
            holds = {job.path: job.hold for job in await driver.jobs()}
            assert holds == {**dict.fromkeys(archive, hold), "new.mp3": None}

    run_story(story)


async def has_skipped(driver: IntakeDriver, count: int) -> bool:
    return len(driver.log.said("file.skipped")) == count


@pytest.mark.parametrize(
    ("before", "after"), [({"existing": "skip"}, {"existing": "take"}), ({"changed": "skip"}, {"changed": "process"})]
)
def test_files_skipped_by_a_setting_are_processed_when_it_changes(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    driver = IntakeDriver(tmp_path, **before)
    path = driver.put("a.mp3")

    async def story() -> None:
        async with driver.running() as intake:
            await intake.wait_until_idle()
            if "changed" in before:
                path.write_bytes(b"retagged")
            await driver.wait_for_event("file.skipped")
            already = len(await driver.jobs())
            intake.replace(replace(driver.inbox, **after))  # type: ignore[arg-type]
            await driver.wait_for(["a.mp3"] * (already + 1))
            await intake.wait_until_idle()
            assert len(await driver.jobs()) == already + 1

    run_story(story)


def test_nothing_is_written_into_the_inbox_but_the_marker(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("sub/a.mp3")
            await driver.wait_for(["sub/a.mp3"])
            await intake.wait_until_idle()

    run_story(story)
    files = sorted(str(path.relative_to(driver.folder)) for path in driver.folder.rglob("*"))
    assert files == [".lalald", "sub", "sub/a.mp3"]


def test_cancelling_stops_intake_at_once(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    for index in range(500):
        driver.put(f"{index}.mp3")

    async def story() -> None:
        with own_disks() as disks:
            async with driver.store() as driver.thread:
                intake = Intake(
                    driver.inbox, driver.thread, on_new_jobs=lambda: None, clock=Clock(), disks=disks, log=driver.log
                )
                task = asyncio.create_task(intake.run())
                await until(partial(has_jobs, driver), "the first jobs")
                began = time.monotonic()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert time.monotonic() - began < 5.0

    run_story(story)


async def has_jobs(driver: IntakeDriver) -> bool:
    return bool(
        await driver.thread.run(lambda store: store.connection.execute("SELECT 1 FROM jobs LIMIT 1").fetchone())
    )


def test_no_file_is_lost_when_events_are(tmp_path: Path) -> None:
    """The reader does not run while another program causes more events than the kernel's queue holds."""
    driver = IntakeDriver(tmp_path)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    script = (
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "open('1.tmpfile', 'w').close()\n"
        "for _ in range(int(sys.argv[2])): os.rename('1.tmpfile', '2.tmpfile'); os.rename('2.tmpfile', '1.tmpfile')\n"
        "for number in range(40): open(f'{number}.mp3', 'w').write('abc')"
    )
    command = [sys.executable, "-S", "-E", "-c", script, str(driver.folder), str(most * 2)]

    def hold_the_interpreter() -> None:
        with subprocess.Popen(command) as program:
            while program.poll() is None:
                deque(repeat(None, 100_000_000), maxlen=0)  # one call into C, during which no other thread runs

    async def story() -> None:
        async with driver.running():
            hold_the_interpreter()
            await driver.wait_for([f"{number}.mp3" for number in range(40)])
            assert driver.log.said("inbox.events_lost")

    run_story(story)


def test_without_inotify_watches_the_inbox_is_polled_and_the_sysctl_is_named_once(tmp_path: Path) -> None:
    needs_namespaces()
    for number in range(30):
        (tmp_path / "inbox" / str(number)).mkdir(parents=True)
    done = in_small_limits(_POLLED_INSTEAD, str(tmp_path), str(ROOT), watches=20)
    assert done.returncode == 0, done.stderr
    output, jobs, *words = done.stdout.splitlines()
    assert output.startswith("polling every 50ms: the limit of fs.inotify.max_user_watches is reached")
    assert jobs == "['29/a.mp3']"
    assert len(words) == 1
    assert "sysctl fs.inotify.max_user_watches" in words[0]


_POLLED_INSTEAD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.support.intake_driver import IntakeDriver

async def story():
    driver = IntakeDriver(Path(sys.argv[1]))
    async with driver.running() as intake:
        await intake.wait_until_idle()
        driver.put("29/a.mp3")
        jobs = [job.path for job in await driver.wait_for(["29/a.mp3"])]
        print(intake.state().watch, intake.state().watch_reason)
        print(jobs)
        intake.request_rescan()
        await intake.wait_until_idle()
        for line in driver.log.said("inbox.native_watching_refused"):
            print(line["hint"])

asyncio.run(story())
"""


class Flaky:
    """A store whose disk is full for a while."""

    def __init__(self, thread: StoreThread) -> None:
        self.thread = thread
        self.full = False

    async def run(self, function: Callable[[Store], Any]) -> Any:
        if self.full:
            raise StoreError("the database cannot be written", hint="Make room.")
        return await self.thread.run(function)


def test_a_full_state_folder_delays_files_and_loses_none(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)

    async def story() -> None:
        with own_disks() as disks:
            async with driver.store() as driver.thread:
                store = Flaky(driver.thread)
                intake = Intake(
                    driver.inbox,
                    store,
                    on_new_jobs=lambda: None,
                    clock=Clock(),
                    disks=disks,
                    log=driver.log,
                    probe_seconds=0.1,
                )
                await intake.scan()
                task = asyncio.create_task(intake.run())
                store.full = True
                driver.put("a.mp3")
                await driver.wait_for_event("inbox.store_failed")
                driver.put("b.mp3")
                store.full = False
                await driver.wait_for(["a.mp3", "b.mp3"])
                await intake.wait_until_idle()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    run_story(story)


def make_too_deep(folder: Path, name: str) -> None:
    """Make a file whose path is longer than the system allows, so that it cannot be opened by its path."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("a.mp3", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_folder_that_cannot_be_listed_is_reported_once_and_does_not_stop_the_others(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    make_too_deep(driver.folder, "x" * 240)

    async def story() -> None:
        async with driver.running() as intake:
            driver.put("b.mp3")
            await driver.wait_for(["b.mp3"])
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await driver.paths() == ["b.mp3"]
            assert [line["reason"] for line in driver.log.said("folder.unreadable")] == ["File name too long"]

    try:
        run_story(story)
    finally:
        subprocess.run(["rm", "-rf", str(driver.folder)], check=False)


def test_between_rescans_nothing_wakes_up_and_nothing_is_written(tmp_path: Path) -> None:
    driver = IntakeDriver(tmp_path)
    turns = 0

    class Counting(Clock):
        def monotonic(self) -> float:
            nonlocal turns
            turns += 1
            return super().monotonic()

    async def story() -> None:
        with own_disks() as disks:
            async with driver.store() as driver.thread:
                intake = Intake(
                    driver.inbox, driver.thread, on_new_jobs=lambda: None, clock=Counting(), disks=disks, log=driver.log
                )
                await intake.scan()
                task = asyncio.create_task(intake.run())
                driver.put("a.mp3")
                await driver.wait_for(["a.mp3"])
                await intake.wait_until_idle()
                written = (tmp_path / "state/lalald.sqlite3-wal").stat().st_mtime_ns
                for _ in range(20):  # a mount elsewhere on this machine causes one check
                    before = turns
                    await asyncio.sleep(0.5)  # the time in which nothing may happen
                    if turns == before:
                        break
                assert turns == before
                assert (tmp_path / "state/lalald.sqlite3-wal").stat().st_mtime_ns == written
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    run_story(story)
