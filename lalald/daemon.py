"""The daemon: puts the parts together, looks after them, answers signals and systemd."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lalald import __version__, logs, outbox
from lalald.api import Client
from lalald.budget import Budget
from lalald.clock import Clock
from lalald.config import Config, load
from lalald.control import Server
from lalald.credentials import license_key
from lalald.errors import ConfigError, DaemonError, LalaldError, ServiceError
from lalald.inbox.intake import Intake
from lalald.inbox.settle import ignore_broken_leases
from lalald.jobs import Job, Stage, State, Task, told
from lalald.reservations import Reservations
from lalald.stages.bench import Bench, source_path
from lalald.store import Store, StoreThread
from lalald.systemd import Systemd
from lalald.worker import Worker

_STOP_SECONDS = 1.5
_STOP_WITH_A_SPLIT_SECONDS = 8.0
_ONCE_WITHOUT_SUCCESS_SECONDS = 600.0
_PROGRESS_EVERY_SECONDS = 1.0
_DAY_SECONDS = 86400.0
_PULSE_SECONDS = 10.0


def run(config: Config, *, once: bool = False, environ: Mapping[str, str] = os.environ) -> int:
    """Carries files until SIGTERM, or with `once` until nothing is left to carry. Returns the exit code.

    Raises DaemonError where another daemon has the state folder, StoreError where its database cannot be used.
    """
    log = logs.configure(config.log, environ)
    ignore_broken_leases()
    with only_daemon(config.state_dir):
        code = asyncio.run(_Daemon(config, once=once, environ=environ, log=log).main())
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)  # everything is saved; a thread that waits for a dead mount must not hold the stop up


@contextmanager
def only_daemon(state_dir: Path) -> Iterator[None]:
    """One daemon per state folder, by lock. Raises DaemonError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state_dir / "lalald.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = f"Let uid {os.getuid()} write it, or choose another `state_dir`."
        raise DaemonError(f"the state folder {state_dir} cannot be used: {error.strerror}.", hint=hint) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        hint = "`lalald status` shows it. A second one needs a `state_dir` of its own."
        raise DaemonError(f"another lalald runs with the state folder {state_dir}.", hint=hint) from error
    try:
        yield
    finally:
        os.close(lock)


class _Daemon:
    def __init__(self, config: Config, *, once: bool, environ: Mapping[str, str], log: Any) -> None:
        self.config = config
        self.once = once
        self.environ = environ
        self.log = log
        self.clock = Clock()
        self.systemd = Systemd(environ)
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.changed = asyncio.Event()  # something may be worth a word to systemd
        self.intakes: dict[Path, Intake] = {}
        self.watching: dict[Path, asyncio.Task[None]] = {}
        self.loops: list[asyncio.Task[Any]] = []

    async def main(self) -> int:
        """The life of the daemon, from the open database to the last save."""
        started_at = self.clock.now()
        self._answer_signals()
        self.store = StoreThread(partial(Store.open, self.config.state_dir))
        await self.store.start()
        await self._prepare()
        control = Server(self.config.state_dir, self._woken, self._pulse)
        await control.start()
        try:
            code = await self._carry_on(started_at)
        finally:
            self.systemd.stopping()
            await control.stop()
            await self._stop()
        self.log.info("daemon.stopped")
        return code

    def _answer_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    async def _prepare(self) -> None:
        """The bench and the worker; what a crash left behind is cleared away."""
        config = self.config
        facts = {"pid": os.getpid(), "version": __version__, "started_at": self.clock.now(), "config": str(config.path)}
        reserved, staging, refused_at = await self.store.run(lambda store: self._recovered(store, facts))
        executors = {
            "uploads": ThreadPoolExecutor(config.transfers.uploads, "upload"),
            "downloads": ThreadPoolExecutor(config.transfers.downloads, "download"),
            "files": ThreadPoolExecutor(4, "files"),
        }
        self.bench = Bench(
            config=config, api=self._client(config), store=self.store, clock=self.clock, budget=self._budget(config),
            new_key=lambda: str(uuid.uuid4()), log=self.log, reservations=Reservations(reserved),
            batch_refused_at=refused_at, **executors,
        )  # fmt: skip
        for directory in {str(inbox.outbox) for inbox in config.inboxes}:
            with suppress(LalaldError):
                await self.bench.on(self.bench.files, outbox.clear_staging, directory, staging)
        self.worker = Worker(self.bench, look_again=self._look_again)

    def _recovered(self, store: Store, facts: dict[str, Any]) -> tuple[list[tuple[str, str, int]], set[int], float | None]:
        store.clear_progress()
        store.set_fact("daemon", facts, self.clock.now())
        refused_at = store.fact("batch_refused_at")
        return store.reservations(), store.staging_jobs(), refused_at if isinstance(refused_at, float) else None

    def _client(self, config: Config) -> Client:
        try:
            key = license_key(config, self.environ)
        except ConfigError as error:
            self.log.error("license_key.unusable", error=told(error))
            key = None
        rates = config.transfers
        return Client(config.api_url, key, upload_rate=rates.upload_rate, download_rate=rates.download_rate)

    def _budget(self, config: Config) -> Budget:
        async def left() -> float:
            minutes = await self.bench.api.minutes_left()
            now = self.clock.now()
            await self.store.run(lambda store: store.set_fact("minutes", {"left": minutes, "at": now}, now))
            return minutes

        async def spent(since: float) -> float:
            return await self.store.run(lambda store: store.spent_since(since))

        return Budget(config.minutes, self.clock, left, spent)

    async def _carry_on(self, started_at: float) -> int:
        self.loops = [asyncio.create_task(self.worker.run(), name="worker"), asyncio.create_task(self._ask_minutes(), name="minutes")]
        for inbox in self.config.inboxes:
            self._watch(inbox)
        await asyncio.gather(*(self._first_scan(intake) for intake in self.intakes.values()))
        self.log.info("daemon.ready", version=__version__, inboxes=[str(inbox.path) for inbox in self.config.inboxes])
        await self._tell_status()
        self.systemd.ready()
        for work in (self._reloads(), self._progress(), self._feed_watchdog(), self._housekeeping(), self._statuses()):
            self.loops.append(asyncio.create_task(work))
        ending = asyncio.create_task(self._all_carried() if self.once else self.stop.wait())
        stopping = asyncio.create_task(self.stop.wait())
        done, _ = await asyncio.wait(
            [ending, stopping, *self.loops, *self.watching.values()], return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()  # an unknown fault ends the daemon with its traceback, and systemd starts it anew
        if self.once:
            bad = await self.store.run(lambda store: store.ended_badly_since(started_at))
            left = await self.store.run(lambda store: store.waiting_count())
            return 1 if bad or left else 0
        return 0

    async def _ask_minutes(self) -> None:
        """At start, so that `status` can tell, and that a refused key is known before the first file."""
        with suppress(ServiceError):
            await self.worker.holds.licence_is_refused()
        await asyncio.Event().wait()

    # inboxes

    def _watch(self, inbox: Any) -> None:
        intake = Intake(
            inbox, self.store, taken=self._taken, clock=self.clock, executor=self.bench.files,
            existing_override="take" if self.once else None, log=self.log,
        )  # fmt: skip
        self.intakes[inbox.path] = intake

    async def _first_scan(self, intake: Intake) -> None:
        path = next(path for path, known in self.intakes.items() if known is intake)
        await intake.scan()
        self.watching[path] = asyncio.create_task(intake.run(), name=f"inbox {path}")

    def _taken(self) -> None:
        self.worker.wake()
        self.changed.set()

    def _look_again(self, inbox: str) -> None:
        intake = self.intakes.get(Path(inbox))
        if intake is not None:
            intake.rescan()

    # the command line

    def _woken(self) -> None:
        self.loops.append(asyncio.create_task(self._honour_daemon_requests()))
        self.worker.wake()

    async def _honour_daemon_requests(self) -> None:
        for kind, argument in await self.store.run(lambda store: store.take_requests()):
            if kind == "rescan":
                for path, intake in self.intakes.items():
                    if argument is None or str(path) == argument:
                        intake.rescan()
            elif kind == "redo" and argument is not None:
                await self._redo(argument)
            elif kind == "release_inbox" and argument is not None:
                await self._accept_inbox(argument)
            elif kind == "cancel_every_client":
                await self._cancel_every_client()

    async def _redo(self, argument: str) -> None:
        """A finished file again, as a new job that pays again."""

        def redo(store: Store) -> int | None:
            job = store.job(int(argument)) if argument.isdigit() else store.job_at(argument)
            if job is None or job.state not in (State.DONE, State.FAILED, State.CANCELLED):
                return None
            facts = os.stat(source_path(job))
            job = _with_facts(job, facts)
            return store.redo(job, self.clock.now(), tuple(_fresh(task) for task in job.tasks))

        try:
            job_id = await self.store.run(redo)
        except OSError as error:
            self.log.warning("redo.impossible", asked=argument, error=error.strerror, meaning="its file is not there any more")
            return
        if job_id is None:
            self.log.warning("redo.impossible", asked=argument, meaning="there is no finished job of that number or file")
            return
        self.log.info("job.redone", asked=argument, job=job_id)
        self.worker.wake()

    async def _accept_inbox(self, argument: str) -> None:
        intake = self.intakes.get(Path(argument))
        if intake is not None:
            await intake.accept()

    async def _cancel_every_client(self) -> None:
        try:
            answers = await self.bench.api.cancel_all()
        except ServiceError as error:
            self.log.error("cancel_all.failed", error=str(error))
            return
        self.log.warning("cancel_all.done", tasks=len(answers))

    # loops of its own

    async def _pulse(self) -> bool:
        """Whether every loop turns: the store's thread, the worker's lanes, the inboxes."""
        tasks = [*self.watching.values(), *(loop for loop in self.loops if loop.get_name() == "worker")]
        if any(task.done() for task in tasks):
            return False
        try:
            async with asyncio.timeout(_PULSE_SECONDS):
                await self.store.run(lambda store: None)
                await self.worker.turn()
        except TimeoutError:
            return False
        return True

    async def _feed_watchdog(self) -> None:
        if self.systemd.watchdog_seconds is None:
            await asyncio.Event().wait()
        while True:
            if await self._pulse():
                self.systemd.alive()
            await asyncio.sleep((self.systemd.watchdog_seconds or 60.0) / 2)

    async def _progress(self) -> None:
        """Once a second while bytes move, for `status`; asleep otherwise."""
        while True:
            await self.worker.settled.wait()
            self.worker.settled.clear()
            self.changed.set()
            while self.bench.transfers:
                await asyncio.sleep(_PROGRESS_EVERY_SECONDS)
                moving = {job_id: sum(t.progress for t in transfers) for job_id, transfers in self.bench.transfers.items()}
                totals = {job_id: max(1, sum(t.total or 0 for t in self.bench.transfers.get(job_id, ()))) for job_id in moving}
                shares = {job_id: min(1.0, done / totals[job_id]) for job_id, done in moving.items()}
                await self.store.run(partial(_set_progress, shares))

    async def _statuses(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            await self._tell_status()
            await asyncio.sleep(_PROGRESS_EVERY_SECONDS)

    async def _tell_status(self) -> None:
        counts, holds = await self.store.run(lambda store: (store.stage_counts(), store.holds()))
        self.systemd.status(status_text(counts, {str(hold): count for hold, count in holds.items()}, self.worker.holds.licence_trouble))

    async def _housekeeping(self) -> None:
        """History is trimmed at start and once a day."""
        while True:
            before = self.clock.now() - self.config.history
            trimmed = await self.store.run(partial(_trim, before))
            if trimmed:
                self.log.info("history.trimmed", jobs=trimmed)
            await asyncio.sleep(_DAY_SECONDS)

    async def _all_carried(self) -> None:
        """`--once`: everything that lies in the inboxes is at its end, held, or has failed transiently for ten minutes."""
        await asyncio.gather(*(intake.quiet() for intake in self.intakes.values()))
        while True:
            self.worker.settled.clear()
            if await self.store.run(lambda store: store.waiting_count()) == 0:
                return
            if self.clock.monotonic() - self.worker.last_good_at > _ONCE_WITHOUT_SUCCESS_SECONDS:
                self.log.error("once.given_up", meaning="the service gave no good answer for ten minutes; the jobs wait for the next run")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.worker.settled.wait()

    # reload and stop

    async def _reloads(self) -> None:
        while True:
            await self.reload.wait()
            self.reload.clear()
            self.systemd.reloading()
            try:
                config = load(self.config.path, self.environ)
            except ConfigError as error:
                self.log.error("config.kept", error=told(error), meaning="the old configuration goes on")
            else:
                await self._take_over(config)
            self.systemd.ready()

    async def _take_over(self, config: Config) -> None:
        """Jobs under way keep what they were matched with; files that were left alone are matched anew."""
        before, self.config, self.bench.config = self.config, config, config
        old_api, self.bench.api = self.bench.api, self._client(config)
        if config.state_dir != before.state_dir:
            self.log.warning("config.state_dir_kept", state_dir=str(before.state_dir), meaning="a new state folder needs a restart")
        self.bench.budget.limits = config.minutes
        self.bench.budget.outdated()
        self.worker.resize(config.transfers)
        kept = {inbox.path: inbox for inbox in config.inboxes}
        for path in [path for path in self.intakes if path not in kept]:
            self.intakes.pop(path)
            self.watching.pop(path).cancel()
        for path, inbox in kept.items():
            await self.store.run(partial(_forget_left_alone, str(path)))
            if path in self.intakes:
                self.intakes[path].replace(inbox)
                self.intakes[path].rescan()
            else:
                self._watch(inbox)
                await self._first_scan(self.intakes[path])
        self.worker.holds.ask_the_service_now()
        self.worker.wake()
        await old_api.aclose()
        self.log.info("config.reloaded", inboxes=[str(path) for path in kept])

    async def _stop(self) -> None:
        """Transfers end at once and resume later; a split on the wire is awaited, since its answer is money."""
        for task in [*self.watching.values(), *(loop for loop in self.loops if loop.get_name() != "worker")]:
            task.cancel()
        splitting = self.worker.stop_taking()
        self.bench.api.interrupt()
        if splitting:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_WITH_A_SPLIT_SECONDS):
                    await self.worker.splits_ended()
        for task in self.loops:
            task.cancel()
        await asyncio.wait([*self.loops, *self.watching.values()], timeout=_STOP_SECONDS)
        await self.store.stop()


def status_text(counts: Mapping[str, int], holds: Mapping[str, int], licence_trouble: str | None) -> str:
    """One line for `systemctl status`: live counts, and what is waited for."""
    words = {"upload": "to upload", "split": "to start", "check": "processing", "download": "to download"}
    parts = [f"{counts[stage]} {word}" for stage, word in words.items() if counts.get(stage)]
    finishing = counts.get(Stage.DELETE, 0) + counts.get(Stage.ARCHIVE, 0)
    if finishing:
        parts.append(f"{finishing} finishing")
    if holds:
        parts.append(f"{sum(holds.values())} held: " + ", ".join(sorted(holds)))
    text = ", ".join(parts) or "idle"
    return f"no usable licence key ({licence_trouble}); {text}" if licence_trouble else text


def _fresh(task: Task) -> Task:
    return Task(number=task.number, name=task.name, mode=task.mode, presets=task.presets)


def _set_progress(shares: dict[int, float], store: Store) -> None:
    store.set_progress(shares)


def _trim(before: float, store: Store) -> int:
    return store.trim(before)


def _forget_left_alone(inbox: str, store: Store) -> None:
    store.forget_left_alone(inbox)


def _with_facts(job: Job, facts: os.stat_result) -> Job:
    return replace(job, size=facts.st_size, mtime_ns=facts.st_mtime_ns, inode=facts.st_ino)
