"""Run the daemon: put its parts together, start their loops, end in order."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lalald import __version__
from lalald.clock import Clock
from lalald.config import Config, Inbox
from lalald.control.socket_server import Server
from lalald.daemon import housekeeping, notifications, run_once, startup
from lalald.daemon.daemon_requests import DaemonRequests
from lalald.daemon.folder_checks import FolderChecks
from lalald.daemon.inbox_loops import Inboxes
from lalald.daemon.log import log_output, log_setup
from lalald.daemon.log.journal import write_exception
from lalald.daemon.parts import Clients, Parts
from lalald.daemon.process import streams
from lalald.daemon.process.blocking_calls import wait_for_none
from lalald.daemon.process.lock import only_daemon
from lalald.daemon.process.signals import Signals
from lalald.daemon.process.systemd import Systemd
from lalald.daemon.process.web_launcher import WebLauncher
from lalald.daemon.reloading import Reloader
from lalald.daemon.run_once import RunSummary
from lalald.daemon.shutdown import shut_down
from lalald.daemon.supervisor import Supervisor
from lalald.daemon.upload_cleanup import remove_abandoned_uploads
from lalald.errors import LalaldError, StoreError
from lalald.filesystem import placeholders
from lalald.filesystem.availability.known_folders import KnownFolders
from lalald.filesystem.mount_pools import MountPools
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.intake import Intake
from lalald.inbox.readiness import ignore_broken_leases
from lalald.jobs.job import describe_error
from lalald.media.inspections import Inspections
from lalald.notify.notifier import log_removed
from lalald.outbox.reservations import Reservations
from lalald.reports.needs_attention import UNREADABLE_HINT
from lalald.stages.context import StageContext
from lalald.store import Store, StoreThread
from lalald.store.rows import UnreadableJob
from lalald.worker.holds.license_check import KeyReader
from lalald.worker.stage_steps import StageSteps
from lalald.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class _Options:
    """How this daemon runs; the tests choose other clocks, stores and stages."""

    once: bool
    environ: Mapping[str, str]
    open_store: Callable[[Path], Store]
    clock: Clock
    open_disks: Callable[[], MountPools]
    stage_steps: StageSteps


def run(
    config: Config,
    *,
    once: bool = False,
    environ: Mapping[str, str] = os.environ,
    open_store: Callable[[Path], Store] = Store.open,
    clock: Clock | None = None,
    open_disks: Callable[[], MountPools] = MountPools,
    stage_steps: StageSteps = StageSteps(),  # noqa: B008 - frozen, and the same for every daemon
    open_inspections: Callable[[Path], Inspections] = Inspections,
    log_for_people: bool = False,
) -> int:
    """Process files until SIGTERM, or with `once` until no file is left to process. Return the exit code.

    `log_for_people`: `log: {format: auto}` is for people, whatever reads the log.
    Raises DaemonError if another daemon uses the state folder, StoreError if its database cannot be used.
    """
    log_output.take_over()
    faulthandler.enable()  # systemd's watchdog ends a daemon that hangs by SIGABRT: the log then shows where each thread was
    log_settings = log_setup.LogSettings(config.log, environ, auto_for_people=log_for_people)
    ignore_broken_leases()
    options = _Options(once, environ, open_store, clock or Clock(), open_disks, stage_steps)

    async def live(inspections: Inspections) -> int:
        wait_for_none(asyncio.get_running_loop())
        return await _Daemon(config, options, inspections, log_settings).main()

    try:
        with only_daemon(config.state_dir) as name, closing(open_inspections(config.state_dir)) as inspections:
            placeholders.set_owner(name)
            code = asyncio.run(live(inspections))
    except LalaldError:
        raise
    except Exception as error:  # noqa: BLE001 - the caller takes an OSError for one of standard output
        write_exception(type(error), error, error.__traceback__)
        code = 1
    streams.flush_answer()
    log_output.take_over().drain()
    os._exit(code)  # everything is saved; a thread that waits for a dead mount must not delay the stop


class _Daemon:
    def __init__(
        self, config: Config, options: _Options, inspections: Inspections, log_settings: log_setup.LogSettings
    ) -> None:
        self._config = config  # as it was at the start
        self._options = options
        self._inspections = inspections
        self._log_settings = log_settings
        self._log = log_settings.log()
        self._disks = options.open_disks()
        self._signals = Signals()
        self._supervisor = Supervisor()
        self._systemd = Systemd(options.environ)
        self._status_changed = asyncio.Event()
        open_store = partial(startup.open_store, options.open_store, config.state_dir, self._log)
        self._store = StoreThread(
            open_store, self._log_store_trouble, on_unreadable=self._log_unreadable, on_events=self._wake_notifier
        )
        self._notifier = notifications.make_notifier(
            self._store, options.environ, options.clock, self._disks, self._log, self._tls_context
        )

    async def main(self) -> int:
        """The life of the daemon, from the open database to the last save."""
        self._signals.listen()
        if not await self._signals.unless_stopped(self._prepare()):
            await self._store.stop()
            return 0
        self._reloader = Reloader(self._parts)
        self._requests = DaemonRequests(self._parts, self._config.state_dir, self._reloader)
        control = Server(
            self._config.state_dir, self._requests.wake, self._requests.is_healthy, self._requests.attention
        )
        await control.start()
        try:
            code, summary = await self._work()
        finally:
            self._systemd.stopping()
            await control.stop()
            await shut_down(self._parts)
        self._log.info("daemon.stopped")
        if summary is not None:
            run_once.report(summary, self._log, for_people=self._log_settings.for_people)
        return code

    # the parts

    async def _prepare(self) -> None:
        """Open the store, create the parts, and read the license key."""
        config, options, clock = self._config, self._options, self._options.clock
        await self._store.start()
        now = clock.now()
        daemon_state = {"pid": os.getpid(), "version": __version__, "started_at": now, "config": str(config.path)}
        recovered = await self._store.run(partial(startup.recover, daemon_state, config, now))
        startup.log_restored_copy(recovered.copied_at, self._log)
        log_removed(recovered.removed_entries, self._log)
        key_reader, clients = KeyReader(self._disks, options.environ), Clients(self._log)
        key = await key_reader.read(config)
        folders = KnownFolders(
            recovered.folder_markers, self._store.remember_folder, self._disks, clock, self._log, self._status_changed.set
        )  # fmt: skip
        context = StageContext(
            config=config, api=clients.connect(config, key), store=self._store, clock=clock, disks=self._disks, log=self._log,
            budget=startup.make_budget(config, clock, self._store, lambda: context),
            read_key=key_reader.read, new_key=lambda: str(uuid.uuid4()), reservations=Reservations(recovered.reservations),
            folders=folders, downloads=asyncio.Semaphore(config.transfers.downloads), inspections=self._inspections,
            batch_refused_at=recovered.batch_refused_at,
        )  # fmt: skip
        inboxes = Inboxes(self._make_intake, self._supervisor.start)
        worker = Worker(context, request_rescan=inboxes.request_rescan, steps=options.stage_steps)
        await worker.license.use_found_key(key)
        self._parts = Parts(
            context=context, worker=worker, inboxes=inboxes, clients=clients, key_reader=key_reader,
            folder_checks=FolderChecks(context, inboxes, self._supervisor.start, worker.holds),
            supervisor=self._supervisor, signals=self._signals, systemd=self._systemd, log_settings=self._log_settings,
            notifier=self._notifier, page=self._make_page(), environ=options.environ, status_changed=self._status_changed,
        )  # fmt: skip

    def _make_page(self) -> WebLauncher:
        return WebLauncher(
            self._disks, self._options.environ, self._log, self._supervisor.start, self._status_changed.set
        )

    def _make_intake(self, inbox: Inbox) -> Intake:
        return Intake(
            inbox, self._store, on_new_jobs=self._start_new_jobs, on_change=self._status_changed.set, clock=self._options.clock,
            disks=self._disks, existing_override="take" if self._options.once else None, log=self._log,
            steps=InspectionSteps(inspections=self._inspections),
        )  # fmt: skip

    def _start_new_jobs(self) -> None:
        self._parts.worker.wake()
        self._status_changed.set()

    def _tls_context(self) -> ssl.SSLContext:
        return self._parts.context.api.tls_context()

    def _wake_notifier(self) -> None:
        self._notifier.wake()

    def _log_store_trouble(self, trouble: StoreError | None) -> None:
        """The store calls this once when writing fails, and once when it works again."""
        if trouble is None:
            self._log.info("store.recovered")
        else:
            self._log.error("store.not_written", reason=describe_error(trouble))
        self._status_changed.set()

    def _log_unreadable(self, jobs: Sequence[UnreadableJob]) -> None:
        for job in jobs:
            self._log.error("job.unreadable", job=job.job_id, reason=job.error, hint=UNREADABLE_HINT)
        self._status_changed.set()

    # its life

    async def _work(self) -> tuple[int, RunSummary | None]:
        """The exit code, and what a `run --once` has done."""
        worker = self._parts.worker
        charges_before = await run_once.newest_charge(worker)
        await self._begin()
        self._start_upkeep()
        await self._wait_for_end()
        if not self._options.once:
            return 0, None
        await self._signals.unless_stopped(notifications.send_last(self._parts.notifier))
        summary = await run_once.summary(worker, charges_before)
        return await run_once.exit_code(worker), summary

    async def _begin(self) -> None:
        """Start the worker and the inboxes, handle earlier requests of clients, and report READY."""
        parts, config = self._parts, self._config
        self._supervisor.start(parts.worker.run(), "worker", stops_last=True)
        await notifications.configure(parts.notifier, config)
        self._supervisor.start(parts.notifier.run(), "notifier")
        self._supervisor.start(startup.ask_minutes_left(parts), "minutes")
        startup.log_config_warnings(config, self._log)
        startup.log_unknown_time_zone(parts)
        startup.check_folders(parts)
        parts.inboxes.watch_only(config.inboxes)
        parts.folder_checks.start()
        if not self._options.once:
            parts.page.configure(config)
        await self._signals.unless_stopped(startup.wait_for_first_scans(parts))
        handling = self._supervisor.start(self._requests.handle(), "requests")
        if self._options.once:
            await self._signals.unless_stopped(asyncio.wait([handling]))
        if not self._signals.stop.is_set():
            await self._report_ready()

    async def _report_ready(self) -> None:
        inboxes = [str(inbox.path) for inbox in self._config.inboxes]
        self._log.info("daemon.ready", version=__version__, config=str(self._config.path), inboxes=inboxes)
        await housekeeping.send_status(self._parts.worker, self._systemd, self._condition())
        self._systemd.ready()

    def _start_upkeep(self) -> None:
        parts = self._parts
        upkeep = {
            "reload": self._reloader.run(),
            "progress": housekeeping.show_progress(parts.worker, parts.status_changed),
            "status": housekeeping.show_status(parts.worker, parts.systemd, parts.status_changed, self._condition),
            "watchdog": housekeeping.feed_watchdog(parts.systemd, self._requests.is_healthy),
            "history": housekeeping.trim_history(parts.context),
            "uploads": remove_abandoned_uploads(parts.context),
            "folders": parts.folder_checks.check_all_regularly(),
        }
        for name, work in upkeep.items():
            self._supervisor.start(work, name)

    def _condition(self) -> housekeeping.Condition:
        return housekeeping.Condition(
            self._parts.inboxes.unavailable_count,
            len(self._parts.context.folders.unavailable),
            config_rejected=self._reloader.rejected is not None,
            unreadable_files=sum(intake.unreadable.count for intake in self._parts.inboxes.intakes.values()),
        )

    async def _wait_for_end(self) -> None:
        """Until a signal stops the daemon or, with `once`, nothing is left to process. Raises the error of a failed task."""
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._signals.stop.wait())]
        if self._options.once:
            all_processed = run_once.wait_until_processed(self._parts.worker, self._parts.inboxes)
            tasks.append(asyncio.ensure_future(all_processed))
        await asyncio.wait([*tasks, self._supervisor.failure], return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in (self._supervisor.failure, *tasks) if task.done()]
        for task in tasks:
            task.cancel()
        for task in ended:
            task.result()
