"""A job: what is known of one dropped file while it is processed. Pure.

A job's stage is its next step, so recovery after a crash is to run that stage again.

    upload ──► split ──► check ──► download ──► delete ──► archive ──► done
      ▲          │         each task has its own stage; the job's stage is the earliest of them
      └──────────┘         back to upload only while no charge is possible

A failed, held or cancelled job keeps its stage, and continues there when it is retried or released.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import urlsplit

from lalald.errors import LalaldError
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.states import Hold, HoldSource, Request, Stage, State
from lalald.jobs.task import Task
from lalald.media.tags.title_template import DEFAULT_TITLE


@dataclass(frozen=True, slots=True)
class JobSettings:
    """The settings of the matched rule and inbox, kept with the job: a reload changes no running job."""

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
    @cache  # one for each rule, and read with each job
    def from_json(cls, text: str) -> JobSettings:
        facts = json.loads(text)
        facts["tracks"] = None if facts["tracks"] is None else tuple(facts["tracks"])
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """What a user was shown of a job when they left a request; the request is valid for this and nothing else."""

    hold: Hold | None
    source: HoldSource | None
    task_fingerprint: str
    minutes: float | None  # the price; None: unknown
    charged: float | None = None  # minutes that had been charged for the job; None: unknown
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
    """One dropped file, processed by one rule."""

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
    held_path: str | None = None  # of a `disk`, `mount` or `permission` hold: the file or folder that it is about
    held_at: float | None = None  # since when it is held; of a waiting job, since when its stage keeps failing
    per_file_waived: bool = False  # a person let it past minutes.per_file, for `approved_minutes`
    per_day_waived: bool = False  # the same for minutes.per_day
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
    setbacks: int = 0  # how often it went back a stage or repeated one; each makes the next pause longer
    unusable_answers: int = 0  # in a row, at this stage: answers that are bounded, since the service may always say so
    download_host: str = ""  # at the download stage: the host whose circuit breaker applies
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
    uploads_unknown: int = 0  # since the last retry: the service did not know the source at the split
    expires_at: float | None = None
    sha256: str | None = None
    task_fingerprint: str = ""
    duplicate_of: int | None = None  # the earlier job with the same bytes that this one waits for or reuses
    ignore_duplicates: bool = False  # `lalald redo`: no earlier results are looked up
    request: Request | None = None
    request_terms: RequestTerms | None = None  # what the person who left the request was shown
    minutes: float = 0.0  # charged so far, including tasks that were started again; kept by the store
    tasks: tuple[Task, ...] = field(default=())

    @property
    def paid(self) -> bool:
        return any(task.paid for task in self.tasks)

    @property
    def has_unknown_length(self) -> bool:
        """Whether the duration is unknown until the service reports it."""
        return self.least_duration is not None and self.duration is None

    @property
    def is_stalled(self) -> bool:
        """Held since a task makes no progress, while no task's id is lost: a release pays nothing again."""
        return self.hold is Hold.LOST_TASK and not any(task.lost for task in self.tasks)

    @property
    def minutes_before(self) -> float:
        """Minutes charged for earlier tries: for tasks that were started again, or whose id was lost."""
        return max(0.0, round(self.minutes - sum(task.minutes or 0.0 for task in self.tasks if task.task_id), 6))

    def with_task(self, task: Task) -> Job:
        return replace(self, tasks=tuple(task if old.number == task.number else old for old in self.tasks))


def host_of(url: str) -> str:
    """The host and port of a link; "" if there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def download_hosts(job: Job) -> list[str]:
    """The hosts of the tracks that are still to be fetched, in order, each once."""
    hosts = (
        host_of(track.url)
        for task in job.tasks
        if task.stage is Stage.DOWNLOAD and task.error is None
        for track in task.tracks
        if track.wanted and not track.delivered and track.copy_from is None
    )
    return list(dict.fromkeys(host for host in hosts if host))


def with_warning(job: Job, warning: str) -> Job:
    """The job with one more warning."""
    return replace(job, warning=f"{job.warning}; {warning}" if job.warning else warning)


def describe_error(error: Exception) -> str:
    """An error in one sentence: what happened, then what to do."""
    text, hint = str(error), error.hint if isinstance(error, LalaldError) else ""
    if not (text and hint):
        return text or hint
    return f"{text} {hint}" if text.endswith((".", "!", "?")) else f"{text}; {hint}"
