"""`run --once`: when every file in the inboxes is processed, the exit code, and the summary."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lalald.daemon.inbox_loops import Inboxes
from lalald.filesystem.names import printable
from lalald.jobs.spending.prices import cost_text
from lalald.store import Store
from lalald.store.tables.charges import Charges
from lalald.store.tables.set_aside_files import SetAsideFiles
from lalald.worker.worker import Worker

_WITHOUT_SUCCESS_SECONDS = 600.0
_RECHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Jobs that ended in this run, jobs that are held or wait after it, and the minutes that were charged."""

    done: int
    failed: int
    held: Mapping[str, int]
    waiting: int
    minutes: float
    outboxes: Sequence[str]

    def facts(self) -> dict[str, Any]:
        """For the log."""
        return {
            "done": self.done,
            "failed": self.failed,
            "held": sum(self.held.values()),
            "holds": dict(self.held),
            "waiting": self.waiting,
            "minutes": round(self.minutes, 3),
            "outboxes": list(self.outboxes),
        }

    def text(self) -> str:
        """For people: one line for each fact that needs a person."""
        lines = [f"{self.done:,} done, {cost_text(self.minutes)} minutes charged."]
        if self.done:
            lines.append(f"Results: {', '.join(map(printable, self.outboxes))}")
        if self.failed:
            lines.append(f"{self.failed:,} failed: see `lalald jobs --failed`.")
        if self.held:
            kinds = ", ".join(f"{kind} {jobs:,}" for kind, jobs in sorted(self.held.items()))
            lines.append(f"{sum(self.held.values()):,} held ({kinds}): see `lalald jobs --held`.")
        if self.waiting:
            lines.append(f"{self.waiting:,} not finished: `lalald run` resumes them.")
        return "\n".join(lines)


def report(summary: RunSummary, log: Any, *, for_people: bool) -> None:
    """For people on standard output, for programs as the last line of the log. `for_people`: the log is for people."""
    if not for_people:
        log.info("run.finished", **summary.facts())
    if for_people or sys.stdout.isatty():
        print(summary.text())  # noqa: T201 - it is the answer of the command


async def wait_until_processed(worker: Worker, inboxes: Inboxes) -> None:
    """Return when every job has ended, is held, or is delivered as far as the service had results.

    The folders that jobs are held for are probed before: one may have been accepted or mounted since.
    Also returns, with an error in the log, when nothing has succeeded for ten minutes.
    """
    await inboxes.wait_until_idle()
    clock = worker.context.clock
    while True:
        worker.claims.idle_event.clear()
        if await _is_processed(worker):
            await worker.holds.probe_folders_at_end()
            if await _is_processed(worker):
                return
        if clock.monotonic() - worker.health.last_good_at > _WITHOUT_SUCCESS_SECONDS:
            reason = "no request to the service has succeeded for ten minutes; the jobs wait for the next run"
            worker.context.log.error("run.abandoned", reason=reason)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_RECHECK_SECONDS):
                await worker.claims.idle_event.wait()


async def _is_processed(worker: Worker) -> bool:
    clock = worker.context.clock
    return await worker.context.store.run(lambda store: store.counts.waiting(clock.now()) <= store.counts.late())


async def exit_code(worker: Worker) -> int:
    """0 if every job is done, 1 if any failed, is held, set aside, or waits."""
    store, clock = worker.context.store, worker.context.clock
    inboxes = [str(inbox.path) for inbox in worker.context.config.inboxes]
    held = await store.run(lambda store: store.counts.by_hold())
    left = await store.run(lambda store: store.counts.waiting(clock.now()))
    aside = await store.run(lambda store: any(SetAsideFiles(store.connection).of(inbox) for inbox in inboxes))
    return 1 if worker.failed_count or held or left or aside else 0


async def newest_charge(worker: Worker) -> int:
    """The id of the newest charge: later ones belong to this run."""
    return await worker.context.store.run(lambda store: Charges(store.connection).newest())


async def summary(worker: Worker, charges_before: int) -> RunSummary:
    """The result of the run, after its last job."""
    store, clock = worker.context.store, worker.context.clock

    def read_counts(store: Store) -> tuple[dict[str, int], int, float]:
        held = {str(hold): jobs for hold, jobs in store.counts.by_hold().items()}
        return held, store.counts.waiting(clock.now()), Charges(store.connection).minutes_after(charges_before)

    held, waiting, minutes = await store.run(read_counts)
    outboxes = list(dict.fromkeys(str(inbox.outbox) for inbox in worker.context.config.inboxes))
    return RunSummary(worker.done_count, worker.failed_count, held, waiting, minutes, outboxes)
