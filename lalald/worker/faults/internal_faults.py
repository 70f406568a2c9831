"""Unexpected exceptions: each sets one job aside, and stops a stage only if every job fails there.

a job        retried with growing pauses, then failed; a paid one until its results expire
resources    memory, descriptors or threads ran out: every step pauses, and no attempt is counted
a step       five different jobs in a row with the same exception: one job probes it every 5 minutes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lalald.clock import Clock
from lalald.jobs.backoff import backoff_seconds
from lalald.jobs.failures.unexpected_errors import (
    describe_exception,
    describe_exhaustion,
    is_exhaustion,
    signature,
)
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Failed, RetryLater
from lalald.store.due import Demand

MOST_TRIES = 6  # of a job that nothing was paid for
SAME_IN_A_ROW = 5
PROBE_SECONDS = 300.0
RESULTS_KEPT_SECONDS = 24 * 3600.0  # the service keeps a task and its tracks for a day
_LONGEST_PAUSE_WITHOUT_RESOURCES_SECONDS = 60.0


@dataclass(slots=True)
class _JobErrors:
    """Of a job at a step."""

    tries: int = 0
    signature: str = ""
    until: float = 0.0  # by the monotonic clock


@dataclass(slots=True)
class StoppedStep:
    """A step at which every job fails in the same way."""

    error: str
    since: float
    next_probe_at: float  # by the monotonic clock
    probed: set[int] = field(default_factory=set)


class InternalFaults:
    """In memory: after a restart everything is retried. `changed` is called when a step stops or works again."""

    def __init__(self, clock: Clock, log: Any, jitter: Callable[[], float], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._log = log
        self._jitter = jitter
        self._changed = changed
        self._errors: dict[tuple[str, int], _JobErrors] = {}
        self._streaks: dict[str, tuple[str, set[int]]] = {}
        self.stops: dict[str, StoppedStep] = {}
        self._exhausted_times = 0
        self._exhausted_until = 0.0

    # results

    def failed(self, step: str, job: Job, error: Exception, *, may_fail: bool = True) -> RetryLater | Failed:
        """The outcome for the job. With `may_fail=False` it is retried without limit."""
        if is_exhaustion(error):
            return self._pause_all(step, job, error)
        errors = self._errors.setdefault((step, job.id), _JobErrors())
        errors.tries += 1
        self._log_error(step, job, error, errors)
        self._note_streak(step, job, error)
        pause = (backoff_seconds(2 * errors.tries, 1.0) + backoff_seconds(2 * errors.tries, self._jitter())) / 2
        errors.until = self._clock.monotonic() + pause
        words = f"internal: {describe_exception(error)}."
        if step in self.stops or not may_fail or errors.tries < MOST_TRIES or self._has_results_on_service(job):
            return RetryLater(f"{words} It will be retried.", due_at=self._clock.now() + pause)
        self.forget(job.id)
        return Failed(f"{words} {_money(job)} The log has the traceback.", is_internal=True)

    def _pause_all(self, step: str, job: Job, error: Exception) -> RetryLater:
        """Every step pauses: other jobs would fail, too."""
        now = self._clock.monotonic()
        pause = self._exhausted_until - now
        if pause <= 0:
            pause = min(_LONGEST_PAUSE_WITHOUT_RESOURCES_SECONDS, backoff_seconds(self._exhausted_times, 1.0))
            self._exhausted_times += 1
            self._exhausted_until = now + pause
            say = self._log.warning if self._exhausted_times == 1 else self._log.debug
            say(
                "resources.ran_out",
                step=step,
                job=job.id,
                path=job.path,
                reason=describe_exhaustion(error),
                seconds=pause,
            )
        words = f"{describe_exhaustion(error)}. It will be retried."
        return RetryLater(words, due_at=self._clock.now() + pause, is_counted=False)

    def _log_error(self, step: str, job: Job, error: Exception, errors: _JobErrors) -> None:
        """Log the traceback once for each fault of a job, and at its last attempt."""
        same = errors.signature == signature(error)
        errors.signature = signature(error)
        is_last = errors.tries >= MOST_TRIES and not self._has_results_on_service(job)
        say = self._log.debug if same and not is_last else self._log.error
        say("job.internal_error", job=job.id, path=job.path, step=step, tries=errors.tries, exc_info=error)

    def _has_results_on_service(self, job: Job) -> bool:
        """Whether the service still keeps paid results of the job."""
        paid_at = [task.started_at or task.requested_at for task in job.tasks if task.paid]
        known = [at for at in paid_at if at is not None]
        return bool(known) and self._clock.now() < max(known) + RESULTS_KEPT_SECONDS

    def _note_streak(self, step: str, job: Job, error: Exception) -> None:
        same, jobs = self._streaks.get(step, ("", set()))
        if same != signature(error):
            same, jobs = signature(error), set()
        jobs.add(job.id)
        self._streaks[step] = (same, jobs)
        if len(jobs) < SAME_IN_A_ROW or step in self.stops:
            return
        now = self._clock.monotonic()
        self.stops[step] = StoppedStep(describe_exception(error), self._clock.now(), now + PROBE_SECONDS)
        hint = f"One job tries it every {PROBE_SECONDS / 60:.0f} minutes; no job fails because of it. Report it with the traceback above."
        self._log.error("step.stopped", step=step, jobs=len(jobs), reason=describe_exception(error), hint=hint)
        self._changed()

    def note_success(self, step: str, job_id: int) -> None:
        """The step ended without an exception for this job."""
        self._exhausted_times = 0
        self._errors.pop((step, job_id), None)
        self._streaks.pop(step, None)
        if self.stops.pop(step, None) is not None:
            self._errors = {place: errors for place, errors in self._errors.items() if place[0] != step}
            self._log.info("step.works_again", step=step)
            self._changed()

    def forget(self, job_id: int) -> None:
        """A user retries the job, or it has ended."""
        self._errors = {place: errors for place, errors in self._errors.items() if place[1] != job_id}

    # limits

    def allowed_demand(self, step: str, demand: Demand) -> Demand:
        """The demand that is allowed: none while resources are short, one job if the step is stopped."""
        now = self._clock.monotonic()
        stop = self.stops.get(step)
        if now >= self._exhausted_until and stop is None:
            return demand
        jobs = min(demand.jobs, 1) if stop is not None and now >= max(stop.next_probe_at, self._exhausted_until) else 0
        return Demand(jobs, jobs, demand.apart)

    def skipped_jobs(self, step: str) -> set[int]:
        """Jobs that are skipped now: those that pause, and earlier probes of a stopped step."""
        now = self._clock.monotonic()
        paused = {job_id for (at, job_id), errors in self._errors.items() if at == step and now < errors.until}
        stop = self.stops.get(step)
        return paused | stop.probed if stop is not None else paused

    def admitted_jobs(self, step: str, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that run the step now: all of them, but one at most if the step is stopped."""
        if (stop := self.stops.get(step)) is None:
            return list(jobs)
        now = self._clock.monotonic()
        if not jobs or now < stop.next_probe_at:
            return []
        probe = next((job for job in jobs if job.id not in stop.probed), jobs[0])
        stop.next_probe_at = now + PROBE_SECONDS
        stop.probed.add(probe.id)
        return [probe]

    def restart_probes(self, step: str) -> bool:
        """If every job of a stopped step has been its probe, start over with the first. Returns whether it does."""
        stop = self.stops.get(step)
        if stop is None or not stop.probed or self._clock.monotonic() < stop.next_probe_at:
            return False
        stop.probed.clear()
        return True

    def is_paused(self, step: str, job_id: int) -> bool:
        errors = self._errors.get((step, job_id))
        now = self._clock.monotonic()
        return now < self._exhausted_until or (errors is not None and now < errors.until)

    def next_in(self, step: str) -> float | None:
        """Seconds until the next pause at the step ends; None if there is none."""
        now = self._clock.monotonic()
        ends = [errors.until for (at, _), errors in self._errors.items() if at == step]
        ends += [self._exhausted_until, *([self.stops[step].next_probe_at] if step in self.stops else [])]
        left = [end - now for end in ends if end > now]
        return min(left) if left else None


def _money(job: Job) -> str:
    return f"{job.minutes:.1f} minutes were charged." if job.minutes else "Nothing was charged."
