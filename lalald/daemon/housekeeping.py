"""What the daemon does besides processing files: report progress and status, notify the watchdog, delete old jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from lalald.daemon.process.memory import return_free_memory
from lalald.daemon.process.systemd import Systemd
from lalald.jobs.states import Stage
from lalald.jobs.transfer_progress import RateMeter, TransferProgress
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.queries import STOPPED_STEPS
from lalald.worker.worker import Worker

_REPORT_SECONDS = 1.0
_DAY_SECONDS = 86400.0
_EVENTS_KEPT_SECONDS = 7 * _DAY_SECONDS
JOBS_PER_TRIM = 20_000  # each portion reads the table of files once


async def show_progress(worker: Worker, changed: asyncio.Event) -> None:
    """Save the progress of transfers for `status`, once a second while there are any."""
    context = worker.context
    meter = RateMeter(context.clock.monotonic)
    while True:
        await context.changed.wait()
        context.changed.clear()
        changed.set()
        while context.transfers:
            await asyncio.sleep(_REPORT_SECONDS)
            changed.set()
            await context.store.run(
                partial(_set_progress, _progress(context, meter))
            )  # not written while the disk is full
        meter.forget_all_but(())


def _progress(context: StageContext, meter: RateMeter) -> dict[int, TransferProgress]:
    """The progress and rate of each job's transfers."""
    found = {}
    meter.forget_all_but(context.transfers)
    for job_id, transfers in list(context.transfers.items()):
        done = sum(transfer.progress for transfer, _ in transfers)
        moved = sum(transfer.progress - transfer.resumed_from for transfer, _ in transfers)
        total = max(sum(size for _, size in transfers), context.expected_bytes.get(job_id, 0))
        found[job_id] = TransferProgress(done, total, meter.measure(job_id, moved))
    return found


def _set_progress(progress: dict[int, TransferProgress], store: Store) -> None:
    store.set_progress(progress)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the status line says besides the jobs. `unavailable_folders`: those that are not inboxes."""

    unavailable_inboxes: int = 0
    unavailable_folders: int = 0
    config_rejected: bool = False
    unreadable_files: int = 0


async def show_status(
    worker: Worker, systemd: Systemd, changed: asyncio.Event, condition: Callable[[], Condition]
) -> None:
    """Send systemd a status line, at most once a second, and only when something changed."""
    while True:
        await changed.wait()
        changed.clear()
        await send_status(worker, systemd, condition())
        await asyncio.sleep(_REPORT_SECONDS)


async def send_status(worker: Worker, systemd: Systemd, condition: Condition) -> None:
    counts, holds = await worker.context.store.run(lambda store: (store.counts.by_stage(), store.counts.by_hold()))
    named = {str(hold): count for hold, count in holds.items()}
    license_trouble = worker.license.problem
    reason = license_trouble.reason if license_trouble else None
    text = status_text(counts, named, condition, reason, worker.service_problem)
    full = worker.context.store.trouble
    systemd.status(f"every job waits for the state folder: {full} {text}" if full else text)
    if not full:
        await _note_trouble(worker)
        await _note_stopped_steps(worker)


async def _note_trouble(worker: Worker) -> None:
    """Save for `status` what is wrong with the service, and since when; written only when it changed."""
    trouble, now = worker.service_problem, worker.context.clock.now()
    is_known = trouble is not None or worker.health.has_worked  # after a start nothing is, until something was asked

    def note(store: Store) -> None:
        if is_known:
            store.events.service_is(trouble, now)
        known = store.state.get("service")
        before = known.get("trouble") if isinstance(known, dict) else None
        if (before is None) != (trouble is None):
            store.state.set("service", {"trouble": trouble, "since": now}, now)

    await worker.context.store.run(note)


async def _note_stopped_steps(worker: Worker) -> None:
    """Save for `status` the steps that are stopped because every job raised the same exception; written only when it changed."""
    stops = worker.guard.faults.stops
    stopped = [{"step": str(step), "error": stop.error, "since": stop.since} for step, stop in sorted(stops.items())]
    now = worker.context.clock.now()

    def note(store: Store) -> None:
        if (store.state.get(STOPPED_STEPS) or []) != stopped:
            store.state.set(STOPPED_STEPS, stopped, now)

    await worker.context.store.run(note)


def status_text(
    counts: Mapping[str, int],
    holds: Mapping[str, int],
    condition: Condition,
    license_trouble: str | None,
    trouble: str | None,
) -> str:
    """One line for `systemctl status`: how many jobs are where, and what they wait for."""
    words = {"upload": "uploading", "split": "starting", "check": "processing", "download": "downloading"}
    parts = [f"{counts[stage]} {word}" for stage, word in words.items() if counts.get(stage)]
    finishing = counts.get(Stage.DELETE, 0) + counts.get(Stage.ARCHIVE, 0)
    if finishing:
        parts.append(f"{finishing} finishing")
    if holds:
        parts.append(f"{sum(holds.values())} held: " + ", ".join(sorted(holds)))
    if inboxes := condition.unavailable_inboxes:
        parts.append(f"{inboxes} {'inbox' if inboxes == 1 else 'inboxes'} unavailable")
    if folders := condition.unavailable_folders:
        parts.append(f"{folders} {'folder' if folders == 1 else 'folders'} for results or finished files unavailable")
    if files := condition.unreadable_files:
        parts.append(f"{files} {'file' if files == 1 else 'files'} unreadable")
    if condition.config_rejected:
        parts.insert(0, "config rejected, previous configuration in use")
    if license_trouble:
        parts.insert(0, f"no usable license key: {license_trouble}")
    elif trouble:
        parts.append(f"the service does not answer as it should: {trouble}")
    return ", ".join(parts) or "idle"


async def feed_watchdog(systemd: Systemd, is_healthy: Callable[[], Awaitable[bool]]) -> None:
    """Notify systemd's watchdog while the daemon is healthy. Sleep if there is no watchdog."""
    if systemd.watchdog_seconds is None:
        await asyncio.Event().wait()
        return
    while True:
        if await is_healthy():
            systemd.alive()
        await asyncio.sleep(systemd.watchdog_seconds / 2)


async def trim_history(context: StageContext) -> None:
    """Delete old jobs, at the start and once a day; in portions, between which other calls of the store have their turn."""
    while True:
        before = context.clock.now() - context.config.history
        newest = await context.store.run(_newest_id)
        trimmed = 0
        for first in range(1, newest + 1, JOBS_PER_TRIM):
            trimmed += await context.store.run(partial(_trim, before, range(first, first + JOBS_PER_TRIM)))
        kept_from = context.clock.now() - min(context.config.history, _EVENTS_KEPT_SECONDS)
        await context.store.run(partial(_trim_events, kept_from))
        await context.store.run(_free_memory)
        if trimmed:
            context.log.info("history.trimmed", jobs=trimmed)
        await asyncio.sleep(_DAY_SECONDS)


def _trim_events(before: float, store: Store) -> None:
    store.events.trim(before)


def _free_memory(store: Store) -> None:
    """Of whole tables that were read once nothing is of further use: an idle daemon would keep it for days."""
    store.connection.execute("PRAGMA shrink_memory")
    return_free_memory()


def _newest_id(store: Store) -> int:
    return store.history.newest_id()


def _trim(before: float, ids: range, store: Store) -> int:
    return store.history.trim(before, ids)
