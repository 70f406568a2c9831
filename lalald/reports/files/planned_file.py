"""What would happen to a file that is not in its inbox yet, by its name, size and length."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lalald.config import Inbox, Rule
from lalald.inbox.explanation import choose, refusal
from lalald.inbox.new_files import job_settings, tasks
from lalald.jobs.job import Job
from lalald.jobs.spending.consent import price_of
from lalald.jobs.task import task_fingerprint
from lalald.reports.files.explainer import Explainer
from lalald.reports.files.file_report import FileReport, Outcome

_IF_THE_SAME = {
    "reuse": "a file of the same size was processed: if the content is the same, it is not paid again",
    "hold": "a file of the same size was processed: if the content is the same, it is held before anything is charged",
}


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """`path`: within the inbox. `size`: bytes; `seconds`: how long it plays; None where that is not known."""

    path: str
    size: int | None = None
    seconds: float | None = None


def why_not_taken(inbox: Inbox, path: str) -> str | None:
    """Why a file of this name would be skipped, whatever its content; None if a rule matches it."""
    if reason := refusal(inbox, path):
        return reason
    choice = choose(inbox, path)
    return None if choice.rule is not None else choice.reason


def explain_planned(explainer: Explainer, inbox: Inbox, file: PlannedFile) -> FileReport:
    full_path, root = os.path.join(inbox.path, file.path), str(inbox.path)
    if reason := refusal(inbox, file.path):
        return FileReport(full_path, Outcome.NOT_TAKEN, reason, root)
    choice = choose(inbox, file.path)
    if choice.rule is None:
        return FileReport(full_path, Outcome.NOT_TAKEN, choice.reason, root)
    if file.size == 0:
        return FileReport(full_path, Outcome.NOT_TAKEN, "it is empty", root, rule=choice.rule.name)
    job = _job_to_be(inbox, choice.rule, file, explainer.now())
    is_known = _may_be_known(explainer, job, file)
    return FileReport(
        full_path,
        Outcome.READY,
        choice.reason,
        root,
        rule=choice.rule.name,
        tasks=job.tasks,
        duration=file.seconds,
        minutes=price_of(job.tasks, file.seconds),
        expected_hold=explainer.expected_hold(inbox, job) if file.seconds is not None else None,
        remarks=(_IF_THE_SAME[job.settings.duplicates],) if is_known else (),
        may_be_free=is_known and file.seconds is not None,
    )


def _may_be_known(explainer: Explainer, job: Job, file: PlannedFile) -> bool:
    """Whether a file of exactly this size was processed with a task of the rule: the bytes are compared once they are here."""
    if file.size is None or explainer.reports is None or job.settings.duplicates == "process":
        return False
    return explainer.reports.may_have_duplicate(job)


def _job_to_be(inbox: Inbox, rule: Rule, file: PlannedFile, now: float) -> Job:
    asked = tasks(rule)
    return Job(
        id=0, revision=0, inbox=str(inbox.path), path=file.path, size=file.size or 1, mtime_ns=0, inode=0, rule=rule.name,
        settings=job_settings(inbox, rule), created_at=now, updated_at=now, duration=file.seconds,
        task_fingerprint=task_fingerprint(asked), tasks=asked,
    )  # fmt: skip
