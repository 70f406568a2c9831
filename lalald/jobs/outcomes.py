"""What a stage returns: the job goes on, waits, is held, fails, or is discarded. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lalald.errors import TransientError
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource


@dataclass(frozen=True, slots=True)
class Advance:
    """The stage did its work; `job` holds the new facts, and what is owed next follows from them."""

    job: Job


@dataclass(frozen=True, slots=True)
class RetryLater:
    """A passing fault: the same stage again, at `due_at` or after a backoff. `job` holds facts learnt so far, if any."""

    reason: str
    job: Job | None = None
    due_at: float | None = None
    error: TransientError | None = None
    is_counted: bool = True  # as one of the job's tries


@dataclass(frozen=True, slots=True)
class Held:
    """The job waits at its stage for something outside itself.

    Where only some `tasks` (by number) wait for it the others go on first: what is paid is delivered before it expires.
    """

    hold: Hold
    reason: str
    job: Job | None = None
    tasks: tuple[int, ...] = ()
    source: HoldSource | None = None  # of a `minutes` hold


@dataclass(frozen=True, slots=True)
class Failed:
    """This job cannot go on. `is_internal`: by an exception that nobody foresaw."""

    error: str
    job: Job | None = None
    is_internal: bool = False
    kind: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class Discarded:
    """The file went away or changed before anything was spent: this job ends, and what lies there now is looked at anew."""

    reason: str
    job: Job | None = None


Outcome = Advance | RetryLater | Held | Failed | Discarded
