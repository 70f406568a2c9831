"""Tasks that an earlier job paid for, asked for once more: what `/check/` says of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lalald.api import TaskAnswer
from lalald.jobs.job import Advance, Held, Job, Stage, Task
from lalald.stages.duplicates import ask_instead
from lalald.stages.expected_tracks import answered

_PATIENCE_SECONDS = 60.0  # for an answer that tells nothing; it costs nothing to ask a person meanwhile
_ASKED_EVERY_SECONDS = 5.0

Answers = Mapping[int, TaskAnswer | None]


def is_reused(task: Task) -> bool:
    """Whether the service is asked for an earlier job's results, and none of them is delivered yet."""
    is_asked = task.paid_by is not None and task.stage is Stage.CHECK and task.error is None
    return is_asked and not any(track.delivered for track in task.tracks)


def of_own_tasks(job: Job, answers: Answers) -> dict[int, TaskAnswer | None]:
    """The answers that are about tasks which this job has paid for."""
    reused = {task.number for task in job.tasks if is_reused(task)}
    return {number: answer for number, answer in answers.items() if number not in reused}


def outcome_of(job: Job, answers: Answers, now: float) -> Advance | Held:
    """The job after the answers about reused tasks. Where the service has not all that is wanted any more a person is asked."""
    gone = []
    for task in job.tasks:
        if task.number not in answers or not is_reused(task):
            continue
        after = _told(task, answers[task.number], job, now)
        if after is None:
            gone.append(task)
        else:
            job = job.with_task(after)
    return ask_instead(job, gone) if gone else Advance(job)


def _told(task: Task, answer: TaskAnswer | None, job: Job, now: float) -> Task | None:
    """The task after an answer; None where its results cannot be had."""
    status = "unknown" if answer is None else answer.status
    if answer is not None and status == "success":
        return _with_links(task, answer, job)
    says_nothing = status in ("server_error", "unknown", "progress") and not (answer and answer.gone)
    is_patient = now - (task.progressed_at or now) < _PATIENCE_SECONDS
    return replace(task, due_at=now + _ASKED_EVERY_SECONDS) if says_nothing and is_patient else None


def _with_links(task: Task, answer: TaskAnswer, job: Job) -> Task | None:
    tracks = answered(task, answer.tracks, job.settings.tracks, settles_for_less=False)
    after = replace(task, stage=Stage.DOWNLOAD, progress=100, tracks=tracks)
    return after if tracks and not after.missing else None
