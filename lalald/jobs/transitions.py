"""The transitions of a job: after an outcome, a retry, a release. Pure.

The stages, and the legal moves between them, are in `states`.
"""

from __future__ import annotations

from dataclasses import replace

from lalald.jobs.backoff import LONGEST_BACKOFF_SECONDS, backoff_seconds
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job, describe_error, download_hosts
from lalald.jobs.outcomes import Advance, Discarded, Failed, Held, Outcome, RetryLater
from lalald.jobs.spending import consent
from lalald.jobs.states import Hold, HoldSource, Stage, State
from lalald.jobs.task import Task

_ORDER = {stage: place for place, stage in enumerate(Stage)}


def next_stage(job: Job) -> Stage:
    """The earliest stage of the job's active tasks; late and held tasks come last."""
    living = [task for task in job.tasks if task.error is None and task.stage is not Stage.DONE]
    at_work = [task.stage for task in living if task.hold is None and not task.is_late]
    stages = at_work or [task.stage for task in living if task.hold is not None] or [task.stage for task in living]
    if not stages:
        return _stage_after_tasks(job)
    earliest = min(stages, key=_ORDER.__getitem__)
    return Stage.UPLOAD if earliest is Stage.SPLIT and job.source_id is None else earliest


def _stage_after_tasks(job: Job) -> Stage:
    failed = [task.stage for task in job.tasks if task.error is not None]
    if failed:
        return min(failed, key=_ORDER.__getitem__)
    if job.stage is Stage.ARCHIVE:
        return Stage.DONE if job.archived else Stage.ARCHIVE
    return Stage.DELETE if job.source_id and job.settings.delete and not _has_doubtful_sizes(job) else Stage.ARCHIVE


def _has_doubtful_sizes(job: Job) -> bool:
    """The source of such a track is left on the service until it expires: it can be fetched once more."""
    return any(track.declared_size is not None and track.wanted for task in job.tasks for track in task.tracks)


def apply_outcome(job: Job, outcome: Outcome, now: float, jitter: float = 1.0) -> Job:
    """The job after its stage's outcome.

    No outcome repeats a stage without a growing pause: a retry waits longer with each attempt, a step back
    or a repeated stage with each setback.
    """
    return with_download_host(_timed(job, _after(job, outcome, now, jitter), now), outcome)


def _timed(before: Job, job: Job, now: float) -> Job:
    """The job with the moment of the step that it has just completed."""
    if job.source_id is not None and job.source_id != before.source_id:
        return replace(job, uploaded_at=now)
    if before.stage is Stage.DOWNLOAD and job.stage in (Stage.DELETE, Stage.ARCHIVE):
        return replace(job, delivered_at=now)
    if job.state is State.DONE and before.state is not State.DONE:
        return replace(job, finished_at=now)
    return job


def _after(job: Job, outcome: Outcome, now: float, jitter: float) -> Job:
    known = outcome.job or job
    match outcome:
        case Advance() if _only_says_of_running_tasks(job, known):
            return replace(known, updated_at=now)
        case Advance():
            return _with_pause(job, _continued(known, now), now, jitter)
        case RetryLater():
            return replace(
                known,
                attempts=known.attempts + outcome.is_counted,
                due_at=max(_later(known, outcome, now, jitter), outcome.due_at or 0.0),
                error=outcome.reason,
                held_at=known.held_at if known.attempts else now,
                state=State.WAITING,
                updated_at=now,
            )
        case Held() if outcome.tasks:
            return _with_pause(job, _continued(_with_held_tasks(known, outcome), now), now, jitter)
        case Held():
            return _held(known, outcome.hold, outcome.reason, now, outcome.source, outcome.path)
        case Failed():
            kind = FailureKind.INTERNAL if outcome.is_internal else outcome.kind
            failed = replace(_without_hold(known), state=State.FAILED, error=outcome.error, failure_kind=kind)
            return replace(failed, archived=False, updated_at=now)
        case Discarded():
            return replace(
                _without_hold(known), state=State.CANCELLED, error=outcome.reason, archived=True, updated_at=now
            )


def _only_says_of_running_tasks(before: Job, job: Job) -> bool:
    """Whether only running tasks changed while the job stays at an earlier stage of another task; that one's pause is kept."""
    if job.state is not State.WAITING or job.stage is Stage.CHECK or next_stage(job) is not job.stage:
        return False
    if job.tasks == before.tasks or replace(job, tasks=before.tasks) != before:
        return False
    return len(job.tasks) == len(before.tasks) and all(
        old == task or _is_news_while_it_runs(old, task) for old, task in zip(before.tasks, job.tasks, strict=True)
    )


def _is_news_while_it_runs(old: Task, task: Task) -> bool:
    return task.stage is Stage.CHECK and (task.stage, task.error, task.hold) == (
        old.stage,
        old.error,
        old.hold,
    )


def _with_pause(before: Job, job: Job, now: float, jitter: float) -> Job:
    """The job with a pause if it went back a stage, or repeats its stage without progress.

    Checks of running tasks have a rate limit of their own. On the way forward an earlier pause is kept.
    """
    if job.state is not State.WAITING:
        return job
    if not _is_setback(before, job):
        waits = job.setbacks > 0 and now < before.due_at <= now + LONGEST_BACKOFF_SECONDS
        return replace(job, due_at=before.due_at) if waits else job
    return replace(job, setbacks=job.setbacks + 1, due_at=now + backoff_seconds(job.setbacks, jitter))


def _is_setback(before: Job, job: Job) -> bool:
    if before.source_id is not None and job.source_id is None:
        return True
    was = {task.number: task for task in before.tasks}
    tasks = [(was[task.number], task) for task in job.tasks if task.number in was]
    if any(_ORDER[task.stage] < _ORDER[old.stage] for old, task in tasks):
        return True
    if job.stage is not before.stage or job.stage is Stage.CHECK:
        return False
    return not any(_is_further(old, task) for old, task in tasks)


def _is_further(old: Task, task: Task) -> bool:
    has_ended = task.error is not None and old.error is None
    is_parked = task.hold is not None and old.hold is None
    return task.stage is not old.stage or has_ended or is_parked or _tracks_done(task) > _tracks_done(old)


def _tracks_done(task: Task) -> tuple[int, int]:
    return sum(track.delivered for track in task.tracks), sum(track.path is not None for track in task.tracks)


def with_download_host(job: Job, outcome: Outcome | None = None) -> Job:
    """The job with its download host: the one that failed, or else that of its first track."""
    hosts = download_hosts(job) if job.stage is Stage.DOWNLOAD else []
    failed = outcome.error.host if isinstance(outcome, RetryLater) and outcome.error else None
    host = next((host for host in (failed, job.download_host) if host and host in hosts), hosts[0] if hosts else "")
    return job if job.download_host == host else replace(job, download_host=host)


def _later(job: Job, outcome: RetryLater, now: float, jitter: float) -> float:
    wait = backoff_seconds(job.attempts, jitter)
    asked = outcome.error.retry_after_seconds if outcome.error else None
    return now + (wait if asked is None else max(wait, min(asked, 3600.0)))


def _without_hold(job: Job) -> Job:
    if job.hold is None and job.hold_reason is None and job.held_at is None:
        return job
    return replace(job, hold=None, hold_reason=None, hold_source=None, held_path=None, held_at=None)


def _held(
    job: Job, hold: Hold, reason: str | None, now: float, source: HoldSource | None = None, path: str | None = None
) -> Job:
    since = (job.held_at if job.hold is hold else now) or now
    return replace(
        job, state=State.HELD, hold=hold, hold_reason=reason, hold_source=source, held_path=path, held_at=since,
        updated_at=now,
    )  # fmt: skip


def _with_held_tasks(job: Job, outcome: Held) -> Job:
    for task in job.tasks:
        if task.number in outcome.tasks:
            waits = replace(task, hold=outcome.hold, hold_reason=outcome.reason)
            job = job.with_task(replace(waits, hold_source=outcome.source, held_path=outcome.path))
    return job


def _continued(job: Job, now: float) -> Job:
    stage = next_stage(job)
    living = [task for task in job.tasks if task.error is None and task.stage is not Stage.DONE]
    parked = [task for task in living if task.hold is not None]
    first = parked[0] if parked else None
    if first and first.hold and all(task in parked or task.is_late for task in living):
        still = replace(job, stage=stage, error=None, attempts=0)
        return _held(still, first.hold, first.hold_reason, now, first.hold_source, first.held_path)
    moved = replace(
        _without_hold(job), stage=stage, error=None, attempts=0, unusable_answers=0, due_at=0.0, updated_at=now
    )
    failed = [task for task in job.tasks if task.error is not None]
    if failed and all(task.error is not None or task.stage is Stage.DONE for task in job.tasks):
        errors = "; ".join(f"task {task.title} ({task.mode}): {task.error}" for task in failed)
        if all(task.cancelled for task in failed):
            return replace(moved, state=State.CANCELLED, error=errors, archived=True)
        return replace(moved, state=State.FAILED, error=errors, failure_kind=None, archived=False)
    return replace(moved, state=State.DONE if stage is Stage.DONE else State.WAITING)


def retry(job: Job, now: float) -> Job:
    """Resume a failed or cancelled job at its stage. Tasks without results are started again, results of others are requested,
    delivered tracks are not touched."""
    tasks = tuple(_retried_task(task) for task in job.tasks)
    again = replace(
        _without_hold(job), tasks=tasks, state=State.WAITING, error=None, warning=None, archived=False, attempts=0, due_at=0.0,
        unusable_answers=0, setbacks=0, uploads_unknown=0, failure_kind=None,
    )  # fmt: skip
    expired = again.expires_at is not None and again.expires_at <= now
    if expired and not any(task.paid and task.stage is Stage.SPLIT for task in tasks):
        again = replace(again, source_id=None, expires_at=None)
    stage = job.stage if job.stage in (Stage.DELETE, Stage.ARCHIVE) else next_stage(again)
    return with_download_host(replace(again, stage=stage, updated_at=now))


def abandon(job: Job, now: float) -> Job:
    """The failed job as cancelled: it no longer counts as a failure that needs attention. Its file stays where it is."""
    return replace(job, state=State.CANCELLED, archived=True, updated_at=now) if job.state is State.FAILED else job


def _retried_task(task: Task) -> Task:
    if task.restarts_on_retry:
        return task.reset()
    kept = without_hold(replace(task, error=None, failure=None, error_code=None, cancelled=False))
    doubtful = task.error is not None or (task.stage is Stage.DOWNLOAD and task.link_renewals > 0)
    asks_for_results = doubtful and task.task_id is not None and task.stage in (Stage.CHECK, Stage.DOWNLOAD)
    return replace(kept, stage=Stage.CHECK, link_renewals=0, due_at=None) if asks_for_results else kept


def without_hold(task: Task) -> Task:
    """The task without its hold."""
    return replace(task, hold=None, hold_reason=None, hold_source=None, held_path=None)


def restart(job: Job) -> Job:
    """The job at its first stage, with none of its tasks started."""
    return replace(job, stage=Stage.UPLOAD, tasks=tuple(task.reset() for task in job.tasks))


def record_archive_error(job: Job, error: Exception, now: float, jitter: float, *, again: bool) -> Job:
    """A failed job whose source could not be archived. `again`: it is retried with growing pauses; otherwise the file stays."""
    stays = replace(job, archive_error=describe_error(error))
    if not again:
        return replace(stays, archived=True)
    return replace(stays, attempts=job.attempts + 1, due_at=now + backoff_seconds(job.attempts, jitter))


def clear_archive_error(job: Job) -> Job:
    """The job once its source is archived."""
    return replace(job, archive_error=None)


def release(job: Job, now: float, *, by_a_person: bool = True, price: float | None = None) -> Job:
    """End the job's hold, and no other: a task that is held for something else stays held.

    `by_a_person`: a user consents to what the hold is about, for the `price` in minutes that was shown (None: unknown); lost tasks
    are paid again, with a new key.
    """
    tasks = tuple(without_hold(task) if task.hold is job.hold else task for task in job.tasks)
    if job.hold is Hold.LOST_TASK and by_a_person:
        tasks = tuple(_restart_lost(task, now) for task in tasks)
    if job.hold is Hold.LINK:  # a dead link stays dead
        tasks = tuple(
            replace(task, stage=Stage.CHECK, due_at=None)
            if task.task_id and (task.stage is Stage.DOWNLOAD or task.is_late)
            else task
            for task in tasks
        )
    past = replace(_without_hold(job), tasks=tasks, state=State.WAITING, attempts=0, due_at=0.0, updated_at=now)
    if by_a_person:
        past = consent.with_consent(replace(past, unusable_answers=0, setbacks=0), job.hold, job.hold_source, price)
    goes_back = job.stage in (Stage.UPLOAD, Stage.SPLIT, Stage.CHECK) or job.hold is Hold.LINK
    return with_download_host(replace(past, stage=next_stage(past)) if goes_back else past)


def _restart_lost(task: Task, now: float) -> Task:
    """A lost task is started again; a stalled one gets the same time once more."""
    if task.lost:
        return replace(task, idempotency_key=None, requested_at=None)
    return replace(task, progressed_at=now) if task.stage is Stage.CHECK else task
