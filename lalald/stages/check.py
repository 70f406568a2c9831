"""What `/check/` says of running tasks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from lalald.api import TaskAnswer
from lalald.jobs import Done, Hold, Job, Stage, Task, Track, warned
from lalald.stages.tracks import none_matched, wanted

TOLD_SECONDS = 24 * 3600.0  # the document: checking is possible within 24 h after the task's creation
GIVEN_UP_AFTER_SECONDS = 600.0  # without a word of it after that: one look at a clock that was turned gives up nothing
STUCK_SECONDS = 3 * 3600.0  # a progress that has not moved for so long needs somebody's eyes
STUCK_ASKED_EVERY_SECONDS = 600.0
_LONGEST_BETWEEN_CHECKS_SECONDS = 120.0
_MOST_TRACKS = 100  # the document tells of seven at most


def is_overdue(task: Task, answer: TaskAnswer | None, now: float) -> bool:
    """Whether the service said nothing of a task that is older than it tells of, by our clock."""
    return _is_untold(answer) and _age(task, now) >= TOLD_SECONDS


def _is_untold(answer: TaskAnswer | None) -> bool:
    """`server_error` and a missing id are about the answer, not the task; so is a success without tracks."""
    if answer is None or answer.status in ("server_error", "unknown"):
        return True
    return answer.status == "success" and not answer.tracks


def _age(task: Task, now: float) -> float:
    return now - (task.started_at or now)


def outcome_of(
    job: Job,
    answers: Mapping[int, TaskAnswer | None],
    now: float,
    *,
    given_up: Set[int] = frozenset(),
    many: bool = True,
) -> Done:
    """The job after its tasks (by number) were asked for; None where the service said nothing of one.

    Of those that are `given_up` it has said nothing for so long that they fail. With `many` tasks running not all can be asked for
    each time: then each gets a moment for its next check.
    """
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None and task.number in answers:
            answer = answers[task.number]
            if _is_untold(answer):
                job = _untold(job, task, answer, now, given_up=task.number in given_up)
            elif answer is not None:
                job = _told(job, task, answer, now, many=many)
    for task in job.tasks:
        if task.stage is Stage.CHECK and task.error is None:
            job = job.with_task(_parked(job, task) if _is_stuck(task, now) else _moving(task))
    return Done(job)


def _parked(job: Job, task: Task) -> Task:
    reason = (
        f"task {task.title} ({task.mode}) has stood at {task.progress or 0} % for over {STUCK_SECONDS / 3600:.0f} hours."
        " It is paid and still asked for; it goes on by itself when it moves, until the service forgets it after 24 hours."
        f" `lalald cancel {job.id}` gives up."
    )
    return replace(task, waits_for=Hold.LOST_TASK, waits_reason=reason)


def _moving(task: Task) -> Task:
    return replace(task, waits_for=None, waits_reason=None)


def _is_stuck(task: Task, now: float) -> bool:
    running = task.stage is Stage.CHECK and task.error is None
    return running and task.moved_at is not None and now - task.moved_at > STUCK_SECONDS


def _told(job: Job, task: Task, answer: TaskAnswer, now: float, *, many: bool) -> Job:
    task = _moving(task)
    if answer.status == "progress":
        moved = _progressed(task, answer.progress or 0, now)
        wait = _until_next_check(moved, now) if many or _is_stuck(moved, now) else None
        return job.with_task(moved if wait is None else replace(moved, due_at=now + wait))
    if answer.status == "success":
        return _succeeded(job, task, answer)
    if answer.status == "cancelled":
        return job.with_task(replace(task, error="the task was cancelled on the service; its minutes were charged."))
    facts = ", ".join(
        fact for fact in (answer.error_code, f"error id {answer.error_id}" if answer.error_id else None) if fact
    )
    words = answer.error or "the service gives no reason"
    return job.with_task(replace(task, error=f"{words} ({facts})" if facts else words))


def _progressed(task: Task, progress: int, now: float) -> Task:
    moved_at = now if progress != task.progress or task.moved_at is None or task.moved_at > now else task.moved_at
    return replace(task, progress=progress, moved_at=moved_at)


def _until_next_check(task: Task, now: float) -> float:
    """Half of what the progress so far lets expect; it orders the tasks where there are too many to ask for all."""
    if _is_stuck(task, now):
        return STUCK_ASKED_EVERY_SECONDS
    running = max(0.0, _age(task, now))
    expected = running * (100 - (task.progress or 0)) / task.progress if task.progress else running
    return min(_LONGEST_BETWEEN_CHECKS_SECONDS, expected / 2)


def _untold(job: Job, task: Task, answer: TaskAnswer | None, now: float, *, given_up: bool) -> Job:
    """Asked again while it can still be told, unless the words say that the file is gone."""
    if answer is not None and answer.gone:
        words = answer.error or "the file is gone"
        return job.with_task(
            replace(task, error=f"expired: {words} The task was paid; `lalald retry {job.id}` pays again.")
        )
    if given_up:
        reason = f"expired: the service tells a task's state for 24 hours only. It was paid; `lalald retry {job.id}` pays again."
        return job.with_task(replace(task, error=reason))
    longest = STUCK_ASKED_EVERY_SECONDS if _is_stuck(task, now) else _LONGEST_BETWEEN_CHECKS_SECONDS
    return job.with_task(replace(task, due_at=now + min(longest, max(0.0, _age(task, now)) / 2)))


def _succeeded(job: Job, task: Task, answer: TaskAnswer) -> Job:
    tracks = tuple(
        Track(track.type, track.label, track.url, name=track.name, size=track.size) for track in answer.tracks
    )
    names = job.handling.tracks
    chosen = wanted(tracks, names)
    if len(chosen) > _MOST_TRACKS:
        owed = [track for track in chosen if track.wanted]
        if len(owed) > _MOST_TRACKS:
            words = f"the service named {len(tracks):,} tracks of task {task.title}, so only the first {_MOST_TRACKS} were delivered"
            job = warned(job, words)
        chosen = tuple(owed[:_MOST_TRACKS])
    if none_matched(tracks, names):
        told = ", ".join(track.label for track in chosen)
        job = warned(job, f"the service gave none of the wanted tracks, so all were delivered: {told}")
    return job.with_task(replace(task, stage=Stage.DOWNLOAD, progress=100, tracks=chosen))
