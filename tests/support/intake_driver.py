"""Drives intake on real folders, real inotify and the real store, as the daemon would."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from lalald.clock import Clock
from lalald.config import Inbox, Rule, TaskSpec
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.intake import PROBE_SECONDS, Intake
from lalald.jobs.job import Job
from lalald.store import Store, StoreThread
from tests.support.running import own_disks

DEADLINE_SECONDS = 60.0
RULES = (
    Rule("podcasts", (TaskSpec("voice_clean", {"stem": "voice"}),), match=("podcasts/",)),
    Rule(
        "rest",
        (TaskSpec("stem_separator", {"stem": "vocals"}), TaskSpec("multistem", {"stem_list": ["drum"]}, "drums")),
    ),
)


class Log:
    """Records log events. `at`: functions that are called once, when their event is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.at: dict[str, Callable[[], Any]] = {}

    def __getattr__(self, level: str) -> Callable[..., None]:
        return partial(self._log, level)

    def _log(self, level: str, event: str, **keys: Any) -> None:
        self.lines.append((level, event, keys))
        self.at.pop(event, lambda: None)()

    def said(self, event: str) -> list[dict[str, Any]]:
        return [keys for _, said, keys in self.lines if said == event]


class IntakeDriver:
    """An inbox, its store, and the intake that watches it."""

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
        self.new_jobs_count = 0

    def put(self, path: str, content: bytes = b"abc") -> Path:
        """Move a complete file in."""
        unfinished = self.outside / "unfinished"
        unfinished.write_bytes(content)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(target)
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
        """Run the intake; its first scan has ended."""
        with own_disks() as disks:
            async with self.store() as self.thread:
                intake = Intake(
                    self.inbox,
                    self.thread,
                    on_new_jobs=self._count_new_jobs,
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

    def _count_new_jobs(self) -> None:
        self.new_jobs_count += 1

    async def jobs(self) -> list[Job]:
        """All jobs, by id."""
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
        """Wait until there is a job for each of these paths and no other; return the jobs."""

        async def there() -> bool:
            if await self.count() < len(paths):
                return False
            return sorted(await self.paths()) == sorted(paths)

        await until(there, f"jobs for {paths}", self.paths)
        return await self.jobs()

    async def wait_for_event(self, event: str) -> dict[str, Any]:
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
        await asyncio.sleep(0.005)  # between two checks of the condition, not in place of one


Story = Callable[[], Coroutine[Any, Any, None]]


def run_story(story: Story) -> None:
    asyncio.run(story())


async def created_job_for(driver: IntakeDriver, path: str) -> bool:
    return any(keys["path"] == path for keys in driver.log.said("job.created"))


async def knows_no_folders(driver: IntakeDriver) -> bool:
    return await driver.thread.run(lambda store: store.known_folders(str(driver.folder))) <= {""}
