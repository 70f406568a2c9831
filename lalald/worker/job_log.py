"""Log the outcomes of jobs."""

from __future__ import annotations

from typing import Any

from lalald.jobs.job import Job
from lalald.jobs.job_results import results_folder
from lalald.jobs.job_warnings import warning_of
from lalald.jobs.outcomes import Advance, Discarded, Held, Outcome, RetryLater
from lalald.jobs.states import Stage, State
from lalald.worker.holds.hold_log import GATHERED, HoldLog

_PAST = {
    Stage.UPLOAD: "job.uploaded",
    Stage.SPLIT: "job.started",
    Stage.CHECK: "job.checked",
    Stage.DOWNLOAD: "job.delivered",
    Stage.DELETE: "job.deleted_remotely",
    Stage.ARCHIVE: "job.done",
}


def log_outcome(log: Any, holds: HoldLog, before: Job, after: Job, outcome: Outcome, *, is_news: bool) -> None:
    """`is_news`: false for a hold that repeats after a probe; it is not logged again."""
    facts = {"job": after.id, "path": after.path}
    _log_missing_tracks(log, before, after)
    match outcome:
        case _ if after.state is State.HELD and after.hold in GATHERED:
            if before.hold_reason != after.hold_reason and is_news:
                holds.add(after, after.hold, after.hold_source, after.hold_reason)
        case _ if after.state is State.HELD:
            if before.hold_reason != after.hold_reason and is_news:
                log.warning("job.held", **facts, hold=str(after.hold), reason=after.hold_reason)
        case Held() if outcome.hold in GATHERED:
            holds.add(after, outcome.hold, outcome.source, outcome.reason)
        case Held():
            log.warning("task.held", **facts, hold=str(outcome.hold), reason=outcome.reason)
        case RetryLater():
            level = log.debug if before.attempts else log.info  # what differs from try to try may be a request's id
            level("job.postponed", **facts, stage=str(after.stage), reason=outcome.reason)
        case Discarded():
            log.info("job.discarded", **facts, reason=outcome.reason)
        case _ if after.state is State.FAILED:
            log.error("job.failed", **facts, stage=str(after.stage), **_charged(after), reason=after.error)
        case _ if after.state is State.CANCELLED:
            log.info("job.cancelled", **facts, stage=str(after.stage), **_charged(after), reason=after.error)
        case _ if after.stage is not before.stage:
            event = _event_of(before, after)
            same = {"same_as": outcome.same_as} if isinstance(outcome, Advance) and outcome.same_as else {}
            log.info(event, **facts, **same, **_details_of(event, after), next=str(after.stage))


def _details_of(event: str, job: Job) -> dict[str, Any]:
    """The cost of a start; whose results are reused; of a delivery the folder, the cost and warnings."""
    match event:
        case "job.started":
            return _charged(job)
        case "job.reused":
            return {"earlier_job": job.duplicate_of}
        case "job.delivered":
            warning = {"warning": known} if (known := warning_of(job)) else {}
            return {"folder": results_folder(job), "minutes": job.minutes, **warning}
        case "job.done":
            return {"minutes": job.minutes, **({"moved_to": job.moved_to} if job.moved_to else {})}
        case _:
            return {}


def _charged(job: Job) -> dict[str, float]:
    return {"minutes": job.minutes} if job.minutes else {}


def _log_missing_tracks(log: Any, before: Job, after: Job) -> None:
    """Once for each task."""
    known = {task.number for task in before.tasks if task.incomplete_since is not None}
    for task in after.tasks:
        if task.missing and task.incomplete_since is not None and task.number not in known:
            missing = [track.label for track in task.missing]
            log.warning("task.incomplete", job=after.id, path=after.path, task=task.title, missing=missing)


def _event_of(before: Job, after: Job) -> str:
    if before.stage is Stage.UPLOAD and after.source_id is None:
        return "job.reused" if after.stage in (Stage.CHECK, Stage.DOWNLOAD) else "job.skipped"
    if before.stage is Stage.SPLIT and not after.paid:
        return "source.expired" if after.stage is Stage.UPLOAD else "job.skipped"
    if before.stage is Stage.DOWNLOAD and after.stage is Stage.CHECK and _delivered(after) == _delivered(before):
        return "job.links_requested"
    return _PAST[before.stage]


def _delivered(job: Job) -> int:
    return sum(track.delivered for task in job.tasks for track in task.tracks)
