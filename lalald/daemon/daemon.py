"""The daemon: puts the parts together, looks after them, answers signals and systemd."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import os
import signal
import sys
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from lalald import __version__, outbox
from lalald.api import Client
from lalald.clock import Clock
from lalald.config import Config, Inbox
from lalald.config.license_key import CREDENTIAL, FoundKey
from lalald.config.subprocess_loader import load
from lalald.control.socket_server import Server
from lalald.daemon import housekeeping, sandbox_guard, streams
from lalald.daemon.availability import Availability
from lalald.daemon.inbox_loops import Inboxes
from lalald.daemon.lock import only_daemon
from lalald.daemon.log import log_output, log_setup
from lalald.daemon.log.journal import write_exception
from lalald.daemon.orphans import Orphans
from lalald.daemon.run_once import all_carried, exit_code, newest_charge, summary
from lalald.daemon.run_summary import RunSummary
from lalald.daemon.systemd import Systemd
from lalald.daemon.time_zone import unknown_time_zone
from lalald.errors import ConfigError, FileError, LalaldError, ServiceError, StoreError
from lalald.filesystem.disk_errors import write_error_if_low
from lalald.filesystem.known_folders import KnownFolders
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.placeholders import remove_leftovers
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.intake import Intake
from lalald.inbox.readiness import ignore_broken_leases
from lalald.jobs.job import Job, told
from lalald.jobs.unexpected_errors import concerns_one
from lalald.media.inspections import Inspections
from lalald.outbox.reservations import Reservations
from lalald.reports import needs_attention
from lalald.reports.needs_attention import UNREADABLE_HINT, Attention, RejectedConfig
from lalald.stages.context import StageContext
from lalald.stages.precharge.budget import Budget
from lalald.store import Store, StoreThread
from lalald.store.rows import UnreadableJob
from lalald.store.unreadable_jobs import UnreadableJobs
from lalald.worker import job_requests
from lalald.worker.holds import license_check
from lalald.worker.holds.license_check import KeyReader
from lalald.worker.stage_steps import StageSteps
from lalald.worker.worker import Worker

_STOP_SECONDS = 1.5
_STOP_WITH_A_SPLIT_SECONDS = 8.0
_PULSE_SECONDS = 10.0
_STATE_TRIAL_SECONDS = 2.0


def run(
    config: Config,
    *,
    once: bool = False,
    environ: Mapping[str, str] = os.environ,
    open_store: Callable[[Path], Store] = Store.open,
    clock: Clock | None = None,
    open_disks: Callable[[], MountPools] = MountPools,
    stage_steps: StageSteps = StageSteps(),  # noqa: B008 - frozen, and the same for everybody
    open_inspections: Callable[[Path], Inspections] = Inspections,
) -> int:
    """Carries files until SIGTERM, or with `once` until nothing is left to carry. Returns the exit code.

    Raises DaemonError where another daemon has the state folder, StoreError where its database cannot be used.
    """
    log_output.take_over()
    faulthandler.enable()  # systemd's watchdog ends a daemon that hangs by SIGABRT: the log then has where each thread stood
    lines = log_setup.Lines(config.log, environ)
    ignore_broken_leases()

    async def live(inspections: Inspections) -> int:
        parts = (open_store, clock or Clock(), open_disks(), stage_steps, inspections)
        return await _Daemon(config, *parts, once=once, environ=environ, lines=lines).main()

    try:
        with only_daemon(config.state_dir), closing(open_inspections(config.state_dir)) as inspections:
            code = asyncio.run(live(inspections))
    except LalaldError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it says nothing about the streams of the program, as it would to `guarded`
        write_exception(type(error), error, error.__traceback__)
        code = 1
    streams.flush_answer()
    log_output.take_over().drain()
    os._exit(code)  # everything is saved; a thread that waits for a dead mount must not hold the stop up


class _Daemon:
    def __init__(
        self,
        config: Config,
        open_store: Callable[[Path], Store],
        clock: Clock,
        disks: MountPools,
        stage_steps: StageSteps,
        inspections: Inspections,
        *,
        once: bool,
        environ: Mapping[str, str],
        lines: log_setup.Lines,
    ) -> None:
        self.config = config
        self.open_store = open_store
        self.once = once
        self.environ = environ
        self.lines = lines
        self.stage_steps = stage_steps
        self.inspections = inspections
        self.log = lines.log()
        self.clock = clock
        self.disks = disks
        self.systemd = Systemd(environ)
        self.key_reader = KeyReader(disks, environ)
        self.rejected: RejectedConfig | None = None
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.changed = asyncio.Event()  # something may be worth a word to systemd
        self.inboxes = Inboxes(self._intake_of, self._look_after)
        self.clients: WeakSet[Client] = WeakSet()  # former ones among them, while a transfer goes on with them
        self.loops: set[asyncio.Task[Any]] = set()
        self.honouring = asyncio.Lock()
        self.summary: RunSummary | None = None  # of a `run --once` that has ended
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def main(self) -> int:
        """The life of the daemon, from the open database to the last save."""
        self._answer_signals()
        self.store = StoreThread(
            partial(self.open_store, self.config.state_dir), self._store_troubled, met_unreadable=self._met_unreadable
        )
        if not await self._unless_stopped(self._prepare()):
            await self.store.stop()
            return 0
        control = Server(self.config.state_dir, self._woken, self._pulse, self._attention)
        await control.start()
        try:
            code = await self._carry_on()
        finally:
            self.systemd.stopping()
            await control.stop()
            await self._stop()
        self.log.info("daemon.stopped")
        self._say_summary()
        return code

    def _say_summary(self) -> None:
        """After everything else of a `run --once`: for people on standard output, for programs as the last line of the log."""
        if self.summary is None:
            return
        if not self.lines.for_people:
            self.log.info("run.finished", **self.summary.facts())
        if self.lines.for_people or sys.stdout.isatty():
            print(self.summary.text())  # noqa: T201 - it is the answer of the command

    def _answer_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        if os.getpid() == 1:
            Orphans().start(loop)

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any], seconds: float | None = None) -> bool:
        """Whether the work came to its end: a stop, or so many seconds, end it too. Its error is raised."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        await asyncio.wait([working, stopping], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        return False

    def _store_troubled(self, trouble: StoreError | None) -> None:
        """Said once: nobody can be asked to look at a full disk at every try."""
        if trouble is None:
            self.log.info("store.recovered")
        else:
            self.log.error("store.not_written", reason=told(trouble))
        self.changed.set()

    def _met_unreadable(self, jobs: Sequence[UnreadableJob]) -> None:
        for job in jobs:
            self.log.error("job.unreadable", job=job.job_id, reason=job.error, hint=UNREADABLE_HINT)
        self.changed.set()

    async def _prepare(self) -> None:
        """The store, the bench and the worker."""
        await self.store.start()
        config = self.config
        facts = {"pid": os.getpid(), "version": __version__, "started_at": self.clock.now(), "config": str(config.path)}
        reserved, markers, refused_at = await self.store.run(lambda store: self._recovered(store, facts))
        found = await self.key_reader.read(config)
        self.context = StageContext(
            config=config, api=self._client(config, found), store=self.store, clock=self.clock, budget=self._budget(config),
            read_key=self.key_reader.read, new_key=lambda: str(uuid.uuid4()), log=self.log, reservations=Reservations(reserved),
            folders=KnownFolders(markers, self.store.remember_folder, self.disks, self.clock, self.log, self.changed.set), disks=self.disks,
            batch_refused_at=refused_at, downloads=asyncio.Semaphore(config.transfers.downloads),
            inspections=self.inspections,
        )  # fmt: skip
        self.worker = Worker(self.context, look_again=self.inboxes.look_again, steps=self.stage_steps)
        await self.worker.holds.license.take(found)
        self.availability = Availability(self.context, self.inboxes, self._look_after, self.worker.holds)

    def _recovered(
        self, store: Store, facts: dict[str, Any]
    ) -> tuple[list[tuple[str, str, int]], dict[str, str | None], float | None]:
        store.clear_progress()
        store.newly_unreadable.extend(UnreadableJobs(store.connection).read_again())
        store.set_hidden_aside()
        store.set_fact("daemon", facts, self.clock.now())
        for fact in (license_check.FACT, needs_attention.REJECTED_FACT):  # of the daemon that was here before
            store.forget_fact(fact)
        refused_at = store.fact("batch_refused_at")
        refused_at = refused_at if isinstance(refused_at, float) else None
        return store.reservations(), store.folder_markers(), refused_at

    async def _look_at_folder(self, directory: str) -> None:
        """At start: whether it is there, and what a crash left staged there; a share that never answers keeps nobody waiting."""
        try:
            await self.context.folders.check(directory)
            left = await self.disks.run(directory, outbox.staged_job_ids, directory)
            known = await self.store.run(partial(_jobs_of, left))
            await self.disks.run(directory, outbox.clear_staging, directory, known)
            await self.disks.run(directory, remove_leftovers, directory)
        except FileError:
            self.worker.holds.turns.wake()
        except Exception as error:
            if not concerns_one(error):
                raise
            self.log.error("folder.not_looked_at", folder=directory, exc_info=error)

    def _warn(self) -> None:
        """What is allowed in the configuration, and odd: whoever never asks `check-config` is told too."""
        for warning in self.config.warnings:
            self.log.warning("config.warning", config=str(self.config.path), reason=warning)

    def _client(self, config: Config, found: FoundKey) -> Client:
        rates = config.transfers
        client = Client(
            config.api_url, found, upload_rate=rates.upload_rate, download_rate=rates.download_rate, log=self.log
        )
        self.clients.add(client)
        return client

    def _budget(self, config: Config) -> Budget:
        async def left() -> float:
            minutes = await self.context.api.minutes_left()
            now = self.clock.now()
            await self.store.run(lambda store: store.set_fact("minutes", {"left": minutes, "at": now}, now))
            return minutes

        async def spent(since: float) -> float:
            return await self.store.run(lambda store: store.spent_since(since))

        return Budget(config.minutes, self.clock, left, spent)

    async def _carry_on(self) -> int:
        charges_before = await newest_charge(self.worker)
        self._look_after(self.worker.run(), "worker")
        self._look_after(self._ask_minutes(), "minutes")
        self._warn()
        if time_zone := unknown_time_zone(self.environ):
            self.log.warning(
                "time_zone.unknown", TZ=time_zone, hint="Times and days are UTC. Name one such as Europe/Berlin."
            )
        for directory in _folders(self.config):
            self._look_after(self._look_at_folder(directory), f"folder {directory}")
        for inbox in self.config.inboxes:
            self.inboxes.watch(inbox)
        self.availability.start()
        await self._unless_stopped(self._first_looks())
        asked = self._look_after(self._honour_requests(), "requests")  # what was asked while nobody was here
        if self.once:
            await asyncio.wait([asked, asyncio.ensure_future(self.stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        if not self.stop.is_set():
            inboxes = [str(inbox.path) for inbox in self.config.inboxes]
            self.log.info("daemon.ready", version=__version__, config=str(self.config.path), inboxes=inboxes)
            await housekeeping.tell_status(self.worker, self.systemd, self._condition())
            self.systemd.ready()
        for work in (
            self._reloads(),
            housekeeping.show_progress(self.worker, self.changed),
            housekeeping.show_status(self.worker, self.systemd, self.changed, self._condition),
            housekeeping.feed_watchdog(self.systemd, self._pulse),
            housekeeping.trim_history(self.context),
            self.availability.look_at_all_again(),
        ):
            self._look_after(work, "upkeep")
        ending = asyncio.ensure_future(all_carried(self.worker, self.inboxes) if self.once else self.stop.wait())
        stopping = asyncio.ensure_future(self.stop.wait())
        ends: list[asyncio.Future[Any]] = [ending, stopping, self.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, stopping):
            task.cancel()
        if self.failed.done():
            self.failed.result()
        if ending.done() and not ending.cancelled():
            ending.result()
        if not self.once:
            return 0
        self.summary = await summary(self.worker, charges_before)
        return await exit_code(self.worker)

    def _condition(self) -> housekeeping.Condition:
        return housekeeping.Condition(
            self.inboxes.unavailable_count,
            len(self.context.folders.unavailable),
            config_rejected=self.rejected is not None,
            unreadable_files=sum(intake.unreadable.count for intake in self.inboxes.intakes.values()),
        )

    async def _first_looks(self) -> None:
        if late := await self.inboxes.looked_at():
            reason = "its disk or server has not answered yet, or it holds many files"
            self.log.warning("inbox.first_scan_delayed", inboxes=[str(path) for path in late], reason=reason)

    def _intake_of(self, inbox: Inbox) -> Intake:
        return Intake(
            inbox, self.store, taken=self._taken, changed=self.changed.set, clock=self.clock, disks=self.disks,
            existing_override="take" if self.once else None, log=self.log,
            steps=InspectionSteps(inspections=self.inspections),
        )  # fmt: skip

    def _taken(self) -> None:
        self.worker.wake()
        self.changed.set()

    def _look_after(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A loop of the daemon. An unknown fault in it ends the daemon with its traceback, and systemd starts it anew."""
        task = asyncio.create_task(work, name=name)
        self.loops.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.loops.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _ask_minutes(self) -> None:
        """At start and with a new key, so that `status` can tell, and that a refused key is known before the first file."""
        with suppress(ServiceError):
            await self.worker.holds.license.is_refused()
        self.changed.set()

    # the command line

    def _woken(self) -> None:
        self._look_after(self._honour_requests(), "requests")
        self.worker.wake()

    async def _honour_requests(self) -> None:
        async with self.honouring:
            await job_requests.honour_daemon(self.worker, self.inboxes.intakes, self.availability.look_at_all)

    # loops of its own

    async def _pulse(self) -> bool:
        """Whether every loop turns: the store's thread, the worker's lanes, the inboxes."""
        if self.failed.done() or not self.inboxes.all_live:
            return False
        if self.store.trouble is not None:
            return True  # the loops wait for room; a daemon that is ended for it would forget what it could not write
        try:
            async with asyncio.timeout(_PULSE_SECONDS):
                await self.store.run(_nothing)
                await self.worker.turn()
        except TimeoutError:
            return False
        return True

    # reload and stop

    async def _reloads(self) -> None:
        while True:
            await self.reload.wait()
            self.reload.clear()
            self.systemd.reloading()
            try:
                config = await self.disks.run(str(self.config.path.parent), load, self.config.path, self.environ)
                sandbox_guard.stay_with(self.config.api_url, config.api_url)
            except (ConfigError, FileError) as error:
                hint = "The previous configuration is in use. Correct the file and reload."
                self.log.error("config.rejected", reason=told(error), hint=hint)
                self._note_rejected(RejectedConfig(str(error).splitlines(), self.clock.now()))
            else:
                await self._take_over(config)
                self._note_rejected(None)
            self.systemd.ready()

    async def _take_over(self, config: Config) -> None:
        """Jobs under way keep what they were matched with; files that were left alone are matched anew."""
        self.key_reader.forget()
        found = await self.key_reader.read(config)
        before, self.config, self.context.config = self.config, config, config
        old_api, self.context.api = self.context.api, self._client(config, found)
        self._say_if_the_credential_stays(found, old_api)
        await self.worker.holds.license.take(found, old_api.key)
        if config.state_dir != before.state_dir:
            hint = "Restart lalald to use another state folder."
            self.log.warning("config.state_dir_ignored", state_dir=str(before.state_dir), hint=hint)
        if config.transfers != before.transfers:
            self.context.downloads = asyncio.Semaphore(config.transfers.downloads)
        self.context.budget.limits = config.minutes
        self.context.budget.invalidate()
        self.lines.change(config.log)
        self._warn()
        kept = {inbox.path: inbox for inbox in config.inboxes}
        self.context.folders.keep_only(_folders(config))
        for directory in _folders(config):
            self._look_after(self._look_at_folder(directory), f"folder {directory}")
        self.inboxes.leave_all_but(kept)
        for inbox in kept.values():
            self.inboxes.watch(inbox)
        self.availability.configure()
        await self._unless_stopped(self._first_looks())
        self.worker.holds.ask_the_service_now()
        self._look_after(self._ask_minutes(), "minutes")
        self.worker.wake()
        self._look_after(old_api.aclose(), "former client")  # transfers under way go on with it
        self.log.info("config.reloaded", inboxes=[str(path) for path in kept])

    def _say_if_the_credential_stays(self, found: FoundKey, old_api: Client) -> None:
        if found.origin == CREDENTIAL and found.key == old_api.key:
            hint = "systemd hands a credential over at the start: restart lalald to use a new one."
            self.log.info("license.key_unchanged", hint=hint)

    def _note_rejected(self, rejected: RejectedConfig | None) -> None:
        """For `status`, without waiting for a state folder that is full."""
        if rejected is None and self.rejected is None:
            return
        self.rejected = rejected
        self.changed.set()
        now = self.clock.now()
        writing = self.store.run(lambda store: needs_attention.save_rejected(store, rejected, now))
        self._look_after(writing, "rejected configuration")

    async def _attention(self) -> list[Attention]:
        """What needs a person as far as this process knows, whatever the state folder can be told of it."""
        found = list(
            needs_attention.daemon_items(
                self.worker.context.store.trouble, self.worker.holds.license.trouble, self.rejected
            )
        )
        if self.store.trouble is None and (error := await self._why_state_is_not_written()):
            found.append(needs_attention.state_not_writable(error))
        return [*found, *await self.availability.attention()]

    async def _why_state_is_not_written(self) -> OSError | None:
        """Looked at when asked: an idle daemon writes nothing, and would not notice that the disk is full."""
        folder = self.config.state_dir
        try:
            async with asyncio.timeout(_STATE_TRIAL_SECONDS):
                return await self.disks.run(str(folder), write_error_if_low, folder)
        except (FileError, TimeoutError):
            return OSError(errno.ETIMEDOUT, "its disk or server does not answer")

    async def _stop(self) -> None:
        """Transfers end at once and resume later; a split on the wire is awaited, since its answer is money."""
        self.availability.stop()
        for task in self.loops:
            if task.get_name() != "worker":
                task.cancel()
        splitting = self.worker.stop_taking()
        for client in self.clients:
            client.interrupt()
        if splitting:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_WITH_A_SPLIT_SECONDS):
                    await self.worker.splits_ended()
        for task in self.loops:
            task.cancel()
        if self.loops:
            await asyncio.wait(self.loops, timeout=_STOP_SECONDS)
        await self.store.stop()


def _folders(config: Config) -> set[str]:
    """Those that are known by their markers, besides the inboxes."""
    return {str(folder) for inbox in config.inboxes for folder in (inbox.outbox, *inbox.filing_folders)}


def _jobs_of(job_ids: set[int], store: Store) -> list[Job]:
    return store.jobs_of(job_ids)


def _nothing(_store: Store) -> None:
    """Enough to know that the store's thread turns."""
