"""What a start and a reload do before work begins: recover what the last run left, check the folders, log what is odd."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lalald import outbox
from lalald.clock import Clock
from lalald.config import Config
from lalald.daemon import notifications
from lalald.daemon.parts import Parts, result_folders
from lalald.daemon.process.time_zone import unknown_time_zone
from lalald.errors import FileError, ServiceError
from lalald.filesystem.placeholders import remove_leftovers
from lalald.jobs.failures.unexpected_errors import is_about_one_job
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Held
from lalald.jobs.states import Hold, Stage
from lalald.jobs.transitions import apply_outcome
from lalald.reports import needs_attention
from lalald.stages.context import StageContext
from lalald.stages.precharge.budget import Budget
from lalald.store import Store, StoreThread, database
from lalald.store.backup import copy_of_version
from lalald.store.events.event_queue import RemovedEntry
from lalald.store.schema.migrations import VERSION
from lalald.store.tables.restored_copy import held_because
from lalald.store.tables.unreadable_jobs import UnreadableJobs
from lalald.worker.holds import license_check

_JOBS_AT_ONCE = 500


def open_store(opening: Callable[[Path], Store], state_dir: Path, log: Any) -> Store:
    """Open the store by `opening`. A migration is logged before and after: a large database takes minutes. Raises StoreError."""
    version = database.version_to_migrate(state_dir)
    if version is None:
        return opening(state_dir)
    log.info(
        "store.migrating",
        version=version,
        to=VERSION,
        hint="A large database takes minutes. If it is interrupted, it continues at the next start.",
    )
    store = opening(state_dir)
    log.info(
        "store.migrated",
        version=version,
        to=VERSION,
        copy=str(copy_of_version(state_dir / database.FILE_NAME, version)),
    )
    return store


class Recovered(NamedTuple):
    """What the store knows from earlier runs.

    `reservations`: folder, name and job of each name reserved in an outbox. `copied_at`: when the copy was made from which the
    database was restored since the last run. `removed_entries`: of `notify`, with events that are never sent.
    """

    reservations: list[tuple[str, str, int]]
    folder_markers: dict[str, str | None]
    batch_refused_at: float | None
    copied_at: float | None
    removed_entries: list[RemovedEntry]


def recover(daemon_state: dict[str, Any], config: Config, now: float, store: Store) -> Recovered:
    """Read what the last run left, forget what was true only of it, and record that this daemon runs."""
    store.clear_progress()
    store.newly_unreadable.extend(UnreadableJobs(store.connection).read_again())
    store.set_aside_unknown_values()
    copied_at = _hold_what_a_copy_cannot_know(config, now, store)
    store.state.set("daemon", daemon_state, now)
    removed_entries = notifications.note_start(store, config, now)
    for fact in (license_check.FACT, needs_attention.REJECTED_FACT):
        store.state.forget(fact)
    refused_at = store.state.get("batch_refused_at")
    refused_at = refused_at if isinstance(refused_at, float) else None
    return Recovered(store.reservations(), store.folders.folder_markers(), refused_at, copied_at, removed_entries)


def _hold_what_a_copy_cannot_know(config: Config, now: float, store: Store) -> float | None:
    """In a restored database, hold what may have been paid for since it was copied. Return when that was."""
    copied_at = store.restored.begin([str(inbox.path) for inbox in config.inboxes], now)
    if copied_at is None:
        return None
    reason, ids = held_because(copied_at), store.restored.possibly_paid()
    for start in range(0, len(ids), _JOBS_AT_ONCE):
        for job in store.jobs_by_id(ids[start : start + _JOBS_AT_ONCE]):
            unstarted = [task.number for task in job.tasks if task.stage is Stage.SPLIT and task.error is None]
            some_run = any(task.task_id is not None for task in job.tasks)
            outcome = Held(Hold.FIRST_SCAN, reason, tasks=tuple(unstarted) if some_run else ())
            store.save(job, apply_outcome(job, outcome, now))
    return copied_at


def log_restored_copy(copied_at: float | None, log: Any) -> None:
    if copied_at is not None:
        log.warning(
            "store.restored_copy", copied_at=datetime.fromtimestamp(copied_at, UTC).isoformat(timespec="seconds"),
            reason="the database was restored from a copy: what it does not know is held, since it may be paid for already",
            hint="`lalald jobs --held` lists these files; move those with results out of the inbox, `lalald release ID` releases another.",
        )  # fmt: skip


def make_budget(config: Config, clock: Clock, store: StoreThread, current: Callable[[], StageContext]) -> Budget:
    """`current`: a reload may change its client and its configuration."""

    async def minutes_left() -> float:
        left, limits, now = await current().api.minutes_left(), current().config.minutes, clock.now()
        await store.run(lambda store: notifications.note_minutes(store, left, limits, now))
        return left

    async def spent_since(moment: float) -> float:
        return await store.run(lambda store: store.charges.spent_since(moment))

    return Budget(config.minutes, clock, minutes_left, spent_since)


def check_folders(parts: Parts) -> None:
    """Check every outbox and every folder for finished files, each in its own task: a share that never answers delays nothing."""
    for folder in result_folders(parts.context.config):
        parts.supervisor.start(_check_folder(folder, parts), f"folder {folder}")


async def _check_folder(folder: str, parts: Parts) -> None:
    """Check that a folder is there, and delete what a crash left staged in it."""
    context = parts.context
    try:
        await context.folders.check(folder)
        staged = await context.disks.run(folder, outbox.staged_job_ids, folder)
        jobs = await context.store.run(partial(_jobs_of, staged))
        await context.disks.run(folder, outbox.clear_staging, folder, jobs)
        await context.disks.run(folder, remove_leftovers, folder)
    except FileError:
        parts.worker.wakeups.holds.wake()
    except Exception as error:
        if not is_about_one_job(error):
            raise
        context.log.error("folder.check_failed", folder=folder, exc_info=error)


def _jobs_of(job_ids: set[int], store: Store) -> list[Job]:
    return store.jobs_by_id(job_ids)


def log_config_warnings(config: Config, log: Any) -> None:
    """Log what is allowed in the configuration but odd: not everyone runs `check-config`."""
    for warning in config.warnings:
        log.warning("config.warning", config=str(config.path), reason=warning)


def log_unknown_time_zone(parts: Parts) -> None:
    if time_zone := unknown_time_zone(parts.environ):
        hint = "Times and days are UTC. Set TZ to a time zone such as Europe/Berlin."
        parts.context.log.warning("time_zone.unknown", TZ=time_zone, hint=hint)


async def wait_for_first_scans(parts: Parts) -> None:
    """Wait until every inbox was scanned once, but not for one whose disk does not answer."""
    if late := await parts.inboxes.wait_for_first_scans():
        reason = "its disk or server has not answered yet, or it holds many files"
        inboxes = [str(path) for path in late]
        parts.context.log.warning("inbox.first_scan_delayed", inboxes=inboxes, reason=reason)


async def ask_minutes_left(parts: Parts) -> None:
    """For `status`, and so that a refused key is known before the first file."""
    with suppress(ServiceError):
        await parts.worker.license.is_refused()
    parts.status_changed.set()
