"""Intake on real folders, real inotify and the real store: what becomes a job, when, and what does not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.config import Inbox, Rule, TaskSpec
from lalald.errors import StoreError
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.intake import PROBE_SECONDS, Intake
from lalald.inbox.readiness import ignore_broken_leases
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, State
from lalald.jobs.task import Task
from lalald.store import Store, StoreThread
from tests.inbox.test_native_watch import in_small_limits, needs_namespaces
from tests.support import ROOT
from tests.support.running import own_disks

DEADLINE_SECONDS = 20.0
RULES = (
    Rule("podcasts", (TaskSpec("voice_clean", {"stem": "voice"}),), match=("podcasts/",)),
    Rule(
        "rest",
        (TaskSpec("stem_separator", {"stem": "vocals"}), TaskSpec("multistem", {"stem_list": ["drum"]}, "drums")),
    ),
)


class Log:
    """Remembers what was said. `at` is called once, in the moment when its event is said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.at: dict[str, Callable[[], Any]] = {}

    def __getattr__(self, level: str) -> Callable[..., None]:
        return partial(self._say, level)

    def _say(self, level: str, event: str, **keys: Any) -> None:
        self.lines.append((level, event, keys))
        self.at.pop(event, lambda: None)()

    def said(self, event: str) -> list[dict[str, Any]]:
        return [keys for _, said, keys in self.lines if said == event]


class Place:
    """An inbox with its store, and the intake that watches it."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.folder = root / "inbox"
        self.outside = root / "outside"
        for folder in (self.folder, self.outside):
            folder.mkdir(exist_ok=True)
        facts: dict[str, Any] = {
            "path": self.folder, "outbox": root / "outbox", "done_dir": self.folder / "done", "failed_dir": self.folder / "failed",
            "rules": RULES, "settle": 0.0, "poll_interval": 0.05, **settings,
        }  # fmt: skip
        self.inbox = Inbox(**facts)
        self.log = Log()
        self.steps = InspectionSteps()
        self.probe_seconds = PROBE_SECONDS
        self.woken = 0

    def put(self, path: str, content: bytes = b"abc") -> Path:
        """Moves a whole file in, as a careful program does."""
        making = self.outside / "making"
        making.write_bytes(content)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        making.rename(target)
        return target

    @asynccontextmanager
    async def store(self) -> AsyncIterator[StoreThread]:
        thread = StoreThread(partial(Store.open, self.root / "state"))
        await thread.start()
        try:
            yield thread
        finally:
            await thread.stop()

    @asynccontextmanager
    async def running(self, existing: str | None = None) -> AsyncIterator[Intake]:
        """The intake at work, after its first scan."""
        with own_disks() as disks:
            async with self.store() as self.thread:
                intake = Intake(
                    self.inbox,
                    self.thread,
                    on_new_jobs=self._taken,
                    clock=Clock(),
                    disks=disks,
                    existing_override=existing,
                    log=self.log,
                    steps=self.steps,
                    probe_seconds=self.probe_seconds,
                )
                await intake.scan()
                task = asyncio.create_task(intake.run())
                try:
                    yield intake
                finally:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    def _taken(self) -> None:
        self.woken += 1

    async def jobs(self) -> list[Job]:
        """All jobs, in their order."""
        return await self.thread.run(lambda store: store._jobs("ORDER BY jobs.id", ()))

    async def paths(self) -> list[str]:
        rows = await self.thread.run(
            lambda store: store.connection.execute("SELECT path FROM jobs ORDER BY id").fetchall()
        )
        return [os.fsdecode(row[0]) for row in rows]

    async def count(self) -> int:
        row = await self.thread.run(lambda store: store.connection.execute("SELECT count(*) FROM jobs").fetchone())
        return int(row[0])

    async def wait_for(self, paths: list[str]) -> list[Job]:
        """The jobs, once there is one for each of the paths, and for no other."""

        async def there() -> bool:
            if await self.count() < len(paths):
                return False
            return sorted(await self.paths()) == sorted(paths)

        await until(there, f"jobs for {paths}", self.paths)
        return await self.jobs()

    async def wait_for_word(self, event: str) -> dict[str, Any]:
        async def said() -> bool:
            return bool(self.log.said(event))

        await until(said, event)
        return self.log.said(event)[-1]

    async def set_job(self, job_id: int, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        await self.thread.run(
            lambda store: (
                store.connection.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*columns.values(), job_id)).rowcount
            )
        )


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, instead: Callable[[], Awaitable[Any]] | None = None
) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, (
            f"not within {DEADLINE_SECONDS:g} s: {what}; instead: {await instead() if instead else ''}"
        )
        await asyncio.sleep(0.005)  # between two looks at a condition, not in place of one


Story = Callable[[], Coroutine[Any, Any, None]]


def play(story: Story) -> None:
    asyncio.run(story())


@pytest.fixture(autouse=True)
def _no_sigio() -> None:
    ignore_broken_leases()


# the ways in


def test_a_file_moved_in_becomes_a_job_of_its_rule(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            path = place.put("a.mp3")
            (job,) = await place.wait_for(["a.mp3"])
            facts = path.stat()
            assert (job.inbox, job.rule, job.size, job.mtime_ns, job.inode) == (
                str(place.folder), "rest", 3, facts.st_mtime_ns, facts.st_ino,
            )  # fmt: skip
            assert job.tasks == (
                Task(number=1, name=None, mode="stem_separator", presets={"stem": "vocals"}),
                Task(number=2, name="drums", mode="multistem", presets={"stem_list": ["drum"]}),
            )
            assert (job.settings.outbox, job.settings.done_dir) == (
                str(tmp_path / "outbox"),
                str(place.folder / "done"),
            )
            await intake.wait_until_idle()
            assert place.woken == 1
            assert place.log.said("job.created") == [
                {"job": job.id, "inbox": str(place.folder), "path": "a.mp3", "rule": "rest"}
            ]

    play(story)


def test_written_linked_and_replaced_files_become_jobs(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            (place.folder / "written.mp3").write_bytes(b"abc")
            outside = place.outside / "linked"
            outside.write_bytes(b"abcd")
            (place.folder / "linked.mp3").hardlink_to(outside)
            (place.folder / ".hidden.mp3").write_bytes(b"abcde")
            (place.folder / ".hidden.mp3").rename(place.folder / "shown.mp3")
            await place.wait_for(["written.mp3", "linked.mp3", "shown.mp3"])

    play(story)


def test_a_slowly_copied_file_is_processed_when_it_is_complete(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            with (place.folder / "slow.mp3").open("wb") as file:
                for _ in range(5):
                    file.write(b"x" * 1000)
                    file.flush()
                    place.put("beacon.mp3", os.urandom(8))
                    await until(partial(said_of, place, "beacon.mp3"), "the beacon")
                    place.log.lines.clear()
                    assert "slow.mp3" not in await place.paths()
                assert not intake.is_idle()
            await until(partial(said_of, place, "slow.mp3"), "the slow one")
            assert [job.size for job in await place.jobs() if job.path == "slow.mp3"] == [5000]

    play(story)


async def said_of(place: Place, path: str) -> bool:
    return any(keys["path"] == path for keys in place.log.said("job.created"))


def test_settle_waits_until_nothing_has_changed_for_its_time(tmp_path: Path) -> None:
    place = Place(tmp_path, settle=0.4)

    async def story() -> None:
        async with place.running() as intake:
            began = time.monotonic()
            path = place.put("a.mp3")
            while time.monotonic() < began + 0.3:
                await asyncio.sleep(0.05)
                path.write_bytes(b"x" * int((time.monotonic() - began) * 1000))
            changed = time.monotonic()
            (job,) = await place.wait_for(["a.mp3"])
            assert time.monotonic() >= changed + 0.35
            assert job.size == path.stat().st_size
            await intake.wait_until_idle()

    play(story)


def test_new_nested_folders_are_processed_completely_and_watched(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            deep = place.outside / "album" / "cd 1" / "bonus"
            deep.mkdir(parents=True)
            names = [f"album/cd 1/bonus/{number}.mp3" for number in range(20)] + ["album/cover.mp3"]
            for name in names:
                (place.outside / name).write_bytes(b"abc")
            (place.outside / "album").rename(place.folder / "album")
            await place.wait_for(names)
            place.put("album/cd 1/bonus/later.mp3")
            await place.wait_for([*names, "album/cd 1/bonus/later.mp3"])
            await intake.wait_until_idle()

    play(story)


def test_no_file_is_lost_in_folders_created_at_the_same_time(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            names = [f"{number % 7}/{number % 5}/{number}.mp3" for number in range(300)]
            await asyncio.to_thread(lambda: [place.put(name) for name in names])
            await place.wait_for(names)

    play(story)


def test_a_burst_of_files_loses_none(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            names = [f"{number}.mp3" for number in range(2000)]
            for name in names:
                (place.outside / name).write_bytes(b"a")
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.002)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            await asyncio.to_thread(lambda: [os.rename(place.outside / name, place.folder / name) for name in names])
            await place.wait_for(names)
            await intake.wait_until_idle()
            ticking.cancel()
            assert ticks > 50  # the loop went on with other things all the while

    play(story)


def test_names_of_every_kind_become_jobs(tmp_path: Path) -> None:
    names = [
        "Müller.mp3", "Mu\u0308ller.mp3", "new\nline.mp3", "it's \"quoted\".mp3", "x" * 251 + ".mp3", "\udcff\udcfe.mp3",
        "日本/\U0001f3b5.mp3", "\udcff/a.mp3", "-rf.mp3", "UPPER.MP3",
    ]  # fmt: skip
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            for number, name in enumerate(names):
                place.put(name, b"a" * (number + 1))
            await place.wait_for(names)
        async with place.running():
            assert sorted(await place.paths()) == sorted(names)

    play(story)


REFUSED = (
    ".hidden.mp3", "a.mp3.part", "@eaDir/a.mp3", "done/a.mp3", "failed/a.mp3", "out/a.mp3", "x.live.mp3", "drafts/x.mp3"
)  # fmt: skip


def test_excluded_files_are_neither_processed_nor_recorded(tmp_path: Path) -> None:
    place = Place(
        tmp_path, ignore=("*.live.mp3", "drafts/"), done_dir=tmp_path / "inbox/done", outbox=tmp_path / "inbox/out"
    )

    async def story() -> None:
        async with place.running() as intake:
            for path in REFUSED:
                place.put(path)
            (place.folder / "link.mp3").symlink_to(place.put("real.mp3"))
            (place.folder / "linked").symlink_to(place.outside)
            (place.folder / "empty.mp3").touch()
            await place.wait_for(["real.mp3"])
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await place.paths() == ["real.mp3"]
            assert await place.thread.run(lambda store: store.known_folders(str(place.folder))) == {""}
            assert set(await place.thread.run(lambda store: store.known_in(str(place.folder), ""))) == {"real.mp3"}

    play(story)


@pytest.mark.parametrize("watch", ["native", "polling"])
def test_a_download_is_processed_once_its_control_file_is_gone(tmp_path: Path, watch: str) -> None:
    place = Place(tmp_path, watch=watch)

    async def story() -> None:
        controls = [place.put(path) for path in ("a.wav.aria2", "album.aria2", "old.wav.aria2", "renamed.wav.aria2")]
        place.put("old.wav")
        async with place.running() as intake:
            for path in ("a.wav", "album/cd1/b.wav", "album/c.wav", "renamed.wav", "other.wav"):
                place.put(path)
            await place.wait_for(["other.wav"])
            await intake.scan()
            assert intake.is_idle(), "nothing is waited for that may take months"
            assert await place.paths() == ["other.wav"]
            for control in controls[:-1]:
                control.unlink()
            controls[-1].rename(place.outside / "moved")
            await place.wait_for(["a.wav", "album/c.wav", "album/cd1/b.wav", "old.wav", "other.wav", "renamed.wav"])

    play(story)


def test_a_file_without_a_rule_is_skipped_and_reported_once_across_restarts(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("notes.txt")
            assert "not an audio or video" in (await place.wait_for_word("file.skipped"))["reason"]
            intake.request_rescan()
            await intake.wait_until_idle()
        async with place.running() as intake:
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await place.jobs() == []
        assert len(place.log.said("file.skipped")) == 1

    play(story)


# known files


def test_a_known_file_is_not_processed_again_by_restarts_and_rescans(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            path = place.put("sub/a.mp3")
            await place.wait_for(["sub/a.mp3"])
            path.chmod(0o600)
            intake.request_rescan()
            await intake.wait_until_idle()
        for _ in range(2):
            async with place.running() as intake:
                report = await intake.scan()
                assert (report.files, report.unknown, report.gone) == (1, 0, 0)
                assert len(await place.jobs()) == 1

    play(story)


def test_files_that_arrived_while_no_daemon_ran_are_found_at_the_start(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            pass
        names = [f"{number}.mp3" for number in range(30)]
        for name in names:
            place.put(name)
        async with place.running() as intake:
            await intake.wait_until_idle()
            assert sorted(await place.paths()) == sorted(names)
            assert {job.state for job in await place.jobs()} == {State.WAITING}

    play(story)


def test_new_content_under_a_known_name_is_a_new_job(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            place.put("a.mp3")
            await place.wait_for(["a.mp3"])
            place.put("a.mp3", b"other content")
            first, second = await place.wait_for(["a.mp3", "a.mp3"])
            assert (first.size, second.size) == (3, 13)

    play(story)


@pytest.mark.parametrize("way", ["in place", "renamed over", "deleted and made again"])
def test_with_changed_skip_a_retagged_file_is_skipped_permanently(tmp_path: Path, way: str) -> None:
    place = Place(tmp_path, changed="skip")

    async def story() -> None:
        async with place.running() as intake:
            path = place.put("a.mp3")
            await place.wait_for(["a.mp3"])
            if way == "in place":
                path.write_bytes(b"retagged")
            elif way == "renamed over":
                place.put("a.mp3", b"retagged")
            else:
                path.unlink()
                path.write_bytes(b"retagged")
            assert "changed: skip" in (await place.wait_for_word("file.skipped"))["reason"]
            intake.replace(place.inbox)
            await intake.wait_until_idle()
            assert len(await place.jobs()) == 1
            path.write_bytes(b"retagged once more")
            await until(partial(knows_size, place, "a.mp3", 18), "the second change")
            assert len(await place.jobs()) == 1
            assert len(place.log.said("file.skipped")) == 1

    play(story)


async def knows_size(place: Place, name: str, size: int) -> bool:
    known = await place.thread.run(lambda store: store.known_in(str(place.folder), ""))
    return name in known and known[name].size == size


def test_a_held_old_file_with_new_content_is_held_again_and_its_first_job_ends(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for index in range(21):
        place.put(f"{index}.mp3")

    async def story() -> None:
        async with place.running() as intake:
            place.put("0.mp3", b"retagged")
            await until(partial(knows_size, place, "0.mp3", 8), "the change")
            await intake.wait_until_idle()
            first, second = [(job.state, job.hold) for job in await place.jobs() if job.path == "0.mp3"]
            assert first == (State.CANCELLED, None)
            assert second == (State.HELD, Hold.FIRST_SCAN)

    play(story)


@pytest.mark.parametrize("at_a_start", [True, False])
@pytest.mark.parametrize("passed_over", [{"recursive": False}, {"ignore": ("old/",)}])
def test_existing_files_in_newly_scanned_places_are_held(
    tmp_path: Path, passed_over: dict[str, Any], at_a_start: bool
) -> None:
    place = Place(tmp_path, **passed_over)
    old = [place.put(f"old/{index}.mp3").relative_to(place.folder).as_posix() for index in range(21)]
    looked_into = replace(place.inbox, recursive=True, ignore=())

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            assert await place.jobs() == []
            if not at_a_start:
                intake.replace(looked_into)
                await until(partial(has_held, place, old), "they are held")
        place.inbox = looked_into
        async with place.running():
            await until(partial(has_held, place, old), "they are held")
            place.put("old/new.mp3")
            await place.wait_for([*old, "old/new.mp3"])
        place.put("newer.mp3")
        async with place.running():
            await place.wait_for([*old, "old/new.mp3", "newer.mp3"])
            assert await has_held(place, old)

    play(story)


@pytest.mark.parametrize("while_at_work", [True, False])
def test_existing_files_in_a_renamed_folder_stay_held(tmp_path: Path, while_at_work: bool) -> None:
    place = Place(tmp_path)
    for index in range(21):
        place.put(f"old/{index}.mp3", b"%d" % index)
    copy, renamed = place.folder / "copy.mp3", [f"archive/{index}.mp3" for index in range(21)]

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            os.link(place.folder / "old/0.mp3", place.outside / "copy")
            (place.outside / "copy").rename(copy)
            await until(partial(knows_size, place, "copy.mp3", 1), "a file of the same bytes that is dropped")
            copy.unlink()
            if while_at_work:
                (place.folder / "old").rename(place.folder / "archive")
                await until(partial(has_held, place, renamed), "they are held under their new names")
        if not while_at_work:
            (place.folder / "old").rename(place.folder / "archive")
            async with place.running():
                await until(partial(has_held, place, renamed), "they are held under their new names")
        async with place.running():
            assert [job.path for job in await place.jobs() if job.state is State.WAITING] == ["copy.mp3"]

    play(story)


async def has_held(place: Place, paths: list[str]) -> bool:
    held = [job.path for job in await place.jobs() if job.hold is Hold.FIRST_SCAN]
    return sorted(held) == sorted(paths)


def test_a_failed_job_ends_when_its_file_is_replaced(tmp_path: Path) -> None:
    """With on_failure: keep it is mended where it lies, and the new content is a job of its own."""
    place = Place(tmp_path, on_failure="keep")

    async def story() -> None:
        async with place.running():
            place.put("a.mp3")
            (job,) = await place.wait_for(["a.mp3"])
            await place.set_job(job.id, state="failed", archived=1, error="It is broken.")
            place.put("a.mp3", b"mended")
            first, _ = await place.wait_for(["a.mp3", "a.mp3"])
            assert first.state is State.CANCELLED
            assert first.error == "It is broken. The file has other content now, which is a job of its own."

    play(story)


def test_a_finished_file_that_is_dropped_again_is_a_new_job(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            path = place.put("a.mp3")
            (job,) = await place.wait_for(["a.mp3"])
            await place.set_job(job.id, state="done", stage="done", archived=1)
            path.rename(place.outside / "a.mp3")
            (place.outside / "a.mp3").rename(path)
            await place.wait_for(["a.mp3", "a.mp3"])

    play(story)


def test_a_file_that_its_own_job_moved_and_restored_is_not_a_new_job(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            path = place.put("a.mp3")
            (job,) = await place.wait_for(["a.mp3"])
            await place.set_job(job.id, stage="archive")
            path.rename(place.folder / ".lalald-1-a.mp3")
            intake.request_rescan()
            await intake.wait_until_idle()
            (place.folder / ".lalald-1-a.mp3").rename(path)
            place.put("beacon.mp3")
            await place.wait_for(["a.mp3", "beacon.mp3"])
            await intake.wait_until_idle()
            assert len(await place.jobs()) == 2

    play(story)


def test_files_of_a_folder_that_is_moved_away_and_back_are_new_jobs(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("album/a.mp3")
            (job,) = await place.wait_for(["album/a.mp3"])
            await place.set_job(job.id, state="done", stage="done", archived=1)
            (place.folder / "album").rename(place.outside / "album")
            await until(partial(knows_no_folder, place), "the folder forgotten")
            await intake.wait_until_idle()
            (place.outside / "album").rename(place.folder / "album")
            await place.wait_for(["album/a.mp3", "album/a.mp3"])

    play(story)


async def knows_no_folder(place: Place) -> bool:
    return await place.thread.run(lambda store: store.known_folders(str(place.folder))) <= {""}


def test_a_renamed_folder_is_watched_under_its_new_name(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            place.put("one/a.mp3")
            await place.wait_for(["one/a.mp3"])
            (place.folder / "one").rename(place.folder / "two")
            await place.wait_for(["one/a.mp3", "two/a.mp3"])
            place.put("two/b.mp3")
            await place.wait_for(["one/a.mp3", "two/a.mp3", "two/b.mp3"])

    play(story)


def test_the_file_of_a_discarded_job_is_inspected_again(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("a.mp3")
            (job,) = await place.wait_for(["a.mp3"])
            await place.thread.run(lambda store: store.drop_file(job))
            intake.request_inspection("a.mp3")
            await place.wait_for(["a.mp3", "a.mp3"])

    play(story)


# files that come back


async def failed(place: Place, name: str, content: bytes, *, paid: bool) -> Job:
    """A job that failed and whose file was filed away."""
    place.put(name, content)
    (job,) = await place.wait_for([name])
    away = place.folder / "failed" / name
    away.parent.mkdir(exist_ok=True)
    (place.folder / name).rename(away)
    sha256 = hashlib.sha256(content).hexdigest() if paid else None
    await place.set_job(job.id, state="failed", archived=1, moved_to=str(away), sha256=sha256)
    await place.thread.run(lambda store: store.forget(job.inbox, [job.path]))
    if paid:
        await place.thread.run(
            lambda store: store.connection.execute("UPDATE tasks SET task_id = 't' || number").rowcount
        )
    return job


def bring_back(place: Place, way: str, target: Path) -> None:
    away = place.folder / "failed/a.mp3"
    target.parent.mkdir(exist_ok=True)
    if way.startswith("moved"):
        away.rename(target)
        return
    making = place.outside / "copy"
    making.write_bytes(away.read_bytes())
    if way == "copied":
        os.utime(making, ns=(away.stat().st_atime_ns, away.stat().st_mtime_ns))
    making.rename(target)


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize("way", ["moved", "moved under another name", "copied", "copied without its time"])
def test_a_failed_file_moved_back_is_its_old_job(tmp_path: Path, way: str, paid: bool) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            job = await failed(place, "a.mp3", b"the content", paid=paid)
            target = "podcasts/other.mp3" if way == "moved under another name" else "a.mp3"
            bring_back(place, way, place.folder / target)
            if way == "copied without its time" and not paid:
                await place.wait_for(
                    ["a.mp3", "a.mp3"]
                )  # nothing tells that it is the same: a new job, and nothing was spent
                return
            await place.wait_for_word("job.returned")
            (back,) = await place.jobs()
            assert (back.id, back.path, back.moved_to, back.request) == (job.id, target, None, "retry")
            matched_anew = target.startswith("podcasts") and not paid
            assert back.rule == ("podcasts" if matched_anew else "rest")
            assert [task.task_id for task in back.tasks] == (["t1", "t2"] if paid else [None] * len(back.tasks))

    play(story)


def test_another_file_with_the_same_size_and_inode_number_does_not_become_the_failed_job(tmp_path: Path) -> None:
    """Its own content decides: results of another file must never be delivered for it."""
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running():
            job = await failed(place, "a.mp3", b"the content", paid=True)
            (place.folder / "failed/a.mp3").unlink()
            stranger = place.outside / "stranger"
            stranger.write_bytes(b"not content")
            await place.set_job(job.id, inode=stranger.stat().st_ino)
            stranger.rename(place.folder / "b.mp3")
            await place.wait_for(["a.mp3", "b.mp3"])
            assert place.log.said("job.returned") == []

    play(story)


# the first look


@pytest.mark.parametrize(("number", "held"), [(20, 0), (21, 21)])
def test_up_to_twenty_existing_files_are_processed_and_more_are_held(tmp_path: Path, number: int, held: int) -> None:
    place = Place(tmp_path)
    for index in range(number):
        place.put(f"{index}.mp3")
        place.put(f"{index}.txt")

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            jobs = await place.jobs()
            assert len(jobs) == number
            assert [job.hold for job in jobs].count(Hold.FIRST_SCAN) == held
            if held:
                assert all(job.state is State.HELD and "lalald release" in (job.hold_reason or "") for job in jobs)
            place.put("new.mp3")
            await until(partial(said_of, place, "new.mp3"), "the new one")
            assert (await place.jobs())[-1].hold is None

    play(story)


def test_held_files_are_priced(tmp_path: Path) -> None:
    from tests.support.running import write_wav

    place = Place(tmp_path)
    for index in range(21):
        write_wav(place.folder / f"{index}.wav", seconds=0.5)

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            assert {job.duration for job in await place.jobs()} == {0.5}

    play(story)


@pytest.mark.parametrize(
    ("existing", "override", "taken"), [("take", None, 25), ("hold", "take", 25), ("skip", None, 0)]
)
def test_existing_take_and_skip_apply_to_any_number(
    tmp_path: Path, existing: str, override: str | None, taken: int
) -> None:
    place = Place(tmp_path, existing=existing)
    for index in range(25):
        place.put(f"{index}.mp3")

    async def story() -> None:
        for _ in range(2):
            async with place.running(override) as intake:
                await intake.wait_until_idle()
                assert [job.hold for job in await place.jobs()] == [None] * taken
                intake.replace(place.inbox)
                await intake.wait_until_idle()
                assert len(await place.jobs()) == taken

    play(story)


def test_an_interrupted_first_scan_continues_after_a_restart(tmp_path: Path) -> None:
    """A crash between the files of a first look must not turn the rest of them into orders."""
    place = Place(tmp_path)
    for index in range(30):
        place.put(f"{index}.mp3")

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            await place.thread.run(partial(as_if_cut_short, str(place.folder)))
        async with place.running() as intake:
            await intake.wait_until_idle()
            assert [job.hold for job in await place.jobs()] == [Hold.FIRST_SCAN] * 30

    play(story)


def as_if_cut_short(inbox: str, store: Store) -> None:
    store.connection.execute("DELETE FROM tasks WHERE job_id > 25")
    store.connection.execute("DELETE FROM files WHERE job_id > 25")
    store.connection.execute("DELETE FROM jobs WHERE id > 25")
    store.connection.execute("UPDATE inboxes SET first_seen_at = NULL, marker = NULL WHERE path = ?", (inbox,))


def test_existing_files_that_finish_late_still_count_as_existing(tmp_path: Path) -> None:
    place = Place(tmp_path, settle=0.3)
    for index in range(25):
        place.put(f"{index}.mp3")

    async def story() -> None:
        async with place.running() as intake:
            place.put("new.mp3")
            await intake.wait_until_idle()
            holds = {job.path: job.hold for job in await place.jobs()}
            assert holds.pop("new.mp3") is None
            assert list(holds.values()) == [Hold.FIRST_SCAN] * 25

    play(story)


# the folder itself


def test_an_inbox_that_is_renamed_away_and_back_loses_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("a.mp3")
            await place.wait_for(["a.mp3"])
            place.folder.rename(tmp_path / "away")
            assert "not there" in (await place.wait_for_word("inbox.unavailable"))["reason"]
            assert intake.state().available is False
            (tmp_path / "away/meanwhile.mp3").write_bytes(b"abc")
            (tmp_path / "away").rename(place.folder)
            await place.wait_for(["a.mp3", "meanwhile.mp3"])
            place.put("after.mp3")
            await place.wait_for(["a.mp3", "after.mp3", "meanwhile.mp3"])
            assert intake.state().available is True

    play(story)


@pytest.mark.parametrize("instead", ["nothing", "a stranger"])
@pytest.mark.parametrize("watch", ["native", "polling"])
def test_an_empty_inbox_that_is_renamed_away_is_unavailable(tmp_path: Path, watch: str, instead: str) -> None:
    place = Place(tmp_path, watch=watch)

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            place.folder.rename(tmp_path / "away")
            if instead == "a stranger":
                place.folder.mkdir()
            await place.wait_for_word("inbox.unavailable")
            if instead == "a stranger":
                place.folder.rmdir()
            (tmp_path / "away").rename(place.folder)
            place.put("after.mp3")
            await place.wait_for(["after.mp3"])

    play(story)


def test_an_inbox_that_vanishes_just_before_it_is_watched_is_unavailable(tmp_path: Path) -> None:
    place = Place(tmp_path)
    # then it has been seen to be there, and none of its folders is watched yet
    place.log.at["inbox.watched"] = lambda: place.folder.rename(tmp_path / "away")

    async def story() -> None:
        async with place.running() as intake:
            await place.wait_for_word("inbox.unavailable")
            assert not intake.state().available
            (tmp_path / "away").rename(place.folder)
            place.put("after.mp3")
            await place.wait_for(["after.mp3"])

    play(story)


def test_an_empty_folder_in_its_place_is_unavailable_until_it_is_accepted(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("a.mp3")
            await place.wait_for(["a.mp3"])
            place.folder.rename(tmp_path / "away")
            place.folder.mkdir()
            assert "lalald release" in (await said_with(place, "inbox.unavailable", "marker"))["reason"]
            place.put("b.mp3")
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await place.paths() == ["a.mp3"]
            assert await place.thread.run(lambda store: set(store.known_in(str(place.folder), ""))) == {"a.mp3"}
            assert not (place.folder / ".lalald").exists()
            await intake.accept_folder()
            await place.wait_for(["a.mp3", "b.mp3"])
        async with place.running() as intake:
            assert intake.state().available

    play(story)


async def said_with(place: Place, event: str, word: str) -> dict[str, Any]:
    async def said() -> bool:
        return any(word in keys["reason"] for keys in place.log.said(event))

    await until(said, f"{event} with {word}")
    return next(keys for keys in place.log.said(event) if word in keys["reason"])


def test_existing_files_in_an_accepted_folder_are_held(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.folder.rename(tmp_path / "away")
            place.folder.mkdir()
            for index in range(25):
                place.put(f"{index}.mp3")
            await said_with(place, "inbox.unavailable", "marker")
            await intake.accept_folder()
            await intake.wait_until_idle()
            assert [job.hold for job in await place.jobs()] == [Hold.FIRST_SCAN] * 25

    play(story)


def test_an_inbox_that_is_missing_at_the_start_is_used_when_it_appears(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.folder.rmdir()

    async def story() -> None:
        async with place.running() as intake:
            assert intake.is_idle()
            assert not intake.state().available
            place.folder.mkdir()
            place.put("a.mp3")
            await place.wait_for(["a.mp3"])

    play(story)


def test_an_unmounted_inbox_is_unavailable_and_its_files_stay_known(tmp_path: Path) -> None:
    place = Place(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        subprocess.run(["mount", "--bind", str(disk), str(place.folder)], check=False, capture_output=True).returncode
        != 0
    ):
        pytest.skip("no right to mount")

    async def story() -> None:
        async with place.running():
            (place.folder / "a.mp3").write_bytes(b"abc")
            await place.wait_for(["a.mp3"])
            await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(place.folder)], check=True)
            await said_with(place, "inbox.unavailable", "marker")
            (disk / "meanwhile.mp3").write_bytes(b"abc")
            await asyncio.to_thread(subprocess.run, ["mount", "--bind", str(disk), str(place.folder)], check=True)
            await place.wait_for(["a.mp3", "meanwhile.mp3"])
            (place.folder / "after.mp3").write_bytes(b"abc")
            await place.wait_for(["a.mp3", "after.mp3", "meanwhile.mp3"])

    try:
        play(story)
    finally:
        subprocess.run(["umount", "--lazy", str(place.folder)], check=False, capture_output=True)


# how it is watched


def test_polling_finds_new_changed_and_gone_files(tmp_path: Path) -> None:
    place = Place(tmp_path, watch="polling")

    async def story() -> None:
        async with place.running() as intake:
            assert intake.state().watch == "polling"
            path = place.put("sub/a.mp3")
            (job,) = await place.wait_for(["sub/a.mp3"])
            place.put("sub/a.mp3", b"other content")
            await place.wait_for(["sub/a.mp3", "sub/a.mp3"])
            await place.set_job(job.id + 1, state="done", stage="done")
            path.unlink()
            await until(partial(knows_no_folder, place), "the file forgotten")
            with (place.folder / "b.mp3").open("wb") as file:
                file.write(b"abc")
                file.flush()
                await intake.scan()
                await intake.scan()
                assert "b.mp3" not in await place.paths()
            await place.wait_for(["b.mp3", "sub/a.mp3", "sub/a.mp3"])

    play(story)


def test_the_state_of_an_inbox_is_saved_only_when_it_changes(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def state() -> list[Any]:
        columns = "available, reason, watch, watch_reason, updated_at"
        return await place.thread.run(
            lambda store: list(store.connection.execute(f"SELECT {columns} FROM inboxes").fetchone())
        )

    async def story() -> None:
        async with place.running() as intake:
            first = await state()
            assert first[:3] == [1, "", "native"]
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await state() == first
            place.folder.rename(tmp_path / "away")
            await place.wait_for_word("inbox.unavailable")
            await until(partial(says_unavailable, place), "the new state")

    play(story)


async def says_unavailable(place: Place) -> bool:
    row = await place.thread.run(lambda store: store.connection.execute("SELECT available FROM inboxes").fetchone())
    return not row[0]


def test_a_reload_applies_new_settings_and_matches_skipped_files_again(tmp_path: Path) -> None:
    place = Place(tmp_path, rules=(RULES[0],))

    async def story() -> None:
        async with place.running() as intake:
            place.put("a.mp3")
            await place.wait_for_word("file.skipped")
            intake.replace(replace(place.inbox, rules=RULES, watch="polling"))
            await place.wait_for(["a.mp3"])
            assert intake.state().watch == "polling"

    play(story)


@pytest.mark.parametrize("way", ["a reload", "a start"])
@pytest.mark.parametrize(("old", "hold"), [(25, Hold.FIRST_SCAN), (3, None)])
def test_new_rules_match_skipped_files_and_hold_more_than_twenty_existing_ones(
    tmp_path: Path, old: int, hold: Hold | None, way: str
) -> None:
    """What lay there at the first look is as old as it was then, whenever a rule comes to match it."""
    place = Place(tmp_path, rules=(RULES[0],))
    archive = [place.put(f"old/{index}.mp3").relative_to(place.folder).as_posix() for index in range(old)]

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            place.put("new.mp3")
            place.put("new.txt")
            await until(lambda: left_alone(place, old + 2), "all of them were left alone")
            place.inbox = replace(place.inbox, rules=RULES)
            if way == "a reload":
                intake.replace(place.inbox)
                await place.wait_for([*archive, "new.mp3"])
        if way == "a start":
            async with place.running():
                await place.wait_for([*archive, "new.mp3"])
        async with place.running():
            holds = {job.path: job.hold for job in await place.jobs()}
            assert holds == {**dict.fromkeys(archive, hold), "new.mp3": None}

    play(story)


async def left_alone(place: Place, count: int) -> bool:
    return len(place.log.said("file.skipped")) == count


@pytest.mark.parametrize(
    ("before", "after"), [({"existing": "skip"}, {"existing": "take"}), ({"changed": "skip"}, {"changed": "process"})]
)
def test_files_skipped_by_a_setting_are_processed_when_it_changes(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    place = Place(tmp_path, **before)
    path = place.put("a.mp3")

    async def story() -> None:
        async with place.running() as intake:
            await intake.wait_until_idle()
            if "changed" in before:
                path.write_bytes(b"retagged")
            await place.wait_for_word("file.skipped")
            already = len(await place.jobs())
            intake.replace(replace(place.inbox, **after))  # type: ignore[arg-type]
            await place.wait_for(["a.mp3"] * (already + 1))
            await intake.wait_until_idle()
            assert len(await place.jobs()) == already + 1

    play(story)


def test_nothing_is_written_into_the_inbox_but_the_marker(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def story() -> None:
        async with place.running() as intake:
            place.put("sub/a.mp3")
            await place.wait_for(["sub/a.mp3"])
            await intake.wait_until_idle()

    play(story)
    files = sorted(str(path.relative_to(place.folder)) for path in place.folder.rglob("*"))
    assert files == [".lalald", "sub", "sub/a.mp3"]


def test_cancelling_stops_intake_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for index in range(500):
        place.put(f"{index}.mp3")

    async def story() -> None:
        with own_disks() as disks:
            async with place.store() as place.thread:
                intake = Intake(
                    place.inbox, place.thread, on_new_jobs=lambda: None, clock=Clock(), disks=disks, log=place.log
                )
                task = asyncio.create_task(intake.run())
                await until(partial(has_jobs, place), "the first jobs")
                began = time.monotonic()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert time.monotonic() - began < 5.0

    play(story)


async def has_jobs(place: Place) -> bool:
    return bool(await place.thread.run(lambda store: store.connection.execute("SELECT 1 FROM jobs LIMIT 1").fetchone()))


def test_no_file_is_lost_when_events_are(tmp_path: Path) -> None:
    """The reader gets no turn while another program makes more events than the kernel keeps."""
    place = Place(tmp_path)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    script = (
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "open('1.tmpfile', 'w').close()\n"
        "for _ in range(int(sys.argv[2])): os.rename('1.tmpfile', '2.tmpfile'); os.rename('2.tmpfile', '1.tmpfile')\n"
        "for number in range(40): open(f'{number}.mp3', 'w').write('abc')"
    )
    command = [sys.executable, "-S", "-E", "-c", script, str(place.folder), str(most * 2)]

    def hold_the_interpreter() -> None:
        with subprocess.Popen(command) as program:
            while program.poll() is None:
                deque(repeat(None, 100_000_000), maxlen=0)  # one call into C, during which no other thread runs

    async def story() -> None:
        async with place.running():
            hold_the_interpreter()
            await place.wait_for([f"{number}.mp3" for number in range(40)])
            assert place.log.said("inbox.events_lost")

    play(story)


def test_without_inotify_watches_the_inbox_is_polled_and_the_sysctl_is_named_once(tmp_path: Path) -> None:
    needs_namespaces()
    for number in range(30):
        (tmp_path / "inbox" / str(number)).mkdir(parents=True)
    done = in_small_limits(_POLLED_INSTEAD, str(tmp_path), str(ROOT), watches=20)
    assert done.returncode == 0, done.stderr
    told, jobs, *words = done.stdout.splitlines()
    assert told.startswith("polling every 50ms: the limit of fs.inotify.max_user_watches is reached")
    assert jobs == "['29/a.mp3']"
    assert len(words) == 1
    assert "sysctl fs.inotify.max_user_watches" in words[0]


_POLLED_INSTEAD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.inbox.test_intake import Place

async def story():
    place = Place(Path(sys.argv[1]))
    async with place.running() as intake:
        await intake.wait_until_idle()
        place.put("29/a.mp3")
        jobs = [job.path for job in await place.wait_for(["29/a.mp3"])]
        print(intake.state().watch, intake.state().watch_reason)
        print(jobs)
        intake.request_rescan()
        await intake.wait_until_idle()
        for line in place.log.said("inbox.native_watching_refused"):
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
    place = Place(tmp_path)

    async def story() -> None:
        with own_disks() as disks:
            async with place.store() as place.thread:
                store = Flaky(place.thread)
                intake = Intake(
                    place.inbox,
                    store,
                    on_new_jobs=lambda: None,
                    clock=Clock(),
                    disks=disks,
                    log=place.log,
                    probe_seconds=0.1,
                )
                await intake.scan()
                task = asyncio.create_task(intake.run())
                store.full = True
                place.put("a.mp3")
                await place.wait_for_word("inbox.store_failed")
                place.put("b.mp3")
                store.full = False
                await place.wait_for(["a.mp3", "b.mp3"])
                await intake.wait_until_idle()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    play(story)


def make_too_deep(folder: Path, name: str) -> None:
    """A file whose path is longer than a path may be: nobody can look at it by its path."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("a.mp3", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_folder_that_cannot_be_listed_is_reported_once_and_does_not_stop_the_others(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_too_deep(place.folder, "x" * 240)

    async def story() -> None:
        async with place.running() as intake:
            place.put("b.mp3")
            await place.wait_for(["b.mp3"])
            intake.request_rescan()
            await intake.wait_until_idle()
            assert await place.paths() == ["b.mp3"]
            assert [line["reason"] for line in place.log.said("folder.unreadable")] == ["File name too long"]

    try:
        play(story)
    finally:
        subprocess.run(["rm", "-rf", str(place.folder)], check=False)


def test_between_rescans_nothing_wakes_up_and_nothing_is_written(tmp_path: Path) -> None:
    place = Place(tmp_path)
    turns = 0

    class Counting(Clock):
        def monotonic(self) -> float:
            nonlocal turns
            turns += 1
            return super().monotonic()

    async def story() -> None:
        with own_disks() as disks:
            async with place.store() as place.thread:
                intake = Intake(
                    place.inbox, place.thread, on_new_jobs=lambda: None, clock=Counting(), disks=disks, log=place.log
                )
                await intake.scan()
                task = asyncio.create_task(intake.run())
                place.put("a.mp3")
                await place.wait_for(["a.mp3"])
                await intake.wait_until_idle()
                written = (tmp_path / "state/lalald.sqlite3-wal").stat().st_mtime_ns
                for _ in range(20):  # a mount elsewhere on this machine is a reason to look, once
                    before = turns
                    await asyncio.sleep(0.5)  # the time in which nothing may happen
                    if turns == before:
                        break
                assert turns == before
                assert (tmp_path / "state/lalald.sqlite3-wal").stat().st_mtime_ns == written
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    play(story)
