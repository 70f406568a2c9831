"""The kinds of events, and which of them begin or end a condition of their subject. Loaded by all that reads a configuration."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """The names of events, as they stand under `on` in the configuration and in what is sent."""

    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    JOB_HELD = "job.held"
    HOLD_CLEARED = "hold.cleared"
    INBOX_UNAVAILABLE = "inbox.unavailable"
    INBOX_BACK = "inbox.back"
    FOLDER_UNAVAILABLE = "folder.unavailable"
    FOLDER_BACK = "folder.back"
    SERVICE_DOWN = "service.down"
    SERVICE_BACK = "service.back"
    LICENSE_MISSING = "license.missing"
    LICENSE_REFUSED = "license.refused"
    MINUTES_LOW = "minutes.low"
    RESULTS_EXPIRING = "results.expiring"
    DAEMON_STARTED = "daemon.started"


# A done job ends its failure, or the danger that its results expire.
BEGINS = frozenset(
    {
        EventKind.JOB_FAILED, EventKind.JOB_HELD, EventKind.INBOX_UNAVAILABLE, EventKind.FOLDER_UNAVAILABLE, EventKind.SERVICE_DOWN,
        EventKind.LICENSE_MISSING, EventKind.LICENSE_REFUSED, EventKind.MINUTES_LOW, EventKind.RESULTS_EXPIRING,
    }
)  # fmt: skip
ENDS = frozenset(
    {
        EventKind.JOB_DONE, EventKind.HOLD_CLEARED, EventKind.INBOX_BACK, EventKind.FOLDER_BACK, EventKind.SERVICE_BACK,
    }
)  # fmt: skip
# Not among the problems: what runs as it should, and a warning before there is a problem.
NEVER_A_PROBLEM = frozenset({EventKind.JOB_DONE, EventKind.MINUTES_LOW, EventKind.DAEMON_STARTED})
