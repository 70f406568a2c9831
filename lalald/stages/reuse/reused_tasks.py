"""Apply the answers of `/check/` about tasks that an earlier job paid for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lalald.api import TaskAnswer
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Held
from lalald.jobs.states import Stage
from lalald.jobs.task import Task
from lalald.stages.expected_tracks import updated_tracks
from lalald.stages.reuse.duplicates import hold_for_decision

_WAIT_SECONDS = 60.0  # for an answer that says something; waiting longer would only delay the question to a person
_CHECK_SECONDS = 5.0

Answers = Mapping[int, TaskAnswer | None]


def is_reused(task: Task) -> bool:
    """Whether the task checks for an earlier job's results, and none of them is delivered yet."""
    is_checked = task.paid_by is not None and task.stage is Stage.CHECK and task.error is None
    return is_checked and not any(track.delivered for track in task.tracks)


def of_own_tasks(job: Job, answers: Answers) -> dict[int, TaskAnswer | None]:
    """The answers about tasks that this job paid for itself."""
    reused = {task.number for task in job.tasks if is_reused(task)}
    return {number: answer for number, answer in answers.items() if number not in reused}


def outcome_of(job: Job, answers: Answers, now: float) -> Advance | Held:
    """The job after the answers about its reused tasks. If the service no longer has every wanted track, a person decides."""
    gone = []
    for task in job.tasks:
        if task.number not in answers or not is_reused(task):
            continue
        after = _with_answer(task, answers[task.number], job, now)
        if after is None:
            gone.append(task)
        else:
            job = job.with_task(after)
    return hold_for_decision(job, gone) if gone else Advance(job)


def _with_answer(task: Task, answer: TaskAnswer | None, job: Job, now: float) -> Task | None:
    """The task after an answer; None if its results are gone."""
    status = "unknown" if answer is None else answer.status
    if answer is not None and status == "success":
        return _with_links(task, answer, job)
    says_nothing = status in ("server_error", "unknown", "progress") and not (answer and answer.gone)
    still_waits = now - (task.progressed_at or now) < _WAIT_SECONDS
    return replace(task, due_at=now + _CHECK_SECONDS) if says_nothing and still_waits else None


def _with_links(task: Task, answer: TaskAnswer, job: Job) -> Task | None:
    tracks = updated_tracks(task, answer.tracks, job.settings.tracks, accept_unlabeled=False)
    after = replace(task, stage=Stage.DOWNLOAD, progress=100, tracks=tracks)
    return after if tracks and not after.missing else None
