"""Explain what happens to a file: whether it is processed, by which rule, at what cost, and what holds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from lalald.config import Config, Inbox, Rule
from lalald.filesystem.file_numbers import int64
from lalald.inbox.explanation import (
    EXISTING_SKIP,
    Explanation,
    explain,
    folder_refusal,
    path_in_inbox,
    with_former_folders,
)
from lalald.inbox.new_files import job_settings, tasks
from lalald.inbox.scanning.new_file_count import has_more_files_than
from lalald.inbox.writing_state import leases_reliable, writing_state
from lalald.jobs.job import Job
from lalald.jobs.spending.consent import price_of, tasks_to_pay, tasks_to_pay_on_retry
from lalald.jobs.states import Hold, State
from lalald.jobs.task import task_fingerprint
from lalald.media.durations import measure
from lalald.reports.duplicate_advice import find_duplicate
from lalald.reports.files.file_report import ExpectedHold, FileReport, Outcome, job_outcome
from lalald.reports.files.first_scan_forecast import is_first_scan, why_held_at_first_scan
from lalald.reports.files.unavailable_inbox import why_unavailable
from lalald.reports.pricing import duration_of
from lalald.reports.spend_forecast import SpendForecast
from lalald.store import SkipReason
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport

_TO_PROCESS_IT = "to process it, move it out of the inbox and back"


@dataclass
class Explainer:
    """Reports on one path after the other. `reports` is None before the daemon's first start."""

    config: Config
    reports: Reports | None
    now: Callable[[], float]

    def report(self, path: str) -> FileReport:
        """Everything about an absolute path."""
        inbox, path = self._inbox_of(path)
        if inbox is None:
            return self._elsewhere(path)
        relative = path_in_inbox(inbox, path) or ""
        if os.path.isdir(path) and not os.path.islink(path):
            return FileReport(path, Outcome.NOT_TAKEN, _describe_folder(inbox, relative), str(inbox.path))
        known = None
        if self.reports is not None:
            known = self.reports.known_files().known_at(str(inbox.path), [relative]).get(relative)
        away = why_unavailable(inbox, self.reports)
        if self.reports is not None and (aside := self.reports.set_aside_files().at(str(inbox.path), relative)):
            reason = f"its inspection failed ({aside.error}); it is inspected again later, or now by `lalald rescan`"
            report = FileReport(path, Outcome.SET_ASIDE, reason)
            return replace(report, inbox=str(inbox.path), inbox_available=away is None, inbox_reason=away or "")
        explanation = explain(inbox, relative, known)
        if (job := self._job(path, explanation)) is not None:
            report = self._of_job(path, explanation, job)
        elif explanation.rule is None or not explanation.is_processed:
            report = FileReport(path, Outcome.NOT_TAKEN, explanation.reason, rule=_name(explanation.rule))
            if explanation.skip_reason in (SkipReason.EXISTING, SkipReason.CHANGED):
                report = replace(report, remarks=(_TO_PROCESS_IT,))
        else:
            report = self._of_new_file(path, relative, inbox, explanation.rule, away)
        return replace(report, inbox=str(inbox.path), inbox_available=away is None, inbox_reason=away or "")

    def _inbox_of(self, path: str) -> tuple[Inbox | None, str]:
        """The inbox of a path, with its former folders, and the path in it; symlinks on the way are followed."""
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        for place in dict.fromkeys((path, real)):
            for inbox in self.config.inboxes:
                if path_in_inbox(inbox, place) is not None:
                    return (inbox if self.reports is None else with_former_folders(inbox, self._put_into)), place
        return None, path

    @cached_property
    def _put_into(self) -> list[str]:
        return list(self.reports.known_files().target_folders()) if self.reports is not None else []

    def _elsewhere(self, path: str) -> FileReport:
        reason = _describe_other_place(self.config, path)
        report = self.reports.job_at(path) if self.reports else None
        if report is None:
            return FileReport(path, Outcome.NOT_TAKEN, reason)
        return replace(self._of_past_job(path, report), reason=reason, outcome=Outcome.NOT_TAKEN)

    def _job(self, path: str, explanation: Explanation) -> JobReport | None:
        """The job of the file; if the file is not processed, the job that put it there or moved it away."""
        if self.reports is None:
            return None
        if explanation.job_id is not None and explanation.is_processed:
            return self.reports.job(explanation.job_id)
        return None if explanation.is_processed else self.reports.job_at(path)

    def _of_job(self, path: str, explanation: Explanation, report: JobReport) -> FileReport:
        found = self._of_past_job(path, report)
        if explanation.is_processed:
            outcome, reason = job_outcome(report.job, "")
            return replace(found, outcome=outcome, reason=reason)
        place = "" if report.job.moved_to is None else f"; its file is at {report.job.moved_to} now"
        reason = explanation.reason if report.job.moved_to == path else f"{explanation.reason}{place}"
        return replace(found, reason=reason)

    def _of_past_job(self, path: str, report: JobReport) -> FileReport:
        """The report on a file with a job: its tasks, and what is still to be charged."""
        job = report.job
        duration = duration_of(job)
        unpaid = tasks_to_pay_on_retry(job) if job.state in (State.FAILED, State.CANCELLED) else tasks_to_pay(job)
        unpaid = [] if job.state in (State.DONE, State.CANCELLED) else unpaid
        return FileReport(
            path, Outcome.NOT_TAKEN, "", rule=job.rule, job=report, tasks=job.tasks, duration=duration,
            minutes=price_of(unpaid, duration),
        )  # fmt: skip

    def _of_new_file(self, path: str, relative: str, inbox: Inbox, rule: Rule, away: str | None) -> FileReport:
        if inbox.existing == "skip" and is_first_scan(inbox, self.reports):
            return FileReport(path, Outcome.NOT_TAKEN, EXISTING_SKIP, rule=rule.name, remarks=(_TO_PROCESS_IT,))
        writing = writing_state(inbox, path, self.now(), leases=leases_reliable(inbox))
        outcome = Outcome.READY if writing is None or writing.is_finished else Outcome.UNFINISHED
        job = self._job_to_be(path, relative, inbox, rule)
        may_read = self.reports is not None and outcome is Outcome.READY
        duplicate = find_duplicate(job, path, self.reports) if may_read and self.reports is not None else None
        unpaid = job.tasks if duplicate is None else duplicate.unpaid
        hold = self.expected_hold(inbox, replace(job, tasks=tuple(unpaid)))
        if duplicate is not None and duplicate.hold is not None and hold is None:
            hold = ExpectedHold(duplicate.hold, None, "its results exist, or were paid for, already")
        return FileReport(
            path, outcome if away is None else Outcome.UNAVAILABLE, f"rule {rule.name}", rule=rule.name, writing=writing,
            tasks=job.tasks, duration=job.duration, minutes=price_of(unpaid, job.duration),
            duplicate_of=duplicate.job_id if duplicate else None, expected_hold=hold,
            remarks=() if duplicate is None else (duplicate.remark,),
        )  # fmt: skip

    def _job_to_be(self, path: str, relative: str, inbox: Inbox, rule: Rule) -> Job:
        """The job that the file would become."""
        facts, length, now = os.lstat(path), measure(path), self.now()
        asked = tasks(rule)
        return Job(
            id=0, revision=0, inbox=str(inbox.path), path=relative, size=facts.st_size, mtime_ns=int64(facts.st_mtime_ns),
            inode=int64(facts.st_ino), rule=rule.name, settings=job_settings(inbox, rule), created_at=now, updated_at=now,
            duration=length.seconds, least_duration=None if length.seconds is not None else length.at_least,
            task_fingerprint=task_fingerprint(asked), tasks=asked,
        )  # fmt: skip

    def expected_hold(self, inbox: Inbox, job: Job) -> ExpectedHold | None:
        """What would hold the job, by what the daemon last knew."""
        if reason := why_held_at_first_scan(inbox, self.reports, lambda most: has_more_files_than(most, inbox)):
            return ExpectedHold(Hold.FIRST_SCAN, None, reason)
        if not job.tasks:
            return None
        refusal = SpendForecast.of(self.reports, self.config.minutes).refusal_now(job)
        return None if refusal is None else ExpectedHold(Hold.MINUTES, refusal.source, f"it {refusal.reason}")


def _name(rule: Rule | None) -> str | None:
    return None if rule is None else rule.name


def _describe_other_place(config: Config, path: str) -> str:
    return next(_other_places(config, path), None) or (
        f"it is not in an inbox; the inboxes: {', '.join(str(inbox.path) for inbox in config.inboxes)}"
    )


def _other_places(config: Config, path: str) -> Iterator[str]:
    for inbox in config.inboxes:
        if path == str(inbox.path):
            yield "it is an inbox; name a file in it"
        for folder, what in (
            (inbox.outbox, "outbox"),
            (inbox.done_dir, "done folder"),
            (inbox.failed_dir, "failed folder"),
        ):
            if f"{path}/".startswith(f"{folder}/"):
                yield f"it is in the {what} of {inbox.path}, where nothing is processed"


def _describe_folder(inbox: Inbox, folder: str) -> str:
    parts = folder.split("/")
    for depth in range(1, len(parts) + 1):
        if reason := folder_refusal(inbox, "/".join(parts[:depth])):
            return f"nothing in this folder is processed: {reason}"
    return "it is a folder; name a file in it"
