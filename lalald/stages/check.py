"""What `/check/` says of running tasks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from lalald.api import TaskAnswer
from lalald.filesystem.names import printable
from lalald.jobs.job import Advance, Hold, Job, Stage, Task, TaskFailure, Track, with_warning
from lalald.jobs.wanted_tracks import matches_none
from lalald.stages.expected_tracks import answered, has_no_label

TOLD_SECONDS = 24 * 3600.0  # the document: checking is possible within 24 h after the task's creation
GIVEN_UP_AFTER_SECONDS = 600.0  # without a word of it after that: one look at a clock that was turned gives up nothing
STUCK_SECONDS = 3 * 3600.0  # a progress that has not moved for so long needs somebody's eyes
STUCK_ASKED_EVERY_SECONDS = 600.0
PATIENT_SECONDS = 600.0  # an incomplete success is not delivered before: the rest may come in a moment
_LONGEST_BETWEEN_CHECKS_SECONDS = 120.0
_LATE_ASKED_EVERY_SECONDS = (2.0, 3600.0)  # at first, and at last
_MOST_TRACKS = 100  # the document tells of seven at most


def is_overdue(job: Job, task: Task, answer: TaskAnswer | None, now: float) -> bool:
    """Whether a task is older than the service tells of, by our clock, and it has not said all of it."""
    if _age(task, now) < TOLD_SECONDS:
        return False
    if answer is None or _is_untold(answer):
        return True
    return answer.status == "success" and _succeeded(job, task, answer, now).stage is Stage.CHECK


def _is_untold(answer: TaskAnswer) -> bool:
    """`server_error` and a missing id are about the answer, not the task."""
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
    """The job after its tasks (by number) were asked for; None where the service said nothing of one.

    Of those that are `expired` it has not said all for so long that they fail. With `many` tasks running not all can be asked for
    each time: then each gets a moment for its next check.
    """
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None and task.number in answers:
            answer = answers[task.number]
            if answer is None or _is_untold(answer):
                job = job.with_task(_untold(job, task, answer, now, is_expired=task.number in expired))
            elif answer.status == "success":
                job = _with_success(job, task, answer, now, is_expired=task.number in expired)
            else:
                job = job.with_task(_told(task, answer, now, many=many))
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None:
            job = job.with_task(_parked(job, task) if _is_stuck(task, now) else _moving(task))
    return Advance(job)


def _parked(job: Job, task: Task) -> Task:
    reason = (
        f"task {task.title} ({task.mode}) has stood at {task.progress or 0} % for over {STUCK_SECONDS / 3600:.0f} hours."
        " It is paid and still checked; it resumes automatically when it progresses, until the service forgets it after 24 hours."
        f" `lalald cancel {job.id}` abandons it."
    )
    return replace(task, hold=Hold.LOST_TASK, hold_reason=reason)


def _moving(task: Task) -> Task:
    return replace(task, hold=None, hold_reason=None)


def _is_stuck(task: Task, now: float) -> bool:
    running = task.stage is Stage.CHECK and task.error is None and task.incomplete_since is None
    return running and task.progressed_at is not None and now - task.progressed_at > STUCK_SECONDS


def _told(task: Task, answer: TaskAnswer, now: float, *, many: bool) -> Task:
    """After progress, an error, or word that it was cancelled."""
    task = _moving(task)
    if answer.status == "progress":
        moved = _progressed(task, answer.progress or 0, now)
        wait = _until_next_check(moved, now) if many or _is_stuck(moved, now) or moved.incomplete_since else None
        return moved if wait is None else replace(moved, due_at=now + wait)
    if answer.status == "cancelled":
        return _failed(task, TaskFailure.CANCELLED, "the task was cancelled on the service; its minutes were charged.")
    facts = ", ".join(
        fact for fact in (answer.error_code, f"error id {answer.error_id}" if answer.error_id else None) if fact
    )
    words = answer.error or "the service gives no reason"
    return _failed(task, TaskFailure.FAILED, f"{words} ({facts})" if facts else words, answer.error_code)


def _failed(task: Task, failure: TaskFailure, error: str, code: str | None = None) -> Task:
    """One that has given results before has them still, or had them: it is never started again unasked."""
    had_results = any(not track.is_missing for track in task.tracks)
    return replace(task, failure=TaskFailure.INCOMPLETE if had_results else failure, error=error, error_code=code)


def _progressed(task: Task, progress: int, now: float) -> Task:
    progressed_at = (
        now
        if progress != task.progress or task.progressed_at is None or task.progressed_at > now
        else task.progressed_at
    )
    return replace(task, progress=progress, progressed_at=progressed_at)


def _until_next_check(task: Task, now: float) -> float:
    """Half of what the progress so far lets expect; it orders the tasks where there are too many to ask for all."""
    if task.incomplete_since is not None:
        return seconds_till_asked_again(task, now)
    if _is_stuck(task, now):
        return STUCK_ASKED_EVERY_SECONDS
    running = max(0.0, _age(task, now))
    expected = running * (100 - (task.progress or 0)) / task.progress if task.progress else running
    return min(_LONGEST_BETWEEN_CHECKS_SECONDS, expected / 2)


def seconds_till_asked_again(task: Task, now: float) -> float:
    """Of a task without all of its tracks: ever more rarely, but at the end of patience, and twice at the end of its day."""
    since = now - task.incomplete_since if task.incomplete_since is not None else 0.0
    shortest, longest = _LATE_ASKED_EVERY_SECONDS
    if _age(task, now) >= TOLD_SECONDS:
        return GIVEN_UP_AFTER_SECONDS
    marks = [mark for mark in (PATIENT_SECONDS - since, TOLD_SECONDS - _age(task, now)) if mark > 0]
    return min(max(shortest, min(longest, since / 2)), *marks)


def _untold(job: Job, task: Task, answer: TaskAnswer | None, now: float, *, is_expired: bool) -> Task:
    """Asked again while it can still be told, unless the words say that the file is gone. What has links by now is fetched first."""
    if task.incomplete_since is not None and _settles_for_less(task, now) and not task.is_late:
        return replace(_moving(task), stage=Stage.DOWNLOAD)
    if answer is not None and answer.gone:
        return _expired(job, task, answer.error or "the file is gone")
    if is_expired:
        return _expired(job, task, "the service reports a task's state for 24 hours only.")
    if task.incomplete_since is not None:
        return replace(task, due_at=now + seconds_till_asked_again(task, now))
    longest = STUCK_ASKED_EVERY_SECONDS if _is_stuck(task, now) else _LONGEST_BETWEEN_CHECKS_SECONDS
    return replace(task, due_at=now + min(longest, max(0.0, _age(task, now)) / 2))


def _expired(job: Job, task: Task, why: str) -> Task:
    """It was paid, and the service has no more results of it."""
    money = (
        f"The task was paid. `lalald retry {job.id}` asks the service once more and pays nothing; "
        f"`lalald redo {job.id}` pays again."
    )
    if not task.missing:
        return replace(task, failure=TaskFailure.EXPIRED, error=f"expired: {why} {money}")
    others = "; what else it gave was delivered" if any(track.delivered for track in task.tracks) else ""
    error = f"expired: the service never gave {_listed(task.missing)}{others}. {money}"
    return replace(task, failure=TaskFailure.INCOMPLETE, error=error)


def _listed(tracks: tuple[Track, ...]) -> str:
    labels = ", ".join(printable(track.label) for track in tracks)
    return f"the track {labels}" if len(tracks) == 1 else f"the tracks {labels}"


def _with_success(job: Job, task: Task, answer: TaskAnswer, now: float, *, is_expired: bool) -> Job:
    after = _succeeded(job, task, answer, now)
    if is_expired and after.stage is Stage.CHECK:
        return job.with_task(_expired(job, after, "the service named no track of it."))
    names = job.settings.tracks
    if task.tracks:
        return job.with_task(after)
    if matches_none(after.tracks, names):
        told = ", ".join(track.label for track in after.tracks)
        job = with_warning(job, f"the service gave none of the wanted tracks, so all were delivered: {told}")
    if len(answer.tracks) > len(after.tracks) >= _MOST_TRACKS:
        words = f"the service named {len(answer.tracks):,} tracks of task {task.title}, so only the first {_MOST_TRACKS} were delivered"
        job = with_warning(job, words)
    return job.with_task(after)


def _succeeded(job: Job, task: Task, answer: TaskAnswer, now: float) -> Task:
    """To its download if it is complete, or as much of it as there is after some patience; else it is asked for again."""
    settles = _settles_for_less(task, now)
    tracks = answered(task, answer.tracks, job.settings.tracks, settles_for_less=settles)
    if len(tracks) > _MOST_TRACKS:
        tracks = tuple(track for track in tracks if track.wanted)[:_MOST_TRACKS]
    after = replace(_moving(task), progress=100, tracks=tracks)
    if not after.missing and (settles or not any(map(has_no_label, answer.tracks))):
        return replace(after, stage=Stage.DOWNLOAD)
    since = task.incomplete_since
    after = replace(after, incomplete_since=now if since is None or since > now else since)
    if settles and not after.is_late:
        return replace(after, stage=Stage.DOWNLOAD)
    return replace(after, due_at=now + seconds_till_asked_again(after, now))


def _settles_for_less(task: Task, now: float) -> bool:
    was_asked_long = task.incomplete_since is not None and now - task.incomplete_since >= PATIENT_SECONDS
    return was_asked_long or _age(task, now) >= TOLD_SECONDS
