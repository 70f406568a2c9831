"""The outcomes that a stage returns: advance, retry later, held, failed, discarded. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lalald.errors import TransientError
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, HoldSource


@dataclass(frozen=True, slots=True)
class Advance:
    """The stage did its work; `job` holds the result, from which the next stage follows.

    `same_as`: the dropped path of the earlier file whose results the job gets, for the log.
    """

    job: Job
    same_as: str | None = None


@dataclass(frozen=True, slots=True)
class RetryLater:
    """A transient error: the stage is run again at `due_at` or after a backoff. `job`: what was learned so far."""

    reason: str
    job: Job | None = None
    due_at: float | None = None
    error: TransientError | None = None
    is_counted: bool = True  # as one of the job's tries


@dataclass(frozen=True, slots=True)
class Held:
    """The job waits at its stage for something outside itself.

    If only some `tasks` (by number) wait, the others continue first: paid results are delivered before they expire.
    """

    hold: Hold
    reason: str
    job: Job | None = None
    tasks: tuple[int, ...] = ()
    source: HoldSource | None = None  # of a `minutes` hold
    path: str | None = None  # of a `disk`, `mount` or `permission` hold: the file or folder that it is about


@dataclass(frozen=True, slots=True)
class Failed:
    """The job cannot continue. `is_internal`: because of an unexpected exception."""

    error: str
    job: Job | None = None
    is_internal: bool = False
    kind: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class Discarded:
    """The file disappeared or changed before anything was spent: the job ends, and the file is inspected again."""

    reason: str
    job: Job | None = None


Outcome = Advance | RetryLater | Held | Failed | Discarded
