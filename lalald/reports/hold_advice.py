"""What ends a hold, and what `lalald release` does: the same advice in `status`, `show`, `release` and notifications."""

from __future__ import annotations

from lalald.jobs.job import Job
from lalald.jobs.spending.consent import asks_about_upload
from lalald.jobs.states import Hold, HoldSource
from lalald.store.report_types import HoldReport

# Why a job is held, after `held:`.
WHY: dict[str, str] = {
    Hold.LICENSE: "the license key is not accepted",
    Hold.MINUTES: "the minutes do not suffice, or a limit is reached",
    Hold.LOST_TASK: "a task may have been paid and its id never arrived, or it makes no progress",
    Hold.DISK: "there is no room",
    Hold.MOUNT: "a folder is unavailable",
    Hold.PERMISSION: "a permission is missing",
    Hold.LINK: "a download link cannot be used",
    Hold.FIRST_SCAN: "these files were there before the first scan",
    Hold.DUPLICATE: "the same files were processed before",
}
# The same by the limit that holds it.
_WHY_MINUTES: dict[str, str] = {
    HoldSource.PER_FILE: "above minutes.per_file",
    HoldSource.PER_DAY: "minutes.per_day is reached",
    HoldSource.LEFT: "too few minutes left",
    HoldSource.SERVICE: "LALAL.AI says that too few minutes are left",
    HoldSource.PRICE: "above the price that was agreed to",
    HoldSource.UNKNOWN: "the length is unknown, and so is the price",
}
# What is over once no job is held, after `for`.
HELD_FOR: dict[str, str] = {
    Hold.MINUTES: "minutes or their limits",
    Hold.LOST_TASK: "a task that was lost or made no progress",
    Hold.DISK: "lack of room",
    Hold.MOUNT: "a folder that was unavailable",
    Hold.PERMISSION: "a missing permission",
    Hold.LINK: "a download link",
    Hold.FIRST_SCAN: "having been there before the first scan",
    Hold.DUPLICATE: "having been processed before",
}
# For all jobs with the same hold.
TO_DO: dict[str, str] = {
    Hold.LICENSE: "Put a valid license key where the configuration says; these jobs resume automatically.",
    Hold.MINUTES: (
        "Top up, or raise the limits and reload: they resume."
        " `lalald release ID` lets one past its limit, never past the minutes left."
    ),
    Hold.LOST_TASK: "`lalald release ID` pays again, `lalald cancel ID` ends the job, `lalald show ID` explains.",
    Hold.DISK: "Free some space, or remove what is in the way; these jobs resume automatically.",
    Hold.MOUNT: "Bring the folder back; these jobs resume automatically.",
    Hold.PERMISSION: "Give lalald's user the permission that the reason names; these jobs resume automatically.",
    Hold.LINK: "Already paid, and retried every hour. `lalald release ID` retries now.",
    Hold.FIRST_SCAN: "`lalald plan` shows the prices, `lalald release --all --hold first_scan` processes them all.",
    Hold.DUPLICATE: "`lalald release ID` processes it again and pays, `lalald cancel ID` skips it.",
}
_TO_DO_MINUTES: dict[str, str] = {
    HoldSource.PER_FILE: "`lalald release ID` lets one past the limit; or raise minutes.per_file and reload.",
    HoldSource.PER_DAY: (
        "They resume when the day's minutes allow it. `lalald release ID` lets one past the limit; or raise minutes.per_day and reload."
    ),
    HoldSource.LEFT: "Top up; these jobs resume automatically.",
    HoldSource.SERVICE: "Top up; these jobs resume automatically.",
    HoldSource.PRICE: "`lalald release ID` agrees to the price that the reason names, `lalald cancel ID` ends the job.",
    HoldSource.UNKNOWN: "`lalald release ID` uploads one now, and LALAL.AI's figure decides.",
}
_OF_A_STALLED_TASK = "Already paid; they resume when their task makes progress. `lalald cancel ID` ends one."

_RESUMES_WHEN: dict[Hold, str] = {
    Hold.LICENSE: "the service accepts the license key",
    Hold.MINUTES: "its minutes fit your limits",
    Hold.DISK: "there is room, and nothing is in the way",
    Hold.MOUNT: "the folder is back",
    Hold.PERMISSION: "it has the permission",
    Hold.LINK: "its link works: it is retried every hour",
}

_RELEASED: dict[Hold, str] = {
    Hold.LICENSE: "is retried now",
    Hold.DISK: "is retried now",
    Hold.MOUNT: "is retried now",
    Hold.PERMISSION: "is retried now",
    Hold.LINK: "is retried now",
    Hold.FIRST_SCAN: "is processed",
    Hold.DUPLICATE: "is processed again",
}


_LIMIT_WAIVED: dict[HoldSource, str] = {
    HoldSource.PER_FILE: "waives minutes.per_file for this price",
    HoldSource.PER_DAY: "waives minutes.per_day for this price",
    HoldSource.LEFT: "is retried now",
    HoldSource.SERVICE: "is retried now",
    HoldSource.PRICE: "resumes at this price",
    HoldSource.UNKNOWN: "is uploaded now",
}


def released(job: Job) -> str:
    """What a release does to a held job, as a clause: `job 4 long.mp3: …`."""
    if asks_about_upload(job, job.hold, job.hold_source):
        return "is uploaded now, and the service's figure decides"
    if job.hold is Hold.MINUTES:
        return _LIMIT_WAIVED[job.hold_source or HoldSource.LEFT]
    if job.is_stalled:
        return "gets more time"
    return _RELEASED.get(job.hold, "is started again") if job.hold else "is released"


def to_do(job: Job) -> str:
    """What ends the hold of one job."""
    when = _RESUMES_WHEN.get(job.hold) if job.hold else None
    if job.is_stalled:
        when = "its task makes progress"
    resumes = f"it resumes automatically when {when}; " if when else ""
    pays = " and pays" if job.hold in (Hold.LOST_TASK, Hold.DUPLICATE) and not job.is_stalled else ""
    return f"{resumes}`lalald release {job.id}`: it {released(job)}{pays}; `lalald cancel {job.id}` ends it"


def why_held(hold: str, source: str | None, *, stalled: bool) -> str:
    """Why, after `held:`, as exactly as the codes say it."""
    if stalled:
        return "its task makes no progress"
    return _WHY_MINUTES.get(source or "") or WHY.get(hold, hold)


def to_do_about(hold: str, source: str | None, *, stalled: bool) -> str:
    """What to do about all jobs that are held by one cause."""
    if stalled:
        return _OF_A_STALLED_TASK
    return _TO_DO_MINUTES.get(source or "") or TO_DO.get(hold, "`lalald show ID` explains.")


def of_hold(hold: HoldReport) -> str:
    """What to do about all jobs with the same hold."""
    return _OF_A_STALLED_TASK if hold.is_stalled else TO_DO.get(hold.hold, "`lalald show ID` explains.")
