"""Task and Track: one split or voice change of a source, and its result files. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lalald.jobs.states import Hold, HoldSource, Stage, TaskFailure
from lalald.jobs.tag_notes import TagNote

_WITHOUT_RESULTS = frozenset({TaskFailure.FAILED, TaskFailure.CANCELLED})


CANCELLED = "it was cancelled"  # a task's error, because a person said so


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
        """The API's document or an answer names the track, and the service has given no link to it."""
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
    link_renewals: int = 0  # how often a dead link was renewed by `/check/`
    error: str | None = None
    failure: TaskFailure | None = None  # the kind of `error`
    cancelled: bool = False  # it ended because a person cancelled its job
    error_code: str | None = None  # of a refusal, or of a failure on the service: its code, else `http_` and the status
    incomplete_since: float | None = None  # when it first was known to have succeeded without all of its tracks
    hold: Hold | None = None  # the job's other tasks are processed meanwhile
    hold_reason: str | None = None
    hold_source: HoldSource | None = None
    held_path: str | None = None
    paid_by: int | None = (
        None  # the earlier job that paid for the same bytes: its results are copied, or fetched once more
    )
    resubmitted: int = 0  # how often it was started, and paid, once more since its id never arrived
    tracks: tuple[Track, ...] = ()

    @property
    def paid(self) -> bool:
        """This job was charged for the task, or a charge may have begun."""
        return self.paid_by is None and (self.task_id is not None or self.requested_at is not None)

    @property
    def restarts_on_retry(self) -> bool:
        """Whether a retry starts it again: if it never started, or ended without results. Others are checked for results."""
        unanswered = self.requested_at is not None and self.task_id is None
        has_none = self.task_id is None or self.failure in _WITHOUT_RESULTS
        return self.error is not None and has_none and not unanswered

    @property
    def has_results(self) -> bool:
        """It ended in an error, and has or had results on the service."""
        return self.error is not None and self.task_id is not None and not self.restarts_on_retry

    @property
    def missing(self) -> tuple[Track, ...]:
        """Wanted tracks that the service has not given yet."""
        return tuple(track for track in self.tracks if track.wanted and track.is_missing)

    @property
    def is_late(self) -> bool:
        """Everything that the service gave is delivered; the missing tracks are requested now and then."""
        has_undelivered = any(track.wanted and not track.delivered and not track.is_missing for track in self.tracks)
        is_incomplete = self.stage is Stage.CHECK and self.error is None and self.incomplete_since is not None
        return is_incomplete and not has_undelivered

    @property
    def lost(self) -> bool:
        """A start was requested, and the task's id is not known."""
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
        """The same task as if it had never been started."""
        return Task(number=self.number, name=self.name, mode=self.mode, presets=self.presets)


def task_key(mode: str, presets: Mapping[str, Any]) -> str:
    """Mode and presets as text: equal keys with equal bytes give equal results."""
    return f"{mode} {json.dumps(dict(presets), sort_keys=True)}"


def task_fingerprint(tasks: tuple[Task, ...]) -> str:
    """A digest of the modes and presets of these tasks: equal fingerprints with equal bytes give equal results."""
    asked = sorted((task.mode, json.dumps(dict(task.presets), sort_keys=True)) for task in tasks)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
