"""Job, Task, Track: the facts of one dropped file, and which moves between its stages are legal. No input or output here.

The stage is the work still owed, so recovery after any crash is "run the stage in the row again".

    upload ──► split ──► check ──► download ──► delete ──► archive ──► done
      ▲          │         a task owes split, check or download itself; its job owes the earliest of them
      └──────────┘         back to upload only while no charge can have begun

A job that fails, is held or is cancelled keeps its stage: what ends that state goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from lalald.errors import LalaldError, TransientError
from lalald.jobs.failure_kinds import FailureKind
from lalald.jobs.tag_notes import TagNote
from lalald.media.tags.policy import DEFAULT_TITLE


class Stage(StrEnum):
    """The work still owed."""

    UPLOAD = "upload"
    SPLIT = "split"
    CHECK = "check"
    DOWNLOAD = "download"
    DELETE = "delete"
    ARCHIVE = "archive"
    DONE = "done"


class State(StrEnum):
    """What a job is doing about it. A waiting job whose stage is under way shows as `running`."""

    WAITING = "waiting"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"


class Hold(StrEnum):
    """What a held job waits for."""

    LICENSE = "license"
    MINUTES = "minutes"
    LOST_TASK = "lost_task"
    DISK = "disk"
    MOUNT = "mount"
    PERMISSION = "permission"
    LINK = "link"
    FIRST_SCAN = "first_scan"
    DUPLICATE = "duplicate"


class HoldSource(StrEnum):
    """What a `minutes` hold is about: the question that a release of it answers."""

    PER_FILE = "per_file"  # the limit of a file
    PER_DAY = "per_day"  # the limit of a day
    LEFT = "left"  # minutes left, less reserve and promises: only a top-up helps
    SERVICE = "service"  # the service itself refused: only a top-up helps
    PRICE = "price"  # it costs more than the price that a person agreed to
    UNKNOWN = "unknown"  # its length is unknown, and another such job is held for minutes


class Request(StrEnum):
    """What the command line may leave in a job's row; the worker honours it at its next save."""

    CANCEL = "cancel"
    RETRY = "retry"
    RELEASE = "release"


class TaskFailure(StrEnum):
    """Why a task ended without all of its results."""

    REFUSED = "refused"  # it never started
    FAILED = "failed"  # the service could not do it: there are no results
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # it may have had results, which the service keeps for a day
    INCOMPLETE = "incomplete"  # it has results, but never gave all of them
    DEAD_LINKS = "dead_links"  # it has results, but no link that works


_WITHOUT_RESULTS = frozenset({TaskFailure.FAILED, TaskFailure.CANCELLED})

CANCELLED = "it was cancelled"  # a task's error, because a person said so


MOVES: Mapping[Stage, frozenset[Stage]] = {
    # check, download: the results of an earlier job are reused; delete, archive: all its results' names are taken (on_conflict: skip)
    Stage.UPLOAD: frozenset({Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.ARCHIVE}),
    Stage.SPLIT: frozenset({Stage.CHECK, Stage.DOWNLOAD, Stage.UPLOAD, Stage.DELETE, Stage.ARCHIVE}),
    Stage.CHECK: frozenset({Stage.DOWNLOAD, Stage.SPLIT, Stage.DELETE, Stage.ARCHIVE}),
    Stage.DOWNLOAD: frozenset({Stage.CHECK, Stage.SPLIT, Stage.UPLOAD, Stage.DELETE, Stage.ARCHIVE}),
    Stage.DELETE: frozenset({Stage.ARCHIVE}),
    Stage.ARCHIVE: frozenset({Stage.DONE}),
    Stage.DONE: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Track:
    """One result file of a task, as `/check/` named it, and where it went."""

    type: str
    label: str
    url: str
    name: str | None = None
    size: int | None = None  # as the service declared it, then as delivered
    wanted: bool = True
    path: str | None = None  # within the outbox; reserved before the file is put there
    sha256: str | None = None
    delivered: bool = False
    copy_from: str | None = None  # an earlier job's file with the same content, to be copied instead of fetched
    declared_size: int | None = None  # what `/check/` said instead of `size`, where what arrived has another
    sent_sha256: str | None = None  # of the track as the service sent it, before it got tags
    tag_notes: tuple[TagNote, ...] = ()

    @property
    def is_missing(self) -> bool:
        """The document or an answer promised it, and there is no link to it."""
        return not self.delivered and not self.url and self.copy_from is None


@dataclass(frozen=True, slots=True)
class Task:
    """One split or voice change of the job's source."""

    number: int
    name: str | None
    mode: str
    presets: Mapping[str, Any]
    stage: Stage = Stage.SPLIT
    idempotency_key: str | None = None
    requested_at: float | None = None  # a request with this key may have left: from here on a charge may have begun
    task_id: str | None = None
    started_at: float | None = None
    minutes: float | None = None
    progress: int | None = None
    progressed_at: float | None = None  # when the progress last changed
    due_at: float | None = None  # the next check
    link_renewals: int = 0  # how often a dead link made us ask `/check/` anew
    error: str | None = None
    failure: TaskFailure | None = None  # the kind of `error`
    cancelled: bool = False  # it ended because a person cancelled its job
    error_code: str | None = None  # of a refusal, or of a failure on the service: its code, else `http_` and the status
    incomplete_since: float | None = None  # when it first was known to have succeeded without all of its tracks
    hold: Hold | None = None  # the job's other tasks go on without it
    hold_reason: str | None = None
    hold_source: HoldSource | None = None
    paid_by: int | None = (
        None  # the earlier job that paid for the same bytes: its results are copied, or fetched once more
    )
    resubmitted: int = 0  # how often it was started, and paid, once more since its id never arrived
    tracks: tuple[Track, ...] = ()

    @property
    def paid(self) -> bool:
        """A charge for this job is certain, or may have begun."""
        return self.paid_by is None and (self.task_id is not None or self.requested_at is not None)

    @property
    def restarts_on_retry(self) -> bool:
        """Whether a retry starts it again: only where it never started, or ended without results. Else `/check/` is asked for them."""
        unanswered = self.requested_at is not None and self.task_id is None
        has_none = self.task_id is None or self.failure in _WITHOUT_RESULTS
        return self.error is not None and has_none and not unanswered

    @property
    def has_results(self) -> bool:
        """It ended in an error, and has or had results on the service."""
        return self.error is not None and self.task_id is not None and not self.restarts_on_retry

    @property
    def missing(self) -> tuple[Track, ...]:
        """The wanted tracks that the service has not given yet."""
        return tuple(track for track in self.tracks if track.wanted and track.is_missing)

    @property
    def is_late(self) -> bool:
        """Everything that the service gave is delivered; it is asked for the rest now and then, and the job's other tasks go on."""
        owes = any(track.wanted and not track.delivered and not track.is_missing for track in self.tracks)
        return self.stage is Stage.CHECK and self.error is None and self.incomplete_since is not None and not owes

    @property
    def lost(self) -> bool:
        """It was asked for, and its id has not arrived."""
        return self.stage is Stage.SPLIT and self.requested_at is not None

    @property
    def title(self) -> str:
        return self.name or str(self.number)

    def requested(self, key: str, now: float) -> Task:
        """The task as saved before a request to start it; the time of its first request stays."""
        return replace(self, idempotency_key=key, requested_at=self.requested_at or now)

    def not_requested(self) -> Task:
        """The task after an answer which proves that nothing was started with its key."""
        return replace(self, requested_at=None)

    def started(self, task_id: str, minutes: float, now: float) -> Task:
        """The task running on the service, its minutes charged."""
        running = replace(self, stage=Stage.CHECK, task_id=task_id, started_at=now, minutes=minutes)
        return replace(running, progress=0, progressed_at=now, due_at=now)

    def reset(self) -> Task:
        """The same task, not started yet."""
        return Task(number=self.number, name=self.name, mode=self.mode, presets=self.presets)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What the matched rule and inbox say of a job; kept with it, so that a reload changes no job under way."""

    outbox: str
    output: str
    on_conflict: str
    duplicates: str
    tracks: tuple[str, ...] | None
    labels: Mapping[str, str]
    delete: bool
    manifest: bool
    on_success: str
    done_dir: str
    on_failure: str
    failed_dir: str
    tags: bool = False  # for jobs of versions before tags
    tag_title: str = DEFAULT_TITLE

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, sort_keys=True, default=dict)

    @classmethod
    @cache  # as many as there are rules, and one of them with each job that is read
    def from_json(cls, text: str) -> JobSettings:
        facts = json.loads(text)
        facts["tracks"] = None if facts["tracks"] is None else tuple(facts["tracks"])
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """What a person was shown of a job when they left a request: the request is for this and nothing else."""

    hold: Hold | None
    source: HoldSource | None
    task_fingerprint: str
    minutes: float | None  # the price; None: unknown
    charged: float | None = None  # minutes that had been charged for the job; None: it was not told
    key: str | None = None  # of a button of the page, which acts once
    latest_id: int | None = None  # the newest job of the same file

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RequestTerms:
        facts = json.loads(text)
        hold, source = facts["hold"], facts["source"]
        named = {name: facts.get(name) for name in ("charged", "key", "latest_id")}
        return cls(
            hold and Hold(hold), source and HoldSource(source), facts["task_fingerprint"], facts["minutes"], **named
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One dropped file carried by one rule."""

    id: int
    revision: int
    inbox: str
    path: str  # within the inbox, as dropped; a name that is not UTF-8 holds surrogates (os.fsdecode)
    size: int
    mtime_ns: int
    inode: int
    rule: str
    settings: JobSettings
    created_at: float
    updated_at: float
    stage: Stage = Stage.UPLOAD
    state: State = State.WAITING
    hold: Hold | None = None
    hold_reason: str | None = None
    hold_source: HoldSource | None = None  # of a `minutes` hold
    held_at: float | None = None  # since when it is held; of a waiting job, since when its stage is tried in vain
    per_file_waived: bool = False  # a person let it past minutes.per_file, for `approved_minutes`
    per_day_waived: bool = False  # likewise past minutes.per_day
    duplicate_accepted: bool = False  # a person agreed that the same bytes are paid for again
    upload_waived: bool = False  # a person lets it be uploaded, so that the service's figure decides
    approved_minutes: float | None = (
        None  # what may be charged in all for the job by the prices that were shown; None: no price was
    )
    error: str | None = None  # why it failed; of a waiting job, what went wrong the last time
    failure_kind: FailureKind | None = None  # of a failed job; None where its tasks failed
    warning: str | None = None  # the results are there, but something about them should be known
    archive_error: str | None = None  # why a failed job's file could not be put where failures belong
    attempts: int = 0
    due_at: float = 0.0
    setbacks: int = 0  # how often it went back, or owed the same once more: each is followed by a longer pause
    unusable_answers: int = 0  # in a row, at this stage: answers that are bounded, since the service may always say so
    download_host: str = ""  # while it owes a download: whose circuit breaker it waits at
    moved_to: str | None = None  # where the file is now, if not in its place in the inbox
    archived: bool = False  # the source was put in its final place, or stays where it is for good
    source_id: str | None = None
    source_deleted_at: float | None = None  # when it was deleted on the service, its tracks with it
    uploaded_at: float | None = None  # the last time
    delivered_at: float | None = None  # when all of its results were in the outbox
    finished_at: float | None = None  # when it was done
    duration: float | None = None  # seconds: the service's figure after the upload, what the file states before
    least_duration: float | None = (
        None  # seconds it lasts at least, where the file does not state its length; None: it does
    )
    uploads_without_figure: int = 0  # since the last retry: the service gave the source no length that can be
    expires_at: float | None = None
    sha256: str | None = None
    task_fingerprint: str = ""
    duplicate_of: int | None = None  # the earlier job with the same bytes that this one waits for or reuses
    ignore_duplicates: bool = False  # `lalald redo`: no earlier results are looked up
    request: Request | None = None
    request_terms: RequestTerms | None = None  # what the person who left the request was shown
    minutes: float = (
        0.0  # charged so far; the store counts it with the charges, those of tasks that were started anew too
    )
    tasks: tuple[Task, ...] = field(default=())

    @property
    def paid(self) -> bool:
        return any(task.paid for task in self.tasks)

    @property
    def has_unknown_length(self) -> bool:
        """Whether only the service can tell how long it plays, and has not yet."""
        return self.least_duration is not None and self.duration is None

    @property
    def is_stalled(self) -> bool:
        """Held for a task that does not move, and for none whose id is lost: nothing is paid again by going on."""
        return self.hold is Hold.LOST_TASK and not any(task.lost for task in self.tasks)

    @property
    def minutes_before(self) -> float:
        """Minutes charged for earlier tries: for tasks that failed and were started anew, or whose id never arrived."""
        return max(0.0, round(self.minutes - sum(task.minutes or 0.0 for task in self.tasks if task.task_id), 6))

    def with_task(self, task: Task) -> Job:
        return replace(self, tasks=tuple(task if old.number == task.number else old for old in self.tasks))


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


def task_key(mode: str, presets: Mapping[str, Any]) -> str:
    """What is asked of the service for a task: equal keys on equal bytes give equal results."""
    return f"{mode} {json.dumps(dict(presets), sort_keys=True)}"


def task_fingerprint(tasks: tuple[Task, ...]) -> str:
    """What is asked of the service for these tasks, as a short digest: equal recipes on equal bytes give equal results."""
    asked = sorted((task.mode, json.dumps(dict(task.presets), sort_keys=True)) for task in tasks)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def host_of(url: str) -> str:
    """The host, with its port, that a link leads to; "" where there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def download_hosts(job: Job) -> list[str]:
    """Where the tracks are that the job still has to fetch, each host once, the first track's first."""
    hosts = (
        host_of(track.url)
        for task in job.tasks
        if task.stage is Stage.DOWNLOAD and task.error is None
        for track in task.tracks
        if track.wanted and not track.delivered and track.copy_from is None
    )
    return list(dict.fromkeys(host for host in hosts if host))


def with_warning(job: Job, warning: str) -> Job:
    """The job with one more thing that should be known about it."""
    return replace(job, warning=f"{job.warning}; {warning}" if job.warning else warning)


def describe_error(error: Exception) -> str:
    """An error as one sentence for the row: what happened, then what to do."""
    text, hint = str(error), error.hint if isinstance(error, LalaldError) else ""
    if not (text and hint):
        return text or hint
    return f"{text} {hint}" if text.endswith((".", "!", "?")) else f"{text}; {hint}"
