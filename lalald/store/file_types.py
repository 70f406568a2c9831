"""Files of the inboxes: new ones, known ones, and files of failed jobs that may be dragged back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from lalald.jobs.job import JobSettings
from lalald.jobs.states import Hold
from lalald.jobs.task import Task


class SkipReason(StrEnum):
    """Why a file has no job."""

    EXISTING = "existing"  # existing: skip
    CHANGED = "changed"  # changed: skip
    NO_RULE = "no_rule"  # no rule matches it
    EMPTY = "empty"  # until it has content


class KnownFile(NamedTuple):
    """A known file: its identity, and its job or why it has none."""

    size: int
    mtime_ns: int
    job_id: int | None
    note: str | None  # the reason as text; decisions use `skip_reason`
    skip_reason: SkipReason | None = None
    found_at_first_scan: bool = False


class FailedFile(NamedTuple):
    """A failed or cancelled job whose file may be dragged back."""

    job_id: int
    inode: int
    mtime_ns: int
    sha256: str | None
    moved_to: str | None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A finished file and what intake decided about it. `rule` is None if it is skipped; `note` says why."""

    inbox: str
    path: str
    size: int
    mtime_ns: int
    inode: int
    rule: str | None
    settings: JobSettings | None
    tasks: tuple[Task, ...] = ()
    hold: Hold | None = None
    hold_reason: str | None = None
    note: str | None = None
    skip_reason: SkipReason | None = None
    found_at_first_scan: bool = False
    duration: float | None = None
