"""Save what a stage returned, and log it: the only place where an outcome becomes a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lalald.jobs import transitions
from lalald.jobs.failures.unexpected_errors import is_about_one_job
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Discarded, Held, Outcome
from lalald.jobs.states import Request, Stage, State
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.tables.task_writer import StaleError
from lalald.worker.claims import Claims
from lalald.worker.holds.hold_backoff import HoldBackoff
from lalald.worker.holds.hold_log import HoldLog
from lalald.worker.job_log import log_outcome
from lalald.worker.wakeups import Wakeups


@dataclass
class Recorder:
    """`request_rescan` gets the inbox of a discarded job; `finish_delivery` removes what a delivery left in the staging folder."""

    context: StageContext
    claims: Claims
    wakeups: Wakeups
    hold_log: HoldLog
    backoff: HoldBackoff
    jitter: Callable[[], float]
    request_rescan: Callable[[str], None]
    finish_delivery: Callable[[Job, StageContext], Awaitable[None]]
    failed_count: int = 0  # jobs that failed since this start
    done_count: int = 0  # jobs that were done since this start

    async def record_outcome(self, before: Job, outcome: Outcome, *, began_as: Job | None = None) -> Job | None:
        """Save and log the outcome. The job as saved; None if another loop continues with it: its row was changed meanwhile,
        by a file dragged back for example, or has a request.

        `began_as`: the job before this step, where the row holds a part of what the step did.
        """
        now = self.context.clock.now()
        after = transitions.apply_outcome(began_as or before, outcome, now, self.jitter())
        saved = await self.save(before, after, discarded=isinstance(outcome, Discarded))
        if saved is None:
            return None
        self.claims.note_saved(saved)
        is_news = not self.backoff.keeps_failing(saved)
        log_outcome(self.context.log, self.hold_log, before, saved, outcome, is_news=is_news)
        if before.stage is Stage.DOWNLOAD and saved.stage is not Stage.DOWNLOAD:
            await self._finish_delivery(saved)
        if isinstance(outcome, Discarded):
            self.request_rescan(before.inbox)
        if saved.state in (State.FAILED, State.CANCELLED) or isinstance(outcome, Held):
            self.context.budget.release_reservation(saved.id)
        return saved if not self.has_request(saved) else None

    def has_request(self, saved: Job) -> bool:
        """Whether a client left a request in the row; then the loops that can do something for the job are woken."""
        if saved.request is None:
            return False
        self.wakeups.wake_for(saved)
        return True

    async def _finish_delivery(self, job: Job) -> None:
        """Everything is delivered and saved: what cannot be removed now is removed at the next start."""
        try:
            await self.finish_delivery(job, self.context)
        except Exception as error:
            if not is_about_one_job(error):
                raise
            self.context.log.error("staging.not_cleared", job=job.id, path=job.path, exc_info=error)

    async def save(
        self, before: Job, after: Job, *, discarded: bool = False, handled: Request | None = None
    ) -> Job | None:
        """Write the row. The job as saved, or None if another change came first; then nothing is written.

        Waits while the disk is full. The request `handled` by it is removed in the same commit: otherwise it would be handled, and
        paid, twice.
        """
        try:
            saved = await self.context.store.run(_write, before, after, discarded, handled)
        except StaleError:
            self.context.log.info("job.conflict", job=before.id, path=before.path)
            return None
        if saved.minutes > before.minutes:
            self.context.budget.charged(saved.id, saved.minutes - before.minutes)
        self.context.changed.set()
        self.failed_count += saved.state is State.FAILED and before.state is not State.FAILED
        self.done_count += saved.state is State.DONE and before.state is not State.DONE
        return saved


def _write(store: Store, before: Job, after: Job, discarded: bool, handled: Request | None) -> Job:
    try:
        saved = store.save(before, after)
    except StaleError:
        saved = store.save(_with_only_hold_changed(store, before), after)
    if discarded:
        store.drop_file(before)
    if handled is not None:
        store.clear_request(before.id, handled)
    return saved


def _with_only_hold_changed(store: Store, before: Job) -> Job:
    """The row as it is now, if only its hold has changed since it was read: the outcome may be worth money.

    Raises StaleError if its tasks, stage or file have changed.
    """
    now = store.job(before.id)
    if now is None or (now.tasks, now.stage, now.path) != (before.tasks, before.stage, before.path):
        raise StaleError(f"job {before.id} was changed by another process")
    return now
