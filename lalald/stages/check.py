"""Apply the answers of `/check/` to a job's running tasks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from lalald.api import TaskAnswer
from lalald.filesystem.names import printable
from lalald.jobs.job import Job, with_warning
from lalald.jobs.outcomes import Advance
from lalald.jobs.states import Hold, Stage, TaskFailure
from lalald.jobs.task import Task, Track
from lalald.jobs.transitions import without_hold
from lalald.jobs.wanted_tracks import matches_none
from lalald.stages.expected_tracks import is_unlabeled, updated_tracks

CHECKABLE_SECONDS = 24 * 3600.0  # API document: checking is possible within 24 h after the task's creation
EXPIRED_AFTER_SECONDS = (
    600.0  # without an answer after that: one reading of a clock that was set forward expires nothing
)
STUCK_SECONDS = 3 * 3600.0  # progress that has not changed for this long needs a person
STUCK_CHECK_SECONDS = 600.0
INCOMPLETE_WAIT_SECONDS = 600.0  # an incomplete success is not delivered before: the missing tracks may still come
_MAX_CHECK_PAUSE_SECONDS = 120.0
_MIN_LATE_CHECK_SECONDS, _MAX_LATE_CHECK_SECONDS = 2.0, 3600.0
_MAX_TRACKS = 100  # the API document names seven at most


def is_overdue(job: Job, task: Task, answer: TaskAnswer | None, now: float) -> bool:
    """Whether a task is, by our clock, past the time the service reports it, and not all of its results are known."""
    if _age(task, now) < CHECKABLE_SECONDS:
        return False
    if answer is None or _says_nothing(answer):
        return True
    return answer.status == "success" and _succeeded(job, task, answer, now).stage is Stage.CHECK


def _says_nothing(answer: TaskAnswer) -> bool:
    """Whether the answer says nothing about the task: `server_error` and a missing id are about the request."""
    return answer.status in ("server_error", "unknown")


def _age(task: Task, now: float) -> float:
    return now - (task.started_at or now)


def outcome_of(
    job: Job,
    answers: Mapping[int, TaskAnswer | None],
    now: float,
    *,
    expired: Set[int] = frozenset(),
    many: bool = True,
) -> Advance:
    """The job after the answers about its tasks (by number); None if the service did not answer for one.

    Tasks that are `expired` fail: the service has not reported all of their results for too long. With `many` running tasks, not all
    fit into each request, so each gets a time for its next check.
    """
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None and task.number in answers:
            is_expired = task.number in expired
            job = _with_answer(job, task, answers[task.number], now, is_expired=is_expired, many=many)
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None:
            job = job.with_task(_stuck(job, task) if _is_stuck(task, now) else without_hold(task))
    return Advance(job)


def _with_answer(job: Job, task: Task, answer: TaskAnswer | None, now: float, *, is_expired: bool, many: bool) -> Job:
    if answer is None or _says_nothing(answer):
        return job.with_task(_without_answer(job, task, answer, now, is_expired=is_expired))
    if answer.status == "success":
        return _with_success(job, task, answer, now, is_expired=is_expired)
    return job.with_task(_unfinished(task, answer, now, many=many))


def _stuck(job: Job, task: Task) -> Task:
    reason = (
        f"task {task.title} ({task.mode}) has been at {task.progress or 0} % for over {STUCK_SECONDS / 3600:.0f} hours."
        " It is paid and still checked; it resumes automatically when it progresses, within its 24 hours on the service."
        f" `lalald cancel {job.id}` abandons it."
    )
    return replace(task, hold=Hold.LOST_TASK, hold_reason=reason)


def _is_stuck(task: Task, now: float) -> bool:
    running = task.stage is Stage.CHECK and task.error is None and task.incomplete_since is None
    return running and task.progressed_at is not None and now - task.progressed_at > STUCK_SECONDS


def _unfinished(task: Task, answer: TaskAnswer, now: float, *, many: bool) -> Task:
    """The task after an answer that reports progress, an error, or its cancellation."""
    task = without_hold(task)
    if answer.status == "progress":
        running = _with_progress(task, answer.progress or 0, now)
        has_own_pause = many or _is_stuck(running, now) or running.incomplete_since
        return replace(running, due_at=now + _check_pause(running, now)) if has_own_pause else running
    if answer.status == "cancelled":
        return _failed(task, TaskFailure.CANCELLED, "the task was cancelled on the service; its minutes were charged.")
    facts = ", ".join(
        fact for fact in (answer.error_code, f"error id {answer.error_id}" if answer.error_id else None) if fact
    )
    words = answer.error or "the service gives no reason"
    return _failed(task, TaskFailure.FAILED, f"{words} ({facts})" if facts else words, answer.error_code)


def _failed(task: Task, failure: TaskFailure, error: str, code: str | None = None) -> Task:
    """A task that gave results before still has them, or had them: it is never started again without a request."""
    had_results = any(not track.is_missing for track in task.tracks)
    return replace(task, failure=TaskFailure.INCOMPLETE if had_results else failure, error=error, error_code=code)


def _with_progress(task: Task, progress: int, now: float) -> Task:
    progressed_at = (
        now
        if progress != task.progress or task.progressed_at is None or task.progressed_at > now
        else task.progressed_at
    )
    return replace(task, progress=progress, progressed_at=progressed_at)


def _check_pause(task: Task, now: float) -> float:
    """Seconds until the next check: half of the remaining time that the progress suggests."""
    if task.incomplete_since is not None:
        return late_check_pause(task, now)
    if _is_stuck(task, now):
        return STUCK_CHECK_SECONDS
    running = max(0.0, _age(task, now))
    expected = running * (100 - (task.progress or 0)) / task.progress if task.progress else running
    return min(_MAX_CHECK_PAUSE_SECONDS, expected / 2)


def late_check_pause(task: Task, now: float) -> float:
    """Seconds until the next check of a task with missing tracks: growing, but also at the end of each waiting period."""
    since = now - task.incomplete_since if task.incomplete_since is not None else 0.0
    if _age(task, now) >= CHECKABLE_SECONDS:
        return EXPIRED_AFTER_SECONDS
    ends = [end for end in (INCOMPLETE_WAIT_SECONDS - since, CHECKABLE_SECONDS - _age(task, now)) if end > 0]
    return min(max(_MIN_LATE_CHECK_SECONDS, min(_MAX_LATE_CHECK_SECONDS, since / 2)), *ends)


def _without_answer(job: Job, task: Task, answer: TaskAnswer | None, now: float, *, is_expired: bool) -> Task:
    """Checked again while the service may still report it, unless it says that the file is gone. Known links are fetched first."""
    if task.incomplete_since is not None and _delivers_incomplete(task, now) and not task.is_late:
        return replace(without_hold(task), stage=Stage.DOWNLOAD)
    if answer is not None and answer.gone:
        return _expired(job, task, answer.error or "the file is gone")
    if is_expired:
        return _expired(job, task, "the service reports a task's state for 24 hours only.")
    if task.incomplete_since is not None:
        return replace(task, due_at=now + late_check_pause(task, now))
    longest = STUCK_CHECK_SECONDS if _is_stuck(task, now) else _MAX_CHECK_PAUSE_SECONDS
    return replace(task, due_at=now + min(longest, max(0.0, _age(task, now)) / 2))


def _expired(job: Job, task: Task, why: str) -> Task:
    """The task failed: it was paid, and the service no longer has its results."""
    money = (
        f"The task was paid. `lalald retry {job.id}` asks the service once more and pays nothing; "
        f"`lalald redo {job.id}` pays again."
    )
    if not task.missing:
        return replace(task, failure=TaskFailure.EXPIRED, error=f"expired: {why} {money}")
    others = "; its other tracks were delivered" if any(track.delivered for track in task.tracks) else ""
    error = f"expired: the service never provided {_names(task.missing)}{others}. {money}"
    return replace(task, failure=TaskFailure.INCOMPLETE, error=error)


def _names(tracks: tuple[Track, ...]) -> str:
    labels = ", ".join(printable(track.label) for track in tracks)
    return f"the track {labels}" if len(tracks) == 1 else f"the tracks {labels}"


def _with_success(job: Job, task: Task, answer: TaskAnswer, now: float, *, is_expired: bool) -> Job:
    after = _succeeded(job, task, answer, now)
    if is_expired and after.stage is Stage.CHECK:
        return job.with_task(_expired(job, after, "the service named none of its tracks."))
    names = job.settings.tracks
    if task.tracks:
        return job.with_task(after)
    if matches_none(after.tracks, names):
        labels = ", ".join(track.label for track in after.tracks)
        job = with_warning(job, f"the service provided none of the wanted tracks, so all were delivered: {labels}")
    if len(answer.tracks) > len(after.tracks) >= _MAX_TRACKS:
        words = f"the service named {len(answer.tracks):,} tracks of task {task.title}; only the first {_MAX_TRACKS} were delivered"
        job = with_warning(job, words)
    return job.with_task(after)


def _succeeded(job: Job, task: Task, answer: TaskAnswer, now: float) -> Task:
    """Ready to download if it is complete, or after a wait as far as it is; else checked again."""
    delivers_incomplete = _delivers_incomplete(task, now)
    tracks = updated_tracks(task, answer.tracks, job.settings.tracks, accept_unlabeled=delivers_incomplete)
    if len(tracks) > _MAX_TRACKS:
        tracks = tuple(track for track in tracks if track.wanted)[:_MAX_TRACKS]
    after = replace(without_hold(task), progress=100, tracks=tracks)
    if not after.missing and (delivers_incomplete or not any(map(is_unlabeled, answer.tracks))):
        return replace(after, stage=Stage.DOWNLOAD)
    since = task.incomplete_since
    after = replace(after, incomplete_since=now if since is None or since > now else since)
    if delivers_incomplete and not after.is_late:
        return replace(after, stage=Stage.DOWNLOAD)
    return replace(after, due_at=now + late_check_pause(after, now))


def _delivers_incomplete(task: Task, now: float) -> bool:
    has_waited = task.incomplete_since is not None and now - task.incomplete_since >= INCOMPLETE_WAIT_SECONDS
    return has_waited or _age(task, now) >= CHECKABLE_SECONDS
