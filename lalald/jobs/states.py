"""States of jobs and tasks: stages and the legal moves between them, holds, requests, kinds of failure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Stage(StrEnum):
    """The next step of a job."""

    UPLOAD = "upload"
    SPLIT = "split"
    CHECK = "check"
    DOWNLOAD = "download"
    DELETE = "delete"
    ARCHIVE = "archive"
    DONE = "done"


class State(StrEnum):
    """Whether a job is processed, or why not. A waiting job whose stage is being run shows as `running`."""

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
    """Which limit caused a `minutes` hold: a release waives this limit and no other."""

    PER_FILE = "per_file"  # the limit of a file
    PER_DAY = "per_day"  # the limit of a day
    LEFT = "left"  # minutes left, less reserve and promises: only a top-up helps
    SERVICE = "service"  # the service itself refused: only a top-up helps
    PRICE = "price"  # it costs more than the price that a person agreed to
    UNKNOWN = "unknown"  # its length is unknown, and another such job is held for minutes


class Request(StrEnum):
    """A request that a client leaves in a job's row, for the worker's request loop."""

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


MOVES: Mapping[Stage, frozenset[Stage]] = {
    # check, download: the results of an earlier job are reused; delete, archive: all its results exist already (on_conflict: skip)
    Stage.UPLOAD: frozenset({Stage.SPLIT, Stage.CHECK, Stage.DOWNLOAD, Stage.ARCHIVE}),
    Stage.SPLIT: frozenset({Stage.CHECK, Stage.DOWNLOAD, Stage.UPLOAD, Stage.DELETE, Stage.ARCHIVE}),
    Stage.CHECK: frozenset({Stage.DOWNLOAD, Stage.SPLIT, Stage.DELETE, Stage.ARCHIVE}),
    Stage.DOWNLOAD: frozenset({Stage.CHECK, Stage.SPLIT, Stage.UPLOAD, Stage.DELETE, Stage.ARCHIVE}),
    Stage.DELETE: frozenset({Stage.ARCHIVE}),
    Stage.ARCHIVE: frozenset({Stage.DONE}),
    Stage.DONE: frozenset(),
}
