"""`prune: true`: which empty folders are removed, with real folders and real events."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.config import Rule, TaskSpec
from lalald.inbox.intake import Intake
from lalald.inbox.selection import rules
from lalald.jobs.states import Stage, State
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from lalald.store.tables.arrived_folders import ArrivedFolders
from tests.conftest import MakeHome
from tests.support.config_files import loaded, one, warnings, with_inbox
from tests.support.intake_driver import IntakeDriver, run_story, until
from tests.support.running import own_disks, write_wav
from tests.support.running import until as until_now

STEMS = (TaskSpec("stem_separator", {"stem": "vocals"}),)


class Pruned(IntakeDriver):
    """An inbox with `prune: true` and a short waiting time, and a stand-in for the processing of its files."""

    def __init__(self, root: Path, **settings: Any) -> None:
        super().__init__(root, **{"rules": (Rule("all", STEMS),), "prune": True, **settings})
        self.empty_seconds = 0.3

    @asynccontextmanager
    async def running(self, existing: str | None = None) -> AsyncIterator[Intake]:
        with own_disks() as disks:
            async with self.store() as self.thread:
                intake = Intake(
                    self.inbox, self.thread, on_new_jobs=self._count_new_jobs, clock=Clock(), disks=disks, existing_override=existing,
                    log=self.log, empty_seconds=self.empty_seconds,
                )  # fmt: skip
                await intake.scan()
                task = asyncio.create_task(intake.run())
                try:
                    yield intake
                finally:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    async def archive(self, path: str, on_success: str = "move") -> None:
        """As at the end of a job: move its source away, and record that."""
        job = next(job for job in await self.jobs() if job.path == path and job.state is State.WAITING)
        target = self.root / "archived" / path
        if on_success == "move":
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).rename(target)
        elif on_success == "delete":
            (self.folder / path).unlink()
        location = str(target) if on_success == "move" else None
        settings = replace(job.settings, on_success=on_success)
        ended = replace(job, stage=Stage.DONE, state=State.DONE, archived=True, moved_to=location, settings=settings)
        await self.thread.run(lambda store: store.save(job, ended))

    async def drop_and_archive(self, *paths: str, on_success: str = "move") -> None:
        before = await self.paths()
        for path in paths:
            self.put(path, os.fsencode(path))
        await self.wait_for([*before, *paths])
        for path in paths:
            await self.archive(path, on_success)

    async def until_gone(self, folder: str) -> None:
        async def gone() -> bool:
            return not (self.folder / folder).exists()

        await until(gone, f"{folder} is gone")

    async def outlive(self, intake: Intake) -> None:
        """Wait until a folder that is emptied now is removed: others that qualify are removed by then, too."""
        intake.request_rescan()
        await intake.wait_until_idle()
        await self.drop_and_archive("zz last/x.wav")
        await self.until_gone("zz last")

    @property
    def folders(self) -> set[str]:
        return {os.path.relpath(driver, self.folder) for driver, _, _ in os.walk(self.folder)} - {".", "zz last"}


@pytest.mark.parametrize("watch", ["native", "polling"])
@pytest.mark.parametrize("on_success", ["move", "delete"])
def test_the_folders_of_an_archived_album_are_removed(tmp_path: Path, watch: str, on_success: str) -> None:
    driver = Pruned(tmp_path, watch=watch)

    async def story() -> None:
        async with driver.running():
            await driver.drop_and_archive(
                "Album/a.wav", "Album/CD1/b.wav", "Album/CD2/\udcff/c.wav", on_success=on_success
            )
            await driver.until_gone("Album")
            assert driver.folder.is_dir(), "the inbox itself stays"

            async def all_said() -> bool:
                return len({entry["path"] for entry in driver.log.said("folder.pruned")}) == 4

            await until(all_said, "each folder is said to have gone")
            await driver.drop_and_archive("Album/d.wav")
            await driver.until_gone("Album")

    run_story(story)


def test_without_prune_folders_stay_and_nothing_is_recorded(tmp_path: Path) -> None:
    driver = Pruned(tmp_path, prune=False)

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive("Album/a.wav")
            intake.request_rescan()
            await intake.wait_until_idle()
            assert (
                await driver.thread.run(lambda store: ArrivedFolders(store.connection).known(str(driver.folder)))
                == set()
            )
            assert driver.folders == {"Album"}

    run_story(story)


@pytest.mark.parametrize("watch", ["native", "polling"])
def test_folders_that_do_not_qualify_stay(tmp_path: Path, watch: str) -> None:
    driver = Pruned(tmp_path, watch=watch, done_dir=tmp_path / "inbox/filed/done")
    (driver.folder / "old").mkdir()

    async def story() -> None:
        async with driver.running() as intake:
            (driver.folder / "never used").mkdir()
            await driver.drop_and_archive(
                "old/a.wav",
                "old/new/b.wav",
                "hidden/c.wav",
                "litter/d.wav",
                "full/e.wav",
                "linked/f.wav",
                "filed/g.wav",
                "kept/h.wav",
            )
            (driver.folder / "hidden/.thing").touch()
            (driver.folder / "litter/Thumbs.db").touch()
            (driver.folder / "full/notes.txt").touch()
            (driver.folder / "linked/link").symlink_to(driver.outside)
            await driver.drop_and_archive("gone/x.wav", on_success="keep")
            (driver.folder / "gone/x.wav").unlink()
            await driver.outlive(intake)
            await driver.until_gone("old/new")
            await driver.until_gone("kept")
            assert driver.folders == {"old", "never used", "hidden", "litter", "full", "linked", "filed", "gone"}
            for path in ("hidden/.thing", "litter/Thumbs.db", "full/notes.txt", "linked/link"):
                (driver.folder / path).unlink()
            intake.request_rescan()
            for folder in ("hidden", "litter", "full", "linked"):
                await driver.until_gone(folder)
            assert driver.folders == {"old", "never used", "filed", "gone"}

    run_story(story)


def test_a_folder_that_a_pattern_names_stays(tmp_path: Path) -> None:
    named = (Rule("a", STEMS, match=("podcasts/",)), Rule("b", STEMS, match=("music/live/*.wav",)), Rule("c", STEMS))
    driver = Pruned(tmp_path, rules=named)

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive(
                "podcasts/a.wav", "podcasts/ep1/b.wav", "music/live/c.wav", "music/live/x/d.wav", "music/e/f.wav"
            )
            await driver.outlive(intake)
            for folder in ("podcasts/ep1", "music/live/x", "music/e"):
                await driver.until_gone(folder)
            assert driver.folders == {"podcasts", "music", "music/live"}

    run_story(story)


@pytest.mark.parametrize(
    ("pattern", "named", "free"),
    [
        ("podcasts/", ["podcasts", "x/Podcasts"], ["podcasts/ep1", "podcast", "x"]),
        ("/podcasts/", ["podcasts"], ["x/podcasts", "podcasts/x"]),
        ("podcasts", ["podcasts"], ["other"]),
        ("a/b/*.wav", ["a", "a/b"], ["b", "a/c", "a/b/c", "x/a"]),
        ("a/b/c.wav", ["a", "a/b", "a/b/c.wav"], ["a/c"]),
        ("a/*/live/", ["a", "a/x", "a/x/live"], ["b", "a/x/y"]),
        ("a/*/", ["a"], ["a/x"]),
        ("!keep/", ["keep"], ["other"]),
        ("pod*/", ["podcasts", "x/pods"], ["x"]),
        ("*.wav", ["x.wav"], ["x", "wav"]),
        ("*", [], ["x", "x/y"]), ("**", [], ["x"]), ("**/*", [], ["x", "x/y"]), ("*/", [], ["x"]), ("/*/*.wav", [], ["x", "x/y"]),
        ("**/live/", ["live"], ["other"]),
        ("Müller/", ["Mu\u0308ller", "MÜLLER"], ["Muller"]),
    ],
)  # fmt: skip
def test_which_folders_a_pattern_names(tmp_path: Path, pattern: str, named: list[str], free: list[str]) -> None:
    inbox = IntakeDriver(tmp_path, rules=(Rule("a", STEMS, match=(pattern,)), Rule("rest", STEMS))).inbox
    assert [folder for folder in named if not rules.names_folder(inbox, folder)] == []
    assert [folder for folder in free if rules.names_folder(inbox, folder)] == []


def test_a_folder_that_is_used_again_starts_its_ten_minutes_again(tmp_path: Path) -> None:
    driver = Pruned(tmp_path)
    driver.empty_seconds = 1.0

    async def story() -> None:
        async with driver.running():
            await driver.drop_and_archive("Album/a.wav")
            for number in range(8):
                (driver.folder / "Album/.moment").touch()
                (driver.folder / "Album/.moment").unlink()
                driver.put(f"Album/{number}.txt")
                await asyncio.sleep(0.2)  # in all longer than an empty folder is left
                (driver.folder / f"Album/{number}.txt").unlink()
            assert driver.folders == {"Album"}
            await driver.until_gone("Album")

    run_story(story)


def test_a_change_without_an_event_starts_the_ten_minutes_again(tmp_path: Path) -> None:
    """Hidden names give no event: only the folder's mtime changes."""
    driver = Pruned(tmp_path)
    driver.empty_seconds = 0.5

    async def story() -> None:
        async with driver.running():
            await driver.drop_and_archive("Album/a.wav")
            for _ in range(6):
                await asyncio.sleep(0.2)  # in all longer than an empty folder is left
                (driver.folder / "Album/.moment").touch()
                (driver.folder / "Album/.moment").unlink()
            assert driver.folders == {"Album"}
            await driver.until_gone("Album")

    run_story(story)


def test_arrived_folders_are_known_after_a_restart(tmp_path: Path) -> None:
    driver = Pruned(tmp_path)
    (driver.folder / "old").mkdir()

    async def story() -> None:
        async with driver.running():
            await driver.drop_and_archive("before/a.wav")
            driver.put("halfway/b.wav")
            await driver.wait_for(["before/a.wav", "halfway/b.wav"])
        driver.put("while away/c.wav")
        driver.put("old/d.wav")
        async with driver.running() as intake:
            await driver.wait_for(["before/a.wav", "halfway/b.wav", "while away/c.wav", "old/d.wav"])
            for path in ("halfway/b.wav", "while away/c.wav", "old/d.wav"):
                await driver.archive(path)
            await driver.outlive(intake)
            for folder in ("before", "halfway", "while away"):
                await driver.until_gone(folder)
            assert driver.folders == {"old"}

    run_story(story)


def test_folders_from_before_prune_was_set_stay(tmp_path: Path) -> None:
    driver = Pruned(tmp_path, prune=False)

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive("then/a.wav")
            intake.replace(replace(driver.inbox, prune=True))
            await intake.wait_until_idle()
            await driver.drop_and_archive("then/b.wav", "now/c.wav")
            await driver.outlive(intake)
            await driver.until_gone("now")
            assert driver.folders == {"then"}

    run_story(story)


def test_a_new_folder_of_the_same_name_needs_its_own_archived_file(tmp_path: Path) -> None:
    driver = Pruned(tmp_path)

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive("Album/a.wav")
            await driver.until_gone("Album")
            (driver.folder / "Album").mkdir()
            await driver.outlive(intake)
            assert driver.folders == {"Album"}
            (driver.folder / "Album").rename(driver.outside / "Album")
            await driver.drop_and_archive("Other/a.wav")
            (driver.folder / "Other").rename(driver.folder / "Renamed")
            await driver.outlive(intake)
            assert driver.folders == {"Renamed"}

    run_story(story)


def test_symlinks_are_not_followed_when_folders_are_removed(tmp_path: Path) -> None:
    driver = Pruned(tmp_path)
    driver.empty_seconds = 0.6

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive("a/b/c.wav")
            await intake.wait_until_idle()
            (driver.folder / "a").rename(driver.outside / "a")
            (driver.folder / "a").symlink_to(driver.outside / "a")
            await driver.outlive(intake)
            assert (driver.outside / "a/b").is_dir()

    run_story(story)


def test_nothing_is_removed_from_an_unavailable_or_replaced_inbox(tmp_path: Path) -> None:
    driver = Pruned(tmp_path)
    driver.empty_seconds = 0.6

    async def story() -> None:
        async with driver.running() as intake:
            await driver.drop_and_archive("Album/a.wav")
            await intake.wait_until_idle()
            aside = driver.root / "aside"
            driver.folder.rename(aside)
            (driver.folder / "Album").mkdir(parents=True)
            await driver.wait_for_event("inbox.unavailable")
            await asyncio.sleep(0.8)  # longer than an empty folder is left
            assert (aside / "Album").is_dir()
            assert (driver.folder / "Album").is_dir()
            await intake.accept_folder()
            await driver.outlive(intake)
            assert (driver.folder / "Album").is_dir(), "it was there at this folder's own first scan"

    run_story(story)


def test_nothing_wakes_up_after_the_removal(tmp_path: Path) -> None:
    driver = Pruned(tmp_path, watch="native")

    async def story() -> None:
        async with driver.running() as intake:
            (driver.folder / "empty").mkdir()
            await driver.drop_and_archive("Album/a.wav")
            await driver.until_gone("Album")
            await intake.wait_until_idle()

            async def nothing_due() -> bool:
                return intake._cycle._empty_folders.due_at() is None

            await until(nothing_due, "no folder waits")

    run_story(story)


def test_the_daemon_removes_the_folder_of_an_archived_file(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, inbox={"prune": True})
    home.start()
    write_wav(home.inbox / "Album/CD1/song.wav")
    until_now((home.inbox / "done/Album/CD1/song.wav").exists, "the source is archived")
    home.rest()
    assert home.stop() == 0
    with closing(sqlite3.connect(home.state / FILE_NAME)) as connection:
        rows = connection.execute("SELECT folder, arrived, archived FROM inbox_folders ORDER BY folder").fetchall()
    assert rows == [("", 0, 0), ("Album", 1, 1), ("Album/CD1", 1, 1)]


def test_a_database_of_the_previous_version_is_migrated(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        bring_to(connection, 0, next(number for number, script in enumerate(MIGRATIONS) if "inbox_folders" in script))
        connection.execute("INSERT INTO inboxes (path, first_seen_at) VALUES ('/in', 1.0)")
    with closing(Store.open(tmp_path)) as store:
        folders = ArrivedFolders(store.connection)
        assert not folders.has_begun("/in")
        folders.begin("/in", ["", "old"])
        folders.note("/in", ["", "old", "a", "a/b", "a/\udcff", "a0", "\udcff", "\udcff/x", "\udcff/\udcfe"])
        for path in ("a/b/x.wav", "\udcff/x/y.wav", "old/z.wav"):
            folders.note_archived("/in", path)
        assert sorted(folders.prunable("/in")) == ["a", "a/b", "\udcff", "\udcff/x"]
        assert folders.still_prunable("/in", ["old", "a", "a0", "nowhere"]) == ["a"]
        folders.forget("/in", ["a", "\udcff"])
        assert folders.known("/in") == {"", "old", "a0"}


def test_prune_without_archiving_is_a_warning(tmp_path: Path) -> None:
    assert loaded(tmp_path, with_inbox("prune: true")).inboxes[0].prune
    output = one(warnings(tmp_path, with_inbox("prune: true", "on_success: keep")))
    assert "prune: has no effect with on_success: keep" in output
