"""A worker in this process against a sandbox, on an event loop whose time flies: a table of cases ends within seconds.

Everything is real except the speed of time: HTTP on loopback, files, SQLite, threads. Backoffs of seconds and probes every
minute come at once; whatever reads the machine's own clock (the sandbox, transfers) sees ordinary time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import selectors
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from lalald.api import Client, Deadlines
from lalald.clock import Clock
from lalald.config import Config, Minutes
from lalald.config.license_key import FoundKey, LicenseKey
from lalald.daemon.queued_requests import QueuedRequests
from lalald.errors import StoreError
from lalald.filesystem.availability.known_folders import KnownFolders
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.job import Job, JobSettings
from lalald.jobs.spending.consent import price_of, tasks_to_pay, terms_of
from lalald.jobs.states import Request, State
from lalald.jobs.task import Task
from lalald.outbox.reservations import Reservations
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.stages.context import StageContext
from lalald.stages.precharge.budget import Budget
from lalald.store import NewFile, Store, StoreThread
from lalald.store.request_writer import Requests
from lalald.worker.stage_steps import StageSteps
from lalald.worker.worker import Worker
from tests.support.running import tree, write_wav

SPEED = 50.0
DEADLINE_SECONDS = 60.0  # of the machine's time
JOIN_SECONDS = 20.0  # likewise; what a share swallowed may never end
KEY = "a-license-key-that-nobody-may-see"
PATIENT = Deadlines(connect_seconds=20_000.0, answer_seconds=20_000.0, stall_seconds=5.0, upload_answer_seconds=10.0)
HURRIED = Deadlines(connect_seconds=500.0, answer_seconds=25.0, stall_seconds=0.5, upload_answer_seconds=0.5)
LONG = (
    20_000.0,
    20_000.0,
    20_000.0,
)  # until a folder is doubted, and is silent or stuck: the disks of the machine do not fly
PLENTY = 100_000  # checks in a minute: what paces the checks is tested elsewhere

Result = TypeVar("Result")


class _HastySelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    speed = SPEED

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        waits = timeout is not None and timeout > 0
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout / self.speed if waits else timeout)
        return found


class _FastLoop(asyncio.SelectorEventLoop):
    """A minute of its time lasts 1.2 s, or less."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        selector = _HastySelector()
        selector.speed = speed
        super().__init__(selector)

    def time(self) -> float:
        return super().time() * self.speed


def run(scenario: Awaitable[Result], speed: float = SPEED) -> Result:
    """What the scenario returns, on a loop whose time flies."""

    async def awaited() -> Result:
        return await scenario

    with asyncio.Runner(loop_factory=lambda: _FastLoop(speed)) as runner:
        return runner.run(awaited())


class SteppedClock(Clock):
    """The loop's own time; `stepped_seconds` is by how much the wall clock was changed."""

    def __init__(self) -> None:
        self.stepped_seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._epoch = super().now()

    def now(self) -> float:
        return self._epoch + self._loop.time() - self._began_at + self.stepped_seconds

    def monotonic(self) -> float:
        return self._loop.time()


class Journal:
    """A log that remembers its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **facts: Any) -> None:
        self.events.append(("debug", event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self.events.append(("info", event, facts))

    def warning(self, event: str, **facts: Any) -> None:
        self.events.append(("warning", event, facts))

    def error(self, event: str, **facts: Any) -> None:
        self.events.append(("error", event, facts))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [facts for _, said, facts in self.events if said == event]

    def loud(self) -> Counter[str]:
        """How often each event was said above debug."""
        return Counter(event for level, event, _ in self.events if level != "debug")


VOCALS = (("stem_separator", {"stem": "vocals"}),)


def tasks_of(*asked: tuple[str, Mapping[str, Any]]) -> tuple[Task, ...]:
    return tuple(Task(number, None, mode, presets) for number, (mode, presets) in enumerate(asked, 1))


class WorkerDriver:
    """Folders, a sandbox, and a worker that processes what is dropped: `async with WorkerDriver(tmp_path) as driver`."""

    def __init__(
        self,
        root: Path,
        sandbox: Sandbox | None = None,
        *,
        options: Options | None = None,
        minutes: Minutes | None = None,
        deadlines: Deadlines = PATIENT,
        answers: tuple[float, float, float] = LONG,
        on_lost_task: Any = "hold",
        jitter: float = 0.0,
        steps: StageSteps = StageSteps(),  # noqa: B008 - frozen
        asked: Sequence[tuple[str, Mapping[str, Any]]] = VOCALS,
        **settings: Any,
    ) -> None:
        self.root = root
        self.inbox, self.outbox, self.state = root / "inbox", root / "outbox", root / "state"
        for folder in (self.inbox, self.outbox):
            folder.mkdir(parents=True, exist_ok=True)
        self._own = sandbox is None
        self.sandbox = sandbox or Sandbox(options or Options(checks_per_minute=PLENTY))
        self.minutes = minutes or Minutes()
        self.deadlines = deadlines
        self.answers = answers
        self.on_lost_task = on_lost_task
        self.jitter = jitter
        self.steps = steps
        self.asked = asked
        self.settings = settings
        self.contents: dict[str, bytes] = {}
        self.journal = Journal()
        self.open_store = Store.open
        self.final_state: dict[str, Any] = {}  # what the sandbox knew at the end
        self.troubles: list[StoreError | None] = []  # of the store, each said once
        self._pitches = itertools.count(100)
        self.key = KEY  # as the key file has it

    async def __aenter__(self) -> Self:
        if self._own:
            self.sandbox.start()
        self.clock = SteppedClock()
        await self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()
        if self._own:
            self.sandbox.stop()

    async def begin(self) -> None:
        """Starts a worker on the store of this place."""
        self.store = StoreThread(lambda: self.open_store(self.state), self.troubles.append, again_seconds=0.05)
        await self.store.start()
        self.api = Client(
            self.sandbox.url, LicenseKey(KEY), upload_rate=None, download_rate=None, deadlines=self.deadlines
        )
        config = Config(
            path=self.root / "config.yaml", state_dir=self.state, inboxes=(), api_url=self.sandbox.url,
            checks_per_minute=PLENTY, minutes=self.minutes, on_lost_task=self.on_lost_task,
        )  # fmt: skip
        self.disks = MountPools(*self.answers)
        reserved, markers = await self.store.run(lambda store: (store.reservations(), store.folders.folder_markers()))
        self.context = StageContext(
            config=config, api=self.api, store=self.store, clock=self.clock,
            budget=Budget(self.minutes, self.clock, self._minutes_left, self._spent),
            new_key=lambda: str(uuid.uuid4()), log=self.journal, disks=self.disks, downloads=asyncio.Semaphore(6),
            reservations=Reservations(reserved),
            folders=KnownFolders(markers, self.store.remember_folder, self.disks, self.clock, self.journal),
            read_key=self._read_key,
        )  # fmt: skip
        self.looked_again: list[str] = []
        self.worker = Worker(
            self.context, request_rescan=self.looked_again.append, jitter=lambda: self.jitter, steps=self.steps
        )
        self.running = asyncio.create_task(self.worker.run())

    async def _read_key(self, _config: Config) -> FoundKey:
        return FoundKey(LicenseKey(self.key))

    async def _minutes_left(self) -> float:
        return await self.api.minutes_left()

    async def _spent(self, since: float) -> float:
        return await self.store.run(lambda store: store.charges.spent_since(since))

    async def end(self) -> None:
        """Stops the worker as SIGTERM does, transfers and all."""
        self.worker.stop_taking()
        self.api.interrupt()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        for thread in self.disks.stop():
            await asyncio.to_thread(thread.join, JOIN_SECONDS)
        await self.api.aclose()
        await self.store.stop()

    # dropping and asking

    def settings_of(self, **changes: Any) -> JobSettings:
        facts: dict[str, Any] = {
            "outbox": str(self.outbox), "output": "{dir}/{name}/{label}.{ext}", "on_conflict": "rename",
            "duplicates": "reuse", "tracks": None, "labels": {}, "delete": True, "manifest": False,
            "on_success": "move", "done_dir": "done", "on_failure": "move", "failed_dir": "failed",
        }  # fmt: skip
        return JobSettings(**{**facts, **self.settings, **changes})

    async def drop(
        self,
        *names: str,
        pitch: float | None = None,
        seconds: float = 0.1,
        padding_bytes: int = 0,
        tasks: tuple[Task, ...] = (),
        inbox: Path | None = None,
        **changes: Any,
    ) -> list[int]:
        """Files appear and are registered, as intake would. The ids of their jobs."""
        folder = inbox or self.inbox
        for name in names:
            self.contents[name] = write_wav(folder / name, seconds=seconds, pitch=pitch or next(self._pitches))
            os.truncate(folder / name, len(self.contents[name]) + padding_bytes)
        return await self.take(*names, tasks=tasks, inbox=inbox, **changes)

    async def take(
        self, *names: str, tasks: tuple[Task, ...] = (), inbox: Path | None = None, **changes: Any
    ) -> list[int]:
        """Files that lie there are registered, as intake would. The ids of their jobs."""
        found, folder = [], inbox or self.inbox
        for name in names:
            facts = (folder / name).stat()
            found.append(
                NewFile(
                    str(folder), name, facts.st_size, int64(facts.st_mtime_ns), int64(facts.st_ino), "rule",
                    self.settings_of(**changes), tasks or tasks_of(*self.asked),
                )
            )  # fmt: skip
        now = self.clock.now()
        taken = await self.store.run(lambda store: store.add_files(found, now))
        self.worker.wake()
        return [job_id for job_id in taken if job_id is not None]

    async def ask(self, request: Request, *job_ids: int) -> None:
        """Leaves a request as the command line does, and rings."""

        def leave() -> None:
            with Requests.open(self.state) as requests:
                if request is not Request.RELEASE:
                    requests.leave(request, job_ids)
                    return
                found = [report.job for job_id in job_ids if (report := requests.job(job_id))]
                printable = {job.id: terms_of(job, price_of(tasks_to_pay(job), job.duration)) for job in found}
                requests.leave_for(request, printable)

        await asyncio.to_thread(leave)
        self.worker.wake()

    async def leave_release(self, job: Job, minutes: float | None) -> None:
        """Releases a job as it was shown once, at this price."""

        def leave() -> None:
            with Requests.open(self.state) as requests:
                requests.leave_for(Request.RELEASE, {job.id: terms_of(job, minutes)})

        await asyncio.to_thread(leave)
        self.worker.wake()

    async def redo(self, job_id: int) -> None:
        """Asks for a file once more, as the command line does."""

        def ask() -> None:
            with Requests.open(self.state) as requests:
                requests.ask("redo", str(job_id))

        await asyncio.to_thread(ask)
        await QueuedRequests(self.worker, {}).handle()

    def pass_time(self, hours: float) -> None:
        """So much later, here and on the service."""
        self.clock.stepped_seconds += hours * 3600.0
        self.sandbox.advance(hours * 3600.0)
        self.worker.wake()

    # looking

    async def jobs(self) -> list[Job]:
        found = await self.store.run(lambda store: store._jobs("ORDER BY jobs.id", ()))
        if self.running.done():
            self.running.result()
        return found

    async def job(self, job_id: int = 1) -> Job:
        found = await self.store.run(lambda store: store.job(job_id))
        assert found is not None
        return found

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        """What `condition`, a function or a coroutine function, gives once it is true."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            found = condition()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            if self.running.done():
                self.running.result()
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {what}\n{await self.jobs()}\n{self.journal.events[-20:]}")
            await asyncio.sleep(0.008 * SPEED)  # between two looks, not in place of one

    async def until_job(self, what: str, job_id: int = 1, **facts: Any) -> Job:
        """The job once it has these facts: `state=State.HELD`, say."""

        async def found() -> Job | None:
            job = await self.job(job_id)
            return job if all(getattr(job, name) == value for name, value in facts.items()) else None

        reached: Job = await self.until(found, what)
        return reached

    async def rest(self) -> list[Job]:
        """Every job, once none of them waits for its next stage or for its file to be archived."""

        async def rested() -> list[Job]:
            jobs = await self.jobs()
            ended = all(job.state is not State.WAITING and (job.archived or job.state is State.HELD) for job in jobs)
            return jobs if ended and not any(self.worker.claims.is_claimed(job.id) for job in jobs) else []

        found: list[Job] = await self.until(rested, "every job came to rest")
        return found

    def charges(self) -> Counter[tuple[str, str]]:
        """How often each file was charged for each mode, by the service's own ledger."""
        return Counter((charge["sha256"], charge["mode"]) for charge in self.sandbox.state()["charges"])

    def counts(self) -> dict[str, int]:
        """How often each operation was requested."""
        found: dict[str, int] = self.sandbox.state(requests=False)["counts"]
        return found

    def staging(self) -> list[str]:
        folder = self.outbox / ".lalald-staging"
        return tree(folder) if folder.exists() else []

    def seen(self) -> list[str]:
        """What the outbox shows."""
        return tree(self.outbox)

    def litter(self) -> list[str]:
        """Hidden names that should not be left anywhere."""
        places = [self.inbox, self.outbox]
        return sorted(
            os.path.join(folder, name)
            for place in places
            for folder, folders, files in os.walk(place)
            for name in [*folders, *files]
            if name.startswith(".") and name != ".lalald"
        )
